//! Vector arithmetic, serial where a vector is short and by row chunks where it is long.
//!
//! What multiplies is done with the processor's lanes: products row by row (`elementwise.rs`), recurrences in segments
//! side by side (`scan.rs`), inner products that are reduced once (`evaluation.rs`) and Montgomery's trick
//! (`inversion.rs`). Sums and differences of rows are bound by memory, and unpacking them costs as much as adding them
//! does: they are plain loops.

mod elementwise;
mod evaluation;
mod inversion;
mod scan;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::integers::Rows;
use super::lanes::{Kernel, LANES, Lanes, store_new_once, with_lanes};
use super::shared::{reserve, written};
use super::{Cpu, CpuScalars, lookup, ntt};
use crate::backend::operands::{check_lengths, check_range};
use crate::backend::{Result, VectorOps};
use scan::Recurrence;

/// Rows handed to one task. A row costs at least a nanosecond, so a task outweighs its scheduling.
const ROWS_PER_TASK: usize = 4096;

impl VectorOps for Cpu {
    fn add_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        self.zip_rows("add_assign", acc, other, |a, b| *a += b)
    }

    fn sub_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        self.zip_rows("sub_assign", acc, other, |a, b| *a -= b)
    }

    fn mul_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        let (acc, other) = (acc.elements_mut(self), other.elements(self));
        check_lengths("mul_assign", acc.len(), other.len())?;
        with_lanes!(self.processor, lanes => elementwise::mul_assign(lanes, acc, &other));
        Ok(())
    }

    fn scale(&self, acc: &mut CpuScalars, factor: Fr) -> Result<()> {
        let acc = acc.elements_mut(self);
        with_lanes!(self.processor, lanes => elementwise::scale(lanes, acc, factor));
        Ok(())
    }

    fn linear_combination(&self, terms: &[(Fr, &CpuScalars)]) -> Result<CpuScalars> {
        let terms: Vec<(Fr, Rows<'_>)> = terms.iter().map(|(factor, vector)| (*factor, vector.rows())).collect();
        Ok(with_lanes!(self.processor, lanes => elementwise::combine(lanes, &terms)).into())
    }

    fn batch_invert(&self, vector: &mut CpuScalars) -> Result<()> {
        self.invert_all(vector.elements_mut(self));
        Ok(())
    }

    fn prefix_sum(&self, vector: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        Ok(self.scan(Recurrence::Sum { terms: &vector.elements(self) }, initial))
    }

    fn prefix_product(&self, vector: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        Ok(self.scan(Recurrence::Product { factors: &vector.elements(self) }, initial))
    }

    fn affine_scan(&self, factors: &CpuScalars, terms: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        let (factors, terms) = (factors.elements(self), terms.elements(self));
        check_lengths("affine_scan", factors.len(), terms.len())?;
        Ok(self.scan(Recurrence::Affine { factors: &factors, terms: &terms }, initial))
    }

    fn eval_polynomials(&self, queries: &[(&CpuScalars, Fr)]) -> Result<Vec<Fr>> {
        let elements: Vec<_> = queries.iter().map(|(polynomial, _)| polynomial.elements(self)).collect();
        let queries: Vec<(&[Fr], Fr)> = elements.iter().zip(queries).map(|(e, (_, point))| (&**e, *point)).collect();
        Ok(with_lanes!(self.processor, lanes => evaluation::eval_polynomials(lanes, &queries)))
    }

    fn divide_by_linear(&self, polynomial: &CpuScalars, root: Fr) -> Result<CpuScalars> {
        Ok(self.scan(Recurrence::Horner { factor: root, terms: &polynomial.elements(self) }, Fr::ZERO))
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<CpuScalars> {
        Ok(with_lanes!(self.processor, lanes => powers(lanes, initial, base, len)).into())
    }

    fn inner_product(&self, a: &CpuScalars, b: &CpuScalars) -> Result<Fr> {
        check_lengths("inner_product", a.len(), b.len())?;
        let (a, b) = if b.integers().is_some() { (b, a) } else { (a, b) };
        let (a, b) = (a.rows(), b.elements(self));
        let (of_integers, of_elements) = b.split_at(a.integers.len());
        Ok(with_lanes!(self.processor, lanes => {
            evaluation::integer_product(lanes, a.integers, of_integers)
                + evaluation::inner_product(lanes, a.elements, of_elements)
        }))
    }

    fn permute_lookup(
        &self,
        input: &CpuScalars,
        table: &CpuScalars,
        usable: usize,
    ) -> Result<(CpuScalars, CpuScalars)> {
        let (input, table) = (input.elements(self), table.elements(self));
        check_lengths("permute_lookup", input.len(), table.len())?;
        check_range("permute_lookup", input.len(), &(0..usable))?;
        let (input_rows, table_rows) = (&input[..usable], &table[..usable]);
        let (mut sorted, mut permuted) =
            with_lanes!(self.processor, lanes => lookup::permute(lanes, input_rows, table_rows))?;
        sorted.resize(input.len(), Fr::ZERO);
        permuted.resize(input.len(), Fr::ZERO);
        Ok((sorted.into(), permuted.into()))
    }
}

impl Cpu {
    /// Replaces every element of host memory by its inverse, and leaves zeros.
    pub fn invert_all(&self, values: &mut [Fr]) {
        with_lanes!(self.processor, lanes => inversion::batch_invert(lanes, values));
    }

    /// `Σ_j factors_j·vectors_j`, shorter vectors padded with zeros.
    pub(super) fn combine(&self, factors: &[Fr], vectors: &[&[Fr]]) -> Vec<Fr> {
        let vectors = vectors.iter().map(|elements| Rows { integers: &[], elements });
        let terms: Vec<(Fr, Rows<'_>)> = factors.iter().copied().zip(vectors).collect();
        with_lanes!(self.processor, lanes => elementwise::combine(lanes, &terms))
    }

    fn scan(&self, recurrence: Recurrence<'_>, initial: Fr) -> CpuScalars {
        with_lanes!(self.processor, lanes => scan::scan(lanes, recurrence, initial)).into()
    }

    fn zip_rows(
        &self,
        operation: &'static str,
        acc: &mut CpuScalars,
        other: &CpuScalars,
        f: impl Fn(&mut Fr, &Fr) + Sync,
    ) -> Result<()> {
        let (acc, other) = (acc.elements_mut(self), other.elements(self));
        check_lengths(operation, acc.len(), other.len())?;
        for_chunks(acc, |start, rows| rows.iter_mut().zip(&other[start..]).for_each(|(a, b)| f(a, b)));
        Ok(())
    }
}

/// The first powers of a point, whole vectors of them, to multiply by: below p.
fn power_factors<L: Lanes>(lanes: L, point: Fr, len: usize) -> Vec<L::Factor<Fr>> {
    lanes.run(Factors(&ntt::powers(Fr::ONE, point, len)))
}

struct Factors<'a>(&'a [Fr]);

impl<L: Lanes> Kernel<L> for Factors<'_> {
    type Output = Vec<L::Factor<Fr>>;

    #[inline(always)]
    fn run(self, lanes: L) -> Self::Output {
        let mut factors = Vec::with_capacity(self.0.len() / LANES);
        for elements in self.0.as_chunks().0 {
            factors.push(lanes.factors(elements));
        }
        factors
    }
}

/// `initial·base^i`, in parallel where it pays.
#[allow(unsafe_code)]
fn powers<L: Lanes>(lanes: L, initial: Fr, base: Fr, len: usize) -> Vec<Fr> {
    if L::PLAIN || len <= MIN_POWERS {
        return ntt::powers(initial, base, len);
    }
    let mut room = reserve(len);
    for_chunks(&mut room, |start, out| {
        lanes.run(Powers { initial: initial * base.pow_vartime([start as u64]), base, out });
    });
    // SAFETY: the chunks are the whole room, and each is written whole.
    unsafe { written(room) }
}

/// Fewer powers than this are made one after the other.
const MIN_POWERS: usize = 2 * POWER_CHAINS * LANES;
/// Vectors of powers at a time: one would wait for the latency of its multiplications.
const POWER_CHAINS: usize = 4;

struct Powers<'a> {
    initial: Fr,
    base: Fr,
    out: &'a mut [MaybeUninit<Fr>],
}

impl<L: Lanes> Kernel<L> for Powers<'_> {
    type Output = ();

    /// Powers are below (1 + 1.02/84)·p: their factor is constant.
    #[inline(always)]
    fn run(self, lanes: L) {
        const STRIDE: usize = POWER_CHAINS * LANES;
        let step = L::single(self.base.pow_vartime([STRIDE as u64]));
        let first = ntt::powers(self.initial, self.base, STRIDE);
        let mut chains = [lanes.zero(); POWER_CHAINS];
        for (chain, powers) in chains.iter_mut().zip(first.as_chunks().0) {
            *chain = lanes.load(powers);
        }
        let (whole, rest) = self.out.as_chunks_mut::<LANES>();
        for row in whole.chunks_mut(POWER_CHAINS) {
            for (target, chain) in row.iter_mut().zip(&mut chains) {
                store_new_once(lanes, *chain, target);
                *chain = lanes.mul(*chain, lanes.broadcast(&step));
            }
        }
        let mut last = [Fr::ZERO; LANES];
        lanes.store(chains[whole.len() % POWER_CHAINS], &mut last);
        rest.write_copy_of_slice(&last[..rest.len()]);
    }
}

/// Applies `f(first row, rows)` to chunks of rows, in parallel when there are several.
fn for_chunks<T: Send>(rows: &mut [T], f: impl Fn(usize, &mut [T]) + Sync) {
    if rows.len() <= ROWS_PER_TASK {
        return f(0, rows);
    }
    rows.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(|(chunk, rows)| f(chunk * ROWS_PER_TASK, rows));
}
