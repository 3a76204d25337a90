//! Inner products, and values of polynomials as inner products with powers of a point.

use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::super::integers::{Rows, load, radix};
use super::super::lanes::{Kernel, LANES, Lanes};
use super::elementwise::padded;
use super::{ROWS_PER_TASK, power_factors};

/// Vectors whose products are added up before they are reduced: with as many powers of the point, 20 KiB, they stay in
/// the first-level cache.
const BLOCK: usize = 64;
/// Coefficients in a block.
const BLOCK_ROWS: usize = BLOCK * LANES;

/// `out_q = polynomial_q(point_q)`; queries at the same point share its powers.
pub(super) fn eval_polynomials<L: Lanes>(lanes: L, queries: &[(&[Fr], Fr)]) -> Vec<Fr> {
    if L::PLAIN {
        return queries.par_iter().map(|(coefficients, point)| eval_plainly(coefficients, *point)).collect();
    }
    let mut points: Vec<Fr> = Vec::new();
    let mut indices: HashMap<Fr, usize> = HashMap::new();
    let point_of_query: Vec<usize> = queries
        .iter()
        .map(|(_, point)| {
            *indices.entry(*point).or_insert_with(|| {
                points.push(*point);
                points.len() - 1
            })
        })
        .collect();
    let tables: Vec<Vec<L::Factor<Fr>>> =
        points.par_iter().map(|point| power_factors(lanes, *point, BLOCK_ROWS)).collect();
    let evaluate = |((coefficients, point), index): (&(&[Fr], Fr), &usize)| {
        lanes.run(Evaluation { coefficients, step: point.pow_vartime([BLOCK_ROWS as u64]), powers: &tables[*index] })
    };
    queries.par_iter().zip(&point_of_query).map(evaluate).collect()
}

/// Horner's rule in four independent chains, x^4 apart: one chain is bound by the latency of a multiplication.
fn eval_plainly(coefficients: &[Fr], point: Fr) -> Fr {
    const CHAINS: usize = 4;
    let stride = point.square().square();
    let mut chains = [Fr::ZERO; CHAINS];
    for group in coefficients.chunks(CHAINS).rev() {
        for chain in &mut chains {
            *chain *= stride;
        }
        for (chain, coefficient) in chains.iter_mut().zip(group) {
            *chain += coefficient;
        }
    }
    chains.iter().rev().fold(Fr::ZERO, |acc, chain| acc * point + chain)
}

struct Evaluation<'a, F> {
    coefficients: &'a [Fr],
    /// The point's power that leads from one block to the next.
    step: Fr,
    /// The point's first [`BLOCK_ROWS`] powers.
    powers: &'a [F],
}

impl<L: Lanes> Kernel<L> for Evaluation<'_, L::Factor<Fr>> {
    type Output = Fr;

    /// Horner's rule over blocks; lane j has the coefficients whose indices are j modulo 8.
    #[inline(always)]
    fn run(self, lanes: L) -> Fr {
        let step = L::single(self.step);
        let mut total = lanes.zero();
        for block in self.coefficients.chunks(BLOCK_ROWS).rev() {
            let (whole, rest) = block.as_chunks::<LANES>();
            let mut products = lanes.product(total, lanes.broadcast(&step));
            for (coefficients, powers) in whole.iter().zip(self.powers) {
                products = lanes.accumulate(products, lanes.load(coefficients), *powers);
            }
            if let Some(powers) = self.powers.get(whole.len()) {
                products = lanes.accumulate(products, lanes.load(&padded(rest, Fr::ZERO)), *powers);
            }
            // Below (1 + 64/84 + 2/84)·p.
            total = lanes.settle_sum(lanes.sum_products(products));
        }
        sum_of_lanes(lanes, total)
    }
}

/// `Σ_i a_i·b_i`, in parallel where it pays.
pub(super) fn inner_product<L: Lanes>(lanes: L, a: &[Fr], b: &[Fr]) -> Fr {
    let chunk = |(a, b): (&[Fr], &[Fr])| {
        if L::PLAIN { a.iter().zip(b).map(|(a, b)| a * b).sum() } else { lanes.run(InnerProduct { a, b }) }
    };
    if a.len() <= ROWS_PER_TASK {
        return chunk((a, b));
    }
    a.par_chunks(ROWS_PER_TASK).zip(b.par_chunks(ROWS_PER_TASK)).map(chunk).sum()
}

struct InnerProduct<'a> {
    a: &'a [Fr],
    b: &'a [Fr],
}

impl<L: Lanes> Kernel<L> for InnerProduct<'_> {
    type Output = Fr;

    #[inline(always)]
    fn run(self, lanes: L) -> Fr {
        let mut total = lanes.zero();
        for (a, b) in self.a.chunks(BLOCK_ROWS).zip(self.b.chunks(BLOCK_ROWS)) {
            let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            let (a_rest, b_rest) = (padded(a_rest, Fr::ZERO), padded(b_rest, Fr::ZERO));
            let mut products = lanes.product(lanes.load(&a_rest), lanes.load_factor(&b_rest));
            for (a, b) in a.iter().zip(b) {
                products = lanes.accumulate(products, lanes.load(a), lanes.load_factor(b));
            }
            // Below (1 + 65·16/84)·p and 2·p.
            total = lanes.lower(lanes.settle_sum(lanes.include(lanes.sum_products(products), total)));
        }
        sum_of_lanes(lanes, total)
    }
}

/// `Σ_i a_i·b_i` for integers a_i, in parallel where it pays.
pub(super) fn integer_product<L: Lanes>(lanes: L, a: &[i32], b: &[Fr]) -> Fr {
    let chunk = |(integers, elements): (&[i32], &[Fr])| {
        if L::PLAIN {
            let rows = Rows { integers, elements: &[] };
            elements.iter().enumerate().map(|(row, element)| rows.get(row) * element).sum()
        } else {
            lanes.run(IntegerProduct { integers, elements })
        }
    };
    let total: Fr = if a.len() <= ROWS_PER_TASK {
        chunk((a, b))
    } else {
        a.par_chunks(ROWS_PER_TASK).zip(b.par_chunks(ROWS_PER_TASK)).map(chunk).sum()
    };
    if L::PLAIN { total } else { total * radix() }
}

/// The sum divided by R.
struct IntegerProduct<'a> {
    integers: &'a [i32],
    elements: &'a [Fr],
}

impl<L: Lanes> Kernel<L> for IntegerProduct<'_> {
    type Output = Fr;

    #[inline(always)]
    fn run(self, lanes: L) -> Fr {
        let mut total = lanes.zero();
        for (a, b) in self.integers.chunks(BLOCK_ROWS).zip(self.elements.chunks(BLOCK_ROWS)) {
            let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            let mut a_last = [0; LANES];
            a_last[..a_rest.len()].copy_from_slice(a_rest);
            let b_last = padded(b_rest, Fr::ZERO);
            let mut products = lanes.product(load(lanes, &a_last), lanes.load_factor(&b_last));
            for (a, b) in a.iter().zip(b) {
                products = lanes.accumulate(products, load(lanes, a), lanes.load_factor(b));
            }
            // Below (1 + 65·16/84)·p and 2·p.
            total = lanes.lower(lanes.settle_sum(lanes.include(lanes.sum_products(products), total)));
        }
        sum_of_lanes(lanes, total)
    }
}

#[inline(always)]
fn sum_of_lanes<L: Lanes>(lanes: L, vector: L::Vector<Fr>) -> Fr {
    let mut elements = [Fr::ZERO; LANES];
    lanes.store(vector, &mut elements);
    elements.iter().sum()
}
