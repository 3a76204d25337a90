//! Operations on vectors are the processor back end's: each would cost a transfer both ways.

use super::Icicle;
use crate::backend::cpu::CpuScalars;
use crate::backend::{Result, VectorOps};
use halo2curves::bn256::Fr;

impl VectorOps for Icicle {
    fn add_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        self.cpu.add_assign(acc, other)
    }

    fn sub_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        self.cpu.sub_assign(acc, other)
    }

    fn mul_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        self.cpu.mul_assign(acc, other)
    }

    fn scale(&self, acc: &mut CpuScalars, factor: Fr) -> Result<()> {
        self.cpu.scale(acc, factor)
    }

    fn linear_combination(&self, terms: &[(Fr, &CpuScalars)]) -> Result<CpuScalars> {
        self.cpu.linear_combination(terms)
    }

    fn batch_invert(&self, vector: &mut CpuScalars) -> Result<()> {
        self.cpu.batch_invert(vector)
    }

    fn prefix_sum(&self, vector: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        self.cpu.prefix_sum(vector, initial)
    }

    fn prefix_product(&self, vector: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        self.cpu.prefix_product(vector, initial)
    }

    fn affine_scan(&self, factors: &CpuScalars, terms: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        self.cpu.affine_scan(factors, terms, initial)
    }

    fn eval_polynomials(&self, queries: &[(&CpuScalars, Fr)]) -> Result<Vec<Fr>> {
        self.cpu.eval_polynomials(queries)
    }

    fn divide_by_linear(&self, polynomial: &CpuScalars, root: Fr) -> Result<CpuScalars> {
        self.cpu.divide_by_linear(polynomial, root)
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<CpuScalars> {
        self.cpu.powers(initial, base, len)
    }

    fn inner_product(&self, a: &CpuScalars, b: &CpuScalars) -> Result<Fr> {
        self.cpu.inner_product(a, b)
    }

    fn permute_lookup(
        &self,
        input: &CpuScalars,
        table: &CpuScalars,
        usable: usize,
    ) -> Result<(CpuScalars, CpuScalars)> {
        self.cpu.permute_lookup(input, table, usable)
    }
}
