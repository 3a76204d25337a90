//! Multi-scalar multiplications on the device, a column at a time.
//!
//! ICICLE has neither signs nor a short way for small scalars among large ones, but it can be told how many bits
//! scalars have. So a column of small integers becomes two of magnitudes, one for each sign, and its random rows are a
//! sum of their own.

use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine};
use rayon::prelude::*;
use zkml_gpu_kernels::field::Words;

use super::Icicle;
use super::abi::Affine;
use super::device::{Device, Points, ResidentPoints, Scalars};
use crate::backend::cpu::{CpuScalars, Integers, point_words};
use crate::backend::{MsmOps, Result};
use crate::error::BackendError;

/// Points in the device's memory, and in the host's for sums over a few chosen ones. No multiples of them are made:
/// ICICLE does not say how it lays those out, so that a column shorter than the basis could not use them.
#[derive(Debug)]
pub struct IcicleBases {
    points: Vec<Affine>,
    resident: ResidentPoints,
}

impl MsmOps for Icicle {
    type Bases = IcicleBases;

    fn load_bases(&self, points: &[G1Affine], _table_budget_bytes: usize) -> Result<IcicleBases> {
        let points: Vec<Affine> = points.par_iter().map(point_words).collect();
        let resident = ResidentPoints::new(&self.device, &points)?;
        Ok(IcicleBases { points, resident })
    }

    fn bases_len(&self, bases: &IcicleBases) -> usize {
        bases.points.len()
    }

    fn table_bytes(&self, _bases: &IcicleBases) -> Option<usize> {
        Some(0)
    }

    fn msm(&self, bases: &IcicleBases, columns: &[&CpuScalars]) -> Result<Vec<G1Affine>> {
        let len = bases.points.len();
        if let Some(column) = columns.iter().find(|column| column.len() > len) {
            return Err(BackendError::TooFewBases { scalars: column.len(), bases: len });
        }
        let commit = |column: &&CpuScalars| match column.integers() {
            Some(integers) => sum_of_integers(&self.device, bases, integers),
            None => {
                let elements = column.elements(&self.cpu);
                self.device.sum("msm", Scalars::Elements(&elements), Points::Resident(&bases.resident))
            }
        };
        columns.iter().map(commit).collect()
    }

    fn msm_rows(&self, bases: &IcicleBases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        if rows.len() != scalars.len() {
            let (expected, got) = (rows.len(), scalars.len());
            return Err(BackendError::LengthMismatch { operation: "msm_rows", expected, got });
        }
        let point = |row: &usize| {
            let missing = BackendError::TooFewBases { scalars: row + 1, bases: bases.points.len() };
            bases.points.get(*row).copied().ok_or(missing)
        };
        let points = rows.iter().map(point).collect::<Result<Vec<Affine>>>()?;
        self.device.sum("msm_rows", Scalars::Elements(scalars), Points::Host(&points))
    }
}

fn sum_of_integers(device: &Device, bases: &IcicleBases, integers: &Integers) -> Result<G1Affine> {
    let Integers { values, rest } = integers;
    let mut sum = G1::identity();
    for negative in [false, true] {
        let magnitude = |value: &i32| if (*value < 0) == negative { value.unsigned_abs() } else { 0 };
        let largest = values.par_iter().map(magnitude).max().unwrap_or(0);
        if largest == 0 {
            continue;
        }
        let words: Vec<Words> = values.par_iter().map(|value| [magnitude(value).into(), 0, 0, 0]).collect();
        let scalars = Scalars::Integers { words: &words, bits: (u32::BITS - largest.leading_zeros()) as u8 };
        let part = device.sum("msm", scalars, Points::Resident(&bases.resident))?;
        sum = if negative { sum - part } else { sum + part };
    }
    let rows = values.len()..values.len() + rest.len();
    sum += device.sum("msm", Scalars::Elements(rest), Points::Host(&bases.points[rows]))?;
    Ok(sum.to_affine())
}
