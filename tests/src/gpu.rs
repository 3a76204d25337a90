//! The GPU that tests run on, if there is one: hardware, or else a software adapter.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use zkml_gpu_engine::backend::wgpu::{Arithmetic, Options, Programs, Wgpu, devices};

/// Where the loader of Vulkan finds drivers.
const DRIVERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

static WHOLE: LazyLock<Option<Wgpu>> = LazyLock::new(|| open(Options::default()));
static LEAST: LazyLock<Option<Wgpu>> = LazyLock::new(|| {
    let narrow = Options::default().with_arithmetic(Arithmetic::Int32).with_binding_bytes(64 << 10).with_groups(7);
    open(narrow.with_submission_points(50).with_programs(Programs::Interpreted))
});

/// The device as a user has it.
///
/// # Panics
/// Where a driver is installed and no device opens: that is a failure, not a reason to skip.
pub fn whole() -> Option<&'static Wgpu> {
    WHOLE.as_ref()
}

/// A device of the caller's own, whose counters nobody else changes.
///
/// # Panics
/// As [`whole`].
pub fn own(options: Options) -> Option<Wgpu> {
    open(options)
}

/// The device with 32-bit arithmetic, interpreted programs and limits so low that vectors of more than 2048 rows are
/// worked on in windows.
///
/// # Panics
/// As [`whole`].
pub fn least() -> Option<&'static Wgpu> {
    LEAST.as_ref()
}

fn open(options: Options) -> Option<Wgpu> {
    let found = devices();
    let hardware = found.iter().find(|device| device.available && !device.software);
    let Some(device) = hardware.or_else(|| found.iter().find(|device| device.available)) else {
        assert!(!software_driver(), "lavapipe is installed, but there is no device that can be used: {found:?}");
        // Past the test harness, which keeps to itself what passing tests print.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no device, nothing was run on a GPU");
        return None;
    };
    Some(Wgpu::with_options(Some(device.index), options).expect("the device opens"))
}

/// Whether Mesa's software driver is installed.
fn software_driver() -> bool {
    let entries = DRIVERS.iter().filter_map(|folder| Path::new(folder).read_dir().ok()).flatten();
    entries.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with("lvp_icd"))
}
