//! Resident vectors, transfers, and what operations are put together from.

use std::fmt;
use std::ops::Range;

use bytemuck::Pod;
use halo2curves::bn256::Fr;

use super::Cuda;
use super::device::Buffer;
use super::driver::Address;
use super::kernels::{Arguments, Kernel};
use crate::backend::cpu::as_words;
use crate::backend::operands::check_range;
use crate::backend::{Counts, IntegerColumn, MemoryOps, Result, ScalarWords};
use crate::error::BackendError;

/// Bytes of an element.
pub(super) const ELEMENT_BYTES: u64 = 32;

/// A vector of scalars in device memory. Its `Debug` form shows the length only: values may be secret.
pub struct CudaScalars {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
}

impl fmt::Debug for CudaScalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CudaScalars({})", self.len)
    }
}

impl CudaScalars {
    pub(super) fn address(&self) -> Address {
        self.buffer.address()
    }

    /// Where a row is.
    pub(super) fn row(&self, row: usize) -> Address {
        self.address() + row as u64 * ELEMENT_BYTES
    }

    pub(super) fn bytes(&self) -> u64 {
        self.len as u64 * ELEMENT_BYTES
    }
}

/// An operation at work: launches, memory and transfers in its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'c> {
    pub(super) cuda: &'c Cuda,
    pub(super) operation: &'static str,
}

impl Work<'_> {
    /// Starts a kernel on a row of blocks.
    pub(super) fn launch(&self, kernel: &Kernel, blocks: usize, arguments: Arguments) -> Result<()> {
        self.launch_grid(kernel, [blocks, 1], arguments)
    }

    pub(super) fn launch_grid(&self, kernel: &Kernel, grid: [usize; 2], arguments: Arguments) -> Result<()> {
        self.cuda.device.launch(self.operation, kernel, grid, arguments)
    }

    pub(super) fn allocate(&self, bytes: u64) -> Result<Buffer> {
        self.cuda.device.allocate(self.operation, bytes)
    }

    /// Memory for as many values of a type.
    pub(super) fn room<T>(&self, count: usize) -> Result<Buffer> {
        self.allocate((count * size_of::<T>()) as u64)
    }

    /// The same, zeroed.
    pub(super) fn zeroed<T>(&self, count: usize) -> Result<Buffer> {
        let buffer = self.room::<T>(count)?;
        self.fill(buffer.address(), 0, (count * size_of::<T>()) as u64)?;
        Ok(buffer)
    }

    /// A vector with arbitrary contents.
    pub(super) fn vector(&self, len: usize) -> Result<CudaScalars> {
        Ok(CudaScalars { buffer: self.allocate(len as u64 * ELEMENT_BYTES)?, len })
    }

    pub(super) fn fill(&self, address: Address, value: u8, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.cuda.device.attempt(self.operation, |context| context.fill(address, value, bytes))
    }

    pub(super) fn copy(&self, from: Address, to: Address, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.cuda.device.attempt(self.operation, |context| context.copy(from, to, bytes))
    }

    /// Plain values, in device memory.
    pub(super) fn upload<T: Pod>(&self, values: &[T]) -> Result<Buffer> {
        let buffer = self.room::<T>(values.len())?;
        self.cuda.device.write(self.operation, buffer.address(), bytemuck::cast_slice(values))?;
        Ok(buffer)
    }

    /// Copies scalars to the device.
    pub(super) fn write(&self, to: Address, values: &[Fr]) -> Result<()> {
        self.write_bytes(to, bytemuck::cast_slice(as_words(values)))
    }

    pub(super) fn write_bytes(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.cuda.device.write(self.operation, to, bytes)
    }

    /// Plain values out of device memory.
    pub(super) fn read<T: Pod>(&self, from: Address, count: usize) -> Result<Vec<T>> {
        let mut values = vec![T::zeroed(); count];
        let mut rest: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        let bytes = rest.len();
        self.cuda.device.read(self.operation, from, bytes, |piece| {
            let (place, after) = std::mem::take(&mut rest).split_at_mut(piece.len());
            place.copy_from_slice(piece);
            rest = after;
        })?;
        Ok(values)
    }

    /// Scalars out of device memory.
    pub(super) fn read_scalars(&self, from: Address, count: usize) -> Result<Vec<Fr>> {
        let words: Vec<ScalarWords> = self.read(from, count)?;
        let scalar = |(row, words): (usize, &ScalarWords)| {
            let unreduced = || self.error(format!("element {row} is not below the modulus"));
            words.to_scalar().ok_or_else(unreduced)
        };
        words.iter().enumerate().map(scalar).collect()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> BackendError {
        self.cuda.device.error(self.operation, message)
    }
}

impl Cuda {
    pub(super) fn work(&self, operation: &'static str) -> Work<'_> {
        Work { cuda: self, operation }
    }
}

impl MemoryOps for Cuda {
    type Scalars = CudaScalars;

    fn name(&self) -> String {
        "cuda".to_owned()
    }

    fn description(&self) -> String {
        self.device.description.clone()
    }

    fn is_host(&self) -> bool {
        false
    }

    fn peak_bytes(&self) -> Option<u64> {
        Some(self.counters().peak_bytes_used)
    }

    fn free_bytes(&self) -> Option<u64> {
        Some(self.device.free_bytes())
    }

    fn counts(&self) -> Option<Counts> {
        Some(self.counters().counts())
    }

    fn len(&self, vector: &CudaScalars) -> usize {
        vector.len
    }

    fn upload(&self, values: &[Fr]) -> Result<CudaScalars> {
        let work = self.work("upload");
        let vector = work.vector(values.len())?;
        work.write(vector.address(), values)?;
        Ok(vector)
    }

    fn upload_integers(&self, column: IntegerColumn<'_>) -> Result<CudaScalars> {
        let uploaded = self.upload_integer_columns(&[column])?.pop();
        uploaded.ok_or_else(|| self.work("upload_integers").error("no column was made of one"))
    }

    fn upload_integer_columns(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<CudaScalars>> {
        self.expand(columns)
    }

    fn zeros(&self, len: usize) -> Result<CudaScalars> {
        let work = self.work("zeros");
        let vector = work.vector(len)?;
        work.fill(vector.address(), 0, vector.bytes())?;
        Ok(vector)
    }

    fn download(&self, vector: &CudaScalars) -> Result<Vec<Fr>> {
        self.work("download").read_scalars(vector.address(), vector.len)
    }

    fn read_range(&self, vector: &CudaScalars, range: Range<usize>) -> Result<Vec<Fr>> {
        check_range("read_range", vector.len, &range)?;
        self.work("read_range").read_scalars(vector.row(range.start), range.len())
    }

    fn write_range(&self, vector: &mut CudaScalars, start: usize, values: &[Fr]) -> Result<()> {
        check_range("write_range", vector.len, &(start..start.saturating_add(values.len())))?;
        self.work("write_range").write(vector.row(start), values)
    }

    fn slice(&self, vector: &CudaScalars, range: Range<usize>) -> Result<CudaScalars> {
        check_range("slice", vector.len, &range)?;
        let work = self.work("slice");
        let copy = work.vector(range.len())?;
        work.copy(vector.row(range.start), copy.address(), copy.bytes())?;
        Ok(copy)
    }
}
