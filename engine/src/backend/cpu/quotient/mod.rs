//! Expression programs, interpreted a block of rows at a time.
//!
//! Compilation has three steps. Instructions are joined to sums of products (`fuse.rs`), because a sum of products is
//! reduced once; operands are given their forms, and bounds to what is not reduced (`plan.rs`); and results get
//! registers (`registers.rs`). What comes out does not depend on the lanes; chunks of rows (`task.rs`) go through it
//! with any lanes (`interpreter.rs`), or as plain loops (`plain.rs`).
//!
//! For the program `selector·(a·b - c)` the steps are `r_0 = a·b - c`, as a factor, and `r_0·selector`:
//!
//! | step | loads | multiplies | reduces | carries |
//! |---|---|---|---|---|
//! | `r_0` | a, b (as a factor), c | 1 | 1 | 1 |
//! | output | selector (as a factor) | 1 | 1 | 1 |

mod fuse;
mod interpreter;
mod plain;
mod plan;
mod registers;
mod task;
#[cfg(test)]
mod tests;

use halo2curves::bn256::Fr;

use super::lanes::{LANES, Lanes, with_lanes};
use super::{Cpu, CpuScalars};
use crate::backend::program::Program;
use crate::backend::{QuotientOps, Result};
use registers::{Location, Step};
use task::Inputs;

/// Vectors per dispatch. Registers take 320 bytes a vector: a program's few dozen stay in the second-level cache, and
/// those that a step touches in the first.
const BLOCK: usize = 8;
/// Rows per dispatch.
const BLOCK_ROWS: usize = BLOCK * LANES;

/// A program with products summed up, bounds and forms decided and registers assigned.
#[derive(Debug)]
pub struct CpuProgram {
    program: Program,
    steps: Vec<Step>,
    outputs: Vec<Location>,
    /// Registers that hold vectors, and registers that hold factors.
    registers: [usize; 2],
    /// The scalars that are terms of sums, as indices of the scalar table.
    terms: Vec<usize>,
    /// The scalars that are factors, and whether they are negated.
    factors: Vec<(usize, bool)>,
}

impl QuotientOps for Cpu {
    type Compiled = CpuProgram;

    fn compile(&self, program: &Program) -> Result<CpuProgram> {
        Ok(registers::assign(program, plan::plan(program, fuse::fuse(program))))
    }

    fn evaluate(
        &self,
        compiled: &CpuProgram,
        n: usize,
        columns: &[&CpuScalars],
        scalars: &[Fr],
    ) -> Result<Vec<CpuScalars>> {
        let lengths: Vec<usize> = columns.iter().map(|column| column.len()).collect();
        compiled.program.check_columns(n, &lengths)?;
        let scalars = compiled.program.scalar_table(scalars)?;
        let columns: Vec<_> = columns.iter().map(|column| column.elements(self)).collect();
        let columns: Vec<&[Fr]> = columns.iter().map(|column| &**column).collect();
        let inputs = Inputs::new(compiled, n, &columns, &scalars);
        let outputs = with_lanes!(self.processor, lanes => evaluate_with(lanes, &inputs));
        Ok(outputs.into_iter().map(CpuScalars::from).collect())
    }
}

fn evaluate_with<L: Lanes>(lanes: L, inputs: &Inputs<'_>) -> Vec<Vec<Fr>> {
    task::evaluate(inputs, |task| if L::PLAIN { plain::run(task) } else { lanes.run(task) })
}
