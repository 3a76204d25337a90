//! An evaluation in tasks, which are chunks of rows: what they share, and what each of them sees of the columns.

use std::mem::MaybeUninit;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::super::lanes::LANES;
use super::super::shared::{reserve, written};
use super::{BLOCK, BLOCK_ROWS, CpuProgram};
use crate::backend::program::Query;

/// Rows times steps of a task: some hundred microseconds.
const TASK_STEPS: usize = 1 << 16;
/// The fewest rows of a task, which outweigh the making of its registers.
const TASK_ROWS: usize = 8 * BLOCK_ROWS;

/// The outputs of a program over columns of length n; `run` writes all rows of a task's outputs.
#[allow(unsafe_code)]
pub(super) fn evaluate(inputs: &Inputs<'_>, run: impl Fn(Task<'_>) + Send + Sync) -> Vec<Vec<Fr>> {
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

#[allow(clippy::cast_possible_truncation, reason = "what is left by a division by n is below n")]
fn first_row(query: &Query, start: usize, n: usize) -> usize {
    // A vector's length fits in an i64, and so does the sum with a 32-bit rotation.
    (start as i64 + i64::from(query.rotation)).rem_euclid(n as i64) as usize
}
