//! Number-theoretic transforms (NTT), by Cooley and Tukey's method: in four steps, two passes over eight columns at a
//! time (`passes.rs`), with twiddle factors that are made once for each domain (`domain.rs`). Transforms too short for
//! that are taken one layer of butterflies after the other, decimated in time.

mod domain;
mod passes;

pub(super) use domain::DomainCache;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::integers::radix;
use super::lanes::{Lanes, with_lanes};
use super::{Cpu, CpuScalars};
use crate::backend::ops::ntt::{self, common_domain, inverse_vandermonde};
use crate::backend::{NttOps, Result};
use crate::error::BackendError;
use domain::{Domain, MIN_LOG, Transform};

/// `initial·base^i`.
pub(super) fn powers(initial: Fr, base: Fr, len: usize) -> Vec<Fr> {
    std::iter::successors(Some(initial), |power| Some(*power * base)).take(len).collect()
}

impl NttOps for Cpu {
    fn ntt(&self, columns: &[&CpuScalars]) -> Result<Vec<CpuScalars>> {
        let Some(forward) = forward_transform("ntt", columns)? else { return Ok(Vec::new()) };
        Ok(self.transform_all(columns, |_| forward))
    }

    fn intt(&self, columns: &[&CpuScalars]) -> Result<Vec<CpuScalars>> {
        let Some(forward) = forward_transform("intt", columns)? else { return Ok(Vec::new()) };
        Ok(self.transform_all(columns, |_| inverse(forward)))
    }

    fn coset_ntt(&self, columns: &[&CpuScalars], shift: Fr) -> Result<Vec<CpuScalars>> {
        let Some(forward) = forward_transform("coset_ntt", columns)? else { return Ok(Vec::new()) };
        Ok(self.transform_all(columns, |_| Transform { shift, ..forward }))
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &CpuScalars)]) -> Result<Vec<CpuScalars>> {
        let operation = "interpolate_cosets";
        let columns: Vec<&CpuScalars> = cosets.iter().map(|(_, values)| *values).collect();
        let dependent = BackendError::DependentCosets { operation, cosets: cosets.len() };
        let Some(forward) = forward_transform(operation, &columns)? else { return Err(dependent) };
        let n = 1u64 << forward.log_n;
        let nodes: Vec<Fr> = cosets.iter().map(|(shift, _)| shift.pow_vartime([n])).collect();
        let matrix = inverse_vandermonde(&nodes).ok_or(dependent.clone())?;
        let inverse_shifts = cosets.iter().map(|(shift, _)| Option::from(shift.invert()).ok_or(dependent.clone()));
        let inverse_shifts = inverse_shifts.collect::<Result<Vec<Fr>>>()?;
        let inverse = inverse(forward);
        let residues = self.transform_all(&columns, |i| Transform { out_shift: inverse_shifts[i], ..inverse });
        let residues: Vec<_> = residues.iter().map(|residue| residue.elements(self)).collect();
        let residues: Vec<&[Fr]> = residues.iter().map(|residue| &**residue).collect();
        Ok(matrix.par_iter().map(|row| self.combine(row, &residues).into()).collect())
    }
}

/// The forward transform of all the columns, `None` when there are none.
fn forward_transform(operation: &'static str, columns: &[&CpuScalars]) -> Result<Option<Transform>> {
    let domain = common_domain(operation, columns.iter().map(|column| column.len()))?;
    let forward = |domain: ntt::Domain| Transform {
        log_n: domain.log_n,
        root: domain.root,
        shift: Fr::ONE,
        scale: Fr::ONE,
        out_shift: Fr::ONE,
    };
    Ok(domain.map(forward))
}

/// The transform back from H.
fn inverse(forward: Transform) -> Transform {
    // Neither a root of unity nor a power of two is zero.
    let invert = |x: Fr| x.invert().unwrap_or(Fr::ONE);
    Transform { root: invert(forward.root), scale: invert(Fr::from(1u64 << forward.log_n)), ..forward }
}

impl Cpu {
    /// Transforms every column, column i by `transform(i)`.
    fn transform_all(&self, columns: &[&CpuScalars], transform: impl Fn(usize) -> Transform) -> Vec<CpuScalars> {
        with_lanes!(self.processor, lanes => self.transform_with(lanes, columns, transform))
    }

    fn transform_with<L: Lanes>(
        &self,
        lanes: L,
        columns: &[&CpuScalars],
        transform: impl Fn(usize) -> Transform,
    ) -> Vec<CpuScalars> {
        let transforms: Vec<Transform> = (0..columns.len()).map(transform).collect();
        if transforms.iter().any(|transform| transform.log_n < MIN_LOG) {
            return columns
                .iter()
                .zip(&transforms)
                .map(|(column, t)| short(t, &column.elements(self)).into())
                .collect();
        }
        // Integers are read divided by R, which the scale makes up for.
        let radix = radix();
        let scaled = |(column, transform): (&&CpuScalars, Transform)| match column.integers() {
            Some(_) => Transform { scale: transform.scale * radix, ..transform },
            None => transform,
        };
        let domains = columns.iter().zip(transforms).map(scaled);
        let domains: Vec<_> = domains.map(|transform| self.domains.get(lanes, transform)).collect();
        let one = |scratch: &mut Vec<L::Vector<Fr>>, (column, domain): (&&CpuScalars, &std::sync::Arc<Domain<L>>)| {
            passes::transform(lanes, domain, column.rows(), scratch).into()
        };
        match (columns, domains.as_slice()) {
            ([column], [domain]) => vec![one(&mut Vec::new(), (column, domain))],
            _ => columns.par_iter().zip(&domains).map_init(Vec::new, one).collect(),
        }
    }
}

/// A transform of less than 2^[`MIN_LOG`] elements.
fn short(transform: &Transform, input: &[Fr]) -> Vec<Fr> {
    let Transform { log_n, root, shift, scale, out_shift } = *transform;
    let n = input.len();
    let scaled: Vec<Fr> =
        powers(Fr::ONE, shift, n).into_iter().zip(input).map(|(power, value)| power * value).collect();
    let reversed = |i: usize| if log_n == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - log_n) };
    let mut out: Vec<Fr> = (0..n).map(|i| scaled[reversed(i)]).collect();
    for layer in 0..log_n {
        let half = 1 << layer;
        let factors = powers(Fr::ONE, root.pow_vartime([(n / (2 * half)) as u64]), half);
        for blocks in out.chunks_exact_mut(2 * half) {
            let (low, high) = blocks.split_at_mut(half);
            for ((a, b), w) in low.iter_mut().zip(high).zip(&factors) {
                let turned = *b * w;
                (*a, *b) = (*a + turned, *a - turned);
            }
        }
    }
    out.iter_mut().zip(powers(scale, out_shift, n)).for_each(|(value, factor)| *value *= factor);
    out
}
