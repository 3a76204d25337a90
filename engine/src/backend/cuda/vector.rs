//! Vector arithmetic: row by row, and by blocks where rows depend on each other (`scan.rs`, `inversion.rs`,
//! `evaluation.rs`).

use bytemuck::{Pod, Zeroable};
use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::Module;

use super::driver::Address;
use super::kernels::{Arguments, Element, Kernel};
use super::memory::CudaScalars;
use super::{Cuda, scan};
use crate::backend::gpu::factors::squares;
use crate::backend::operands::check_lengths;
use crate::backend::{Result, VectorOps};

/// Rows of a block: `ELEMENTWISE_THREADS`.
const THREADS: u32 = 256;

const fn kernel(name: &'static str) -> Kernel {
    Kernel::new(Module::Elementwise, name, THREADS)
}

const ADD_ASSIGN: Kernel = kernel("add_assign");
const SUB_ASSIGN: Kernel = kernel("sub_assign");
const MUL_ASSIGN: Kernel = kernel("mul_assign");
const SCALE: Kernel = kernel("scale");
const LINEAR_COMBINATION: Kernel = kernel("linear_combination");
const POWERS: Kernel = kernel("powers");

/// Bits of a thread's number: `POWER_BITS`.
const POWER_BITS: usize = 28;
/// Powers that a thread makes.
const POWERS_EACH: usize = 16;

/// `Term`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Term {
    factor: Element,
    values: Address,
    len: u32,
    padding: [u32; 1],
}

/// `PowersParams`
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct PowersParams {
    initial: Element,
    step: Element,
    squares: [Element; POWER_BITS],
    len: u32,
    stride: u32,
    padding: [u32; 2],
}

impl VectorOps for Cuda {
    fn add_assign(&self, acc: &mut CudaScalars, other: &CudaScalars) -> Result<()> {
        self.zip_rows(&ADD_ASSIGN, acc, other)
    }

    fn sub_assign(&self, acc: &mut CudaScalars, other: &CudaScalars) -> Result<()> {
        self.zip_rows(&SUB_ASSIGN, acc, other)
    }

    fn mul_assign(&self, acc: &mut CudaScalars, other: &CudaScalars) -> Result<()> {
        self.zip_rows(&MUL_ASSIGN, acc, other)
    }

    fn scale(&self, acc: &mut CudaScalars, factor: Fr) -> Result<()> {
        let arguments = Arguments::new().word(acc.len).address(acc.address()).value(&Element::from(factor));
        self.work("scale").launch(&SCALE, blocks(acc.len), arguments)
    }

    fn linear_combination(&self, terms: &[(Fr, &CudaScalars)]) -> Result<CudaScalars> {
        let work = self.work("linear_combination");
        let len = terms.iter().map(|(_, vector)| vector.len).max().unwrap_or(0);
        let sum = work.vector(len)?;
        let term = |(factor, vector): &(Fr, &CudaScalars)| {
            let factor = Element::from(*factor);
            Term { factor, values: vector.address(), len: vector.len as u32, padding: [0] }
        };
        let list = work.upload(&terms.iter().map(term).collect::<Vec<_>>())?;
        let arguments = Arguments::new().word(len).word(terms.len()).address(list.address()).address(sum.address());
        work.launch(&LINEAR_COMBINATION, blocks(len), arguments)?;
        Ok(sum)
    }

    fn batch_invert(&self, vector: &mut CudaScalars) -> Result<()> {
        self.invert_all(vector)
    }

    fn prefix_sum(&self, vector: &CudaScalars, initial: Fr) -> Result<CudaScalars> {
        self.scan_rows("prefix_sum", &scan::SUM, vector, initial)
    }

    fn prefix_product(&self, vector: &CudaScalars, initial: Fr) -> Result<CudaScalars> {
        self.scan_rows("prefix_product", &scan::PRODUCT, vector, initial)
    }

    fn affine_scan(&self, factors: &CudaScalars, terms: &CudaScalars, initial: Fr) -> Result<CudaScalars> {
        check_lengths("affine_scan", factors.len, terms.len)?;
        self.scan_maps(factors, terms, initial)
    }

    fn eval_polynomials(&self, queries: &[(&CudaScalars, Fr)]) -> Result<Vec<Fr>> {
        self.evaluate_all(queries)
    }

    fn divide_by_linear(&self, polynomial: &CudaScalars, root: Fr) -> Result<CudaScalars> {
        self.divide(polynomial, root)
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<CudaScalars> {
        self.powers_for("powers", initial, base, len)
    }

    fn inner_product(&self, a: &CudaScalars, b: &CudaScalars) -> Result<Fr> {
        check_lengths("inner_product", a.len, b.len)?;
        self.sum_of_products(a, b)
    }

    fn permute_lookup(
        &self,
        input: &CudaScalars,
        table: &CudaScalars,
        usable: usize,
    ) -> Result<(CudaScalars, CudaScalars)> {
        check_lengths("permute_lookup", input.len, table.len)?;
        self.permute(input, table, usable)
    }
}

impl Cuda {
    fn zip_rows(&self, kernel: &Kernel, acc: &mut CudaScalars, other: &CudaScalars) -> Result<()> {
        check_lengths(kernel.name, acc.len, other.len)?;
        let arguments = Arguments::new().word(acc.len).address(acc.address()).address(other.address());
        self.work(kernel.name).launch(kernel, blocks(acc.len), arguments)
    }

    /// `initial·base^i`, as work of some operation.
    pub(super) fn powers_for(&self, operation: &'static str, initial: Fr, base: Fr, len: usize) -> Result<CudaScalars> {
        let work = self.work(operation);
        let powers = work.vector(len)?;
        let stride = len.div_ceil(POWERS_EACH);
        let params = PowersParams {
            initial: initial.into(),
            step: base.pow_vartime([stride as u64]).into(),
            squares: squares(base).map(Element::from),
            len: len as u32,
            stride: stride as u32,
            padding: [0; 2],
        };
        work.launch(&POWERS, blocks(stride), Arguments::new().value(&params).address(powers.address()))?;
        Ok(powers)
    }
}

fn blocks(rows: usize) -> usize {
    rows.div_ceil(THREADS as usize)
}
