//! The CUDA device that tests run on: the host, behind libraries with the functions of NVIDIA's driver and compiler.
//! With `ZKML_TEST_CUDA=device` it is the machine's own first device, and never the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use zkml_gpu_engine::backend::MemoryOps;
use zkml_gpu_engine::backend::cuda::{Cuda, Options, Programs, load_libraries};
use zkml_gpu_kernels::cuda::{COMPILER, DRIVER, EXPORT, HOST, HOST_NAME};

use crate::cplusplus;

static WHOLE: LazyLock<Option<Cuda>> = LazyLock::new(usual);

static LEAST: LazyLock<Option<Cuda>> = LazyLock::new(|| {
    configure("shared_bytes", LEAST_SHARED_BYTES);
    own(|options| options.with_programs(Programs::Interpreted).with_memory_bytes(LEAST_MEMORY_BYTES))
});

/// What every device that kernels run on has.
const LEAST_SHARED_BYTES: u64 = 48 << 10;
/// Too little for large sums and many columns at once.
const LEAST_MEMORY_BYTES: u64 = 3 << 20;

/// [`usual`], once for all tests of a process.
///
/// # Panics
/// Where there is a compiler, or a device is asked for, and no device opens.
pub fn whole() -> Option<&'static Cuda> {
    WHOLE.as_ref()
}

/// The device as a user has it; but on the host programs are interpreted, for its compiler takes seconds for each.
///
/// # Panics
/// As [`whole`].
pub fn usual() -> Option<Cuda> {
    own(|options| if is_real() { options } else { options.with_programs(Programs::Interpreted) })
}

/// The device with interpreted programs and so little memory that work is split.
///
/// # Panics
/// As [`whole`].
pub fn least() -> Option<&'static Cuda> {
    LEAST.as_ref()
}

/// A device of the caller's own, whose counters nobody else changes.
///
/// # Panics
/// As [`whole`], and where a real device is asked for and the host's driver is what is found.
pub fn own(change: impl FnOnce(Options) -> Options) -> Option<Cuda> {
    let mut options = Options::default();
    if !is_real() {
        // The names of files that hold kernels for the host are compiled into the libraries.
        options = options.with_cache(libraries()?.to_owned());
    }
    let device = Cuda::with_options(0, change(options)).expect("the device opens");
    let is_host = device.description().contains(HOST_NAME);
    assert_eq!(is_host, !is_real(), "tests run on another device than was asked for: {}", device.description());
    Some(device)
}

/// Whether tests run on the machine's own device.
pub fn is_real() -> bool {
    std::env::var("ZKML_TEST_CUDA").is_ok_and(|value| value == "device")
}

/// Changes a setting of the host's driver, of those that `driver.cpp` lists. Nothing where tests run on a real device.
///
/// # Panics
/// Where the library is not what it should be.
pub fn configure(name: &str, value: u64) -> Option<()> {
    set("libcuda.so", name, value)
}

/// The same of the host's compiler, as `compiler.cpp` lists them.
///
/// # Panics
/// As [`configure`].
pub fn configure_compiler(name: &str, value: u64) -> Option<()> {
    set("libnvrtc.so", name, value)
}

#[allow(unsafe_code)]
fn set(library: &str, name: &str, value: u64) -> Option<()> {
    let name = std::ffi::CString::new(name).expect("a name");
    // SAFETY: the library is the one that was built here, and the function's type is what it declares.
    unsafe {
        let library = libloading::Library::new(libraries()?.join(library)).expect("the library that was built");
        let configure = library.get::<unsafe extern "C" fn(*const std::ffi::c_char, u64)>(b"host_configure");
        configure.expect("its function")(name.as_ptr(), value);
    }
    Some(())
}

/// The folder of the host's libraries, which are loaded then. Where a real device is asked for there is none, and nothing
/// is loaded: the first driver that a process loads is the one that all of its tests run on.
///
/// # Panics
/// Where the libraries cannot be built or loaded.
pub fn libraries() -> Option<&'static Path> {
    if is_real() {
        return None;
    }
    static BUILT: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let folder = build()?;
        load_libraries(&folder).expect("the libraries that were built");
        Some(folder)
    });
    BUILT.as_deref()
}

/// Builds the libraries, unless they are there already.
fn build() -> Option<PathBuf> {
    let text = [DRIVER, COMPILER, HOST, EXPORT].concat();
    cplusplus::is_present("CUDA kernels were not run").then(|| {
        cplusplus::build_once("cuda_host", &text, |folder| {
            let sources =
                [("driver.cpp", DRIVER), ("compiler.cpp", COMPILER), ("shim.h", HOST), ("export.cpp", EXPORT)];
            for (file, text) in sources {
                fs::write(folder.join(file), text).expect("a source");
            }
            let options = [format!("-DHOST_FOLDER=\"{}\"", folder.display()), "-ldl".to_owned()];
            for (source, library) in [("driver.cpp", "libcuda.so"), ("compiler.cpp", "libnvrtc.so")] {
                cplusplus::compile(&folder.join(source), &folder.join(library), &options);
            }
        })
    })
}
