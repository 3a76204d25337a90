//! What a device was asked for.

use serde::{Deserialize, Serialize};

/// Calls of a device's driver, and bytes to and from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Kernels started.
    pub launches: u64,
    /// Copies to the device and from it.
    pub copies: u64,
    /// Pieces of memory that the driver was asked for.
    pub allocations: u64,
    /// How often the host waited for results.
    pub waits: u64,
    /// Bytes copied to the device, parameters of kernels included.
    pub bytes_up: u64,
    /// Bytes copied from the device.
    pub bytes_down: u64,
}

impl Counts {
    /// What came after an earlier state.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            launches: self.launches.saturating_sub(before.launches),
            copies: self.copies.saturating_sub(before.copies),
            allocations: self.allocations.saturating_sub(before.allocations),
            waits: self.waits.saturating_sub(before.waits),
            bytes_up: self.bytes_up.saturating_sub(before.bytes_up),
            bytes_down: self.bytes_down.saturating_sub(before.bytes_down),
        }
    }
}
