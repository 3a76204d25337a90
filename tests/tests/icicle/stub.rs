//! Libraries with ICICLE's interface, built from the project's own arithmetic.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use zkml_gpu_engine::backend::icicle::{DeviceType, Icicle, Options};
use zkml_gpu_kernels::cuda::{HOST, Module, source};

/// The libraries, each after those that it calls, and their functions.
const LIBRARIES: [(&str, &[&str]); 3] = [
    (
        "icicle_device",
        &[
            "icicle_load_backend_from_env_or_default",
            "icicle_get_registered_devices",
            "icicle_is_device_available",
            "icicle_set_device",
            "icicle_malloc",
            "icicle_free",
            "icicle_copy_to_device",
        ],
    ),
    ("icicle_field_bn254", &["bn254_ntt_init_domain", "bn254_ntt_release_domain", "bn254_ntt"]),
    ("icicle_curve_bn254", &["bn254_msm"]),
];

/// The folder of the libraries, `None` where there is no compiler for them.
pub(crate) fn folder() -> Option<&'static Path> {
    static BUILT: LazyLock<Option<PathBuf>> = LazyLock::new(|| has_compiler().then(build));
    BUILT.as_deref()
}

/// The back end on a device of the libraries that works.
pub(crate) fn opened() -> Option<&'static Icicle> {
    static OPENED: LazyLock<Option<Icicle>> =
        LazyLock::new(|| Some(Icicle::with_options(&device(folder()?, 0)).expect("the libraries open")));
    OPENED.as_ref()
}

/// The device of this number, of those that need no plugin.
pub(crate) fn device(folder: &Path, index: u16) -> Options {
    Options { folder: Some(folder.to_owned()), device: Some(DeviceType::Cpu), index }
}

fn compiler() -> String {
    std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned())
}

fn has_compiler() -> bool {
    let started = Command::new(compiler()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if started.is_err() {
        // Past the test harness, which keeps to itself what passing tests print.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no C++ compiler {}, no call of ICICLE's was tested\nhint: set CXX",
            compiler()
        );
    }
    started.is_ok()
}

/// Builds the libraries, unless they are there already.
fn build() -> PathBuf {
    let text = [HOST, &source(&[Module::Curve]), include_str!("stub.cpp")].concat();
    let folder = folder_of(&text);
    // Tests may run in processes of their own: one builds, the others wait.
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if folder.exists() {
        return folder;
    }
    let part = folder.with_extension("part");
    fs::create_dir_all(&part).unwrap();
    let file = part.join("stub.cpp");
    fs::write(&file, text).unwrap();
    let mut called: Vec<&str> = Vec::new();
    for ((name, _), which) in LIBRARIES.into_iter().zip(["STUB_DEVICE", "STUB_FIELD", "STUB_CURVE"]) {
        let mut options =
            vec![format!("-D{which}"), format!("-Wl,-soname,lib{name}.so"), format!("-L{}", part.display())];
        options.extend(called.iter().map(|called| format!("-l{called}")));
        compile(&file, &part.join(format!("lib{name}.so")), &options);
        called.push(name);
    }
    fs::rename(&part, &folder).unwrap();
    folder
}

/// Libraries in which functions do nothing, some are missing, and the last has others besides: for refusals before any call.
pub(crate) fn hollow(missing: &[&str], besides: &[&str]) -> PathBuf {
    let folder = folder_of(&format!("{missing:?} {besides:?}"));
    fs::create_dir_all(&folder).unwrap();
    for (name, functions) in LIBRARIES {
        let besides = if name == "icicle_curve_bn254" { besides } else { &[] };
        let functions = functions.iter().filter(|function| !missing.contains(function)).chain(besides);
        let text: String =
            functions.map(|function| format!("extern \"C\" int {function}() {{ return 14; }}\n")).collect();
        let file = folder.join(format!("{name}.cpp"));
        fs::write(&file, text).unwrap();
        if !missing.contains(&name) {
            compile(&file, &folder.join(format!("lib{name}.so")), &[]);
        }
    }
    folder
}

/// A folder for what is built from this.
fn folder_of(text: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("icicle_{:016x}", hasher.finish()))
}

fn compile(file: &Path, library: &Path, options: &[String]) {
    let mut command = Command::new(compiler());
    command.args(["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-function"]);
    // Every library keeps to its own copy of inline functions. Libraries come after the file: linkers take what earlier files call.
    command.args(["-shared", "-fPIC", "-fvisibility-inlines-hidden"]).arg(file).args(options).arg("-o").arg(library);
    let status = command.status().expect("the compiler started before");
    assert!(status.success(), "{} does not take {}", compiler(), file.display());
}
