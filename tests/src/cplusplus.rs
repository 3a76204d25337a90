//! The host's C++ compiler, for libraries that stand in for others'.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn name() -> String {
    std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned())
}

/// Whether there is a compiler; if not, says what is not tested for that.
pub fn is_present(untested: &str) -> bool {
    let started = Command::new(name()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if started.is_err() {
        // Past the test harness, which keeps to itself what passing tests print.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no C++ compiler {}, {untested}\nhint: set CXX (Debian: g++)",
            name()
        );
    }
    started.is_ok()
}

/// A folder beside the running program for what is built from a text. `build` fills it, unless another test did.
///
/// # Panics
/// Where there can be no such folder.
pub fn build_once(name: &str, text: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let program = std::env::current_exe().expect("this program has a path");
    let folder = program.parent().expect("a folder").join(format!("{name}_{:016x}", hasher.finish()));
    fs::create_dir_all(&folder).expect("a folder for what is built");
    // Tests may run in processes of their own: one builds, the others wait.
    let lock = File::create(folder.join("lock")).expect("a lock");
    lock.lock().expect("the lock");
    if !folder.join("whole").exists() {
        build(&folder);
        File::create(folder.join("whole")).expect("a mark");
    }
    folder
}

/// Compiles a file as a library, which loaders know by its file's name. Options come after the file: linkers take what
/// earlier files call.
///
/// # Panics
/// Where the compiler does not take it, also for a warning.
pub fn compile(file: &Path, library: &Path, options: &[String]) {
    let soname = library.file_name().expect("a file").to_string_lossy();
    let mut command = Command::new(name());
    command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-function"]);
    // Every library keeps to its own copy of inline functions.
    command.args(["-shared", "-fPIC", "-fvisibility-inlines-hidden"]).arg(format!("-Wl,-soname,{soname}")).arg(file);
    let status = command.args(options).arg("-o").arg(library).status().expect("the compiler starts");
    assert!(status.success(), "{} does not take {}", name(), file.display());
}
