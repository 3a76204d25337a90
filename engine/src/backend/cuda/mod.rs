//! NVIDIA GPUs through CUDA, with kernels compiled for the device at hand when they are first needed.
//!
//! A vector is a piece of memory that is handed out again when it is dropped (`pool.rs`). Everything goes to one stream,
//! so an operation starts copies and kernels and returns; it waits only where its result is host values: commitments, evaluations,
//! small windows. Copies pass through pinned memory (`staging.rs`). Nothing is linked: the driver and the compiler are
//! libraries that are looked for at run time (`libraries.rs`), and all that is unsafe about the driver is in
//! `driver.rs`.
//!
//! Where device memory is exhausted, operations on many columns work on fewer at a time and programs on fewer rows, and
//! then fail with the bytes that were asked for.

mod background;
mod compiler;
mod device;
mod driver;
mod evaluation;
mod fold;
mod integers;
mod inversion;
mod kernels;
mod libraries;
mod lookup;
mod memory;
mod msm;
mod ntt;
mod pool;
mod quotient;
mod scan;
mod staging;
mod throughput;
mod vector;

pub use super::gpu::{Counters, Programs};
pub use device::{DeviceInfo, Options, devices};
pub use fold::CudaIntegers;
pub use kernels::compile_all;
pub use libraries::load_libraries;
pub use memory::CudaScalars;
pub use msm::CudaBases;
pub use quotient::CudaProgram;
pub use throughput::Throughput;

use std::sync::Arc;

use super::Result;
use device::Device;

/// A device that CUDA drives. Clones are the same device; when all of them and their vectors are dropped, its memory is
/// free.
#[derive(Debug, Clone)]
pub struct Cuda {
    // Before the device, whose memory they are.
    roots: Arc<ntt::Roots>,
    device: Arc<Device>,
}

impl Cuda {
    /// Opens the device of this index in [`devices`].
    ///
    /// # Errors
    /// [`Device`](crate::BackendError::Device) where there is no driver, no such device, or it does not open; the
    /// message says what to install.
    pub fn new(index: usize) -> Result<Self> {
        Self::with_options(index, Options::default())
    }

    /// As [`new`](Self::new), other than by default.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(index: usize, options: Options) -> Result<Self> {
        Ok(Self { device: Device::open(index, options)?, roots: Arc::default() })
    }

    /// What the device has done so far.
    pub fn counters(&self) -> Counters {
        self.device.counted()
    }

    /// Whether the device can be used no longer, as after a kernel that failed. Every operation then fails, and none
    /// opens in this process: the driver gives it the same failure for ever.
    pub fn is_lost(&self) -> bool {
        self.device.lost().is_some()
    }

    /// How expression programs run; `None` for interpreted at first and compiled once that pays.
    pub fn programs(&self) -> Option<Programs> {
        self.device.programs
    }
}
