//! Devices: which there are, what they have, and how they fail.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zkml_gpu_kernels::cuda::source;

use super::compiler::{Compiler, cache_folder};
use super::driver::{self, Address, Context, Failure, Outcome, Properties};
use super::kernels::{FILES, Kernels};
use super::libraries;
use super::pool::{Pool, size_class};
use super::staging::Staging;
use crate::backend::Result;
use crate::backend::gpu::counters::Tally;
use crate::backend::gpu::{Counters, Programs};
use crate::error::BackendError;

/// A device that the driver knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// Its index, as in `cuda:1`.
    pub index: usize,
    /// Its model.
    pub name: String,
    /// Compute capability: major, minor.
    pub capability: (i32, i32),
    /// Bytes of its memory.
    pub memory_bytes: u64,
    /// Why it cannot be used; `None` where it can.
    pub reason: Option<String>,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gibibytes = self.memory_bytes as f64 / f64::from(1 << 30);
        let (major, minor) = self.capability;
        write!(f, "{} (CUDA, {gibibytes:.0} GiB, compute capability {major}.{minor})", self.name)
    }
}

/// How to use a device, as in `Options::default().with_memory_bytes(8 << 30)`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where compiled kernels are kept; `None` for nowhere. By default `zkml-gpu/cuda` in the user's folder for caches.
    pub cache: Option<PathBuf>,
    /// How to run expression programs. By default a program is interpreted until it has done enough work for compiled
    /// kernels to pay, which are then compiled beside everything else, where there is a run-time compiler. Kernels that
    /// the cache has are used from the beginning.
    pub programs: Option<Programs>,
    /// Multiplications after which a program's kernels are compiled, over all rows and evaluations, where `programs`
    /// says nothing. Few rows count as many as fill a device.
    pub compile_after: u64,
    /// Bytes of device memory in use at most, for whoever shares a device. By default all that it has.
    pub memory_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache: cache_folder(), programs: None, compile_after: COMPILE_AFTER, memory_bytes: None }
    }
}

impl Options {
    /// Compiled kernels are kept in this folder.
    #[must_use]
    pub fn with_cache(self, folder: PathBuf) -> Self {
        Self { cache: Some(folder), ..self }
    }

    /// Expression programs run so.
    #[must_use]
    pub fn with_programs(self, programs: Programs) -> Self {
        Self { programs: Some(programs), ..self }
    }

    /// Programs are compiled once they have done so many multiplications.
    #[must_use]
    pub fn with_compilation_after(self, multiplications: u64) -> Self {
        Self { compile_after: multiplications, ..self }
    }

    /// At most so many bytes of device memory are in use.
    #[must_use]
    pub fn with_memory_bytes(self, bytes: u64) -> Self {
        Self { memory_bytes: Some(bytes), ..self }
    }
}

/// The least compute capability: older devices are known to no compiler that drivers of today take code of.
const LEAST_CAPABILITY: (i32, i32) = (7, 5);
/// What a program is interpreted for at most, by default: some ten proofs of a small network, one or two of a large one.
/// NVRTC takes some seconds of a processor, which a device makes up for in thousands of such proofs, or a hundred.
const COMPILE_AFTER: u64 = 1 << 28;

/// The devices that the driver knows, those included that cannot be used.
///
/// # Errors
/// In words, why there is no driver to ask, and what helps.
pub fn devices() -> std::result::Result<Vec<DeviceInfo>, String> {
    devices_with(cache_folder())
}

fn devices_with(cache: Option<PathBuf>) -> std::result::Result<Vec<DeviceInfo>, String> {
    libraries::driver()?;
    let told = |failed: Failure| format!("the NVIDIA driver does not list devices: {failed}");
    let device = |index| Ok(info(index, &driver::properties(index).map_err(told)?, cache.clone()));
    (0..driver::count().map_err(told)?).map(device).collect()
}

/// Why there are no kernels for a device; `None` where they can be compiled, or are kept from a time when they could.
fn no_kernels(properties: &Properties, cache: Option<PathBuf>) -> Option<String> {
    let reason = libraries::compiler().err()?;
    let compiler = Compiler::new(properties.capability, cache);
    let kept = FILES.iter().all(|file| compiler.has(&source(&[*file])));
    (!kept).then_some(reason)
}

fn info(index: usize, properties: &Properties, cache: Option<PathBuf>) -> DeviceInfo {
    let Properties { name, capability, memory_bytes, .. } = properties.clone();
    let (major, minor) = LEAST_CAPABILITY;
    let reason = if capability < LEAST_CAPABILITY {
        Some(format!("compute capability {}.{}, kernels need {major}.{minor}", capability.0, capability.1))
    } else {
        no_kernels(properties, cache)
    };
    DeviceInfo { index, name, capability, memory_bytes, reason }
}

/// The first failure of this process that took a device. The driver gives it to every later call, so no device opens.
static LOSS: Mutex<Option<String>> = Mutex::new(None);

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    // Fields are dropped in this order: what the context made goes before it.
    pub(super) kernels: Kernels,
    staging: Staging,
    pub(super) context: Context,
    pub(super) compiler: Compiler,
    pub(super) name: String,
    /// As `devices` shows it.
    pub(super) description: String,
    pub(super) properties: Properties,
    pub(super) programs: Option<Programs>,
    pub(super) compile_after: u64,
    memory: Memory,
    pub(super) counters: Tally,
    /// Why the device can be used no longer.
    lost: Mutex<Option<String>>,
}

impl Drop for Device {
    fn drop(&mut self) {
        // Nothing may be on its way when pinned memory goes, and what frees it needs the context. A lost device has
        // nothing on its way, and no memory. Buffers hold the device: all are back.
        let mut pool = std::mem::take(&mut *self.pool());
        let _ = pool.trim(&self.context);
    }
}

/// Bytes of device memory.
#[derive(Debug)]
struct Memory {
    pool: Mutex<Pool>,
    /// What may be in use, kept for later included.
    limit: u64,
    /// What was free when the device was opened.
    free: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

/// Device memory, freed once the work before its end is done.
#[derive(Debug)]
pub(super) struct Buffer {
    address: Address,
    bytes: u64,
    device: Arc<Device>,
}

impl Buffer {
    pub(super) fn address(&self) -> Address {
        self.address
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.device.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
            self.device.pool().put(self.bytes, self.address);
        }
    }
}

fn error(operation: &'static str, device: &str, message: impl Into<String>) -> BackendError {
    BackendError::Device { operation, device: device.to_owned(), message: message.into() }
}

impl Device {
    pub(super) fn open(index: usize, options: Options) -> Result<Arc<Self>> {
        let operation = "open";
        if let Some(loss) = LOSS.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let message = format!("CUDA is of no use to this process any more, after: {loss}\nhint: start it anew");
            return Err(error(operation, &format!("cuda:{index}"), message));
        }
        let found = devices_with(options.cache.clone()).map_err(|reason| error(operation, "cuda", reason))?;
        let described = found.get(index).ok_or_else(|| {
            error(operation, &format!("cuda:{index}"), format!("no such device: the driver knows {}", found.len()))
        })?;
        if let Some(reason) = &described.reason {
            return Err(error(operation, &described.name, reason));
        }
        let refused = |failed: Failure| error(operation, &described.name, failed.to_string());
        let properties = driver::properties(index).map_err(refused)?;
        let context = Context::open(index).map_err(refused)?;
        let limit = options.memory_bytes.unwrap_or(u64::MAX).min(properties.memory_bytes);
        let free = context.free_bytes().map_err(refused)?;
        Ok(Arc::new(Self {
            kernels: Kernels::default(),
            staging: Staging::new(&context).map_err(refused)?,
            context,
            compiler: Compiler::new(properties.capability, options.cache),
            name: properties.name.clone(),
            description: described.to_string(),
            properties,
            programs: options.programs,
            compile_after: options.compile_after,
            memory: Memory { pool: Mutex::default(), limit, free, used: AtomicU64::new(0), peak: AtomicU64::new(0) },
            counters: Tally::default(),
            lost: Mutex::default(),
        }))
    }

    /// An error of this device.
    pub(super) fn error(&self, operation: &'static str, message: impl Into<String>) -> BackendError {
        error(operation, &self.name, message)
    }

    /// Remembers a failure after which the device is of no use.
    fn note(&self, failed: Failure) {
        if failed.is_loss() {
            for loss in [&self.lost, &LOSS] {
                loss.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| failed.to_string());
            }
        }
    }

    /// Why the device can be used no longer.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does something with the driver.
    pub(super) fn attempt<T>(&self, operation: &'static str, action: impl FnOnce(&Context) -> Outcome<T>) -> Result<T> {
        if let Some(message) = self.lost() {
            return Err(self.error(operation, format!("the device is lost: {message}")));
        }
        action(&self.context).map_err(|failed| {
            self.note(failed);
            self.error(operation, failed.to_string())
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.memory.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Device memory with arbitrary contents. Where there is not enough, what is kept for later is given back first.
    pub(super) fn allocate(self: &Arc<Self>, operation: &'static str, bytes: u64) -> Result<Buffer> {
        if bytes == 0 {
            return Ok(Buffer { address: 0, bytes, device: Arc::clone(self) });
        }
        self.attempt(operation, |_| Ok(()))?;
        let Memory { limit, used, peak, .. } = &self.memory;
        let exhausted = |bytes| BackendError::OutOfMemory { operation, device: self.name.clone(), bytes };
        let bytes = size_class(bytes).ok_or_else(|| exhausted(u64::MAX))?;
        if used.load(Ordering::Relaxed).saturating_add(bytes) > *limit {
            return Err(exhausted(bytes));
        }
        let mut pool = self.pool();
        let address = match pool.take(bytes) {
            Some(address) => address,
            None => {
                if pool.reserved().saturating_add(bytes) > *limit {
                    self.attempt(operation, |context| pool.trim(context))?;
                }
                self.counters.add(|counters| counters.allocations += 1);
                match pool.grow(&self.context, bytes) {
                    Err(failed) if failed.is_out_of_memory() => {
                        self.attempt(operation, |context| pool.trim(context))?;
                        match pool.grow(&self.context, bytes) {
                            Err(failed) if failed.is_out_of_memory() => return Err(exhausted(bytes)),
                            grown => self.attempt(operation, |_| grown)?,
                        }
                    }
                    grown => self.attempt(operation, |_| grown)?,
                }
            }
        };
        let now = used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        peak.fetch_max(now, Ordering::Relaxed);
        Ok(Buffer { address, bytes, device: Arc::clone(self) })
    }

    /// Bytes that are left for vectors and scratch space: of those that were free when the device was opened, for the
    /// driver takes its time to tell.
    pub(super) fn free_bytes(&self) -> u64 {
        let Memory { limit, free, used, .. } = &self.memory;
        (*free).min(*limit).saturating_sub(used.load(Ordering::Relaxed))
    }

    /// Copies bytes to the device.
    pub(super) fn write(&self, operation: &'static str, to: Address, bytes: &[u8]) -> Result<()> {
        self.counters.add(|counters| {
            counters.bytes_up += bytes.len() as u64;
            counters.copies += 1;
        });
        self.attempt(operation, |context| self.staging.upload(context, to, bytes))
    }

    /// Waits for the work so far and copies bytes from the device; `take` sees them piece by piece, of whole elements.
    pub(super) fn read(
        &self,
        operation: &'static str,
        from: Address,
        bytes: usize,
        take: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.counters.add(|counters| {
            counters.bytes_down += bytes as u64;
            counters.copies += 1;
            counters.waits += 1;
        });
        self.attempt(operation, |context| self.staging.download(context, from, bytes, take))
    }

    /// What the device has done.
    pub(super) fn counted(&self) -> Counters {
        self.counters.snapshot((self.pool().reserved(), self.memory.peak.load(Ordering::Relaxed)))
    }
}

/// Does something to all items, in as large batches as device memory allows: where it is exhausted, a batch is halved.
pub(super) fn in_batches<T, U>(items: &[T], mut action: impl FnMut(&[T]) -> Result<Vec<U>>) -> Result<Vec<U>> {
    let mut done = Vec::with_capacity(items.len());
    let (mut rest, mut size) = (items, items.len());
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        match action(batch) {
            Ok(results) => {
                done.extend(results);
                rest = after;
            }
            Err(BackendError::OutOfMemory { .. }) if batch.len() > 1 => size = batch.len().div_ceil(2),
            Err(failed) => return Err(failed),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_until_they_fit() {
        let exhausted = || BackendError::OutOfMemory { operation: "test", device: "none".to_owned(), bytes: 1 };
        let items: Vec<u32> = (0..10).collect();
        let mut sizes = Vec::new();
        let done = in_batches(&items, |batch| {
            sizes.push(batch.len());
            if batch.len() > 3 { Err(exhausted()) } else { Ok(batch.to_vec()) }
        });
        assert_eq!(done, Ok(items.clone()));
        assert_eq!(sizes, [10, 5, 3, 3, 3, 1]);
        assert_eq!(in_batches(&items, |_| -> Result<Vec<u32>> { Err(exhausted()) }), Err(exhausted()));
        assert_eq!(in_batches(&[] as &[u32], |_| -> Result<Vec<u32>> { Err(exhausted()) }), Ok(Vec::new()));
    }
}
