//! Runs the tests in Python against the module that Cargo has just built, where there is a Python with numpy and pytest.
//! `ZKML_PYTHON` names the interpreter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The module's file, as the system's loader calls it.
const LIBRARY: &str = if cfg!(target_os = "windows") {
    "zkml_gpu_native.dll"
} else if cfg!(target_os = "macos") {
    "libzkml_gpu_native.dylib"
} else {
    "libzkml_gpu_native.so"
};
/// What Python calls an extension module of the stable interface.
const MODULE: &str = if cfg!(target_os = "windows") { "_native.pyd" } else { "_native.abi3.so" };

/// The interpreter, if it has what the tests need; otherwise what is missing.
fn python() -> Result<PathBuf, String> {
    let asked = std::env::var_os("ZKML_PYTHON");
    let python = PathBuf::from(asked.clone().unwrap_or_else(|| "python3".into()));
    let needs = "import sys, numpy, pytest\nassert sys.version_info >= (3, 10), 'Python is older than 3.10'";
    let missing = match Command::new(&python).args(["-c", needs]).output() {
        Ok(output) if output.status.success() => return Ok(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    // Whoever names an interpreter wants the tests to run.
    assert!(asked.is_none(), "ZKML_PYTHON = {}: {missing}", python.display());
    Err(missing)
}

/// Names the interpreter, or says that tests are skipped: `scripts/test.sh` shows it before all others.
#[test]
fn an_interpreter_that_is_there_has_what_tests_need() {
    match python() {
        Ok(python) => println!("Python's tests run on {}", python.display()),
        Err(missing) => println!("Python's tests are SKIPPED: {missing} (pip install numpy pytest; ZKML_PYTHON)"),
    }
}

#[test]
fn the_tests_in_python_pass() {
    let Ok(python) = python() else { return };
    let package = package();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).current_dir(tests).env("PYTHONPATH", package.path());
    // What Python compiles is not left in the checkout.
    let status = pytest.env("PYTHONDONTWRITEBYTECODE", "1").status().expect("pytest starts");
    assert!(status.success(), "pytest: {status}");
}

/// The package as it is installed: its Python files, and the module beside them.
fn package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("zkml_gpu");
    fs::create_dir(&package).expect("a folder");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/zkml_gpu");
    for entry in fs::read_dir(sources).expect("the package") {
        let path = entry.expect("a file").path();
        if path.is_file() {
            fs::copy(&path, package.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    // Beside this test's own folder: Cargo builds a package's library before its tests.
    let test = std::env::current_exe().expect("this test");
    let built = test.ancestors().skip(1).map(|folder| folder.join(LIBRARY)).find(|path| path.exists());
    fs::copy(built.expect("the module"), package.join(MODULE)).expect("a copy");
    folder
}
