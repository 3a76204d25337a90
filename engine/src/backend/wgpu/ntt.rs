//! Number-theoretic transforms (NTT) in Stockham's passes of workgroup memory, with roots of unity that are kept per
//! domain. What is too long for a kernel to see is halved first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::wgsl::Module;

use super::memory::ELEMENT_BYTES;
use super::pipelines::Kernel;
use super::recorder::{Params, Recorder};
use super::windows::{ranges, window, windows};
use super::{Wgpu, WgpuScalars};
use crate::backend::ops::ntt::{Domain, common_domain, inverse_vandermonde};
use crate::backend::{NttOps, Result, VectorOps};
use crate::error::BackendError;

const NTT_PASS: Kernel = Kernel::new(&[Module::Ntt], "ntt_pass");
const NTT_SPLIT: Kernel = Kernel::new(&[Module::Ntt], "ntt_split");
const NTT_INTERLEAVE: Kernel = Kernel::new(&[Module::Ntt], "ntt_interleave");

/// log2 of the elements that a workgroup holds: `NTT_TILE`.
const LOG_TILE: u32 = 9;
/// log2 of the largest radix of one pass among several: workgroups then read four neighbours, 128 bytes.
const LOG_RADIX: u32 = 7;
/// Invocations of a workgroup: `NTT_THREADS`.
const THREADS: usize = 256;

/// Powers of roots of unity: of the domain of size 2^k, its first half.
#[derive(Debug, Default)]
pub(super) struct Roots(Mutex<HashMap<u32, Arc<WgpuScalars>>>);

/// What is transformed how. Factors are one for each element, before or after.
#[derive(Clone, Copy)]
struct Transform<'t> {
    operation: &'static str,
    domain: Domain,
    inverse: bool,
    before: Option<&'t WgpuScalars>,
    after: Option<&'t WgpuScalars>,
    scale: Option<Fr>,
}

impl Domain {
    /// The subgroup of half the order.
    fn half(self) -> Self {
        Self { log_n: self.log_n - 1, root: self.root.square() }
    }

    /// 1/omega
    fn inverse_root(self) -> Fr {
        self.root.pow_vartime([self.size() as u64 - 1])
    }
}

impl Transform<'_> {
    fn new(operation: &'static str, domain: Domain, inverse: bool) -> Self {
        Self { operation, domain, inverse, before: None, after: None, scale: None }
    }

    fn bare(self) -> Self {
        Self::new(self.operation, self.domain, self.inverse)
    }
}

impl NttOps for Wgpu {
    fn ntt(&self, columns: &[&WgpuScalars]) -> Result<Vec<WgpuScalars>> {
        let Some(domain) = domain_of("ntt", columns)? else { return Ok(Vec::new()) };
        self.transform_all(&Transform::new("ntt", domain, false), columns)
    }

    fn intt(&self, columns: &[&WgpuScalars]) -> Result<Vec<WgpuScalars>> {
        let Some(domain) = domain_of("intt", columns)? else { return Ok(Vec::new()) };
        let transform = Transform { scale: Some(domain.inverse_size()), ..Transform::new("intt", domain, true) };
        self.transform_all(&transform, columns)
    }

    fn coset_ntt(&self, columns: &[&WgpuScalars], shift: Fr) -> Result<Vec<WgpuScalars>> {
        let operation = "coset_ntt";
        let Some(domain) = domain_of(operation, columns)? else { return Ok(Vec::new()) };
        let powers = self.powers_for(operation, Fr::ONE, shift, domain.size())?;
        let transform = Transform { before: Some(&powers), ..Transform::new(operation, domain, false) };
        self.transform_all(&transform, columns)
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &WgpuScalars)]) -> Result<Vec<WgpuScalars>> {
        let operation = "interpolate_cosets";
        let columns: Vec<&WgpuScalars> = cosets.iter().map(|(_, values)| *values).collect();
        let dependent = || BackendError::DependentCosets { operation, cosets: cosets.len() };
        let domain = domain_of(operation, &columns)?.ok_or_else(dependent)?;
        let nodes: Vec<Fr> = cosets.iter().map(|(shift, _)| shift.pow_vartime([domain.size() as u64])).collect();
        let matrix = inverse_vandermonde(&nodes).ok_or_else(dependent)?;
        let mut residues = Vec::with_capacity(cosets.len());
        for (shift, values) in cosets {
            let inverse: Fr = Option::from(shift.invert()).ok_or_else(dependent)?;
            let powers = self.powers_for(operation, domain.inverse_size(), inverse, domain.size())?;
            let transform = Transform { after: Some(&powers), ..Transform::new(operation, domain, true) };
            residues.push(self.transform(&transform, values)?);
        }
        let piece = |row: &Vec<Fr>| {
            let terms: Vec<_> = row.iter().copied().zip(&residues).collect();
            self.linear_combination(&terms)
        };
        matrix.iter().map(piece).collect()
    }
}

fn domain_of(operation: &'static str, columns: &[&WgpuScalars]) -> Result<Option<Domain>> {
    common_domain(operation, columns.iter().map(|column| column.len))
}

impl Wgpu {
    fn transform_all(&self, transform: &Transform<'_>, columns: &[&WgpuScalars]) -> Result<Vec<WgpuScalars>> {
        columns.iter().map(|column| self.transform(transform, column)).collect()
    }

    fn transform(&self, transform: &Transform<'_>, column: &WgpuScalars) -> Result<WgpuScalars> {
        if column.len > self.device.window_rows(ELEMENT_BYTES) {
            return self.transform_halves(transform, column);
        }
        let roots = self.roots(transform.operation, transform.domain)?;
        let mut work = self.record(transform.operation);
        let out = passes(&mut work, transform, column, &roots)?;
        work.submit()?;
        Ok(WgpuScalars { buffer: out, len: column.len })
    }

    /// A transform of what a kernel cannot see at once: its first layer leaves two transforms of half the size, one of
    /// the even results and one of the odd ones.
    fn transform_halves(&self, transform: &Transform<'_>, column: &WgpuScalars) -> Result<WgpuScalars> {
        let operation = transform.operation;
        let half = column.len / 2;
        let mut scaled = None;
        if let Some(factors) = transform.before {
            let mut copy = self.device.vector(operation, column.len)?;
            let mut work = self.record(operation);
            work.copy(&column.buffer, 0, &copy.buffer, 0, column.bytes());
            work.submit()?;
            self.mul_assign(&mut copy, factors)?;
            scaled = Some(copy);
        }
        let column = scaled.as_ref().unwrap_or(column);
        let smaller = Transform { domain: transform.domain.half(), ..transform.bare() };
        let [even, odd] = self.split(transform, column)?;
        let (even, odd) = (self.transform(&smaller, &even)?, self.transform(&smaller, &odd)?);
        let mut out = self.device.vector(operation, column.len)?;
        let mut work = self.record(operation);
        for rows in ranges(half, self.device.window_rows(2 * ELEMENT_BYTES)) {
            let bound =
                [window(&out.buffer, &rows, 2 * ELEMENT_BYTES), even.rows(rows.clone()), odd.rows(rows.clone())];
            let params = Params::words(&[rows.len() as u32, 0]);
            work.dispatch(&NTT_INTERLEAVE, params, &bound, rows.len().div_ceil(THREADS) as u64)?;
        }
        work.submit()?;
        if let Some(factors) = transform.after {
            self.mul_assign(&mut out, factors)?;
        }
        if let Some(factor) = transform.scale {
            self.scale(&mut out, factor)?;
        }
        Ok(out)
    }

    /// What is to be transformed for the even results, and for the odd ones.
    fn split(&self, transform: &Transform<'_>, column: &WgpuScalars) -> Result<[WgpuScalars; 2]> {
        let operation = transform.operation;
        let half = column.len / 2;
        let root = if transform.inverse { transform.domain.inverse_root() } else { transform.domain.root };
        let roots = self.powers_for(operation, Fr::ONE, root, half)?;
        let halves = [self.device.vector(operation, half)?, self.device.vector(operation, half)?];
        let mut work = self.record(operation);
        for rows in windows(&self.device, half) {
            for (parity, out) in (0..).zip(&halves) {
                let high = column.rows(half + rows.start..half + rows.end);
                let bound = [out.rows(rows.clone()), column.rows(rows.clone()), high, roots.rows(rows.clone())];
                let params = Params::words(&[rows.len() as u32, parity]);
                work.dispatch(&NTT_SPLIT, params, &bound, rows.len().div_ceil(THREADS) as u64)?;
            }
        }
        work.submit()?;
        Ok(halves)
    }

    /// The roots of a domain, made the first time.
    fn roots(&self, operation: &'static str, domain: Domain) -> Result<Arc<WgpuScalars>> {
        let mut kept = self.roots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roots) = kept.get(&domain.log_n) {
            return Ok(Arc::clone(roots));
        }
        let roots = Arc::new(self.powers_for(operation, Fr::ONE, domain.root, (domain.size() / 2).max(1))?);
        kept.insert(domain.log_n, Arc::clone(&roots));
        Ok(roots)
    }
}

/// The radices of the passes, as logarithms.
fn radices(log_n: u32) -> Vec<u32> {
    if log_n <= LOG_TILE {
        return vec![log_n];
    }
    let count = log_n.div_ceil(LOG_RADIX);
    (0..count).map(|i| log_n / count + u32::from(i < log_n % count)).collect()
}

/// Records the passes of a transform.
fn passes(
    work: &mut Recorder<'_>,
    transform: &Transform<'_>,
    column: &WgpuScalars,
    roots: &WgpuScalars,
) -> Result<super::pool::Buffer> {
    let (log_n, bytes) = (transform.domain.log_n, column.bytes());
    let radices = radices(log_n);
    let mut input = column.buffer.clone();
    let mut log_stride = 0;
    // The column stays as it is: passes alternate between two buffers of their own.
    let mut spare = None;
    for (i, &log_radix) in radices.iter().enumerate() {
        let (first, last) = (i == 0, i + 1 == radices.len());
        let log_neighbours = (LOG_TILE - log_radix).min(log_n - log_radix);
        let groups = 1u64 << (log_n - log_radix - log_neighbours);
        let before = transform.before.filter(|_| first);
        let after = transform.after.filter(|_| last);
        let scale = transform.scale.filter(|_| last);
        let flags = [transform.inverse, before.is_some(), after.is_some(), scale.is_some()].map(u32::from);
        let words: Vec<u32> =
            [log_n, log_radix, log_neighbours, log_stride, groups as u32].into_iter().chain(flags).collect();
        let params = Params::words(&words).scalars(&[scale.unwrap_or(Fr::ONE)]);
        let output = match spare.take() {
            Some(buffer) => buffer,
            None => work.allocate(bytes)?,
        };
        let factors = before.or(after).unwrap_or(roots).all();
        work.dispatch(&NTT_PASS, params, &[output.first(bytes), input.first(bytes), roots.all(), factors], groups)?;
        let read = std::mem::replace(&mut input, output);
        spare = (!first).then_some(read);
        log_stride += log_radix;
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radices_fit_a_workgroup_and_make_up_the_domain() {
        for log_n in 0..=28 {
            let radices = radices(log_n);
            assert_eq!(radices.iter().sum::<u32>(), log_n);
            assert!(radices.iter().all(|radix| *radix <= LOG_TILE), "{radices:?}");
        }
        assert_eq!(radices(9), [9]);
        assert_eq!(radices(20), [7, 7, 6]);
    }
}
