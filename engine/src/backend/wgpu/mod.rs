//! Any GPU that Vulkan, Metal or DirectX 12 reach, through wgpu, with kernels in WGSL.
//!
//! A vector is one buffer of its device, from a pool (`pool.rs`), in the words of
//! [`ScalarWords`](super::ScalarWords). An operation records dispatches and copies and submits them
//! together (`recorder.rs`); it waits for the device only where its result is host values. Kernels are compiled when an
//! operation first needs them (`pipelines.rs`). What is not part of WebGPU is in `native.rs`.
//!
//! The device's limits are kept: where a vector is larger than what a kernel may see at once, operations work on
//! windows of it.

mod device;
mod evaluation;
mod fold;
mod inversion;
mod lookup;
mod memory;
mod msm;
mod native;
mod ntt;
mod pipelines;
mod pool;
mod quotient;
mod recorder;
mod scan;
mod vector;
mod windows;

pub use super::gpu::{Counters, Programs};
pub use device::{DeviceInfo, DeviceLimits, Options, devices};
pub use fold::WgpuIntegers;
pub use memory::WgpuScalars;
pub use msm::WgpuBases;
pub use quotient::WgpuProgram;
pub use zkml_gpu_kernels::wgsl::Arithmetic;

use std::sync::Arc;

use super::Result;
use device::Device;

/// A device that wgpu drives. Clones are the same device; when all of them and their vectors are dropped, its memory is
/// free.
#[derive(Debug, Clone)]
pub struct Wgpu {
    device: Arc<Device>,
    roots: Arc<ntt::Roots>,
}

impl Wgpu {
    /// Opens the device of this index in [`devices`], or the first that is no software adapter.
    ///
    /// # Errors
    /// [`Device`](crate::BackendError::Device) when there is no such device or it does not open.
    pub fn new(index: Option<usize>) -> Result<Self> {
        Self::with_options(index, Options::default())
    }

    /// As [`new`](Self::new), with less than the device offers.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(index: Option<usize>, options: Options) -> Result<Self> {
        Ok(Self { device: Device::open(index, options)?, roots: Arc::default() })
    }

    /// What the device has done so far.
    pub fn counters(&self) -> Counters {
        self.device.counters.snapshot(self.device.pool.bytes())
    }

    /// Whether the device went away, as when it is unplugged or its driver restarts. Every operation then fails; a new
    /// one may open.
    pub fn is_lost(&self) -> bool {
        self.device.lost().is_some()
    }

    /// Whether the device is a program that runs on the processor.
    pub fn is_software(&self) -> bool {
        self.device.software
    }

    /// How kernels multiply words.
    pub fn arithmetic(&self) -> Arithmetic {
        self.device.arithmetic
    }
}
