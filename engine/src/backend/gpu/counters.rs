//! Counts of what a device did, by operation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::backend::Counts;

/// What a device has done since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels started, by the operation that they were for.
    pub dispatches: BTreeMap<&'static str, u64>,
    /// Bytes copied to the device, parameters of kernels included.
    pub bytes_up: u64,
    /// Bytes copied from the device.
    pub bytes_down: u64,
    /// Copies to the device and from it.
    pub copies: u64,
    /// Pieces of memory that the driver was asked for.
    pub allocations: u64,
    /// How often the host waited for results.
    pub waits: u64,
    /// Bytes of device memory in vectors, scratch space and the pool.
    pub bytes_allocated: u64,
    /// The most bytes that vectors and scratch space took at a time.
    pub peak_bytes_used: u64,
}

impl Counters {
    /// Kernels started.
    pub fn launches(&self) -> u64 {
        self.dispatches.values().sum()
    }

    /// Calls and bytes alone, whatever they were for.
    pub fn counts(&self) -> Counts {
        Counts {
            launches: self.launches(),
            copies: self.copies,
            allocations: self.allocations,
            waits: self.waits,
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
        }
    }
}

/// Counters that operations add to.
#[derive(Debug, Default)]
pub(in crate::backend) struct Tally(Mutex<Counters>);

impl Tally {
    pub(in crate::backend) fn add(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The counters, with what the pool says of memory: bytes allocated, and the most in use at a time.
    pub(in crate::backend) fn snapshot(&self, (bytes_allocated, peak_bytes_used): (u64, u64)) -> Counters {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Counters { bytes_allocated, peak_bytes_used, ..counters }
    }
}
