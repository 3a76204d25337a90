//! The CUDA device that tests run on: the host, behind libraries with the functions of NVIDIA's driver and compiler. With
//! `ZKML_TEST_CUDA=device` it is the machine's own first device.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use zkml_gpu_engine::backend::cuda::{Cuda, Options, Programs, load_libraries};
use zkml_gpu_kernels::cuda::{COMPILER, DRIVER, EXPORT, HOST};

static WHOLE: LazyLock<Option<Cuda>> = LazyLock::new(usual);

static LEAST: LazyLock<Option<Cuda>> = LazyLock::new(|| {
    configure("shared_bytes", LEAST_SHARED_BYTES);
    own(|mut options| {
        options.programs = Some(Programs::Interpreted);
        options.memory_bytes = Some(LEAST_MEMORY_BYTES);
        options
    })
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
    own(|mut options| {
        options.programs = (!is_real()).then_some(Programs::Interpreted);
        options
    })
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
/// As [`whole`].
pub fn own(change: impl FnOnce(Options) -> Options) -> Option<Cuda> {
    let mut options = Options::default();
    if !is_real() {
        // The names of files that hold kernels for the host are compiled into the libraries.
        options.cache = Some(libraries()?.to_owned());
    }
    Some(Cuda::with_options(0, change(options)).expect("the device opens"))
}

/// Whether tests run on the machine's own device.
pub fn is_real() -> bool {
    std::env::var("ZKML_TEST_CUDA").is_ok_and(|value| value == "device")
}

/// Changes a setting of the host's driver, of those that `driver.cpp` lists. Nothing where tests run on a real device.
///
/// # Panics
/// Where the library is not what it should be.
#[allow(unsafe_code)]
pub fn configure(name: &str, value: u64) -> Option<()> {
    if is_real() {
        return None;
    }
    let name = std::ffi::CString::new(name).expect("a name");
    // SAFETY: the library is the one that was built here, and the function's type is what it declares.
    unsafe {
        let library = libloading::Library::new(libraries()?.join("libcuda.so")).expect("the library that was built");
        let configure = library.get::<unsafe extern "C" fn(*const std::ffi::c_char, u64)>(b"host_configure");
        configure.expect("its function")(name.as_ptr(), value);
    }
    Some(())
}

/// The folder of the libraries, which are loaded then.
pub fn libraries() -> Option<&'static Path> {
    static BUILT: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let folder = build()?;
        load_libraries(&folder).expect("the libraries that were built");
        Some(folder)
    });
    BUILT.as_deref()
}

/// Builds the libraries, unless they are there already.
fn build() -> Option<PathBuf> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        // Past the test harness, which keeps to itself what passing tests print.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: there is no C++ compiler ({compiler}), CUDA kernels were not run");
        return None;
    }
    let text = [DRIVER, COMPILER, HOST, EXPORT].concat();
    let program = std::env::current_exe().expect("this program has a path");
    let name = format!("cuda_host_{:016x}", digest(&text));
    let folder = program.parent().expect("a folder").join(name);
    fs::create_dir_all(&folder).expect("a folder for the libraries");
    // Tests may run in processes of their own: one builds, the others wait.
    let lock = File::create(folder.join("lock")).expect("a lock");
    lock.lock().expect("the lock");
    if !folder.join("whole").exists() {
        let sources = [("driver.cpp", DRIVER), ("compiler.cpp", COMPILER), ("shim.h", HOST), ("export.cpp", EXPORT)];
        for (file, text) in sources {
            fs::write(folder.join(file), text).expect("a source");
        }
        for (source, library) in [("driver.cpp", "libcuda.so"), ("compiler.cpp", "libnvrtc.so")] {
            let mut command = Command::new(&compiler);
            command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
            command.arg(format!("-DHOST_FOLDER=\"{}\"", folder.display()));
            command.arg(format!("-Wl,-soname,{library}")).arg(folder.join(source)).arg("-o").arg(folder.join(library));
            let status = command.arg("-ldl").status().expect("the compiler starts");
            assert!(status.success(), "{compiler} does not take {source}");
        }
        File::create(folder.join("whole")).expect("a mark");
    }
    Some(folder)
}

fn digest(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
