//! Runs a compiled program: one dispatch of a step serves a block of rows, eight of them in each vector.

use std::cell::Cell;
use std::mem::MaybeUninit;

use ff::Field;
use halo2curves::bn256::Fr;

use super::super::lanes::{Kernel, LANES, Lanes, store_new};
use super::registers::{Location, Step};
use super::task::{Task, Wrapped};
use super::{BLOCK, BLOCK_ROWS};

impl<L: Lanes> Kernel<L> for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self, lanes: L) {
        let compiled = self.inputs.compiled;
        let mut terms = Vec::with_capacity(self.inputs.terms.len());
        for term in &self.inputs.terms {
            terms.push(lanes.splat(*term));
        }
        let scalar_factors: Vec<L::Single<Fr>> = self.inputs.factors.iter().map(|factor| L::single(*factor)).collect();
        let [vectors, factors] = compiled.registers;
        let mut vectors = vec![lanes.zero::<Fr>(); vectors * BLOCK];
        let mut factors = vec![lanes.factor(lanes.zero::<Fr>()); factors * BLOCK];
        let mut wrapped = Wrapped::new(self.inputs);
        let rows = self.outputs.first().map_or(0, |output| output.len());
        for first in (0..rows).step_by(BLOCK_ROWS) {
            let block = Block {
                cells: wrapped.cells(self.inputs, self.start + first),
                terms: &terms,
                scalar_factors: &scalar_factors,
                vectors: Cell::from_mut(vectors.as_mut_slice()).as_slice_of_cells(),
                factors: Cell::from_mut(factors.as_mut_slice()).as_slice_of_cells(),
            };
            for step in &compiled.steps {
                block.run(lanes, step);
            }
            for (output, location) in self.outputs.iter_mut().zip(&compiled.outputs) {
                let end = rows.min(first + BLOCK_ROWS);
                block.store(lanes, *location, &mut output[first..end]);
            }
        }
    }
}

/// The state of one block.
struct Block<'a, L: Lanes> {
    /// By query.
    cells: Vec<&'a [[Fr; LANES]]>,
    terms: &'a [L::Vector<Fr>],
    scalar_factors: &'a [L::Single<Fr>],
    /// [`BLOCK`] vectors a register.
    vectors: &'a [Cell<L::Vector<Fr>>],
    /// [`BLOCK`] factors a register.
    factors: &'a [Cell<L::Factor<Fr>>],
}

impl<L: Lanes> Block<'_, L> {
    #[inline(always)]
    fn run(&self, lanes: L, step: &Step) {
        for i in 0..BLOCK {
            let sum = self.sum(lanes, step, i);
            match (step.lowered, step.factor, step.vector) {
                (false, Some(factor), None) => self.factors[factor * BLOCK + i].set(lanes.settle_factor(sum)),
                (false, None, Some(vector)) => self.vectors[vector * BLOCK + i].set(lanes.settle_sum(sum)),
                (lowered, factor, vector) => {
                    let settled = lanes.settle_sum(sum);
                    let settled = if lowered { lanes.lower(settled) } else { settled };
                    if let Some(factor) = factor {
                        self.factors[factor * BLOCK + i].set(lanes.factor(settled));
                    }
                    if let Some(vector) = vector {
                        self.vectors[vector * BLOCK + i].set(settled);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn sum(&self, lanes: L, step: &Step, i: usize) -> L::Sum<Fr> {
        let [included, excluded] = &step.terms;
        let mut included = included.as_slice();
        let mut sum = match (self.products(lanes, step, i), included) {
            (Some(products), _) => lanes.sum_products(products),
            (None, [first, rest @ ..]) => {
                included = rest;
                lanes.sum(self.vector(lanes, *first, i))
            }
            (None, []) => lanes.sum(lanes.zero()),
        };
        for term in included {
            sum = lanes.include(sum, self.vector(lanes, *term, i));
        }
        for term in excluded {
            sum = lanes.exclude(sum, self.vector(lanes, *term, i));
        }
        if step.raise > 0 { lanes.raise(sum, step.raise) } else { sum }
    }

    #[inline(always)]
    fn products(&self, lanes: L, step: &Step, i: usize) -> Option<L::Products<Fr>> {
        let [positive, negative] = &step.products;
        match (positive.as_slice(), negative.as_slice()) {
            ([], []) => None,
            ([first, rest @ ..], []) => Some(self.accumulate(lanes, self.product(lanes, first, i), rest, i)),
            (positive, [first, rest @ ..]) => {
                let negative = self.accumulate(lanes, self.product(lanes, first, i), rest, i);
                Some(self.accumulate(lanes, lanes.negate_products(negative), positive, i))
            }
        }
    }

    #[inline(always)]
    fn product(&self, lanes: L, (vector, factor): &(Location, Location), i: usize) -> L::Products<Fr> {
        lanes.product(self.vector(lanes, *vector, i), self.factor(lanes, *factor, i))
    }

    #[inline(always)]
    fn accumulate(
        &self,
        lanes: L,
        mut sum: L::Products<Fr>,
        products: &[(Location, Location)],
        i: usize,
    ) -> L::Products<Fr> {
        for (vector, factor) in products {
            sum = lanes.accumulate(sum, self.vector(lanes, *vector, i), self.factor(lanes, *factor, i));
        }
        sum
    }

    #[inline(always)]
    fn vector(&self, lanes: L, location: Location, i: usize) -> L::Vector<Fr> {
        match location {
            Location::Scalar(index) => self.terms[index],
            Location::Query(index) => lanes.load(&self.cells[index][i]),
            Location::Register(index) => self.vectors[index * BLOCK + i].get(),
        }
    }

    #[inline(always)]
    fn factor(&self, lanes: L, location: Location, i: usize) -> L::Factor<Fr> {
        match location {
            Location::Scalar(index) => lanes.broadcast(&self.scalar_factors[index]),
            Location::Query(index) => lanes.load_factor(&self.cells[index][i]),
            Location::Register(index) => self.factors[index * BLOCK + i].get(),
        }
    }

    /// Writes the rows of an output that there are.
    #[inline(always)]
    fn store(&self, lanes: L, location: Location, target: &mut [MaybeUninit<Fr>]) {
        let (whole, rest) = target.as_chunks_mut::<LANES>();
        for (i, target) in whole.iter_mut().enumerate() {
            store_new(lanes, self.vector(lanes, location, i), target);
        }
        if !rest.is_empty() {
            let mut last = [Fr::ZERO; LANES];
            lanes.store(self.vector(lanes, location, whole.len()), &mut last);
            rest.write_copy_of_slice(&last[..rest.len()]);
        }
    }
}
