//! Devices: which there are, what they allow, and how they fail.

use std::sync::{Arc, Mutex, PoisonError};

use zkml_gpu_kernels::wgsl::Arithmetic;

use super::native;
use super::pipelines::Pipelines;
use super::pool::Pool;
use crate::backend::Result;
use crate::backend::gpu::Programs;
use crate::backend::gpu::counters::Tally;
use crate::error::BackendError;

/// A device that wgpu finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// Name of the back end: `wgpu`.
    pub backend: &'static str,
    /// Its index, as in `wgpu:1`.
    pub index: usize,
    /// Model, interface and driver in words; a software adapter is called so.
    pub name: String,
    /// Whether the back end can use it.
    pub available: bool,
    /// Why it cannot be used, or why it is not chosen unless it is asked for.
    pub reason: Option<String>,
    /// Whether it is a program that runs on the processor.
    pub software: bool,
    /// Whether it has memory of its own.
    pub discrete: bool,
    /// What it allows.
    pub limits: DeviceLimits,
}

/// Limits that operations keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Bytes of one vector at most.
    pub buffer_bytes: u64,
    /// Bytes of a vector that a kernel sees at a time.
    pub binding_bytes: u64,
    /// Bytes of memory that the invocations of a workgroup share.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Workgroups in one dimension of a dispatch.
    pub groups: u32,
}

impl From<&wgpu::Limits> for DeviceLimits {
    fn from(limits: &wgpu::Limits) -> Self {
        Self {
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            invocations: limits.max_compute_invocations_per_workgroup,
            groups: limits.max_compute_workgroups_per_dimension,
        }
    }
}

/// Less than a device offers, or other than it would be chosen, as in `Options::default().with_groups(100)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How to multiply words; otherwise in 64 bits where the device can.
    pub arithmetic: Option<Arithmetic>,
    /// Bytes that a kernel may see at a time, at least 64 KiB; otherwise what the device allows.
    pub binding_bytes: Option<u64>,
    /// Workgroups in one dimension of a dispatch; otherwise what the device allows.
    pub groups: Option<u32>,
    /// Points that one submission doubles, and 128 times as many that it adds; otherwise 2^16. Drivers reset devices
    /// that are at one submission for seconds.
    pub submission_points: Option<usize>,
    /// How to run expression programs; otherwise generated on hardware, interpreted on a software adapter.
    pub programs: Option<Programs>,
}

impl Options {
    /// Words are multiplied so.
    #[must_use]
    pub fn with_arithmetic(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic: Some(arithmetic), ..self }
    }

    /// A kernel sees so many bytes at a time, at least 64 KiB.
    #[must_use]
    pub fn with_binding_bytes(self, bytes: u64) -> Self {
        Self { binding_bytes: Some(bytes), ..self }
    }

    /// A dispatch has so many workgroups in one dimension at most.
    #[must_use]
    pub fn with_groups(self, groups: u32) -> Self {
        Self { groups: Some(groups), ..self }
    }

    /// One submission doubles so many points at most.
    #[must_use]
    pub fn with_submission_points(self, points: usize) -> Self {
        Self { submission_points: Some(points), ..self }
    }

    /// Expression programs run so.
    #[must_use]
    pub fn with_programs(self, programs: Programs) -> Self {
        Self { programs: Some(programs), ..self }
    }
}

/// Workgroups share this much memory at most, which every device has.
const WORKGROUP_BYTES: u32 = 16 << 10;
/// Invocations of the largest workgroups, which every device allows.
const INVOCATIONS: u32 = 256;
/// Buffers that the largest kernels bind, parameters included.
const BINDINGS: u32 = 8;
/// A kernel sees this much at least.
const MIN_BINDING_BYTES: u64 = 64 << 10;

/// Points that one submission doubles: a level's 128 doublings of each take a slow device most of a second.
const SUBMISSION_POINTS: usize = 1 << 16;

/// The devices that wgpu finds, software adapters included.
pub fn devices() -> Vec<DeviceInfo> {
    native::adapters().iter().enumerate().map(|(index, adapter)| info(index, adapter)).collect()
}

fn info(index: usize, adapter: &wgpu::Adapter) -> DeviceInfo {
    let software = is_software(adapter);
    let limits = adapter.limits();
    let unusable = unusable(adapter, &limits);
    DeviceInfo {
        backend: "wgpu",
        index,
        name: name(adapter),
        available: unusable.is_none(),
        reason: unusable.or(software.then(|| "software adapter, used when asked for by index".to_owned())),
        software,
        discrete: adapter.get_info().device_type == wgpu::DeviceType::DiscreteGpu,
        limits: DeviceLimits::from(&limits),
    }
}

fn is_software(adapter: &wgpu::Adapter) -> bool {
    adapter.get_info().device_type == wgpu::DeviceType::Cpu
}

fn name(adapter: &wgpu::Adapter) -> String {
    let info = adapter.get_info();
    let kind = if is_software(adapter) { "software adapter, " } else { "" };
    format!("{} ({kind}{}, {} {})", info.name, info.backend, info.driver, info.driver_info).replace(" )", ")")
}

fn unusable(adapter: &wgpu::Adapter, limits: &wgpu::Limits) -> Option<String> {
    if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it runs no compute kernels".to_owned());
    }
    let needs = [
        ("shared bytes", limits.max_compute_workgroup_storage_size, WORKGROUP_BYTES),
        ("invocations", limits.max_compute_invocations_per_workgroup, INVOCATIONS),
        ("invocations in a row", limits.max_compute_workgroup_size_x, INVOCATIONS),
        ("buffers", limits.max_storage_buffers_per_shader_stage, BINDINGS),
    ];
    let short = needs.into_iter().find(|(_, has, needed)| has < needed);
    short.map(|(what, has, needed)| format!("it allows a workgroup {has} {what}, kernels need {needed}"))
}

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) raw: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) name: String,
    pub(super) software: bool,
    pub(super) limits: DeviceLimits,
    /// Windows of a buffer begin at multiples of this.
    pub(super) alignment: u64,
    pub(super) arithmetic: Arithmetic,
    pub(super) programs: Programs,
    pub(super) submission_points: usize,
    pub(super) pool: Arc<Pool>,
    pub(super) pipelines: Pipelines,
    pub(super) counters: Tally,
    failure: Arc<Failure>,
}

/// Why a device can be used no longer, or what failed outside any operation.
#[derive(Debug, Default)]
struct Failure {
    lost: Mutex<Option<String>>,
    stray: Mutex<Option<String>>,
}

fn set(place: &Mutex<Option<String>>, message: String) {
    place.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
}

impl Device {
    pub(super) fn open(index: Option<usize>, options: Options) -> Result<Arc<Self>> {
        let adapters = native::adapters();
        let missing = |message: String| error("open", "wgpu", message);
        let (index, adapter) = match index {
            Some(index) => (index, adapters.get(index)),
            None => {
                let hardware = |adapter: &&wgpu::Adapter| !is_software(adapter);
                let usable = |adapter: &&wgpu::Adapter| unusable(adapter, &adapter.limits()).is_none();
                let index = adapters.iter().position(|adapter| hardware(&adapter) && usable(&adapter));
                let index = index.or_else(|| adapters.iter().position(|adapter| hardware(&adapter))).unwrap_or(0);
                (index, adapters.get(index).filter(hardware))
            }
        };
        let adapter = adapter.ok_or_else(|| {
            let software = adapters.iter().filter(|adapter| is_software(adapter)).count();
            missing(format!("no such device: {} found, {software} of them software", adapters.len()))
        })?;
        let described = info(index, adapter);
        if !described.available {
            return Err(error("open", &described.name, described.reason.unwrap_or_default()));
        }
        Self::open_adapter(adapter, described, options)
    }

    fn open_adapter(adapter: &wgpu::Adapter, described: DeviceInfo, options: Options) -> Result<Arc<Self>> {
        let failed = |message: String| error("open", &described.name, message);
        let mut limits = adapter.limits();
        if let Some(bytes) = options.binding_bytes {
            limits.max_storage_buffer_binding_size =
                limits.max_storage_buffer_binding_size.min(bytes.max(MIN_BINDING_BYTES));
        }
        if let Some(groups) = options.groups {
            limits.max_compute_workgroups_per_dimension =
                limits.max_compute_workgroups_per_dimension.min(groups.max(1));
        }
        let mut features = adapter.features() & native::optional_features();
        if options.arithmetic == Some(Arithmetic::Int32) {
            features.remove(wgpu::Features::SHADER_INT64);
        }
        let arithmetic = match features.contains(wgpu::Features::SHADER_INT64) {
            true => Arithmetic::Int64,
            false if options.arithmetic == Some(Arithmetic::Int64) => {
                return Err(failed("it has no 64-bit integers".to_owned()));
            }
            false => Arithmetic::Int32,
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("zkml-gpu"),
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (raw, queue) =
            native::wait(adapter.request_device(&descriptor)).map_err(|refusal| failed(refusal.to_string()))?;
        let programs = if described.software { Programs::Interpreted } else { Programs::Generated };
        let failure = Arc::new(Failure::default());
        watch(&raw, &failure);
        Ok(Arc::new(Self {
            pipelines: Pipelines::new(&raw),
            pool: Arc::default(),
            counters: Tally::default(),
            name: described.name,
            software: described.software,
            limits: DeviceLimits::from(&limits),
            alignment: u64::from(limits.min_storage_buffer_offset_alignment),
            arithmetic,
            programs: options.programs.unwrap_or(programs),
            submission_points: options.submission_points.unwrap_or(SUBMISSION_POINTS).max(1),
            raw,
            queue,
            failure,
        }))
    }

    /// An error of this device.
    pub(super) fn error(&self, operation: &'static str, message: impl Into<String>) -> BackendError {
        error(operation, &self.name, message.into())
    }

    /// Fails where the device is lost, or where something went wrong since the last time that no operation was told of.
    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        let stray = || self.failure.stray.lock().unwrap_or_else(PoisonError::into_inner).take();
        match self.lost().or_else(stray) {
            Some(message) => Err(self.error(operation, message)),
            None => Ok(()),
        }
    }

    /// Does something to the device, and gives what went wrong in it as an error. What went wrong elsewhere meanwhile
    /// is for the next operation to tell: this one's work is submitted.
    pub(super) fn attempt<T>(&self, operation: &'static str, action: impl FnOnce() -> T) -> Result<T> {
        self.check(operation)?;
        let value = self.scoped(action).map_err(|failed| self.error(operation, describe(failed)))?;
        match self.lost() {
            Some(message) => Err(self.error(operation, message)),
            None => Ok(value),
        }
    }

    /// Does something to the device, and gives the first failure in it.
    pub(super) fn scoped<T>(&self, action: impl FnOnce() -> T) -> std::result::Result<T, wgpu::Error> {
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
        let mut scopes = filters.map(|filter| Some(self.raw.push_error_scope(filter)));
        let value = action();
        let mut failed = None;
        for scope in scopes.iter_mut().rev().filter_map(Option::take) {
            failed = failed.or(native::wait(scope.pop()));
        }
        failed.map_or(Ok(value), Err)
    }

    /// Why the device can be used no longer.
    pub(super) fn lost(&self) -> Option<String> {
        self.failure.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a submission, or for all work submitted so far. A device that does not answer is lost.
    pub(super) fn finish(&self, operation: &'static str, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.check(operation)?;
        native::finish(&self.raw, submission).map_err(|message| {
            set(&self.failure.lost, message.clone());
            self.error(operation, self.lost().unwrap_or(message))
        })
    }
}

/// Hears of losses, and of errors outside all scopes.
fn watch(device: &wgpu::Device, failure: &Arc<Failure>) {
    let heard = Arc::clone(failure);
    device.set_device_lost_callback(move |reason, message| {
        set(&heard.lost, format!("the device is lost ({reason:?}): {message}"));
    });
    let heard = Arc::clone(failure);
    device.on_uncaptured_error(Arc::new(move |stray| set(&heard.stray, describe(stray))));
}

pub(super) fn describe(failed: wgpu::Error) -> String {
    match failed {
        wgpu::Error::OutOfMemory { source } => format!("out of memory: {source}"),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => description,
    }
}

fn error(operation: &'static str, device: &str, message: String) -> BackendError {
    BackendError::Device { operation, device: device.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{MemoryOps, VectorOps, Wgpu};
    use halo2curves::bn256::Fr;

    #[test]
    fn a_lost_device_is_an_error_and_another_opens() {
        let Some(index) = devices().iter().position(|device| device.available) else { return };
        let lost = Wgpu::new(Some(index)).unwrap();
        let mut vector = lost.upload(&[Fr::one(), Fr::zero()]).unwrap();
        assert!(!lost.is_lost());
        lost.device.raw.destroy();
        // Whoever waits for the device hears of it first.
        let _ = native::finish(&lost.device.raw, None);
        let refused = lost.scale(&mut vector, Fr::from(2)).unwrap_err();
        assert!(matches!(refused, BackendError::Device { operation: "scale", .. }), "{refused}");
        assert!(lost.is_lost() && lost.download(&vector).is_err() && lost.upload(&[Fr::one()]).is_err());
        let other = Wgpu::new(Some(index)).unwrap();
        let vector = other.upload(&[Fr::one()]).unwrap();
        assert_eq!(other.download(&vector), Ok(vec![Fr::one()]));
    }

    #[test]
    fn what_went_wrong_outside_operations_is_told_by_the_next() {
        let Some(index) = devices().iter().position(|device| device.available) else { return };
        let gpu = Wgpu::new(Some(index)).unwrap();
        set(&gpu.device.failure.stray, "a stray failure".to_owned());
        let refused = gpu.upload(&[Fr::one()]).unwrap_err();
        assert!(refused.to_string().contains("a stray failure"), "{refused}");
        assert!(gpu.upload(&[Fr::one()]).is_ok());
    }
}
