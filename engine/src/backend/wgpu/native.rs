//! What wgpu has outside browsers only: lists of adapters, waiting, caches of compiled pipelines, kernels without
//! run-time checks.

#[cfg(all(unix, not(target_vendor = "apple")))]
use std::ffi::CStr;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// All adapters, in wgpu's order. They are looked for once: loading drivers takes time, and indices stay what they are.
pub(super) fn adapters() -> &'static [wgpu::Adapter] {
    static FOUND: OnceLock<Vec<wgpu::Adapter>> = OnceLock::new();
    FOUND.get_or_init(|| wait(instance().enumerate_adapters(wgpu::Backends::all())))
}

/// What adapters are found by, where wgpu itself says all that is wanted.
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    wgpu::Instance::new(descriptor)
}

/// What adapters are found by: Vulkan, without windows. wgpu asks for surfaces of every window system; Mesa's layer that
/// orders devices then connects to a Wayland server to ask which one shows windows, and the library for that writes
/// `error: XDG_RUNTIME_DIR is invalid or not set` to stderr where there is none.
#[cfg(all(unix, not(target_vendor = "apple")))]
#[allow(unsafe_code)]
fn instance() -> wgpu::Instance {
    /// Surfaces of window systems.
    const SURFACES: [&CStr; 3] = [c"VK_KHR_wayland_surface", c"VK_KHR_xcb_surface", c"VK_KHR_xlib_surface"];
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let without_windows = wgpu::hal::InstanceDescriptor {
        name: "wgpu",
        flags: descriptor.flags,
        memory_budget_thresholds: descriptor.memory_budget_thresholds,
        backend_options: descriptor.backend_options.clone(),
        telemetry: None,
        display: None,
    };
    let remove: Box<wgpu::hal::vulkan::CreateInstanceCallback<'_>> =
        Box::new(|arguments| arguments.extensions.retain(|name| !SURFACES.contains(name)));
    // SAFETY: no feature is changed. wgpu's list of extensions, which is looked at before a surface is made, is the one
    // that these are taken from; nothing here makes surfaces.
    match unsafe { wgpu::hal::vulkan::Instance::init_with_callback(&without_windows, Some(remove)) } {
        // SAFETY: the instance is valid, and nothing else has it.
        Ok(instance) => unsafe { wgpu::Instance::from_hal::<wgpu::hal::api::Vulkan>(instance) },
        // Without Vulkan there is no adapter.
        Err(_) => wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        }),
    }
}

/// The value of a future of wgpu's, which is ready or becomes so without anyone polling the device.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

/// Waits until a submission, or all of them, and what came before is done. Callbacks have run then, or run on another
/// thread that waits.
pub(super) fn finish(device: &wgpu::Device, submission: Option<wgpu::SubmissionIndex>) -> Result<(), String> {
    let wait = wgpu::PollType::Wait { submission_index: submission, timeout: None };
    // wgpu panics where the driver says that the device is gone.
    match catch_unwind(AssertUnwindSafe(|| device.poll(wait))) {
        Ok(polled) => polled.map(|_| ()).map_err(|error| error.to_string()),
        Err(_) => Err("the device does not answer".to_owned()),
    }
}

/// What the device compiles is kept in the driver's form while the device is open.
#[allow(unsafe_code)]
pub(super) fn pipeline_cache(device: &wgpu::Device) -> Option<wgpu::PipelineCache> {
    if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
        return None;
    }
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("kernels"), data: None, fallback: true };
    // SAFETY: no data is given, so none can be malformed.
    Some(unsafe { device.create_pipeline_cache(&descriptor) })
}

/// A kernel source, compiled without the checks that wgpu adds to what strangers wrote.
#[allow(unsafe_code)]
pub(super) fn module(device: &wgpu::Device, label: &str, source: &str) -> wgpu::ShaderModule {
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    let source = wgpu::ShaderSource::Wgsl(source.into());
    // SAFETY: the sources are this workspace's own; every loop in them is bounded, and every index is below a length
    // that the host passes along with the buffer that it binds.
    unsafe { device.create_shader_module_trusted(wgpu::ShaderModuleDescriptor { label: Some(label), source }, checks) }
}

/// The optional features that kernels have a use for.
pub(super) fn optional_features() -> wgpu::Features {
    wgpu::Features::SHADER_INT64 | wgpu::Features::PIPELINE_CACHE
}
