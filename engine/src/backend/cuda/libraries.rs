//! The driver's library and the run-time compiler's, which are looked for when they are first needed: nothing is
//! linked.

#![allow(unsafe_code)]

use std::error::Error as _;
use std::path::Path;
use std::sync::LazyLock;

use cudarc::driver::sys as cuda;
use cudarc::nvrtc::sys as nvrtc;
use libloading::Library;

use super::driver;

/// The oldest release of CUDA whose driver is used: the first with all of the functions below that loads code of its
/// major version.
const OLDEST_DRIVER: i32 = 12_000;

/// Everything that is called of the driver. Its loader panics where a function is missing, so all are looked for first.
const DRIVER_FUNCTIONS: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceTotalMem_v2",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSetCurrent",
    "cuStreamCreate",
    "cuStreamSynchronize",
    "cuStreamDestroy_v2",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventDestroy_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemGetInfo_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemsetD8Async",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuLaunchKernel",
    "cuGetErrorName",
    "cuGetErrorString",
];

/// The same of the compiler.
const COMPILER_FUNCTIONS: &[&str] = &[
    "nvrtcVersion",
    "nvrtcGetNumSupportedArchs",
    "nvrtcGetSupportedArchs",
    "nvrtcCreateProgram",
    "nvrtcCompileProgram",
    "nvrtcDestroyProgram",
    "nvrtcGetCUBINSize",
    "nvrtcGetCUBIN",
    "nvrtcGetProgramLogSize",
    "nvrtcGetProgramLog",
];

/// The files of both in a folder, in the order in which they need each other.
const FILES: &[&str] = &["libcuda.so", "libnvrtc-builtins.so", "libnvrtc.so"];

/// The folder that both are taken from, before the system's are looked for.
const FOLDER: &str = "ZKML_CUDA_LIB_DIR";

/// Loads the libraries of the folder that is named, once, before any others are looked for.
fn load_named() -> Result<(), String> {
    static LOADED: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let Some(folder) = std::env::var_os(FOLDER) else { return Ok(()) };
        let loaded = load_libraries(Path::new(&folder));
        loaded.map(drop).map_err(|failed| format!("{FOLDER}={}: {failed}", folder.display()))
    });
    LOADED.clone()
}

/// Why there is no driver to work with, and what helps.
pub(super) fn driver() -> Result<(), String> {
    load_named()?;
    // SAFETY: what is loaded is NVIDIA's driver library, or what was put in its place by whoever may.
    if !unsafe { cuda::is_culib_present() } {
        return Err("there is no NVIDIA driver (libcuda); install it from NVIDIA or your distribution".to_owned());
    }
    // SAFETY: as above; it is present, so this does not panic.
    if let Some(missing) = missing(unsafe { cuda::culib() }, DRIVER_FUNCTIONS) {
        return Err(format!("the NVIDIA driver is too old: it has no {missing}; install release 525 or newer"));
    }
    driver::initialise().map_err(|failed| match failed.is_no_device() {
        true => "the NVIDIA driver finds no device".to_owned(),
        false => format!("the NVIDIA driver does not start: {failed}"),
    })?;
    let version = driver::version().map_err(|failed| failed.to_string())?;
    if version < OLDEST_DRIVER {
        let (major, minor) = (version / 1000, version % 1000 / 10);
        return Err(format!(
            "the NVIDIA driver is too old: it supports CUDA {major}.{minor}, kernels need {}.0; install release 525 or newer",
            OLDEST_DRIVER / 1000
        ));
    }
    Ok(())
}

/// Why there is no run-time compiler, and what helps.
pub(super) fn compiler() -> Result<(), String> {
    load_named()?;
    let hint = "install CUDA's NVRTC (libnvrtc, of the CUDA toolkit or PyPI's nvidia-cuda-nvrtc)";
    // SAFETY: what is loaded is NVIDIA's compiler, or what was put in its place by whoever may.
    if !unsafe { nvrtc::is_culib_present() } {
        return Err(format!("there is no run-time compiler; {hint}"));
    }
    // SAFETY: as above; it is present, so this does not panic.
    match missing(unsafe { nvrtc::culib() }, COMPILER_FUNCTIONS) {
        Some(missing) => {
            Err(format!("the run-time compiler is too old: it has no {missing}; {hint}, release 12 or newer"))
        }
        None => Ok(()),
    }
}

/// The compiler's release: major, minor.
pub(super) fn compiler_release() -> Result<(i32, i32), String> {
    compiler()?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the pointers are to values of the type that the function writes.
    unsafe { nvrtc::nvrtcVersion(&raw mut major, &raw mut minor) }.result().map_err(|failed| failed.to_string())?;
    Ok((major, minor))
}

/// The compute capabilities that the compiler knows, in ascending order.
pub(super) fn architectures() -> Result<Vec<(i32, i32)>, String> {
    compiler()?;
    let mut count = 0;
    // SAFETY: the pointer is to a value of the type that the function writes.
    unsafe { nvrtc::nvrtcGetNumSupportedArchs(&raw mut count) }.result().map_err(|failed| failed.to_string())?;
    let mut numbers = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: there is room for as many numbers as the compiler has just told.
    unsafe { nvrtc::nvrtcGetSupportedArchs(numbers.as_mut_ptr()) }.result().map_err(|failed| failed.to_string())?;
    numbers.sort_unstable();
    Ok(numbers.into_iter().map(|number| (number / 10, number % 10)).collect())
}

/// What to say of code that the driver refuses: which release compiled it, and which one the driver takes code of.
pub(super) fn mismatch() -> String {
    let driver = driver::version().map(|version| format!("{}.{}", version / 1000, version % 1000 / 10));
    let driver = driver.unwrap_or_else(|failed| failed.to_string());
    match compiler_release() {
        Ok((major, minor)) => format!(
            "the driver takes no code of NVRTC {major}.{minor}: it supports CUDA {driver}; install NVRTC of that release or an older one, or a newer driver"
        ),
        Err(reason) => format!("the driver, which supports CUDA {driver}, takes none of the kept code, and {reason}"),
    }
}

fn missing(library: &Library, functions: &[&'static str]) -> Option<&'static str> {
    // SAFETY: the function is looked for, not called.
    functions.iter().copied().find(|name| unsafe { library.get::<unsafe extern "C" fn()>(name.as_bytes()) }.is_err())
}

/// Loads the libraries that a folder holds before any others are looked for: files whose names begin with `libcuda.so`,
/// `libnvrtc-builtins.so` and `libnvrtc.so`. Gives the number of files loaded. For installations that the system's
/// loader does not know, such as Python wheels. What is loaded stays.
///
/// # Errors
/// Why a file could not be loaded, or the folder not be read.
pub fn load_libraries(folder: &Path) -> std::io::Result<usize> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(order) = FILES.iter().position(|file| name.starts_with(file)) {
            found.push((order, path));
        }
    }
    found.sort();
    for (_, path) in &found {
        // SAFETY: as for the libraries that the system's loader finds: whoever names the folder vouches for them.
        let library = unsafe { Library::new(path) };
        // What the loader said is the error's source.
        let told = |failed: libloading::Error| failed.source().map_or_else(|| failed.to_string(), ToString::to_string);
        std::mem::forget(library.map_err(|failed| std::io::Error::other(told(failed)))?);
    }
    Ok(found.len())
}
