//! Memory of a device, from those back ends that count theirs.

use std::any::Any;

#[cfg(feature = "wgpu")]
use zkml_gpu_engine::backend::Wgpu;

/// The most bytes that vectors, points and scratch space took at a time since the device was opened; `None` where the back end
/// does not tell, or has the processor's memory.
pub(crate) fn peak_bytes(backend: &dyn Any) -> Option<u64> {
    #[cfg(feature = "wgpu")]
    if let Some(device) = backend.downcast_ref::<Wgpu>() {
        return Some(device.counters().peak_bytes_used);
    }
    let _ = backend;
    None
}
