//! Folds of integers, in pieces that kernels may see at once: windows of factors, and in each the rows that meet it.

use std::fmt;
use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::wgsl::Module;

use super::Wgpu;
use super::memory::{ELEMENT_BYTES, WgpuScalars};
use super::pipelines::Kernel;
use super::pool::Buffer;
use super::recorder::Params;
use crate::backend::gpu::factors::offsets;
use crate::backend::ops::fold::{check_reach, reach};
use crate::backend::{FoldOps, IntegerRow, Result};

const FOLD_INTEGERS: Kernel = Kernel::new(&[Module::Fold], "fold_integers");
/// `FOLD_THREADS`
const THREADS: usize = 128;
/// Products that a sum takes.
const MAX_PRODUCTS: usize = 1 << 15;
const INTEGER_BYTES: u64 = size_of::<i16>() as u64;
const PIECE_BYTES: u64 = size_of::<Piece>() as u64;

/// `FoldPiece`
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Piece {
    first_integer: u32,
    first_factor: u32,
    len: u32,
    row: u32,
}

/// Rows of integers in device memory. Its `Debug` form shows their number only: integers may be secret.
pub struct WgpuIntegers {
    rows: usize,
    reach: usize,
    batches: Vec<Batch>,
    pieces: Buffer,
    integers: Buffer,
}

impl fmt::Debug for WgpuIntegers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WgpuIntegers({} rows)", self.rows)
    }
}

/// Pieces of one dispatch: of different rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    /// Windows of the factors and of the result, by their number.
    factors: usize,
    rows: usize,
    pieces: Range<usize>,
    integers: Range<usize>,
}

/// What a kernel may see at once.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Elements of a window of factors, and of one of results.
    factors: usize,
    rows: usize,
    integers: usize,
    pieces: usize,
    /// Windows begin at multiples of so many integers, and so many pieces.
    integer_alignment: usize,
    piece_alignment: usize,
}

impl Limits {
    fn of(wgpu: &Wgpu) -> Self {
        let (device, alignment) = (&wgpu.device, wgpu.device.alignment);
        let rows = device.window_rows(ELEMENT_BYTES);
        Self {
            // There is one offset more than there are factors.
            factors: (rows / 2).clamp(1, MAX_PRODUCTS),
            rows,
            integers: device.window_rows(INTEGER_BYTES),
            pieces: device.window_rows(PIECE_BYTES),
            integer_alignment: alignment.div_ceil(INTEGER_BYTES) as usize,
            piece_alignment: alignment.div_ceil(PIECE_BYTES) as usize,
        }
    }
}

/// Rows cut in pieces.
#[derive(Debug, Default)]
struct Cut {
    batches: Vec<Batch>,
    pieces: Vec<Piece>,
    integers: Vec<i16>,
}

impl Cut {
    fn new(rows: &[IntegerRow<'_>], limits: Limits) -> Self {
        let mut cut = Self::default();
        for window in 0..reach(rows).div_ceil(limits.factors) {
            let factors = window * limits.factors..(window + 1) * limits.factors;
            for (number, row) in rows.iter().enumerate() {
                let (start, end) = (row.first.max(factors.start), row.end().min(factors.end));
                if start < end {
                    let integers = &row.integers[start - row.first..end - row.first];
                    cut.push(window, number, (start - factors.start) as u32, integers, limits);
                }
            }
        }
        // Words hold two integers.
        cut.integers.resize(cut.integers.len().next_multiple_of(2), 0);
        cut
    }

    fn push(&mut self, factors: usize, row: usize, first_factor: u32, integers: &[i16], limits: Limits) {
        let fits = |batch: &Batch| {
            (batch.factors, batch.rows) == (factors, row / limits.rows)
                && batch.integers.len() + integers.len() < limits.integers
                && batch.pieces.len() < limits.pieces
        };
        if !self.batches.last().is_some_and(fits) {
            self.integers.resize(self.integers.len().next_multiple_of(limits.integer_alignment), 0);
            self.pieces.resize(self.pieces.len().next_multiple_of(limits.piece_alignment), Piece::zeroed());
            let (pieces, integers) = (self.pieces.len(), self.integers.len());
            let rows = row / limits.rows;
            self.batches.push(Batch { factors, rows, pieces: pieces..pieces, integers: integers..integers });
        }
        if let Some(batch) = self.batches.last_mut() {
            let [first_integer, len, row] =
                [batch.integers.len(), integers.len(), row % limits.rows].map(|count| count as u32);
            self.pieces.push(Piece { first_integer, first_factor, len, row });
            self.integers.extend_from_slice(integers);
            (batch.pieces.end, batch.integers.end) = (self.pieces.len(), self.integers.len());
        }
    }
}

impl FoldOps for Wgpu {
    type Integers = WgpuIntegers;

    fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<WgpuIntegers> {
        let operation = "load_integers";
        let Cut { batches, pieces, integers } = Cut::new(rows, Limits::of(self));
        let words = |words: &[u32]| -> Result<Buffer> {
            let buffer = self.device.allocate(operation, size_of_val(words) as u64)?;
            self.device.write_words(operation, &buffer, words)?;
            Ok(buffer)
        };
        let pieces = words(bytemuck::cast_slice(&pieces))?;
        let (pairs, _) = integers.as_chunks::<2>();
        let pairs: Vec<u32> =
            pairs.iter().map(|[low, high]| u32::from(*low as u16) | u32::from(*high as u16) << 16).collect();
        Ok(WgpuIntegers { rows: rows.len(), reach: reach(rows), batches, pieces, integers: words(&pairs)? })
    }

    fn fold_integers(&self, integers: &WgpuIntegers, factors: &[Fr]) -> Result<WgpuScalars> {
        let operation = "fold_integers";
        check_reach(integers.reach, factors)?;
        let limits = Limits::of(self);
        let [resident, offsets] = [factors, &offsets(factors)].map(|scalars| {
            let vector = self.device.vector(operation, scalars.len())?;
            self.device.write(operation, &vector.buffer, 0, scalars)?;
            Ok(vector)
        });
        let (resident, offsets) = (resident?, offsets?);
        let folded = self.device.vector(operation, integers.rows)?;
        let mut work = self.record(operation);
        work.clear(&folded.buffer, 0, folded.bytes());
        for Batch { factors, rows, pieces, integers: range } in &integers.batches {
            let start = factors * limits.factors;
            let end = resident.len.min(start + limits.factors);
            let result = rows * limits.rows..folded.len.min((rows + 1) * limits.rows);
            let pair_end = range.end.next_multiple_of(2);
            let bound = [
                folded.rows(result),
                integers.pieces.window(pieces.start as u64 * PIECE_BYTES..pieces.end as u64 * PIECE_BYTES),
                integers.integers.window(range.start as u64 * INTEGER_BYTES..pair_end as u64 * INTEGER_BYTES),
                resident.rows(start..end),
                offsets.rows(start..end + 1),
            ];
            let params = Params::words(&[pieces.len() as u32]);
            work.dispatch(&FOLD_INTEGERS, params, &bound, pieces.len().div_ceil(THREADS) as u64)?;
        }
        work.submit()?;
        Ok(folded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_and_are_all_of_the_rows() {
        let values: Vec<i16> = (0..200).collect();
        let row = |first: usize, len: usize| IntegerRow { first, integers: &values[..len] };
        let rows: Vec<_> = (0..40).map(|i| row(i % 7, [0, 1, 90, 17, 200][i % 5])).collect();
        let limits =
            Limits { factors: 32, rows: 16, integers: 128, pieces: 4, integer_alignment: 8, piece_alignment: 2 };
        let cut = Cut::new(&rows, limits);
        let mut met = vec![vec![]; rows.len()];
        for batch in &cut.batches {
            assert!(batch.integers.len() <= limits.integers && batch.pieces.len() <= limits.pieces);
            assert!(
                batch.integers.start % limits.integer_alignment == 0
                    && batch.pieces.start % limits.piece_alignment == 0
            );
            for piece in &cut.pieces[batch.pieces.clone()] {
                let [first, factor, len, row] =
                    [piece.first_integer, piece.first_factor, piece.len, piece.row].map(|n| n as usize);
                assert!(factor + len <= limits.factors && row < limits.rows && len > 0);
                let integers = &cut.integers[batch.integers.clone()][first..first + len];
                let factor = batch.factors * limits.factors + factor;
                met[batch.rows * limits.rows + row].extend((factor..).zip(integers.iter().copied()));
            }
        }
        for (row, met) in rows.iter().zip(met) {
            assert_eq!(met, (row.first..).zip(row.integers.iter().copied()).collect::<Vec<_>>());
        }
    }
}
