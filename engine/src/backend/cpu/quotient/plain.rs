//! The same steps as loops over elements, for processors without vector multiplication: there a vector of eight
//! elements is memory, and a kernel's copies of it cost up to a third.

use ff::Field;
use halo2curves::bn256::Fr;

use super::registers::{Location, Step};
use super::task::{Task, Wrapped};
use super::{BLOCK, BLOCK_ROWS};

/// Computes a chunk of rows.
pub(super) fn run(mut task: Task<'_>) {
    let compiled = task.inputs.compiled;
    let mut registers = compiled.registers.map(|count| vec![[Fr::ZERO; BLOCK_ROWS]; count]);
    let mut wrapped = Wrapped::new(task.inputs);
    let rows = task.outputs.first().map_or(0, |output| output.len());
    let mut result = [Fr::ZERO; BLOCK_ROWS];
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let cells = wrapped.cells(task.inputs, task.start + first);
        let scalars = [task.inputs.terms.as_slice(), &task.inputs.factors];
        for step in &compiled.steps {
            Block { scalars, cells: &cells, registers: &registers }.run(step, &mut result);
            for (registers, target) in registers.iter_mut().zip([step.vector, step.factor]) {
                if let Some(target) = target {
                    registers[target] = result;
                }
            }
        }
        let block = Block { scalars, cells: &cells, registers: &registers };
        for (output, location) in task.outputs.iter_mut().zip(&compiled.outputs) {
            let target = &mut output[first..rows.min(first + BLOCK_ROWS)];
            match block.view(*location, VECTOR) {
                View::Scalar(value) => target.fill(std::mem::MaybeUninit::new(*value)),
                View::Rows(rows) => {
                    target.write_copy_of_slice(&rows[..target.len()]);
                }
            }
        }
    }
}

/// Of the two kinds of registers and scalars, that of vectors and terms.
const VECTOR: usize = 0;
/// That of factors.
const FACTOR: usize = 1;

/// The state of one block.
struct Block<'a> {
    scalars: [&'a [Fr]; 2],
    cells: &'a [&'a [[Fr; super::LANES]]],
    registers: &'a [Vec<[Fr; BLOCK_ROWS]>; 2],
}

/// One operand.
#[derive(Clone, Copy)]
enum View<'a> {
    Scalar(&'a Fr),
    Rows(&'a [Fr]),
}

impl Block<'_> {
    fn run(&self, step: &Step, target: &mut [Fr; BLOCK_ROWS]) {
        let [mut positive, negative] = step.products.each_ref().map(Vec::as_slice);
        let [mut included, excluded] = step.terms.each_ref().map(Vec::as_slice);
        match (positive, included) {
            ([(a, b), products @ ..], [c, terms @ ..]) => {
                (positive, included) = (products, terms);
                let (a, b) = (self.view(*a, VECTOR), self.view(*b, FACTOR));
                match self.view(*c, VECTOR) {
                    View::Scalar(c) => for_rows(target, a, b, |target, a, b| *target = a * b + c),
                    View::Rows(c) => {
                        target.copy_from_slice(c);
                        for_rows(target, a, b, |target, a, b| *target += a * b);
                    }
                }
            }
            ([(a, b), products @ ..], []) => {
                positive = products;
                let (a, b) = (self.view(*a, VECTOR), self.view(*b, FACTOR));
                for_rows(target, a, b, |target, a, b| *target = a * b);
            }
            ([], [a, b, terms @ ..]) => {
                included = terms;
                let (a, b) = (self.view(*a, VECTOR), self.view(*b, VECTOR));
                for_rows(target, a, b, |target, a, b| *target = a + b);
            }
            ([], [term]) => {
                included = &[];
                match self.view(*term, VECTOR) {
                    View::Scalar(value) => target.fill(*value),
                    View::Rows(rows) => target.copy_from_slice(rows),
                }
            }
            ([], []) => target.fill(Fr::ZERO),
        }
        for (a, b) in positive {
            for_rows(target, self.view(*a, VECTOR), self.view(*b, FACTOR), |target, a, b| *target += a * b);
        }
        for (a, b) in negative {
            for_rows(target, self.view(*a, VECTOR), self.view(*b, FACTOR), |target, a, b| *target -= a * b);
        }
        for term in included {
            let term = self.view(*term, VECTOR);
            for_rows(target, term, term, |target, term, _| *target += term);
        }
        for term in excluded {
            let term = self.view(*term, VECTOR);
            for_rows(target, term, term, |target, term, _| *target -= term);
        }
    }

    fn view(&self, location: Location, kind: usize) -> View<'_> {
        match location {
            Location::Scalar(index) => View::Scalar(&self.scalars[kind][index]),
            Location::Query(index) => View::Rows(self.cells[index][..BLOCK].as_flattened()),
            Location::Register(index) => View::Rows(&self.registers[kind][index]),
        }
    }
}

#[inline(always)]
fn for_rows(target: &mut [Fr; BLOCK_ROWS], a: View<'_>, b: View<'_>, f: impl Fn(&mut Fr, &Fr, &Fr)) {
    let target = target.iter_mut();
    match (a, b) {
        (View::Rows(a), View::Rows(b)) => target.zip(a.iter().zip(b)).for_each(|(target, (a, b))| f(target, a, b)),
        (View::Rows(a), View::Scalar(b)) => target.zip(a).for_each(|(target, a)| f(target, a, b)),
        (View::Scalar(a), View::Rows(b)) => target.zip(b).for_each(|(target, b)| f(target, a, b)),
        (View::Scalar(a), View::Scalar(b)) => target.for_each(|target| f(target, a, b)),
    }
}
