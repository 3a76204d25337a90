//! Recurrences by blocks: totals of the blocks, a scan of those, and a run through every block from the state at its
//! beginning. Division by a linear polynomial is one from the top down.

use bytemuck::{Pod, Zeroable};
use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::device::Buffer;
use super::driver::Address;
use super::kernels::{Arguments, Element, Kernel};
use super::memory::{CudaScalars, Work};
use crate::backend::Result;

/// `SCAN_THREADS`
const THREADS: u32 = 256;
/// Rows of a block: `SCAN_BLOCK`.
const BLOCK: usize = 1024;

/// Bytes of a word, of an element, and of an affine map.
const WORD: u64 = 4;
const ELEMENT: u64 = 32;
const MAP: u64 = 64;

/// A kind of recurrence.
#[derive(Debug)]
pub(super) struct Recurrence {
    reduce: Kernel,
    apply: Kernel,
    /// Bytes of the total of a block.
    total_bytes: u64,
    /// Bytes of a state.
    state_bytes: u64,
    /// How totals are scanned, where that is not as inputs are.
    totals: Option<&'static Recurrence>,
}

impl Recurrence {
    /// A recurrence whose totals and states have this many bytes.
    pub(super) const fn new(module: Module, [reduce, apply]: [&'static str; 2], bytes: u64) -> Self {
        let (reduce, apply) = (Kernel::new(module, reduce, THREADS), Kernel::new(module, apply, THREADS));
        Self { reduce, apply, total_bytes: bytes, state_bytes: bytes, totals: None }
    }

    /// The same, whose totals are scanned by another.
    pub(super) const fn with_totals(self, totals: &'static Recurrence) -> Self {
        Self { totals: Some(totals), ..self }
    }

    const fn of_maps(self) -> Self {
        Self { total_bytes: MAP, ..self }
    }
}

/// `out + input`
pub(super) static SUM: Recurrence = Recurrence::new(Module::Scan, ["scan_sum_reduce", "scan_sum_apply"], ELEMENT);
/// `out·input`
pub(super) static PRODUCT: Recurrence =
    Recurrence::new(Module::Scan, ["scan_product_reduce", "scan_product_apply"], ELEMENT);
/// `out·input`, where zeros count as ones
pub(super) static NONZERO: Recurrence =
    Recurrence::new(Module::Scan, ["scan_nonzero_reduce", "scan_nonzero_apply"], ELEMENT);
/// `out + input` of words
pub(super) static COUNT: Recurrence = Recurrence::new(Module::Scan, ["scan_count_reduce", "scan_count_apply"], WORD);
/// `factor·out + term`, of factors and terms side by side
static MAPS: Recurrence = Recurrence::new(Module::Scan, ["scan_maps_reduce", "scan_maps_apply"], ELEMENT).of_maps();
/// `factors·out + terms`
static AFFINE: Recurrence =
    Recurrence::new(Module::Scan, ["scan_affine_reduce", "scan_affine_apply"], ELEMENT).of_maps().with_totals(&MAPS);
/// The quotient's coefficients from the highest down.
static DIVIDE: Recurrence =
    Recurrence::new(Module::Divide, ["divide_reduce", "divide_apply"], ELEMENT).of_maps().with_totals(&MAPS);

/// `FactorsAndTerms`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FactorsAndTerms {
    factors: Address,
    terms: Address,
}

/// `Dividend`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Dividend {
    root: Element,
    coefficients: Address,
    len: u32,
    padding: [u32; 1],
}

/// The arguments by which kernels take the input of a recurrence, its length among them.
pub(super) type Input<'i> = &'i dyn Fn() -> Arguments;

impl Work<'_> {
    /// Runs a recurrence over `len` rows, from the state at `start`.
    pub(super) fn scan(
        &self,
        recurrence: &'static Recurrence,
        len: usize,
        input: Input<'_>,
        start: Address,
        out: Address,
    ) -> Result<()> {
        let blocks = len.div_ceil(BLOCK);
        if blocks <= 1 {
            return self.launch(&recurrence.apply, blocks, input().address(start).address(out));
        }
        let totals = self.totals(recurrence, len, input)?;
        let states = self.allocate(blocks as u64 * recurrence.state_bytes)?;
        let scanned = || Arguments::new().word(blocks).address(totals.address());
        self.scan(recurrence.totals.unwrap_or(recurrence), blocks, &scanned, start, states.address())?;
        self.launch(&recurrence.apply, blocks, input().address(states.address()).address(out))
    }

    /// The totals of all blocks.
    pub(super) fn totals(&self, recurrence: &Recurrence, len: usize, input: Input<'_>) -> Result<Buffer> {
        let blocks = len.div_ceil(BLOCK);
        let totals = self.allocate(blocks as u64 * recurrence.total_bytes)?;
        self.launch(&recurrence.reduce, blocks, input().address(totals.address()))?;
        Ok(totals)
    }
}

impl Cuda {
    pub(super) fn scan_rows(
        &self,
        operation: &'static str,
        recurrence: &'static Recurrence,
        vector: &CudaScalars,
        initial: Fr,
    ) -> Result<CudaScalars> {
        let input = || Arguments::new().word(vector.len).address(vector.address());
        self.scan_from(operation, recurrence, vector.len, &input, initial)
    }

    pub(super) fn scan_maps(&self, factors: &CudaScalars, terms: &CudaScalars, initial: Fr) -> Result<CudaScalars> {
        let source = FactorsAndTerms { factors: factors.address(), terms: terms.address() };
        let input = || Arguments::new().word(factors.len).value(&source);
        self.scan_from("affine_scan", &AFFINE, factors.len, &input, initial)
    }

    pub(super) fn divide(&self, polynomial: &CudaScalars, root: Fr) -> Result<CudaScalars> {
        let (coefficients, len) = (polynomial.address(), polynomial.len as u32);
        let dividend = Dividend { root: root.into(), coefficients, len, padding: [0; 1] };
        let input = || Arguments::new().value(&dividend);
        self.scan_from("divide_by_linear", &DIVIDE, polynomial.len, &input, Fr::ZERO)
    }

    fn scan_from(
        &self,
        operation: &'static str,
        recurrence: &'static Recurrence,
        len: usize,
        input: Input<'_>,
        initial: Fr,
    ) -> Result<CudaScalars> {
        let work = self.work(operation);
        let (start, out) = (work.upload(&[Element::from(initial)])?, work.vector(len)?);
        work.scan(recurrence, len, input, start.address(), out.address())?;
        Ok(out)
    }
}
