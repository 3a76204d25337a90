//! Buffers, and the pool that they return to.
//!
//! Work runs in the order of its submission, so a buffer that nobody holds may be handed out again at once: recorded
//! work holds its buffers until it is submitted.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::device::{Device, describe};
use crate::backend::Result;

/// Device memory. Contents are arbitrary when it is handed out; it returns to its pool when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Buffer(Arc<Loan>);

struct Loan {
    raw: wgpu::Buffer,
    kind: Kind,
    pool: Arc<Pool>,
}

/// What buffers are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Memory that kernels and copies read and write.
    Storage,
    /// Memory that the host reads.
    Readback,
}

impl Kind {
    fn usage(self) -> wgpu::BufferUsages {
        match self {
            Kind::Storage => wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            Kind::Readback => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.0.raw.size())
    }
}

impl Buffer {
    pub(super) fn raw(&self) -> &wgpu::Buffer {
        &self.0.raw
    }

    /// The first `bytes`, as a kernel sees them.
    pub(super) fn first(&self, bytes: u64) -> Window<'_> {
        self.window(0..bytes)
    }

    /// A range of bytes. It begins at a multiple of the device's alignment.
    pub(super) fn window(&self, bytes: Range<u64>) -> Window<'_> {
        Window { buffer: self, bytes }
    }
}

/// A range of the bytes of a buffer.
#[derive(Debug, Clone)]
pub(super) struct Window<'a> {
    pub(super) buffer: &'a Buffer,
    pub(super) bytes: Range<u64>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let bytes = self.raw.size();
        state.used -= bytes;
        if state.free_bytes + bytes > FREE_BYTES {
            state.trim();
        }
        state.free_bytes += bytes;
        state.free.entry((self.kind, bytes)).or_default().push(self.raw.clone());
    }
}

/// Free buffers by size.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    free: BTreeMap<(Kind, u64), Vec<wgpu::Buffer>>,
    free_bytes: u64,
    used: u64,
    peak: u64,
    allocated: u64,
}

impl State {
    /// Forgets all free buffers.
    fn trim(&mut self) {
        self.allocated -= self.free_bytes;
        self.free_bytes = 0;
        self.free.clear();
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes allocated, and the most bytes lent at a time.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let state = self.lock();
        (state.allocated, state.peak)
    }

    fn take(&self, kind: Kind, bytes: u64) -> Option<wgpu::Buffer> {
        let mut state = self.lock();
        let raw = state.free.get_mut(&(kind, bytes))?.pop()?;
        state.free_bytes -= bytes;
        Some(raw)
    }

    fn lend(self: &Arc<Self>, raw: wgpu::Buffer, kind: Kind, new: bool) -> Buffer {
        let mut state = self.lock();
        state.used += raw.size();
        state.peak = state.peak.max(state.used);
        state.allocated += if new { raw.size() } else { 0 };
        drop(state);
        Buffer(Arc::new(Loan { raw, kind, pool: Arc::clone(self) }))
    }
}

/// Free buffers are kept up to this much, so that there is room for what wgpu allocates itself, where a failure would
/// cost the device.
const FREE_BYTES: u64 = 1 << 30;
/// The smallest size.
const MIN_BYTES: u64 = 256;

/// The next size that the pool keeps: a quarter of a power of two, so that at most a fifth is wasted.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(MIN_BYTES);
    bytes.next_multiple_of(1 << (bytes.ilog2() - 2))
}

impl Device {
    /// Memory for kernels.
    pub(super) fn allocate(&self, operation: &'static str, bytes: u64) -> Result<Buffer> {
        self.allocate_kind(operation, bytes, Kind::Storage)
    }

    /// Memory that the host reads.
    pub(super) fn allocate_readback(&self, operation: &'static str, bytes: u64) -> Result<Buffer> {
        self.allocate_kind(operation, bytes, Kind::Readback)
    }

    fn allocate_kind(&self, operation: &'static str, bytes: u64, kind: Kind) -> Result<Buffer> {
        let limit = self.limits.buffer_bytes;
        if bytes > limit {
            return Err(self.error(operation, format!("a vector of {bytes} bytes: the device allows {limit}")));
        }
        let size = size_class(bytes).min(limit);
        if let Some(raw) = self.pool.take(kind, size) {
            return Ok(self.pool.lend(raw, kind, false));
        }
        let descriptor =
            wgpu::BufferDescriptor { label: Some(operation), size, usage: kind.usage(), mapped_at_creation: false };
        let create = || self.raw.create_buffer(&descriptor);
        self.check(operation)?;
        self.counters.add(|counters| counters.allocations += 1);
        let raw = match self.scoped(create) {
            Ok(raw) => raw,
            // Free buffers of other sizes may be what is in the way; they are gone once no work uses them.
            Err(wgpu::Error::OutOfMemory { .. }) => {
                self.pool.lock().trim();
                self.finish(operation, None)?;
                self.attempt(operation, create)?
            }
            Err(failed) => return Err(self.error(operation, describe(failed))),
        };
        Ok(self.pool.lend(raw, kind, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_waste_a_fifth_at_most() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, (1 << 40) - 1]) {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(4), "{bytes}");
            assert!(class * 4 <= bytes.max(MIN_BYTES) * 5, "{bytes}");
            assert_eq!(size_class(class), class, "{bytes}");
        }
        assert_eq!(size_class(1 << 25), 1 << 25);
    }
}
