//! The devices of this machine, those that cannot be used among them.

use std::path::Path;

use serde::Serialize;

#[cfg(feature = "cuda")]
use super::ChoiceError;
#[cfg(feature = "cuda")]
use super::cuda;
#[cfg(feature = "icicle")]
use super::icicle;
#[cfg(feature = "wgpu")]
use super::wgpu;
use super::{BackendChoice, Cpu, MemoryOps};

/// A device, and whether proofs can run on it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Device {
    /// Name of its back end.
    pub backend: &'static str,
    /// Its index, as in `wgpu:1`; `None` where the back end has one device or found none.
    pub index: Option<u32>,
    /// The device in words.
    pub name: String,
    /// Whether the back end can use it.
    pub available: bool,
    /// Why it cannot be used, and what to do about it; or why it is not used unless it is asked for.
    pub reason: Option<String>,
    /// What it allows; `None` for the processor.
    pub limits: Option<Limits>,
    /// Whether it is a program that runs on the processor.
    #[serde(skip)]
    pub software: bool,
    /// Whether it has memory of its own.
    #[serde(skip)]
    pub discrete: bool,
}

/// Limits of a device, which operations keep to.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one vector at most.
    pub buffer_bytes: u64,
    /// Bytes of a vector that a kernel sees at a time.
    pub binding_bytes: u64,
    /// Bytes that the invocations of a workgroup share.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Workgroups in one dimension of a dispatch.
    pub groups: u32,
}

impl Device {
    /// The choice that names it; `None` where it stands for devices that were not found.
    pub fn choice(&self) -> Option<BackendChoice> {
        match (self.backend, self.index) {
            ("cpu", _) => Some(BackendChoice::Cpu),
            ("cuda", Some(index)) => Some(BackendChoice::Cuda(Some(index))),
            ("icicle", _) if self.available => Some(BackendChoice::Icicle),
            ("wgpu", Some(index)) => Some(BackendChoice::Wgpu(Some(index))),
            _ => None,
        }
    }
}

/// The processor, and what each GPU back end of this build finds; a back end that finds nothing says why.
pub fn devices() -> Vec<Device> {
    let environment = Cpu::check_environment();
    let cpu = Device {
        backend: "cpu",
        index: None,
        name: Cpu::new().description(),
        available: environment.is_ok(),
        reason: environment.err(),
        limits: None,
        software: false,
        discrete: false,
    };
    let mut devices = vec![cpu];
    devices.extend(cuda_devices());
    devices.extend(wgpu_devices());
    devices.push(icicle_device());
    devices
}

/// Files that the system has where it has a GPU: of graphics drivers, of NVIDIA's, of Windows' below Linux.
const GPU_FILES: [&str; 3] = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"];

/// Whether there may be a GPU, without loading drivers: on Linux software ones are found too, and take tens of
/// megabytes.
pub(super) fn may_have_gpu() -> bool {
    !cfg!(target_os = "linux") || GPU_FILES.iter().any(|file| Path::new(file).exists())
}

/// Compiles the CUDA kernels for devices of this compute capability into a folder. On a machine without NVRTC, which
/// has the folder's files in `zkml-gpu/cuda` of its user's folder for caches, they are found and used. Needs no device
/// and no driver.
///
/// # Errors
/// [`ChoiceError::NoDevice`] where there is no NVRTC, or it refuses.
#[cfg(feature = "cuda")]
pub fn compile_cuda_kernels(capability: (i32, i32), folder: &Path) -> Result<(), ChoiceError> {
    cuda::compile_all(capability, folder).map_err(|reason| ChoiceError::NoDevice { name: "cuda".to_owned(), reason })
}

#[cfg(feature = "cuda")]
pub(super) fn cuda_devices() -> Vec<Device> {
    let found = match cuda::devices() {
        Ok(found) if found.is_empty() => return vec![nothing("cuda", "the NVIDIA driver finds no device")],
        Ok(found) => found,
        Err(reason) => return vec![nothing("cuda", &reason)],
    };
    let device = |found: cuda::DeviceInfo| Device {
        backend: "cuda",
        index: u32::try_from(found.index).ok(),
        name: found.to_string(),
        available: found.reason.is_none(),
        reason: found.reason,
        limits: None,
        software: false,
        discrete: true,
    };
    found.into_iter().map(device).collect()
}

#[cfg(not(feature = "cuda"))]
pub(super) fn cuda_devices() -> Vec<Device> {
    vec![nothing("cuda", "this build is without it: build with the feature cuda")]
}

#[cfg(feature = "wgpu")]
pub(super) fn wgpu_devices() -> Vec<Device> {
    let found = wgpu::devices();
    if found.is_empty() {
        return vec![nothing(
            "wgpu",
            "no Vulkan, Metal or DirectX 12 device is found: install the GPU's driver (on Linux with its Vulkan part)",
        )];
    }
    let device = |found: wgpu::DeviceInfo| Device {
        backend: found.backend,
        index: u32::try_from(found.index).ok(),
        name: found.name,
        available: found.available,
        reason: found.reason,
        limits: Some(Limits {
            buffer_bytes: found.limits.buffer_bytes,
            binding_bytes: found.limits.binding_bytes,
            workgroup_bytes: found.limits.workgroup_bytes,
            invocations: found.limits.invocations,
            groups: found.limits.groups,
        }),
        software: found.software,
        discrete: found.discrete,
    };
    found.into_iter().map(device).collect()
}

#[cfg(not(feature = "wgpu"))]
pub(super) fn wgpu_devices() -> Vec<Device> {
    vec![nothing("wgpu", "this build is without it: build with the feature wgpu")]
}

/// The device that ICICLE would use, by its libraries' word: it is not opened.
#[cfg(feature = "icicle")]
pub(super) fn icicle_device() -> Device {
    match icicle::presence(&icicle::Options::default()) {
        Ok(found) => Device {
            backend: "icicle",
            index: None,
            name: format!("{} (ICICLE {}, {})", found.device, found.version, found.place),
            available: true,
            reason: None,
            limits: None,
            software: false,
            discrete: false,
        },
        Err(reason) => nothing("icicle", &reason),
    }
}

#[cfg(not(feature = "icicle"))]
pub(super) fn icicle_device() -> Device {
    nothing("icicle", "this build is without it: build with the feature icicle")
}

/// A back end without devices.
fn nothing(backend: &'static str, reason: &str) -> Device {
    Device {
        backend,
        index: None,
        name: String::new(),
        available: false,
        reason: Some(reason.into()),
        limits: None,
        software: false,
        discrete: false,
    }
}
