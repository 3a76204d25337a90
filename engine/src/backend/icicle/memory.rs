//! Vectors are the processor back end's.

use std::ops::Range;

use halo2curves::bn256::Fr;

use super::Icicle;
use crate::backend::cpu::CpuScalars;
use crate::backend::{MemoryOps, Result};

impl MemoryOps for Icicle {
    type Scalars = CpuScalars;

    fn name(&self) -> String {
        "icicle".to_owned()
    }

    fn description(&self) -> String {
        format!("ICICLE {} on {}, beside {}", self.device.library.version, self.device.name, self.cpu.description())
    }

    fn len(&self, vector: &CpuScalars) -> usize {
        self.cpu.len(vector)
    }

    fn upload(&self, values: &[Fr]) -> Result<CpuScalars> {
        self.cpu.upload(values)
    }

    fn zeros(&self, len: usize) -> Result<CpuScalars> {
        self.cpu.zeros(len)
    }

    fn download(&self, vector: &CpuScalars) -> Result<Vec<Fr>> {
        self.cpu.download(vector)
    }

    fn read_range(&self, vector: &CpuScalars, range: Range<usize>) -> Result<Vec<Fr>> {
        self.cpu.read_range(vector, range)
    }

    fn write_range(&self, vector: &mut CpuScalars, start: usize, values: &[Fr]) -> Result<()> {
        self.cpu.write_range(vector, start, values)
    }

    fn slice(&self, vector: &CpuScalars, range: Range<usize>) -> Result<CpuScalars> {
        self.cpu.slice(vector, range)
    }
}
