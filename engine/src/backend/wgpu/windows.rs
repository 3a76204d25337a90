//! Windows: the pieces of a buffer that a kernel may see one at a time.

use std::ops::Range;

use super::device::Device;
use super::memory::ELEMENT_BYTES;
use super::pool::{Buffer, Window};

/// `0..len` in pieces.
pub(super) fn ranges(len: usize, rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len.div_ceil(rows)).map(move |i| i * rows..len.min((i + 1) * rows))
}

/// The rows of a vector that a kernel may see at once, piece by piece.
pub(super) fn windows(device: &Device, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    ranges(len, device.window_rows(ELEMENT_BYTES))
}

/// Some rows of a buffer.
pub(super) fn window<'b>(buffer: &'b Buffer, rows: &Range<usize>, row_bytes: u64) -> Window<'b> {
    buffer.window(rows.start as u64 * row_bytes..rows.end as u64 * row_bytes)
}

impl Device {
    /// Rows of a window: the largest power of two of them that a kernel may see.
    pub(super) fn window_rows(&self, row_bytes: u64) -> usize {
        1 << (self.limits.binding_bytes / row_bytes).max(1).ilog2().min(usize::BITS - 2)
    }
}
