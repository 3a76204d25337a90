//! Whether a proof fits this machine's memory.

use crate::{CompiledModel, Error};

/// Bytes of a field element.
const SCALAR_BYTES: u64 = 32;

impl CompiledModel {
    /// Estimate of the memory for keys and proof in bytes: each column as values, as coefficients and on the quotient's cosets.
    pub fn estimated_bytes(&self) -> u64 {
        let summary = self.summary();
        let columns = 4 * summary.advice_columns as u64 + 6 * summary.fixed_columns as u64 + 24;
        let parameters = 8 * self.parameters() as u64;
        ((columns * SCALAR_BYTES) << summary.k) + parameters
    }

    /// Refuses, with the numbers, what would not fit.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where the estimate exceeds the memory that is available.
    pub fn check_memory(&self) -> Result<(), Error> {
        let needed_bytes = self.estimated_bytes();
        match available_bytes() {
            Some(available_bytes) if needed_bytes > available_bytes => {
                Err(Error::WouldNotFit { needed_bytes, available_bytes })
            }
            _ => Ok(()),
        }
    }
}

/// Memory that can be had without swapping, where the system tells.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}
