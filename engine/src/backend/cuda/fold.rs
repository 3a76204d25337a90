//! Folds of integers: rows whose integers have eight bits apart from the others.

use std::fmt;

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::device::Buffer;
use super::kernels::{Arguments, Kernel};
use super::memory::{CudaScalars, Work};
use crate::backend::gpu::factors::offsets;
use crate::backend::ops::fold::{check_reach, reach};
use crate::backend::{FoldOps, IntegerRow, Result};

/// `FOLD_THREADS`
const THREADS: u32 = 128;
const FOLD_INTEGERS_8: Kernel = Kernel::new(Module::Fold, "fold_integers_8", THREADS);
const FOLD_INTEGERS_16: Kernel = Kernel::new(Module::Fold, "fold_integers_16", THREADS);

/// `FoldRow`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FoldRow {
    first_integer: u64,
    first_factor: u32,
    len: u32,
    row: u32,
    padding: u32,
}

/// Rows of integers in device memory. Its `Debug` form shows their number only: integers may be secret.
pub struct CudaIntegers {
    rows: usize,
    reach: usize,
    parts: Vec<Part>,
}

impl fmt::Debug for CudaIntegers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CudaIntegers({} rows)", self.rows)
    }
}

/// Rows of one width.
struct Part {
    kernel: Kernel,
    list: Buffer,
    rows: usize,
    integers: Buffer,
}

/// A row that is not empty, by its number.
type Numbered<'r> = (usize, &'r IntegerRow<'r>);

impl FoldOps for Cuda {
    type Integers = CudaIntegers;

    fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<CudaIntegers> {
        let work = self.work("load_integers");
        let is_narrow = |row: &IntegerRow<'_>| row.integers.iter().all(|integer| i8::try_from(*integer).is_ok());
        let filled = rows.iter().enumerate().filter(|(_, row)| !row.integers.is_empty());
        let (narrow, wide): (Vec<Numbered<'_>>, Vec<_>) = filled.partition(|(_, row)| is_narrow(row));
        let parts = vec![
            work.part(FOLD_INTEGERS_8, &narrow, |integer| integer as i8)?,
            work.part(FOLD_INTEGERS_16, &wide, |integer| integer)?,
        ];
        Ok(CudaIntegers { rows: rows.len(), reach: reach(rows), parts })
    }

    fn fold_integers(&self, integers: &CudaIntegers, factors: &[Fr]) -> Result<CudaScalars> {
        check_reach(integers.reach, factors)?;
        let work = self.work("fold_integers");
        // One transfer for both lists.
        let list = work.vector(2 * factors.len() + 1)?;
        work.write(list.address(), &[factors, &offsets(factors)].concat())?;
        let folded = work.vector(integers.rows)?;
        work.fill(folded.address(), 0, folded.bytes())?;
        for part in &integers.parts {
            let arguments = Arguments::new().word(part.rows).address(part.list.address());
            let arguments = arguments.address(part.integers.address()).address(list.address());
            let arguments = arguments.address(list.row(factors.len())).address(folded.address());
            work.launch(&part.kernel, part.rows.div_ceil(THREADS as usize), arguments)?;
        }
        Ok(folded)
    }
}

impl Work<'_> {
    fn part<T: Pod>(&self, kernel: Kernel, rows: &[Numbered<'_>], integer: impl Fn(i16) -> T) -> Result<Part> {
        let mut first_integer = 0;
        let list = rows.iter().map(|(number, row)| {
            let (len, first) = (row.integers.len(), first_integer);
            first_integer += len as u64;
            let [first_factor, len, row] = [row.first, len, *number].map(|count| count as u32);
            FoldRow { first_integer: first, first_factor, len, row, padding: 0 }
        });
        let list = self.upload(&list.collect::<Vec<_>>())?;
        let integers: Vec<T> = rows.iter().flat_map(|(_, row)| row.integers).map(|value| integer(*value)).collect();
        Ok(Part { kernel, list, rows: rows.len(), integers: self.upload(&integers)? })
    }
}
