//! Transforms: the input is copied in bit-reversed order (scaled on the way for a coset), then decimated in time
//! depth first, so that subtransforms stay in the first-level cache. Twiddle factors are cached per domain, layer by
//! layer and contiguous.

use super::{Cpu, CpuScalars};
use crate::backend::{NttOps, Result, root_of_unity};
use crate::error::BackendError;
use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Domains by `log_n`, made on first use.
#[derive(Debug, Default)]
pub(super) struct DomainCache(Mutex<HashMap<u32, Arc<Domain>>>);

impl DomainCache {
    fn get(&self, operation: &'static str, n: usize) -> Result<Arc<Domain>> {
        let missing = BackendError::NoSuchDomain { operation, len: n };
        if !n.is_power_of_two() {
            return Err(missing);
        }
        let log_n = n.trailing_zeros();
        let omega = root_of_unity(log_n).ok_or(missing)?;
        // A poisoned cache holds complete entries all the same: they are inserted whole.
        let mut domains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(domains.entry(log_n).or_insert_with(|| Arc::new(Domain::new(log_n, omega))).clone())
    }
}

/// The subgroup of order 2^log_n with everything a transform needs.
struct Domain {
    log_n: u32,
    n_inverse: Fr,
    forward: Twiddles,
    inverse: Twiddles,
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Domain(2^{})", self.log_n)
    }
}

impl Domain {
    fn new(log_n: u32, omega: Fr) -> Self {
        let omega_inverse = omega.invert().unwrap_or(Fr::ONE);
        let n_inverse = Fr::from(1u64 << log_n).invert().unwrap_or(Fr::ONE);
        Domain { log_n, n_inverse, forward: Twiddles::new(log_n, omega), inverse: Twiddles::new(log_n, omega_inverse) }
    }
}

/// `layers[l][j] = omega_{2^{l+1}}^j` for j < 2^l: the factors of the layer that joins blocks of 2^l elements.
struct Twiddles {
    layers: Vec<Vec<Fr>>,
}

impl Twiddles {
    fn new(log_n: u32, omega: Fr) -> Self {
        let mut layers: Vec<Vec<Fr>> = Vec::with_capacity(log_n as usize);
        let mut root = omega;
        for layer in (0..log_n).rev() {
            let factors = match layers.last() {
                Some(finer) => finer.iter().step_by(2).copied().collect(),
                None => powers(Fr::ONE, root, 1 << layer),
            };
            layers.push(factors);
            root = root.square();
        }
        layers.reverse();
        Twiddles { layers }
    }

    /// Transforms bit-reversed input of 2^depth elements to natural order.
    fn transform(&self, block: &mut [Fr]) {
        match block.len() {
            0 | 1 => (),
            2 => butterfly_trivial(block),
            4 => self.transform_4(block),
            n => {
                let (low, high) = block.split_at_mut(n / 2);
                self.transform(low);
                self.transform(high);
                join(low, high, &self.layers[n.trailing_zeros() as usize - 1]);
            }
        }
    }

    fn transform_4(&self, block: &mut [Fr]) {
        let (low, high) = block.split_at_mut(2);
        butterfly_trivial(low);
        butterfly_trivial(high);
        join(low, high, &self.layers[1]);
    }
}

fn butterfly_trivial(pair: &mut [Fr]) {
    let (a, b) = (pair[0], pair[1]);
    pair[0] = a + b;
    pair[1] = a - b;
}

/// One layer: `(a, b) -> (a + w·b, a - w·b)`, the first factor being one.
fn join(low: &mut [Fr], high: &mut [Fr], factors: &[Fr]) {
    let (a, b) = (low[0], high[0]);
    low[0] = a + b;
    high[0] = a - b;
    for ((a, b), w) in low.iter_mut().zip(high).zip(factors).skip(1) {
        let shifted = *w * *b;
        *b = *a - shifted;
        *a += shifted;
    }
}

/// `initial·base^i`.
pub(super) fn powers(initial: Fr, base: Fr, len: usize) -> Vec<Fr> {
    std::iter::successors(Some(initial), |power| Some(*power * base)).take(len).collect()
}

/// Copies `source` in bit-reversed order.
fn bit_reversed(source: &[Fr], log_n: u32) -> Vec<Fr> {
    permuted(log_n, |i| source[i])
}

fn permuted(log_n: u32, element: impl Fn(usize) -> Fr) -> Vec<Fr> {
    let n = 1usize << log_n;
    let shift = usize::BITS - log_n;
    (0..n).map(|i| if log_n == 0 { element(0) } else { element(i.reverse_bits() >> shift) }).collect()
}

impl NttOps for Cpu {
    fn ntt(&self, columns: &[&CpuScalars]) -> Result<Vec<CpuScalars>> {
        let Some(domain) = self.common_domain("ntt", columns)? else { return Ok(Vec::new()) };
        Ok(map_columns(columns, |column| {
            let mut out = bit_reversed(column, domain.log_n);
            domain.forward.transform(&mut out);
            out
        }))
    }

    fn intt(&self, columns: &[&CpuScalars]) -> Result<Vec<CpuScalars>> {
        let Some(domain) = self.common_domain("intt", columns)? else { return Ok(Vec::new()) };
        Ok(map_columns(columns, |column| {
            let mut out = bit_reversed(column, domain.log_n);
            domain.inverse.transform(&mut out);
            out.iter_mut().for_each(|value| *value *= domain.n_inverse);
            out
        }))
    }

    fn coset_ntt(&self, columns: &[&CpuScalars], shift: Fr) -> Result<Vec<CpuScalars>> {
        let Some(domain) = self.common_domain("coset_ntt", columns)? else { return Ok(Vec::new()) };
        let factors = powers(Fr::ONE, shift, 1 << domain.log_n);
        Ok(map_columns(columns, |column| {
            let mut out = permuted(domain.log_n, |i| column[i] * factors[i]);
            domain.forward.transform(&mut out);
            out
        }))
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &CpuScalars)]) -> Result<Vec<CpuScalars>> {
        let operation = "interpolate_cosets";
        let columns: Vec<&CpuScalars> = cosets.iter().map(|(_, values)| *values).collect();
        let dependent = BackendError::DependentCosets { operation, cosets: cosets.len() };
        let Some(domain) = self.common_domain(operation, &columns)? else { return Err(dependent) };
        let n = 1usize << domain.log_n;
        let nodes: Vec<Fr> = cosets.iter().map(|(shift, _)| shift.pow_vartime([n as u64])).collect();
        let matrix = inverse_vandermonde(&nodes).ok_or(dependent.clone())?;
        let shifts = cosets.iter().map(|(shift, _)| Option::from(shift.invert()).ok_or(dependent.clone()));
        let inverse_shifts = shifts.collect::<Result<Vec<Fr>>>()?;
        let residues: Vec<Vec<Fr>> = (columns.par_iter().zip(inverse_shifts))
            .map(|(column, inverse_shift)| {
                let mut out = bit_reversed(&column.0, domain.log_n);
                domain.inverse.transform(&mut out);
                let mut factor = domain.n_inverse;
                for value in &mut out {
                    *value *= factor;
                    factor *= inverse_shift;
                }
                out
            })
            .collect();
        let residues: Vec<&[Fr]> = residues.iter().map(Vec::as_slice).collect();
        Ok(matrix.par_iter().map(|row| CpuScalars(super::vector::combine(row, &residues))).collect())
    }
}

impl Cpu {
    /// The domain of all the columns, `None` when there are none.
    fn common_domain(&self, operation: &'static str, columns: &[&CpuScalars]) -> Result<Option<Arc<Domain>>> {
        let Some(first) = columns.first() else { return Ok(None) };
        let expected = first.0.len();
        if let Some(other) = columns.iter().find(|column| column.0.len() != expected) {
            return Err(BackendError::LengthMismatch { operation, expected, got: other.0.len() });
        }
        self.domains.get(operation, expected).map(Some)
    }
}

fn map_columns(columns: &[&CpuScalars], transform: impl Fn(&[Fr]) -> Vec<Fr> + Sync) -> Vec<CpuScalars> {
    if let [column] = columns {
        return vec![CpuScalars(transform(&column.0))];
    }
    columns.par_iter().map(|column| CpuScalars(transform(&column.0))).collect()
}

/// The inverse of the matrix `V[i][j] = nodes[i]^j`, by Lagrange polynomials: column i of the inverse holds the
/// coefficients of the polynomial that is one at node i and zero at the others. `None` when two nodes coincide.
fn inverse_vandermonde(nodes: &[Fr]) -> Option<Vec<Vec<Fr>>> {
    let m = nodes.len();
    let mut matrix = vec![vec![Fr::ZERO; m]; m];
    for (i, node) in nodes.iter().enumerate() {
        let mut basis = vec![Fr::ONE];
        let mut denominator = Fr::ONE;
        for other in nodes.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other) {
            denominator *= node - other;
            basis.push(Fr::ZERO);
            for j in (0..basis.len()).rev() {
                let below = if j == 0 { Fr::ZERO } else { basis[j - 1] };
                basis[j] = below - basis[j] * other;
            }
        }
        let scale: Fr = Option::from(denominator.invert())?;
        for (row, coefficient) in matrix.iter_mut().zip(basis) {
            row[i] = coefficient * scale;
        }
    }
    Some(matrix)
}
