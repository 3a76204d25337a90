//! Multi-scalar multiplication: Pippenger's buckets (On the Evaluation of Powers and Related Problems, 1976) with
//! signed digits, affine additions that share inversions (batch inversion, `point.rs`), and precomputed multiples of
//! the bases.
//!
//! A scalar v (or p - v with the point negated, whichever is smaller) is written in signed digits of c bits. Digit w of
//! scalar i adds ±2^{cw}·G_i to the bucket of its absolute value. With all multiples 2^{cw}·G_i in a table every digit
//! goes to one set of buckets; with fewer levels than digits there are several sets, joined by doublings at the end.
//! The cost follows the digits that are not zero, so small scalars are cheap without a path of their own, and so are
//! columns of small scalars that end in a few random rows.
//!
//! | step | file |
//! |---|---|
//! | width of the windows, levels of the table | `decomposition.rs` |
//! | scalars to digits, eight at a time | `digits.rs` |
//! | digits sorted by bucket, many columns at once where they are short | `batches.rs` |
//! | sums of buckets, eight additions at a time | `buckets.rs`, `point.rs` |
//! | weighted sums of buckets | `weighted.rs` |
//! | runs of equal scalars | `repeats.rs` |

mod batches;
mod buckets;
mod decomposition;
mod digits;
mod point;
mod repeats;
mod weighted;

use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine};
use rayon::prelude::*;

use super::integers::Integers;
use super::lanes::{Lanes, with_lanes};
use super::{Cpu, CpuScalars, pages};
use crate::backend::{MsmOps, Result};
use crate::error::BackendError;
use batches::{Column, Rows};
use buckets::Summation;
use decomposition::Decomposition;
use digits::Scalars;
use point::{DOUBLED, Double, Point};

/// Sums of buckets that are kept at a time, of all columns together: 16 MiB.
const KEPT_SUMS: usize = 1 << 18;

/// Points and their precomputed multiples, in host memory.
pub struct CpuBases {
    len: usize,
    decomposition: Decomposition,
    /// Level by level: entry `level·len + i` is `2^{level·decomposition.level_bits()}·G_i`.
    table: Vec<Point>,
    /// Whether a row's point is the identity; empty where none is.
    identities: Vec<bool>,
}

impl std::fmt::Debug for CpuBases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuBases")
            .field("len", &self.len)
            .field("decomposition", &self.decomposition)
            .finish_non_exhaustive()
    }
}

impl MsmOps for Cpu {
    type Bases = CpuBases;

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<CpuBases> {
        let decomposition = Decomposition::choose(points.len(), table_budget_bytes / size_of::<Point>());
        let table = with_lanes!(self.processor, lanes => table(lanes, &decomposition, points));
        let mut identities: Vec<bool> = table[..points.len()].iter().map(Point::is_identity).collect();
        if !identities.contains(&true) {
            identities = Vec::new();
        }
        Ok(CpuBases { len: points.len(), decomposition, table, identities })
    }

    fn bases_len(&self, bases: &CpuBases) -> usize {
        bases.len
    }

    fn table_bytes(&self, bases: &CpuBases) -> Option<usize> {
        Some(size_of_val(&bases.table[bases.len..]))
    }

    fn msm(&self, bases: &CpuBases, columns: &[&CpuScalars]) -> Result<Vec<G1Affine>> {
        if let Some(column) = columns.iter().find(|column| column.len() > bases.len) {
            return Err(BackendError::TooFewBases { scalars: column.len(), bases: bases.len });
        }
        let elements: Vec<_> =
            columns.iter().map(|column| column.integers().is_none().then(|| column.elements(self))).collect();
        let repeated: Vec<_> =
            elements.par_iter().map(|elements| elements.as_ref().and_then(|own| repeats::longest(own))).collect();
        let mut parts = Vec::with_capacity(columns.len());
        let mut runs = Vec::new();
        for (number, (column, elements)) in columns.iter().zip(&elements).enumerate() {
            let part = |scalars, first| Column { number, scalars, rows: Rows::From(first), skipped: 0..0 };
            if let Some(elements) = elements {
                let skipped = repeated[number].clone().unwrap_or_default();
                if !skipped.is_empty() {
                    runs.push((number, (skipped.clone(), elements[skipped.start])));
                }
                parts.push(Column { skipped, ..part(Scalars::Elements(elements), 0) });
            }
            if let Some(Integers { values, rest }) = column.integers() {
                parts.push(part(Scalars::Integers(values), 0));
                parts.push(part(Scalars::Elements(rest), values.len()));
            }
        }
        let mut sums = with_lanes!(self.processor, lanes => bases.sum(lanes, columns.len(), &parts));
        let (numbers, runs): (Vec<usize>, Vec<_>) = runs.into_iter().unzip();
        let multiplied = with_lanes!(self.processor, lanes => bases.multiplied_sums(lanes, &runs));
        numbers.into_iter().zip(multiplied).for_each(|(number, sum)| sums[number] += sum);
        Ok(normalize(&sums))
    }

    fn msm_rows(&self, bases: &CpuBases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        if rows.len() != scalars.len() {
            let (expected, got) = (rows.len(), scalars.len());
            return Err(BackendError::LengthMismatch { operation: "msm_rows", expected, got });
        }
        if let Some(row) = rows.iter().find(|row| **row >= bases.len) {
            return Err(BackendError::TooFewBases { scalars: row + 1, bases: bases.len });
        }
        let column = Column { number: 0, scalars: Scalars::Elements(scalars), rows: Rows::Listed(rows), skipped: 0..0 };
        let sums = with_lanes!(self.processor, lanes => bases.sum(lanes, 1, &[column]));
        Ok(sums.into_iter().next().unwrap_or_else(G1::identity).to_affine())
    }
}

fn normalize(sums: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::default(); sums.len()];
    G1::batch_normalize(sums, &mut affine);
    affine
}

/// The points and their multiples, level by level.
fn table<L: Lanes>(lanes: L, decomposition: &Decomposition, points: &[G1Affine]) -> Vec<Point> {
    let mut table = pages::with_capacity(decomposition.levels() * points.len());
    table.par_extend(points.par_iter().map(Point::new::<L>));
    for level in 1..decomposition.levels() {
        table.extend_from_within((level - 1) * points.len()..);
        let doubled = table[level * points.len()..].par_chunks_mut(DOUBLED);
        doubled.for_each(|points| lanes.run(Double { points, times: decomposition.level_bits() }));
    }
    table
}

impl CpuBases {
    /// `Σ scalar·G_row` for each of so many multiplications. Columns come in the order of their numbers.
    fn sum<L: Lanes>(&self, lanes: L, count: usize, columns: &[Column<'_>]) -> Vec<G1> {
        let summation = Summation::new(lanes);
        let together = (KEPT_SUMS / self.decomposition.keys()).max(1);
        let mut sums = Vec::with_capacity(count);
        for start in (0..count).step_by(together) {
            let numbers = start..count.min(start + together);
            let [first, last] = [numbers.start, numbers.end].map(|bound| columns.partition_point(|c| c.number < bound));
            let buckets = self.bucket_sums(lanes, &summation, numbers.clone(), &columns[first..last]);
            sums.extend(weighted::weighted_sums(&summation, &self.decomposition, numbers.len(), &buckets));
        }
        sums
    }
}
