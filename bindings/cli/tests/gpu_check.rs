//! `scripts/gpu-check.sh` where there is no GPU: what it takes for a device, that it ends in time, what it leaves.

#![cfg(all(target_os = "linux", feature = "cuda"))]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use tempfile::TempDir;
use zkml_gpu_kernels::cuda::{COMPILER, DRIVER, EXPORT, HOST, HOST_NAME};

/// A folder like an unpacked bundle's.
struct Bundle(TempDir);

impl Bundle {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for place in ["scripts", "bin", "examples", "tests"] {
            fs::create_dir(folder.path().join(place)).expect("folder");
        }
        fs::copy(repository.join("scripts/gpu-check.sh"), folder.path().join("scripts/gpu-check.sh")).expect("script");
        symlink(repository.join("examples/lenet"), folder.path().join("examples/lenet")).expect("link");
        let bundle = Self(folder);
        bundle.program("bin/tests", "echo tests ran");
        bundle
    }

    fn path(&self, place: &str) -> PathBuf {
        self.0.path().join(place)
    }

    fn program(&self, place: &str, script: &str) {
        fs::write(self.path(place), format!("#!/bin/sh\n{script}\n")).expect("script");
        fs::set_permissions(self.path(place), fs::Permissions::from_mode(0o755)).expect("permissions");
    }

    /// The program itself.
    fn with_zkml_gpu(self) -> Self {
        symlink(env!("CARGO_BIN_EXE_zkml-gpu"), self.path("bin/zkml-gpu")).expect("link");
        self
    }

    /// A library of the stand-in's, in a folder of its own. `None` where there is no C++ compiler.
    fn library(&self, folder: &str, (source, text): (&str, &str), library: &str) -> Option<PathBuf> {
        let folder = self.path(folder);
        fs::create_dir_all(&folder).expect("folder");
        fs::write(folder.join(source), text).expect("source");
        fs::write(folder.join("shim.h"), HOST).expect("source");
        fs::write(folder.join("export.cpp"), EXPORT).expect("source");
        let mut compiler = Command::new(std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned()));
        compiler.args(["-std=c++17", "-O1", "-shared", "-fPIC"]).arg(format!("-Wl,-soname,{library}"));
        compiler.arg(format!("-DHOST_FOLDER=\"{}\"", folder.display())).arg(folder.join(source)).arg("-ldl");
        let Ok(status) = compiler.arg("-o").arg(folder.join(library)).status() else {
            eprintln!("SKIPPED: there is no C++ compiler");
            return None;
        };
        assert!(status.success());
        Some(folder)
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
        let mut command = Command::new("bash");
        command.arg(self.path("scripts/gpu-check.sh")).args(arguments).arg(self.path("out")).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", self.path("caches")).env_remove("ZKML_CUDA_LIB_DIR");
        command.envs(variables.iter().copied()).output().expect("bash")
    }

    fn report(&self) -> String {
        fs::read_to_string(self.path("out/report.md")).expect("a report")
    }
}

/// With a compiler that is elsewhere: the device is there then, and it is none.
#[test]
fn the_stand_in_is_known_and_no_device() {
    let bundle = Bundle::new().with_zkml_gpu();
    let Some(driver) = bundle.library("driver", ("driver.cpp", DRIVER), "libcuda.so.1") else { return };
    let Some(compiler) = bundle.library("elsewhere/lib", ("compiler.cpp", COMPILER), "libnvrtc.so.13") else { return };
    let elsewhere = compiler.parent().expect("a folder");
    let output = bundle.run(&[], &[("LD_LIBRARY_PATH", &driver), ("GPU_CHECK_FIND_ROOT", elsewhere)]);
    let report = bundle.report();
    assert_eq!(output.status.code(), Some(2), "{report}");
    let line = format!("there is no device to check: {HOST_NAME} (CUDA, 4 GiB, compute capability 9.0)");
    assert!(report.contains(&line) && !report.contains("| rates |"), "{report}");
    assert!(report.contains("| devices-again | passed |"), "{report}");
}

#[test]
fn a_machine_without_a_device_fails() {
    let bundle = Bundle::new();
    bundle.program("bin/zkml-gpu", "echo 'cuda     not available'; echo '         there is no NVIDIA driver'");
    let output = bundle.run(&["--stage", "facts"], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", bundle.report());
    assert!(bundle.report().contains("there is no NVIDIA driver"), "{}", bundle.report());
}

/// A driver that never comes back: what was measured before is there, and the end comes in time.
#[test]
fn a_device_that_hangs_costs_the_deadline_and_no_figures() {
    const SECONDS: u64 = 20;
    let bundle = Bundle::new().with_zkml_gpu();
    let entry = "Result cuStreamSynchronize(void *) {";
    let hangs = DRIVER.replace(HOST_NAME, "a device that hangs").replace(entry, &format!("{entry} for (;;) {{}}"));
    assert!(hangs.contains("for (;;) {}") && !hangs.contains(HOST_NAME));
    let Some(folder) = bundle.library("driver", ("driver.cpp", &hangs), "libcuda.so.1") else { return };
    let Some(_) = bundle.library("driver", ("compiler.cpp", COMPILER), "libnvrtc.so.13") else { return };
    let start = Instant::now();
    let variables = [("ZKML_CUDA_LIB_DIR", folder.as_path()), ("LD_LIBRARY_PATH", folder.as_path())];
    let output = bundle.run(&["--deadline", &SECONDS.to_string()], &variables);
    // The bound that users are promised.
    assert!(start.elapsed().as_secs() <= SECONDS, "{:?}", start.elapsed());
    let report = bundle.report();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("Device: a device that hangs"), "{report}");
    assert!(report.contains("| rates | stopped after"), "{report}");
    assert!(report.contains("| ops | not run: no time left | 0 |"), "{report}");
}

/// All stages, their figures, and peers' beside ours in one report and one archive.
#[test]
fn stages_leave_one_report_and_peers_have_ratios() {
    let bundle = Bundle::new();
    bundle.program(
        "bin/zkml-gpu",
        r#"case "$*" in
devices) echo "cuda:0   NVIDIA Example (CUDA, 80 GiB, compute capability 9.0)" ;;
"bench ops"*--save*) for place; do :; done
    printf '{"bench":"ops","rows":[{"op":"msm","log_n":20,"backend":"cuda:0","ms":4.0,"spread":{"median":4.0}},
        {"op":"ntt","log_n":20,"backend":"cuda:0","ms":0.5,"spread":{"median":0.5}}]}' >"$place" ;;
"bench rates"*) for place; do :; done; echo '{"rows":[]}' >"$place" ;;
esac"#,
    );
    fs::create_dir_all(bundle.path("peers/example")).expect("folder");
    bundle.program("peers/example/measure", "echo example msm 20 10\necho example msm 21 20\necho example ntt 20 1");
    let output = bundle.run(&[], &[]);
    let report = bundle.report();
    // The driver's own program may be missing, which is a step that failed.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{report}");
    for line in ["| example | msm | 2^20 | 4.0 | 10 | 2.50 |", "| example | ntt | 2^20 | 0.5 | 1 | 2.00 |"] {
        assert!(report.contains(line), "{report}");
    }
    let order = ["| rates |", "| lenet |", "| test-conformance |", "| ops |", "| peer-example |", "| proofs |"];
    let places: Vec<_> = order.iter().map(|step| report.find(step).expect(step)).collect();
    assert!(places.is_sorted(), "{report}");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(bundle.path("out/report.json")).expect("a report")).expect("JSON");
    assert_eq!(json["ops"]["rows"][0]["ms"], 4.0);
    let listed = Command::new("tar").arg("-tzf").arg(bundle.path("out.tar.gz")).output().expect("tar");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("out/report.json") && listed.contains("out/ops.json"), "{listed}");
    for stage in ["facts", "figures", "depth"] {
        bundle.run(&["--stage", stage], &[]);
        let report = bundle.report();
        let has = |step: &str| report.contains(step);
        assert_eq!(
            [has("| rates |"), has("| ops |"), has("| sanitizer")],
            [stage == "facts", stage == "figures", stage == "depth"]
        );
    }
}
