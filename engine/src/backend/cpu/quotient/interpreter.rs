//! Runs a compiled program: one dispatch of a step serves a block of rows, eight of them in each vector.

use super::super::lanes::{Kernel, LANES, Lanes, store_new};
use super::super::shared::{reserve, written};
use super::registers::{Source, Step};
use super::{BLOCK, BLOCK_ROWS, CpuProgram, plain};
use crate::backend::program::Query;
use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use std::cell::Cell;
use std::mem::MaybeUninit;

/// Rows times steps of a task: some hundred microseconds.
const TASK_STEPS: usize = 1 << 16;
/// The fewest rows of a task, which outweigh the making of its registers.
const TASK_ROWS: usize = 8 * BLOCK_ROWS;

/// The outputs of a program over columns of length n.
pub(super) fn evaluate<L: Lanes>(lanes: L, inputs: &Inputs<'_>) -> Vec<Vec<Fr>> {
    evaluate_by(inputs, |task| if L::PLAIN { plain::run(task) } else { lanes.run(task) })
}

/// As [`evaluate`]; `run` writes all rows of a task's outputs.
#[allow(unsafe_code)]
pub(super) fn evaluate_by(inputs: &Inputs<'_>, run: impl Fn(Task<'_>) + Send + Sync) -> Vec<Vec<Fr>> {
    let (n, compiled) = (inputs.n, inputs.compiled);
    let mut outputs: Vec<Vec<MaybeUninit<Fr>>> = compiled.outputs.iter().map(|_| reserve(n)).collect();
    let rows = (TASK_STEPS / compiled.steps.len().max(1)).next_multiple_of(BLOCK_ROWS).max(TASK_ROWS);
    let mut tasks: Vec<Task<'_>> =
        (0..n).step_by(rows).map(|start| Task { inputs, start, outputs: Vec::new() }).collect();
    for output in &mut outputs {
        for (task, rows) in tasks.iter_mut().zip(output.chunks_mut(rows)) {
            task.outputs.push(rows);
        }
    }
    match tasks.len() {
        0 | 1 => tasks.into_iter().for_each(run),
        _ => tasks.into_par_iter().for_each(run),
    }
    // SAFETY: the tasks' chunks are all of every output, and a task writes all of its own.
    outputs.into_iter().map(|output| unsafe { written(output) }).collect()
}

/// What the tasks of an evaluation share.
pub(super) struct Inputs<'a> {
    pub(super) compiled: &'a CpuProgram,
    pub(super) n: usize,
    pub(super) columns: &'a [&'a [Fr]],
    /// The scalars that are terms.
    pub(super) terms: Vec<Fr>,
    /// The scalars that are factors.
    pub(super) factors: Vec<Fr>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(compiled: &'a CpuProgram, n: usize, columns: &'a [&'a [Fr]], scalars: &[Fr]) -> Self {
        let terms = compiled.terms.iter().map(|&index| scalars[index]).collect();
        let signed = |&(index, negated): &(usize, bool)| if negated { -scalars[index] } else { scalars[index] };
        Inputs { compiled, n, columns, terms, factors: compiled.factors.iter().map(signed).collect() }
    }
}

/// A chunk of rows.
pub(super) struct Task<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) start: usize,
    /// These rows of every output.
    pub(super) outputs: Vec<&'a mut [MaybeUninit<Fr>]>,
}

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
            for (output, source) in self.outputs.iter_mut().zip(&compiled.outputs) {
                let end = rows.min(first + BLOCK_ROWS);
                block.store(lanes, *source, &mut output[first..end]);
            }
        }
    }
}

/// Copies of the cells whose rows go past the columns' end.
pub(super) struct Wrapped(Vec<Vec<[Fr; LANES]>>);

impl Wrapped {
    pub(super) fn new(inputs: &Inputs<'_>) -> Self {
        Wrapped(vec![Vec::new(); inputs.compiled.program.queries().len()])
    }

    /// The cells of every query for the block from a row on, of which those past the last row count from the first.
    pub(super) fn cells<'a>(&'a mut self, inputs: &Inputs<'a>, start: usize) -> Vec<&'a [[Fr; LANES]]> {
        let queries = inputs.compiled.program.queries();
        let cells = queries.iter().zip(&mut self.0).map(|(query, copy)| {
            let (column, first) = (inputs.columns[query.column], first_row(query, start, inputs.n));
            if let Some(rows) = column.get(first..first + BLOCK_ROWS) {
                return rows.as_chunks().0;
            }
            let mut rows = (first..).map(|row| column[row % inputs.n]);
            copy.clear();
            copy.extend((0..BLOCK).map(|_| std::array::from_fn(|_| rows.next().unwrap_or(Fr::ZERO))));
            copy.as_slice()
        });
        cells.collect()
    }
}

fn first_row(query: &Query, start: usize, n: usize) -> usize {
    // A vector's length fits in an i64, and so does the sum with a 32-bit rotation.
    (start as i64 + i64::from(query.rotation)).rem_euclid(n as i64) as usize
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
    fn product(&self, lanes: L, (vector, factor): &(Source, Source), i: usize) -> L::Products<Fr> {
        lanes.product(self.vector(lanes, *vector, i), self.factor(lanes, *factor, i))
    }

    #[inline(always)]
    fn accumulate(
        &self,
        lanes: L,
        mut sum: L::Products<Fr>,
        products: &[(Source, Source)],
        i: usize,
    ) -> L::Products<Fr> {
        for (vector, factor) in products {
            sum = lanes.accumulate(sum, self.vector(lanes, *vector, i), self.factor(lanes, *factor, i));
        }
        sum
    }

    #[inline(always)]
    fn vector(&self, lanes: L, source: Source, i: usize) -> L::Vector<Fr> {
        match source {
            Source::Scalar(index) => self.terms[index],
            Source::Query(index) => lanes.load(&self.cells[index][i]),
            Source::Register(index) => self.vectors[index * BLOCK + i].get(),
        }
    }

    #[inline(always)]
    fn factor(&self, lanes: L, source: Source, i: usize) -> L::Factor<Fr> {
        match source {
            Source::Scalar(index) => lanes.broadcast(&self.scalar_factors[index]),
            Source::Query(index) => lanes.load_factor(&self.cells[index][i]),
            Source::Register(index) => self.factors[index * BLOCK + i].get(),
        }
    }

    /// Writes the rows of an output that there are.
    #[inline(always)]
    fn store(&self, lanes: L, source: Source, target: &mut [MaybeUninit<Fr>]) {
        let (whole, rest) = target.as_chunks_mut::<LANES>();
        for (i, target) in whole.iter_mut().enumerate() {
            store_new(lanes, self.vector(lanes, source, i), target);
        }
        if !rest.is_empty() {
            let mut last = [Fr::ZERO; LANES];
            lanes.store(self.vector(lanes, source, whole.len()), &mut last);
            rest.write_copy_of_slice(&last[..rest.len()]);
        }
    }
}
