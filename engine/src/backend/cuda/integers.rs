//! Columns of integers, which travel in as few bytes as they take and become field elements on the device.

use bytemuck::{Pod, Zeroable};
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::driver::Address;
use super::kernels::{Arguments, GRID_ROWS, Kernel};
use super::memory::{CudaScalars, ELEMENT_BYTES};
use crate::backend::cpu::as_words;
use crate::backend::{IntegerColumn, Result};
use crate::secret::wipe_integers;

/// Rows of a block: `ELEMENTWISE_THREADS`.
const THREADS: u32 = 256;
const UPLOAD_INTEGER_COLUMNS: Kernel = Kernel::new(Module::Elementwise, "upload_integer_columns", THREADS);
/// Where integers of any width may begin.
const ALIGNMENT: usize = size_of::<i64>();

/// `IntegerColumn`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Job {
    out: Address,
    integers: Address,
    rest: Address,
    given: u32,
    zeros: u32,
    others: u32,
    width: u32,
}

/// Bytes of the narrowest type that has all integers.
fn width(integers: &[i64]) -> usize {
    let (least, most) = integers.iter().fold((0, 0), |(least, most), value| ((*value).min(least), (*value).max(most)));
    let fits = |bits: u32| least >= -(1 << (bits - 1)) && most < 1 << (bits - 1);
    [1, 2, 4].into_iter().find(|bytes| fits(8 * *bytes as u32)).unwrap_or(size_of::<i64>())
}

/// Integers by their low bytes, the least significant first, as the device has them.
fn pack(integers: &[i64], width: usize, to: &mut [u8]) {
    for (value, place) in integers.iter().zip(to.chunks_exact_mut(width)) {
        place.copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

impl Cuda {
    /// The columns as field elements: one copy has the jobs, the elements behind the integers and the integers, and one
    /// kernel makes all columns of it.
    pub(super) fn expand(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<CudaScalars>> {
        let mut expanded = Vec::with_capacity(columns.len());
        for columns in columns.chunks(GRID_ROWS) {
            expanded.extend(self.expand_together(columns)?);
        }
        Ok(expanded)
    }

    fn expand_together(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<CudaScalars>> {
        let work = self.work("upload_integer_columns");
        let vectors = columns.iter().map(|column| work.vector(column.len())).collect::<Result<Vec<_>>>()?;
        let widths: Vec<usize> = columns.iter().map(|column| width(column.integers)).collect();
        // Elements come first and jobs last: each has a length that keeps what follows aligned.
        let elements = columns.iter().map(|column| column.rest.len() * ELEMENT_BYTES as usize).sum::<usize>();
        let integers =
            |(column, width): (&IntegerColumn<'_>, &usize)| (column.integers.len() * width).next_multiple_of(ALIGNMENT);
        let jobs = elements + columns.iter().zip(&widths).map(integers).sum::<usize>();
        let buffer = work.allocate((jobs + columns.len() * size_of::<Job>()) as u64)?;
        let mut bytes = vec![0; jobs];
        let (mut rest, mut first) = (0, elements);
        let mut list = Vec::with_capacity(columns.len());
        for ((column, width), vector) in columns.iter().zip(&widths).zip(&vectors) {
            let words: &[u8] = bytemuck::cast_slice(as_words(column.rest));
            bytes[rest..rest + words.len()].copy_from_slice(words);
            let len = column.integers.len() * width;
            pack(column.integers, *width, &mut bytes[first..first + len]);
            let [given, zeros, others, width] =
                [column.integers.len(), column.zeros, column.rest.len(), *width].map(|count| count as u32);
            let [integers, rest_at] = [first, rest].map(|place| buffer.address() + place as u64);
            list.push(Job { out: vector.address(), integers, rest: rest_at, given, zeros, others, width });
            rest += words.len();
            first += len.next_multiple_of(ALIGNMENT);
        }
        bytes.extend_from_slice(bytemuck::cast_slice(&list));
        let copied = work.write_bytes(buffer.address(), &bytes);
        wipe_integers(&mut bytes);
        copied?;
        let rows = columns.iter().map(IntegerColumn::len).max().unwrap_or(0);
        let arguments = Arguments::new().address(buffer.address() + jobs as u64);
        work.launch_grid(&UPLOAD_INTEGER_COLUMNS, [rows.div_ceil(THREADS as usize), columns.len()], arguments)?;
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_bytes_of_the_widest() {
        let cases: [(&[i64], usize); 10] = [
            (&[], 1),
            (&[0, 127, -128], 1),
            (&[128], 2),
            (&[-129], 2),
            (&[i64::from(i16::MAX), i64::from(i16::MIN)], 2),
            (&[1, i64::from(i16::MAX) + 1], 4),
            (&[i64::from(i32::MAX), i64::from(i32::MIN)], 4),
            (&[i64::from(i32::MAX) + 1], 8),
            (&[i64::from(i32::MIN) - 1], 8),
            (&[i64::MIN, i64::MAX], 8),
        ];
        for (integers, expected) in cases {
            assert_eq!(width(integers), expected, "{integers:?}");
            let mut bytes = vec![0; integers.len() * expected];
            pack(integers, expected, &mut bytes);
            for (value, place) in integers.iter().zip(bytes.chunks(expected)) {
                let sign = if place[expected - 1] >> 7 == 1 { 0xff } else { 0 };
                let mut wide = [sign; 8];
                wide[..expected].copy_from_slice(place);
                assert_eq!(i64::from_le_bytes(wide), *value);
            }
        }
    }
}
