//! Resident vectors are plain host vectors.

use super::Cpu;
use crate::backend::{MemoryOps, Result};
use crate::error::BackendError;
use ff::Field;
use halo2curves::bn256::Fr;
use std::fmt;
use std::ops::Range;

/// A vector of scalars in host memory. Its `Debug` form shows the length only: values may be secret.
pub struct CpuScalars(pub(super) Vec<Fr>);

impl fmt::Debug for CpuScalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuScalars({})", self.0.len())
    }
}

impl MemoryOps for Cpu {
    type Scalars = CpuScalars;

    fn name(&self) -> String {
        "cpu".to_owned()
    }

    fn description(&self) -> String {
        let (arch, instructions) = (std::env::consts::ARCH, self.processor.name());
        format!("{arch} processor, {instructions}, {} threads", rayon::current_num_threads())
    }

    fn len(&self, vector: &CpuScalars) -> usize {
        vector.0.len()
    }

    fn upload(&self, values: &[Fr]) -> Result<CpuScalars> {
        Ok(CpuScalars(values.to_vec()))
    }

    fn zeros(&self, len: usize) -> Result<CpuScalars> {
        Ok(CpuScalars(vec![Fr::ZERO; len]))
    }

    fn download(&self, vector: &CpuScalars) -> Result<Vec<Fr>> {
        Ok(vector.0.clone())
    }

    fn read_range(&self, vector: &CpuScalars, range: Range<usize>) -> Result<Vec<Fr>> {
        window("read_range", vector, range).map(<[Fr]>::to_vec)
    }

    fn write_range(&self, vector: &mut CpuScalars, start: usize, values: &[Fr]) -> Result<()> {
        let len = vector.0.len();
        let end = start.saturating_add(values.len());
        let target = vector.0.get_mut(start..end).ok_or(BackendError::OutOfRange {
            operation: "write_range",
            start,
            end,
            len,
        })?;
        target.copy_from_slice(values);
        Ok(())
    }

    fn slice(&self, vector: &CpuScalars, range: Range<usize>) -> Result<CpuScalars> {
        window("slice", vector, range).map(|rows| CpuScalars(rows.to_vec()))
    }
}

fn window<'a>(operation: &'static str, vector: &'a CpuScalars, range: Range<usize>) -> Result<&'a [Fr]> {
    let Range { start, end } = range;
    let len = vector.0.len();
    vector.0.get(start..end).ok_or(BackendError::OutOfRange { operation, start, end, len })
}
