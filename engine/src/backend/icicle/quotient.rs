//! Expression programs run on the processor.

use super::Icicle;
use crate::backend::cpu::{CpuProgram, CpuScalars};
use crate::backend::program::Program;
use crate::backend::{QuotientOps, Result};
use halo2curves::bn256::Fr;

impl QuotientOps for Icicle {
    type Compiled = CpuProgram;

    fn compile(&self, program: &Program) -> Result<CpuProgram> {
        self.cpu.compile(program)
    }

    fn evaluate(
        &self,
        compiled: &CpuProgram,
        n: usize,
        columns: &[&CpuScalars],
        scalars: &[Fr],
    ) -> Result<Vec<CpuScalars>> {
        self.cpu.evaluate(compiled, n, columns, scalars)
    }
}
