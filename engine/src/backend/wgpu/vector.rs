//! Vector arithmetic: row by row, and by blocks where rows depend on each other (`scan.rs`, `inversion.rs`,
//! `evaluation.rs`).

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::wgsl::Module;

use super::pipelines::Kernel;
use super::recorder::Params;
use super::windows::windows;
use super::{Wgpu, WgpuScalars};
use crate::backend::gpu::factors::squares;
use crate::backend::operands::check_lengths;
use crate::backend::{Result, VectorOps};

const fn kernel(entry: &'static str) -> Kernel {
    Kernel::new(&[Module::Elementwise], entry)
}

const ADD_ASSIGN: Kernel = kernel("add_assign");
const SUB_ASSIGN: Kernel = kernel("sub_assign");
const MUL_ASSIGN: Kernel = kernel("mul_assign");
const SCALE: Kernel = kernel("scale");
const LINEAR_COMBINATION: Kernel = kernel("linear_combination");
const POWERS: Kernel = kernel("powers");

/// Rows of a workgroup: `ELEMENTWISE_THREADS`.
const GROUP_ROWS: usize = 128;
/// Terms of one dispatch: `TERMS`.
const TERMS: usize = 4;
/// Bits of an invocation's number: `POWER_BITS`.
const POWER_BITS: usize = 28;
/// Powers that an invocation makes.
const POWERS_EACH: usize = 16;

impl VectorOps for Wgpu {
    fn add_assign(&self, acc: &mut WgpuScalars, other: &WgpuScalars) -> Result<()> {
        self.zip_rows(&ADD_ASSIGN, acc, other)
    }

    fn sub_assign(&self, acc: &mut WgpuScalars, other: &WgpuScalars) -> Result<()> {
        self.zip_rows(&SUB_ASSIGN, acc, other)
    }

    fn mul_assign(&self, acc: &mut WgpuScalars, other: &WgpuScalars) -> Result<()> {
        self.zip_rows(&MUL_ASSIGN, acc, other)
    }

    fn scale(&self, acc: &mut WgpuScalars, factor: Fr) -> Result<()> {
        let mut work = self.record("scale");
        for rows in windows(&self.device, acc.len) {
            let params = Params::words(&[rows.len() as u32]).scalars(&[factor]);
            work.dispatch(&SCALE, params, &[acc.rows(rows.clone())], groups(rows.len()))?;
        }
        work.submit()
    }

    fn linear_combination(&self, terms: &[(Fr, &WgpuScalars)]) -> Result<WgpuScalars> {
        let operation = "linear_combination";
        let len = terms.iter().map(|(_, vector)| vector.len).max().unwrap_or(0);
        let sum = self.device.vector(operation, len)?;
        let mut work = self.record(operation);
        for rows in windows(&self.device, len) {
            let reaching: Vec<_> = terms.iter().filter(|(_, vector)| vector.len > rows.start).collect();
            for (i, group) in reaching.chunks(TERMS).enumerate() {
                // Missing terms are the first one, with no rows.
                let term = |j: usize| group.get(j).unwrap_or(&group[0]).1;
                let end = |j: usize| term(j).len.min(rows.end);
                let length = |j: usize| if j < group.len() { (end(j) - rows.start) as u32 } else { 0 };
                let factor = |j: usize| group.get(j).map_or(Fr::ZERO, |(factor, _)| *factor);
                let lengths: [u32; TERMS] = std::array::from_fn(length);
                let words: Vec<u32> = [rows.len() as u32, u32::from(i == 0)].into_iter().chain(lengths).collect();
                let factors: [Fr; TERMS] = std::array::from_fn(factor);
                let mut bound = vec![sum.rows(rows.clone())];
                bound.extend((0..TERMS).map(|j| term(j).rows(rows.start..end(j))));
                let params = Params::words(&words).scalars(&factors);
                work.dispatch(&LINEAR_COMBINATION, params, &bound, groups(rows.len()))?;
            }
        }
        work.submit()?;
        Ok(sum)
    }

    fn batch_invert(&self, vector: &mut WgpuScalars) -> Result<()> {
        self.invert_all(vector)
    }

    fn prefix_sum(&self, vector: &WgpuScalars, initial: Fr) -> Result<WgpuScalars> {
        self.scan_rows("prefix_sum", &super::scan::SUM, &[vector], initial)
    }

    fn prefix_product(&self, vector: &WgpuScalars, initial: Fr) -> Result<WgpuScalars> {
        self.scan_rows("prefix_product", &super::scan::PRODUCT, &[vector], initial)
    }

    fn affine_scan(&self, factors: &WgpuScalars, terms: &WgpuScalars, initial: Fr) -> Result<WgpuScalars> {
        check_lengths("affine_scan", factors.len, terms.len)?;
        self.scan_rows("affine_scan", &super::scan::AFFINE, &[factors, terms], initial)
    }

    fn eval_polynomials(&self, queries: &[(&WgpuScalars, Fr)]) -> Result<Vec<Fr>> {
        self.evaluate_all(queries)
    }

    fn divide_by_linear(&self, polynomial: &WgpuScalars, root: Fr) -> Result<WgpuScalars> {
        self.divide(polynomial, root)
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<WgpuScalars> {
        self.powers_for("powers", initial, base, len)
    }

    fn inner_product(&self, a: &WgpuScalars, b: &WgpuScalars) -> Result<Fr> {
        check_lengths("inner_product", a.len, b.len)?;
        self.sum_of_products(a, b)
    }

    fn permute_lookup(
        &self,
        input: &WgpuScalars,
        table: &WgpuScalars,
        usable: usize,
    ) -> Result<(WgpuScalars, WgpuScalars)> {
        check_lengths("permute_lookup", input.len, table.len)?;
        self.permute(input, table, usable)
    }
}

impl Wgpu {
    fn zip_rows(&self, kernel: &Kernel, acc: &mut WgpuScalars, other: &WgpuScalars) -> Result<()> {
        check_lengths(kernel.entry, acc.len, other.len)?;
        let mut work = self.record(kernel.entry);
        for rows in windows(&self.device, acc.len) {
            let params = Params::words(&[rows.len() as u32]).scalars(&[Fr::ZERO]);
            work.dispatch(kernel, params, &[acc.rows(rows.clone()), other.rows(rows.clone())], groups(rows.len()))?;
        }
        work.submit()
    }

    /// `initial·base^i`, as work of some operation.
    pub(super) fn powers_for(&self, operation: &'static str, initial: Fr, base: Fr, len: usize) -> Result<WgpuScalars> {
        let powers = self.device.vector(operation, len)?;
        let mut work = self.record(operation);
        for rows in windows(&self.device, len) {
            let stride = rows.len().div_ceil(POWERS_EACH);
            let first = initial * base.pow_vartime([rows.start as u64]);
            let params = Params::words(&[rows.len() as u32, stride as u32])
                .scalars(&[first, base.pow_vartime([stride as u64])])
                .scalars(&squares::<POWER_BITS>(base));
            work.dispatch(&POWERS, params, &[powers.rows(rows)], groups(stride))?;
        }
        work.submit()?;
        Ok(powers)
    }
}

fn groups(rows: usize) -> u64 {
    rows.div_ceil(GROUP_ROWS) as u64
}
