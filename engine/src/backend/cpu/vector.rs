//! Vector arithmetic, serial where a vector is short and by row chunks where it is long.

use super::inversion::batch_invert;
use super::{Cpu, CpuScalars, lookup, ntt};
use crate::backend::{Result, VectorOps};
use crate::error::BackendError;
use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

/// Rows handed to one task. A row costs at least ten nanoseconds, so a task outweighs its scheduling.
const ROWS_PER_TASK: usize = 2048;

impl VectorOps for Cpu {
    fn add_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        zip_rows(self, "add_assign", acc, other, |a, b| *a += b)
    }

    fn sub_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        zip_rows(self, "sub_assign", acc, other, |a, b| *a -= b)
    }

    fn mul_assign(&self, acc: &mut CpuScalars, other: &CpuScalars) -> Result<()> {
        zip_rows(self, "mul_assign", acc, other, |a, b| *a *= b)
    }

    fn scale(&self, acc: &mut CpuScalars, factor: Fr) -> Result<()> {
        for_chunks(acc.elements_mut(self), |_, rows| rows.iter_mut().for_each(|row| *row *= factor));
        Ok(())
    }

    fn linear_combination(&self, terms: &[(Fr, &CpuScalars)]) -> Result<CpuScalars> {
        let factors: Vec<Fr> = terms.iter().map(|(factor, _)| *factor).collect();
        let vectors: Vec<_> = terms.iter().map(|(_, vector)| vector.elements(self)).collect();
        let vectors: Vec<&[Fr]> = vectors.iter().map(|vector| &**vector).collect();
        Ok(combine(&factors, &vectors).into())
    }

    fn batch_invert(&self, vector: &mut CpuScalars) -> Result<()> {
        for_chunks(vector.elements_mut(self), |_, rows| batch_invert(rows, &mut Vec::new()));
        Ok(())
    }

    fn prefix_sum(&self, vector: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        Ok(exclusive_scan(vector.elements(self).iter(), initial, |acc, value| acc + value))
    }

    fn prefix_product(&self, vector: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        Ok(exclusive_scan(vector.elements(self).iter(), initial, |acc, value| acc * value))
    }

    fn affine_scan(&self, factors: &CpuScalars, terms: &CpuScalars, initial: Fr) -> Result<CpuScalars> {
        let (factors, terms) = (factors.elements(self), terms.elements(self));
        check_lengths("affine_scan", &factors, &terms)?;
        Ok(exclusive_scan(factors.iter().zip(&*terms), initial, |acc, (factor, term)| acc * factor + term))
    }

    fn eval_polynomials(&self, queries: &[(&CpuScalars, Fr)]) -> Result<Vec<Fr>> {
        Ok(queries.par_iter().map(|(polynomial, point)| eval_polynomial(&polynomial.elements(self), *point)).collect())
    }

    fn divide_by_linear(&self, polynomial: &CpuScalars, root: Fr) -> Result<CpuScalars> {
        let polynomial = polynomial.elements(self);
        let mut quotient = vec![Fr::ZERO; polynomial.len()];
        let mut acc = Fr::ZERO;
        for (q, coefficient) in quotient.iter_mut().zip(&*polynomial).rev() {
            *q = acc;
            acc = acc * root + coefficient;
        }
        Ok(quotient.into())
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<CpuScalars> {
        Ok(ntt::powers(initial, base, len).into())
    }

    fn inner_product(&self, a: &CpuScalars, b: &CpuScalars) -> Result<Fr> {
        let (a, b) = (a.elements(self), b.elements(self));
        check_lengths("inner_product", &a, &b)?;
        let chunks = a.par_chunks(ROWS_PER_TASK).zip(b.par_chunks(ROWS_PER_TASK));
        Ok(chunks.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum::<Fr>()).sum())
    }

    fn permute_lookup(
        &self,
        input: &CpuScalars,
        table: &CpuScalars,
        usable: usize,
    ) -> Result<(CpuScalars, CpuScalars)> {
        let (input, table) = (input.elements(self), table.elements(self));
        check_lengths("permute_lookup", &input, &table)?;
        if usable > input.len() {
            let len = input.len();
            return Err(BackendError::OutOfRange { operation: "permute_lookup", start: 0, end: usable, len });
        }
        let (mut sorted, mut permuted) = lookup::permute(&input[..usable], &table[..usable])?;
        sorted.resize(input.len(), Fr::ZERO);
        permuted.resize(input.len(), Fr::ZERO);
        Ok((sorted.into(), permuted.into()))
    }
}

/// `Σ_j factors_j·vectors_j`, shorter vectors padded with zeros.
pub(super) fn combine(factors: &[Fr], vectors: &[&[Fr]]) -> Vec<Fr> {
    let len = vectors.iter().map(|vector| vector.len()).max().unwrap_or(0);
    let mut out = vec![Fr::ZERO; len];
    for_chunks(&mut out, |start, rows| {
        for (factor, vector) in factors.iter().zip(vectors) {
            let Some(values) = vector.get(start..) else { continue };
            if *factor == Fr::ONE {
                rows.iter_mut().zip(values).for_each(|(acc, value)| *acc += value);
            } else if *factor != Fr::ZERO {
                rows.iter_mut().zip(values).for_each(|(acc, value)| *acc += factor * value);
            }
        }
    });
    out
}

/// Horner's rule in four independent chains, x^4 apart: one chain is bound by the latency of a multiplication.
fn eval_polynomial(coefficients: &[Fr], point: Fr) -> Fr {
    const LANES: usize = 4;
    let stride = point.square().square();
    let mut lanes = [Fr::ZERO; LANES];
    for group in coefficients.chunks(LANES).rev() {
        for lane in &mut lanes {
            *lane *= stride;
        }
        for (lane, coefficient) in lanes.iter_mut().zip(group) {
            *lane += coefficient;
        }
    }
    lanes.iter().rev().fold(Fr::ZERO, |acc, lane| acc * point + lane)
}

fn exclusive_scan<I: Iterator>(rows: I, initial: Fr, step: impl Fn(Fr, I::Item) -> Fr) -> CpuScalars {
    let mut next = initial;
    let advance = |row| {
        let current = next;
        next = step(current, row);
        current
    };
    rows.map(advance).collect::<Vec<Fr>>().into()
}

/// Applies `f(first row, rows)` to chunks of rows, in parallel when there are several.
fn for_chunks(rows: &mut [Fr], f: impl Fn(usize, &mut [Fr]) + Sync) {
    if rows.len() <= ROWS_PER_TASK {
        return f(0, rows);
    }
    rows.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(|(chunk, rows)| f(chunk * ROWS_PER_TASK, rows));
}

fn zip_rows(
    cpu: &Cpu,
    operation: &'static str,
    acc: &mut CpuScalars,
    other: &CpuScalars,
    f: impl Fn(&mut Fr, &Fr) + Sync,
) -> Result<()> {
    let (acc, other) = (acc.elements_mut(cpu), other.elements(cpu));
    check_lengths(operation, acc, &other)?;
    for_chunks(acc, |start, rows| rows.iter_mut().zip(&other[start..]).for_each(|(a, b)| f(a, b)));
    Ok(())
}

fn check_lengths(operation: &'static str, a: &[Fr], b: &[Fr]) -> Result<()> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(BackendError::LengthMismatch { operation, expected: a.len(), got: b.len() })
}
