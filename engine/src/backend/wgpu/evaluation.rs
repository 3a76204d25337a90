//! Evaluations and inner products by blocks: the values of blocks are the coefficients of a shorter polynomial.

use std::ops::Range;

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::wgsl::Module;

use super::memory::ELEMENT_BYTES;
use super::pipelines::Kernel;
use super::pool::Buffer;
use super::recorder::{Params, Recorder};
use super::windows::{ranges, window};
use super::{Wgpu, WgpuScalars};
use crate::backend::Result;
use crate::backend::gpu::factors::squares;

/// Rows of a block: `EVALUATION_BLOCK`.
const BLOCK: usize = 2048;
/// log2 of the invocations of a block: `EVALUATION_BITS`.
const BITS: usize = 8;

const EVAL_POLYNOMIALS: Kernel = Kernel::new(&[Module::Evaluation], "eval_polynomials");
const INNER_PRODUCT: Kernel = Kernel::new(&[Module::Evaluation], "inner_product");

/// Where a value goes: an entry of a list.
#[derive(Clone)]
struct Place {
    list: Buffer,
    len: usize,
    index: usize,
}

impl Place {
    fn new(work: &Recorder<'_>, len: usize) -> Result<Self> {
        Ok(Self { list: work.allocate(len as u64 * ELEMENT_BYTES)?, len, index: 0 })
    }

    fn bytes(&self) -> u64 {
        self.len as u64 * ELEMENT_BYTES
    }
}

impl Wgpu {
    pub(super) fn evaluate_all(&self, queries: &[(&WgpuScalars, Fr)]) -> Result<Vec<Fr>> {
        let operation = "eval_polynomials";
        let mut work = self.record(operation);
        let mut place = Place::new(&work, queries.len())?;
        for (polynomial, point) in queries {
            evaluate(&mut work, &polynomial.buffer, polynomial.len, *point, &place)?;
            place.index += 1;
        }
        let words = work.read(&place.list.first(place.bytes()))?;
        self.device.scalars(operation, &words)
    }

    pub(super) fn sum_of_products(&self, a: &WgpuScalars, b: &WgpuScalars) -> Result<Fr> {
        let operation = "inner_product";
        let mut work = self.record(operation);
        let sum = Place::new(&work, 1)?;
        let (len, blocks) = (a.len, a.len.div_ceil(BLOCK));
        let sums = Place::new(&work, blocks)?;
        for rows in ranges(len, work.window_rows(ELEMENT_BYTES)) {
            let bound = [sums.list.first(sums.bytes()), a.rows(rows.clone()), b.rows(rows.clone())];
            let params = params(&rows, rows.start / BLOCK, Fr::ONE);
            work.dispatch(&INNER_PRODUCT, params, &bound, rows.len().div_ceil(BLOCK) as u64)?;
        }
        evaluate(&mut work, &sums.list, blocks, Fr::ONE, &sum)?;
        let words = work.read(&sum.list.first(sum.bytes()))?;
        Ok(self.device.scalars(operation, &words)?.into_iter().sum())
    }
}

/// Records the evaluation of a polynomial at a point.
fn evaluate(work: &mut Recorder<'_>, coefficients: &Buffer, len: usize, point: Fr, place: &Place) -> Result<()> {
    let blocks = len.div_ceil(BLOCK);
    if blocks == 0 {
        work.clear(&place.list, place.index as u64 * ELEMENT_BYTES, ELEMENT_BYTES);
        return Ok(());
    }
    let target = if blocks == 1 { place.clone() } else { Place::new(work, blocks)? };
    for rows in ranges(len, work.window_rows(ELEMENT_BYTES)) {
        let params = params(&rows, target.index + rows.start / BLOCK, point);
        let bound = [target.list.first(target.bytes()), window(coefficients, &rows, ELEMENT_BYTES)];
        work.dispatch(&EVAL_POLYNOMIALS, params, &bound, rows.len().div_ceil(BLOCK) as u64)?;
    }
    if blocks == 1 {
        return Ok(());
    }
    evaluate(work, &target.list, blocks, point.pow_vartime([BLOCK as u64]), place)
}

fn params(rows: &Range<usize>, first_out: usize, point: Fr) -> Params {
    let squares = squares::<{ BITS + 1 }>(point);
    let words = [rows.len(), rows.len().div_ceil(BLOCK), first_out].map(|count| count as u32);
    Params::words(&words).scalars(&squares[BITS..]).scalars(&squares[..BITS])
}
