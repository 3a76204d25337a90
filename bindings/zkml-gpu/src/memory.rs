//! Whether a proof fits this machine's memory.

use std::path::Path;

use crate::{CompiledModel, Error};

/// Layers named in a refusal.
const LARGEST: usize = 3;

impl CompiledModel {
    /// Estimate of the process's peak memory, with keys and proof, in bytes.
    pub fn estimated_bytes(&self) -> u64 {
        self.layout.peak_bytes(&self.quantised.graph)
    }

    /// Refuses, with the numbers, what needs more memory than `max_memory_bytes`, or than there is.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where the estimate is greater.
    pub fn check_memory(&self, max_memory_bytes: Option<u64>) -> Result<(), Error> {
        check_memory(self.estimated_bytes(), max_memory_bytes, || self.largest_layers())
    }

    /// The layers with the most rows.
    fn largest_layers(&self) -> Vec<(String, usize)> {
        let nodes = self.quantised.graph.nodes.iter().map(|node| node.name.clone());
        let rows = self.layout.layers.iter().map(|rows| rows.iter().sum());
        let mut layers: Vec<(String, usize)> = nodes.zip(rows).collect();
        layers.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        layers.truncate(LARGEST);
        layers
    }
}

/// Compares a need with the limit, which is what is available unless the caller sets one.
pub(crate) fn check_memory(
    needed_bytes: u64,
    max_memory_bytes: Option<u64>,
    layers: impl FnOnce() -> Vec<(String, usize)>,
) -> Result<(), Error> {
    match max_memory_bytes.or_else(available_bytes) {
        Some(available_bytes) if needed_bytes > available_bytes => {
            Err(Error::WouldNotFit { needed_bytes, available_bytes, layers: layers() })
        }
        _ => Ok(()),
    }
}

/// Memory that this process can have without swapping, with what it has already, in bytes; `None` where the system does not
/// tell. A container's limit counts.
pub fn available_bytes() -> Option<u64> {
    let free = kilobytes("/proc/meminfo", "MemAvailable:")?;
    let own = kilobytes("/proc/self/status", "VmRSS:").unwrap_or(0);
    let group = Path::new("/sys/fs/cgroup");
    let room = number(&group.join("memory.max")).zip(number(&group.join("memory.current")));
    let free = room.map_or(free, |(limit, used)| free.min(limit.saturating_sub(used)));
    Some(free + own)
}

/// The line `NAME 123 kB` of one of the system's files.
fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A file with one number; other words stand for no limit.
fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
