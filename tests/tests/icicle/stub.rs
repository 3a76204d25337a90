//! Libraries with ICICLE's interface, built from the project's own arithmetic.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use zkml_gpu_engine::backend::icicle::{DeviceType, Icicle, Options};
use zkml_gpu_kernels::cuda::{HOST, Module, source};
use zkml_gpu_tests::cplusplus;

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
    static BUILT: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| cplusplus::is_present("no call of ICICLE's was tested").then(build));
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
    Options::default().with_folder(folder.to_owned()).with_device(DeviceType::Cpu, index)
}

/// Builds the libraries, unless they are there already.
fn build() -> PathBuf {
    let text = [HOST, &source(&[Module::Curve]), include_str!("stub.cpp")].concat();
    cplusplus::build_once("icicle", &text, |folder| {
        let file = folder.join("stub.cpp");
        fs::write(&file, &text).unwrap();
        let mut called: Vec<String> = Vec::new();
        for ((name, _), which) in LIBRARIES.into_iter().zip(["STUB_DEVICE", "STUB_FIELD", "STUB_CURVE"]) {
            let options = [format!("-D{which}"), format!("-L{}", folder.display())].into_iter().chain(called.clone());
            cplusplus::compile(&file, &folder.join(format!("lib{name}.so")), &options.collect::<Vec<_>>());
            called.push(format!("-l{name}"));
        }
    })
}

/// Libraries in which functions do nothing, some are missing, and the last has others besides: for refusals before any
/// call.
pub(crate) fn hollow(missing: &[&str], besides: &[&str]) -> PathBuf {
    cplusplus::build_once("icicle", &format!("{missing:?} {besides:?}"), |folder| {
        for (name, functions) in LIBRARIES {
            let besides = if name == "icicle_curve_bn254" { besides } else { &[] };
            let functions = functions.iter().filter(|function| !missing.contains(function)).chain(besides);
            let text: String =
                functions.map(|function| format!("extern \"C\" int {function}() {{ return 14; }}\n")).collect();
            let file = folder.join(format!("{name}.cpp"));
            fs::write(&file, text).unwrap();
            if !missing.contains(&name) {
                cplusplus::compile(&file, &folder.join(format!("lib{name}.so")), &[]);
            }
        }
    })
}
