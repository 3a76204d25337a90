//! Multi-scalar multiplication: Pippenger's buckets with signed digits, affine additions that share inversions, and
//! precomputed multiples of the bases.
//!
//! A scalar v (or p - v with the point negated, whichever is smaller) is written in signed digits of c bits. Digit w
//! of scalar i adds ±2^{cw}·G_i to the bucket of its absolute value. With all multiples 2^{cw}·G_i in a table every
//! digit goes to one set of buckets; with fewer levels than digits there are several sets, joined by doublings at the
//! end. The cost follows the digits that are not zero, so small scalars are cheap without a path of their own.

mod batch_affine;
mod digits;
mod plan;
mod weighted;

use super::{Cpu, CpuScalars};
use crate::backend::{MsmOps, Result};
use crate::error::BackendError;
use digits::{Bucketed, signed_digits};
use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine};
use plan::Plan;
use rayon::prelude::*;

/// Points and their precomputed multiples, in host memory.
pub struct CpuBases {
    len: usize,
    plan: Plan,
    /// Level by level: entry `level·len + i` is `2^{level·plan.level_bits()}·G_i`.
    table: Vec<G1Affine>,
}

impl std::fmt::Debug for CpuBases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuBases").field("len", &self.len).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl MsmOps for Cpu {
    type Bases = CpuBases;

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<CpuBases> {
        let len = points.len();
        let plan = Plan::choose(len, table_budget_bytes / size_of::<G1Affine>());
        let mut table = Vec::with_capacity(plan.levels() * len);
        table.extend_from_slice(points);
        let mut level = points.to_vec();
        for _ in 1..plan.levels() {
            batch_affine::double_all(&mut level, plan.level_bits());
            table.extend_from_slice(&level);
        }
        Ok(CpuBases { len, plan, table })
    }

    fn bases_len(&self, bases: &CpuBases) -> usize {
        bases.len
    }

    fn msm(&self, bases: &CpuBases, columns: &[&CpuScalars]) -> Result<Vec<G1Affine>> {
        if let Some(column) = columns.iter().find(|column| column.0.len() > bases.len) {
            return Err(BackendError::TooFewBases { scalars: column.0.len(), bases: bases.len });
        }
        let sums: Vec<G1> = columns.par_iter().map(|column| bases.sum(column.0.iter().enumerate())).collect();
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
        Ok(bases.sum(rows.iter().copied().zip(scalars)).to_affine())
    }
}

fn normalize(sums: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::default(); sums.len()];
    G1::batch_normalize(sums, &mut affine);
    affine
}

impl CpuBases {
    /// `Σ scalar·G_row` over the given pairs.
    fn sum<'a>(&self, terms: impl Iterator<Item = (usize, &'a Fr)>) -> G1 {
        let mut bucketed = Bucketed::new(self.plan.keys());
        for (row, scalar) in terms {
            if batch_affine::is_identity(&self.table[row]) {
                continue;
            }
            for (window, digit) in signed_digits(scalar, self.plan.window_bits) {
                let (level, set) = self.plan.split(window);
                let key = self.plan.key(set, digit.unsigned_abs());
                bucketed.push(key, level * self.len + row, digit < 0);
            }
        }
        let (keys, entries) = bucketed.sort();
        let sums = batch_affine::sum_by_key(&self.table, keys, entries);
        let sets = weighted::weighted_sums(&self.plan, &sums);
        sets.iter().rev().fold(G1::identity(), |acc, set| {
            let shifted = if bool::from(acc.is_identity()) {
                acc
            } else {
                (0..self.plan.window_bits).fold(acc, |acc, _| acc.double())
            };
            shifted + set
        })
    }
}
