//! Number-theoretic transforms (NTT) in Stockham's passes of shared memory, for all columns of a call at once, with
//! roots of unity that are kept per domain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};
use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::device::{Buffer, in_batches};
use super::driver::Address;
use super::kernels::{Arguments, Element, GRID_ROWS, Kernel};
use super::memory::{CudaScalars, Work};
use crate::backend::ops::ntt::{Domain, common_domain, inverse_vandermonde, root_of_unity};
use crate::backend::{NttOps, Result};
use crate::error::BackendError;

/// `NTT_THREADS`
const THREADS: u32 = 256;
const NTT_PASS: Kernel = Kernel::new(Module::Ntt, "ntt_pass", THREADS);
const INTERPOLATE_COSETS: Kernel = Kernel::new(Module::Ntt, "interpolate_cosets", THREADS);

/// log2 of the elements that a block holds at most: `NTT_TILE`.
const LOG_TILE: u32 = 11;
/// Bytes of shared memory of an element, the gaps between rows included: `NttTile`.
const TILE_ELEMENT_BYTES: usize = 36;

/// What transforms read besides their columns.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Of each domain by its logarithm, the first half.
    domains: Mutex<HashMap<u32, Arc<CudaScalars>>>,
    /// Of the orders up to a tile's.
    layers: Mutex<Option<Arc<Buffer>>>,
}

/// `NttParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct NttParams {
    scale: Element,
    input: Address,
    output: Address,
    roots: Address,
    layer_roots: Address,
    factors: Address,
    log_n: u32,
    log_radix: u32,
    log_neighbours: u32,
    log_stride: u32,
    inverse: u32,
    factors_before: u32,
    factors_after: u32,
    scaled: u32,
    padding: [u32; 2],
}

/// What is transformed how. Factors are one for each element, before or after.
#[derive(Clone, Copy)]
struct Transform<'t> {
    work: Work<'t>,
    domain: Domain,
    inverse: bool,
    before: Option<&'t CudaScalars>,
    after: Option<&'t CudaScalars>,
    scale: Option<Fr>,
}

impl NttOps for Cuda {
    fn ntt(&self, columns: &[&CudaScalars]) -> Result<Vec<CudaScalars>> {
        let Some(domain) = domain_of("ntt", columns)? else { return Ok(Vec::new()) };
        self.work("ntt").transform(domain, false).run(columns)
    }

    fn intt(&self, columns: &[&CudaScalars]) -> Result<Vec<CudaScalars>> {
        let Some(domain) = domain_of("intt", columns)? else { return Ok(Vec::new()) };
        let scale = Some(domain.inverse_size());
        Transform { scale, ..self.work("intt").transform(domain, true) }.run(columns)
    }

    fn coset_ntt(&self, columns: &[&CudaScalars], shift: Fr) -> Result<Vec<CudaScalars>> {
        let work = self.work("coset_ntt");
        let Some(domain) = domain_of(work.operation, columns)? else { return Ok(Vec::new()) };
        let powers = self.powers_for(work.operation, Fr::ONE, shift, domain.size())?;
        Transform { before: Some(&powers), ..work.transform(domain, false) }.run(columns)
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &CudaScalars)]) -> Result<Vec<CudaScalars>> {
        let work = self.work("interpolate_cosets");
        let columns: Vec<&CudaScalars> = cosets.iter().map(|(_, values)| *values).collect();
        let dependent = || BackendError::DependentCosets { operation: work.operation, cosets: cosets.len() };
        let domain = domain_of(work.operation, &columns)?.ok_or_else(dependent)?;
        let nodes: Vec<Fr> = cosets.iter().map(|(shift, _)| shift.pow_vartime([domain.size() as u64])).collect();
        let matrix = inverse_vandermonde(&nodes).ok_or_else(dependent)?;
        let mut residues = Vec::with_capacity(cosets.len());
        for (shift, values) in cosets {
            let inverse: Fr = Option::from(shift.invert()).ok_or_else(dependent)?;
            let powers = self.powers_for(work.operation, domain.inverse_size(), inverse, domain.size())?;
            let transform = Transform { after: Some(&powers), ..work.transform(domain, true) };
            residues.extend(transform.run(&[values])?);
        }
        let pieces = cosets.iter().map(|_| work.vector(domain.size())).collect::<Result<Vec<_>>>()?;
        let matrix: Vec<Element> = matrix.iter().flatten().map(|entry| Element::from(*entry)).collect();
        let matrix = work.upload(&matrix)?;
        let lists = work.upload(&[addresses(&residues), addresses(&pieces)].concat())?;
        let second = lists.address() + size_of_val(&addresses(&residues)[..]) as u64;
        let arguments = Arguments::new().word(domain.size()).word(cosets.len()).address(matrix.address());
        let arguments = arguments.address(lists.address()).address(second);
        work.launch(&INTERPOLATE_COSETS, domain.size().div_ceil(THREADS as usize), arguments)?;
        Ok(pieces)
    }
}

fn domain_of(operation: &'static str, columns: &[&CudaScalars]) -> Result<Option<Domain>> {
    common_domain(operation, columns.iter().map(|column| column.len))
}

fn addresses(columns: &[CudaScalars]) -> Vec<Address> {
    columns.iter().map(CudaScalars::address).collect()
}

impl<'c> Work<'c> {
    fn transform(self, domain: Domain, inverse: bool) -> Transform<'c> {
        Transform { work: self, domain, inverse, before: None, after: None, scale: None }
    }

    /// The roots of a domain, made the first time.
    fn roots(&self, domain: Domain) -> Result<Arc<CudaScalars>> {
        let mut kept = self.cuda.roots.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roots) = kept.get(&domain.log_n) {
            return Ok(Arc::clone(roots));
        }
        let half = (domain.size() / 2).max(1);
        let roots = Arc::new(self.cuda.powers_for(self.operation, Fr::ONE, domain.root, half)?);
        kept.insert(domain.log_n, Arc::clone(&roots));
        Ok(roots)
    }

    /// From 2^l on, the powers below 2^l of the root of order 2^(l+1).
    fn layer_roots(&self) -> Result<Arc<Buffer>> {
        let mut kept = self.cuda.roots.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roots) = kept.as_ref() {
            return Ok(Arc::clone(roots));
        }
        let mut roots = vec![Element::from(Fr::ZERO)];
        for layer in 0..LOG_TILE {
            let root = root_of_unity(layer + 1).unwrap_or(Fr::ONE);
            let powers = std::iter::successors(Some(Fr::ONE), |power| Some(*power * root));
            roots.extend(powers.take(1 << layer).map(Element::from));
        }
        let roots = Arc::new(self.upload(&roots)?);
        *kept = Some(Arc::clone(&roots));
        Ok(roots)
    }

    /// log2 of the elements that a block holds: as many as there is shared memory for.
    fn log_tile(&self) -> u32 {
        let elements = self.cuda.device.properties.shared_bytes / TILE_ELEMENT_BYTES;
        elements.max(2).ilog2().min(LOG_TILE)
    }
}

/// The radices of the passes, as logarithms.
fn radices(log_n: u32, log_tile: u32) -> Vec<u32> {
    let count = log_n.div_ceil(log_tile).max(1);
    (0..count).map(|i| log_n / count + u32::from(i < log_n % count)).collect()
}

impl Transform<'_> {
    fn run(&self, columns: &[&CudaScalars]) -> Result<Vec<CudaScalars>> {
        let roots = self.work.roots(self.domain)?;
        let layers = self.work.layer_roots()?;
        let batches = columns
            .chunks(GRID_ROWS)
            .map(|columns| in_batches(columns, |columns| self.batch(columns, &roots, &layers)));
        Ok(batches.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Passes go from the columns, which stay as they are, to memory of the batch's own and at last to the results.
    fn batch(&self, columns: &[&CudaScalars], roots: &CudaScalars, layers: &Buffer) -> Result<Vec<CudaScalars>> {
        let (work, log_n) = (self.work, self.domain.log_n);
        let log_tile = work.log_tile();
        let radices = radices(log_n, log_tile);
        let vectors = || columns.iter().map(|_| work.vector(self.domain.size())).collect::<Result<Vec<_>>>();
        let results = vectors()?;
        let spare = if radices.len() > 1 { vectors()? } else { Vec::new() };
        let given: Vec<Address> = columns.iter().map(|column| column.address()).collect();
        let list_bytes = size_of_val(&given[..]) as u64;
        let lists = work.upload(&[given, addresses(&results), addresses(&spare)].concat())?;
        let places = [1, 2].map(|list| lists.address() + list * list_bytes);
        let mut input = lists.address();
        let mut log_stride = 0;
        for (i, &log_radix) in radices.iter().enumerate() {
            let left = radices.len() - 1 - i;
            let output = places[left % 2];
            let before = self.before.filter(|_| i == 0);
            let after = self.after.filter(|_| left == 0);
            let scale = self.scale.filter(|_| left == 0);
            let log_neighbours = (log_tile - log_radix).min(log_n - log_radix);
            let params = NttParams {
                scale: scale.unwrap_or(Fr::ONE).into(),
                input,
                output,
                roots: roots.address(),
                layer_roots: layers.address(),
                factors: before.or(after).map_or(0, CudaScalars::address),
                log_n,
                log_radix,
                log_neighbours,
                log_stride,
                inverse: self.inverse.into(),
                factors_before: before.is_some().into(),
                factors_after: after.is_some().into(),
                scaled: scale.is_some().into(),
                padding: [0; 2],
            };
            let grid = [1 << (log_n - log_radix - log_neighbours), columns.len()];
            let shared_bytes = TILE_ELEMENT_BYTES << (log_radix + log_neighbours);
            let arguments = Arguments::new().value(&params);
            work.cuda.device.launch_shared(work.operation, &NTT_PASS, grid, shared_bytes, arguments)?;
            input = output;
            log_stride += log_radix;
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radices_fit_a_tile_and_make_up_the_domain() {
        for log_tile in [8, LOG_TILE] {
            for log_n in 0..=28 {
                let radices = radices(log_n, log_tile);
                assert_eq!(radices.iter().sum::<u32>(), log_n);
                assert!(radices.iter().all(|radix| *radix <= log_tile), "{radices:?}");
            }
        }
        assert_eq!(radices(11, LOG_TILE), [11]);
        assert_eq!(radices(20, LOG_TILE), [10, 10]);
        assert_eq!(radices(24, LOG_TILE), [8, 8, 8]);
    }
}
