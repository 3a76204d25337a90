//! Resident vectors: one buffer each, and transfers.

use std::fmt;
use std::ops::Range;

use halo2curves::bn256::Fr;

use super::Wgpu;
use super::device::Device;
use super::pool::{Buffer, Window};
use super::recorder::Recorder;
use crate::backend::operands::check_range;
use crate::backend::{Counts, MemoryOps, Result, ScalarWords};

/// Bytes of an element.
pub(super) const ELEMENT_BYTES: u64 = 32;
/// Elements of one transfer to the device: transfers pass through memory of their own size.
const TRANSFER_ELEMENTS: usize = 1 << 20;

/// Transfers of this many bytes are begun at once, smaller ones with the next work.
const FLUSH_BYTES: usize = 1 << 20;

/// A vector of scalars in device memory. Its `Debug` form shows the length only: values may be secret.
pub struct WgpuScalars {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
}

impl fmt::Debug for WgpuScalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WgpuScalars({})", self.len)
    }
}

impl WgpuScalars {
    pub(super) fn bytes(&self) -> u64 {
        self.len as u64 * ELEMENT_BYTES
    }

    /// All elements, as a kernel sees them.
    pub(super) fn all(&self) -> Window<'_> {
        self.buffer.first(self.bytes())
    }

    /// The elements of some rows, which begin at a multiple of the rows that the device's alignment is.
    pub(super) fn rows(&self, rows: Range<usize>) -> Window<'_> {
        self.buffer.window(rows.start as u64 * ELEMENT_BYTES..rows.end as u64 * ELEMENT_BYTES)
    }
}

impl Device {
    /// A vector with arbitrary contents.
    pub(super) fn vector(&self, operation: &'static str, len: usize) -> Result<WgpuScalars> {
        Ok(WgpuScalars { buffer: self.allocate(operation, len as u64 * ELEMENT_BYTES)?, len })
    }

    /// Copies host values into a buffer, from a byte on.
    pub(super) fn write(&self, operation: &'static str, buffer: &Buffer, offset: u64, values: &[Fr]) -> Result<()> {
        let mut offset = offset;
        for chunk in values.chunks(TRANSFER_ELEMENTS) {
            let words = ScalarWords::column(chunk);
            let bytes: &[u8] = bytemuck::cast_slice(&words);
            self.write_bytes(operation, buffer, offset, bytes)?;
            offset += bytes.len() as u64;
        }
        Ok(())
    }

    /// Copies words into the beginning of a buffer.
    pub(super) fn write_words(&self, operation: &'static str, buffer: &Buffer, words: &[u32]) -> Result<()> {
        self.write_bytes(operation, buffer, 0, bytemuck::cast_slice(words))
    }

    fn write_bytes(&self, operation: &'static str, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.counters.add(|counters| {
            counters.bytes_up += bytes.len() as u64;
            counters.copies += 1;
        });
        self.attempt(operation, || {
            self.queue.write_buffer(buffer.raw(), offset, bytes);
            if bytes.len() >= FLUSH_BYTES {
                // Sends the bytes off, so that the memory they pass through is free again soon.
                self.queue.submit([]);
            }
        })
    }

    /// Scalars out of the words that a device returned.
    pub(super) fn scalars(&self, operation: &'static str, words: &[u32]) -> Result<Vec<Fr>> {
        let (elements, _) = words.as_chunks::<8>();
        let scalar = |(row, words): (usize, &[u32; 8])| {
            let unreduced = || self.error(operation, format!("element {row} is not below the modulus"));
            ScalarWords(*words).to_scalar().ok_or_else(unreduced)
        };
        elements.iter().enumerate().map(scalar).collect()
    }
}

impl Wgpu {
    /// Work of an operation.
    pub(super) fn record(&self, operation: &'static str) -> Recorder<'_> {
        Recorder::new(&self.device, operation)
    }

    fn read_rows(&self, operation: &'static str, vector: &WgpuScalars, rows: Range<usize>) -> Result<Vec<Fr>> {
        let mut values = Vec::with_capacity(rows.len());
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start + TRANSFER_ELEMENTS);
            let words = self.record(operation).read(&vector.rows(start..end))?;
            values.extend(self.device.scalars(operation, &words)?);
            start = end;
        }
        Ok(values)
    }
}

impl MemoryOps for Wgpu {
    type Scalars = WgpuScalars;

    fn name(&self) -> String {
        "wgpu".to_owned()
    }

    fn description(&self) -> String {
        format!("{}, {:?} arithmetic", self.device.name, self.device.arithmetic)
    }

    fn is_host(&self) -> bool {
        false
    }

    fn peak_bytes(&self) -> Option<u64> {
        Some(self.counters().peak_bytes_used)
    }

    fn counts(&self) -> Option<Counts> {
        Some(self.counters().counts())
    }

    fn len(&self, vector: &WgpuScalars) -> usize {
        vector.len
    }

    fn upload(&self, values: &[Fr]) -> Result<WgpuScalars> {
        let vector = self.device.vector("upload", values.len())?;
        self.device.write("upload", &vector.buffer, 0, values)?;
        Ok(vector)
    }

    fn zeros(&self, len: usize) -> Result<WgpuScalars> {
        let vector = self.device.vector("zeros", len)?;
        let mut work = self.record("zeros");
        work.clear(&vector.buffer, 0, vector.bytes());
        work.submit()?;
        Ok(vector)
    }

    fn download(&self, vector: &WgpuScalars) -> Result<Vec<Fr>> {
        self.read_rows("download", vector, 0..vector.len)
    }

    fn read_range(&self, vector: &WgpuScalars, range: Range<usize>) -> Result<Vec<Fr>> {
        check_range("read_range", vector.len, &range)?;
        self.read_rows("read_range", vector, range)
    }

    fn write_range(&self, vector: &mut WgpuScalars, start: usize, values: &[Fr]) -> Result<()> {
        let operation = "write_range";
        check_range(operation, vector.len, &(start..start.saturating_add(values.len())))?;
        self.device.write(operation, &vector.buffer, start as u64 * ELEMENT_BYTES, values)
    }

    fn slice(&self, vector: &WgpuScalars, range: Range<usize>) -> Result<WgpuScalars> {
        check_range("slice", vector.len, &range)?;
        let copy = self.device.vector("slice", range.len())?;
        let mut work = self.record("slice");
        work.copy(&vector.buffer, range.start as u64 * ELEMENT_BYTES, &copy.buffer, 0, copy.bytes());
        work.submit()?;
        Ok(copy)
    }
}
