//! From columns of scalars to sums of buckets.
//!
//! The digits of a part of a column are sorted by bucket and summed: a batch. Columns of few digits share a batch, so
//! that their additions share inversions; a column of many is cut into parts, whose sums of buckets are added up
//! afterwards.

use std::ops::Range;

use ff::PrimeField;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::super::integers::largest;
use super::super::lanes::{LANES, Lanes};
use super::super::pool::Pool;
use super::CpuBases;
use super::buckets::{Sorted, Summation, Sums, runs, start_places};
use super::decomposition::{Decomposition, PART};
use super::digits::{Decompose, Digits, Scalars};
use super::point::Signed;

/// Digits from which on a batch is worth its scheduling, and its additions their inversions.
const BATCH: usize = 1 << 16;
/// Digits below which a further batch for an idle thread is not worth its own buckets.
const MIN_BATCH: usize = 1 << 12;
/// Scalars that tell how long those of a column are.
const SAMPLED: usize = 32;

/// Which points scalars multiply.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// One after the other, from this one on.
    From(usize),
    /// These.
    Listed(&'a [usize]),
}

/// Scalars, and their points.
#[derive(Debug, Clone)]
pub(super) struct Column<'a> {
    /// Which of the multiplications they belong to.
    pub(super) number: usize,
    pub(super) scalars: Scalars<'a>,
    pub(super) rows: Rows<'a>,
    /// Those that count as 0.
    pub(super) skipped: Range<usize>,
}

impl<'a> Column<'a> {
    /// Parts of at most so many scalars.
    fn parts(self, len: usize) -> impl Iterator<Item = Column<'a>> {
        (0..self.scalars.len()).step_by(len).map(move |start| {
            let skipped = self.skipped.start.max(start) - start..self.skipped.end.max(start) - start;
            let rows = match self.rows {
                Rows::From(first) => Rows::From(first + start),
                Rows::Listed(rows) => Rows::Listed(&rows[start..]),
            };
            let end = self.scalars.len().min(start + len);
            Column { scalars: self.scalars.range(start..end), rows, skipped, number: self.number }
        })
    }

    fn row(&self, index: usize) -> usize {
        match self.rows {
            Rows::From(first) => first + index,
            Rows::Listed(rows) => rows[index],
        }
    }

    /// An estimate of the number of digits, of field elements from a few of them.
    fn digits(&self, decomposition: &Decomposition) -> usize {
        let bits = match self.scalars {
            Scalars::Elements(elements) => {
                let step = (elements.len() / SAMPLED).max(1);
                elements.iter().step_by(step).map(bits).max().unwrap_or(0)
            }
            Scalars::Integers(integers) => largest(integers).checked_ilog2().map_or(0, |log| log as usize + 1),
        };
        let skipped = self.skipped.end.min(self.scalars.len()).saturating_sub(self.skipped.start);
        (self.scalars.len() - skipped) * bits.div_ceil(decomposition.window_bits)
    }
}

/// Bits of the smaller of a scalar's value and its negative's.
fn bits(scalar: &Fr) -> usize {
    let length = |value: Fr| {
        let bytes = value.to_repr();
        let top = bytes.as_ref().iter().rposition(|byte| *byte != 0);
        top.map_or(0, |byte| 8 * byte + 8 - bytes.as_ref()[byte].leading_zeros() as usize)
    };
    length(*scalar).min(length(-*scalar))
}

/// Parts of neighbouring columns.
type Batch<'a> = Vec<Column<'a>>;

impl CpuBases {
    /// The sums of the buckets of multiplications from `first` on, so many of them; number i's keys start at
    /// `(i - first)·decomposition.keys()`. Columns come in the order of their numbers.
    pub(super) fn bucket_sums<L: Lanes>(
        &self,
        lanes: L,
        summation: &Summation<L>,
        numbers: Range<usize>,
        columns: &[Column<'_>],
    ) -> Sums {
        let batches = self.batches(columns);
        let pool = Pool::<Buffers>::default();
        let run =
            |batch: &Batch<'_>| pool.with(|buffers| self.run_batch(lanes, summation, batch, numbers.start, buffers));
        let sums = Sums::joined(batches.par_iter().map(run).collect());
        if sums.keys.is_sorted_by(|a, b| a < b) {
            return sums;
        }
        let entries = sums.keys.iter().zip(0..).map(|(key, index)| (*key, Signed::new(index, false)));
        summation.sum(&sums.points, &Sorted::new(numbers.len() * self.decomposition.keys(), entries))
    }

    /// Enough batches for all threads, and no more than are worth it.
    fn batches<'a>(&self, columns: &[Column<'a>]) -> Vec<Batch<'a>> {
        let digits: Vec<usize> = columns.iter().map(|column| column.digits(&self.decomposition)).collect();
        let share = digits.iter().sum::<usize>().div_ceil(rayon::current_num_threads()).max(MIN_BATCH);
        let full = BATCH.min(share);
        let mut batches: Vec<Batch<'a>> = Vec::new();
        let mut filled = full;
        for (column, digits) in columns.iter().zip(digits) {
            let rows = column.scalars.len().div_ceil(digits.div_ceil(PART.min(share)).max(1)).next_multiple_of(LANES);
            for part in column.clone().parts(rows.clamp(LANES, self.decomposition.rows_of_part())) {
                let digits = part.digits(&self.decomposition);
                match batches.last_mut() {
                    Some(batch) if filled + digits <= full => batch.push(part),
                    _ => {
                        batches.push(vec![part]);
                        filled = 0;
                    }
                }
                filled += digits;
            }
        }
        batches
    }

    fn run_batch<L: Lanes>(
        &self,
        lanes: L,
        summation: &Summation<L>,
        batch: &Batch<'_>,
        start: usize,
        buffers: &mut Buffers,
    ) -> Sums {
        let first = batch.first().map_or(start, |column| column.number);
        let last = batch.last().map_or(start, |column| column.number);
        let keys = self.decomposition.keys();
        let Buffers { parts, places, sorted } = buffers;
        places.clear();
        places.resize((last - first + 1) * keys, 0);
        parts.resize_with(batch.len().max(parts.len()), Part::default);
        for (part, column) in parts.iter_mut().zip(batch) {
            part.decompose(lanes, self, column, (column.number - first) * keys);
            part.for_each(self, column, |key, _, _| places[key] += 1);
        }
        sorted.runs = runs(places);
        sorted.points.resize(start_places(places), Signed(0));
        for (part, column) in parts.iter().zip(batch) {
            part.for_each(self, column, |key, index, negative| {
                let place = &mut places[key];
                sorted.points[*place as usize] = Signed::new(index, negative);
                *place += 1;
            });
        }
        let mut sums = summation.sum(&self.table, sorted);
        let offset = ((first - start) * keys) as u32;
        sums.keys.iter_mut().for_each(|key| *key += offset);
        sums
    }
}

/// What a batch needs room for.
#[derive(Debug, Default)]
struct Buffers {
    parts: Vec<Part>,
    /// Counts of each key, then where its points stand.
    places: Vec<u32>,
    sorted: Sorted,
}

/// The digits of one part of a batch.
#[derive(Debug, Default)]
struct Part {
    first_key: usize,
    digits: Vec<Digits>,
    /// Windows of each eight scalars.
    lengths: Vec<u8>,
}

impl Part {
    fn decompose<L: Lanes>(&mut self, lanes: L, bases: &CpuBases, column: &Column<'_>, first_key: usize) {
        self.first_key = first_key;
        self.digits.clear();
        self.lengths.clear();
        let (digits, lengths) = (&mut self.digits, &mut self.lengths);
        let (scalars, skipped) = (column.scalars, column.skipped.clone());
        lanes.run(Decompose { scalars, skipped, bits: bases.decomposition.window_bits, digits, lengths });
    }

    /// Calls `digit(key, index of the table's point, whether it is negative)` for every digit that is not zero.
    #[inline(always)]
    fn for_each(&self, bases: &CpuBases, column: &Column<'_>, mut digit: impl FnMut(usize, usize, bool)) {
        let mut start = 0;
        for (group, &windows) in self.lengths.iter().enumerate() {
            let windows = usize::from(windows);
            let rows = &self.digits[start..start + windows];
            start += windows;
            let points: [Option<usize>; LANES] = std::array::from_fn(|lane| {
                let index = group * LANES + lane;
                let row = (index < column.scalars.len()).then(|| column.row(index))?;
                (bases.identities.get(row) != Some(&true)).then_some(row)
            });
            for (window, digits) in rows.iter().enumerate() {
                let (level, set) = bases.decomposition.split(window);
                let (base, level) = (self.first_key + set * bases.decomposition.buckets(), level * bases.len);
                for (value, point) in digits.iter().zip(points) {
                    if let Some(row) = point
                        && *value != 0
                    {
                        digit(base + value.unsigned_abs() as usize - 1, level + row, *value < 0);
                    }
                }
            }
        }
    }
}
