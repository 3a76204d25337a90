//! The back end on ICICLE, run on libraries with ICICLE's interface that are built here from the project's own
//! arithmetic (`stub.cpp`): all operations, a proof, and whatever can be wrong with libraries and devices. Where
//! `ZKML_ICICLE_LIB_DIR` names ICICLE's own, all operations run on those as well.

#![cfg(target_os = "linux")]

mod stub;

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use ff::Field;
use halo2_proofs::plonk::{keygen_pk, keygen_vk};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, TranscriptWriterBuffer};
use halo2curves::bn256::{Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu_engine::backend::icicle::{DeviceType, Icicle, Options, Version, presence};
use zkml_gpu_engine::backend::{Backend, Cpu, Dual, MemoryOps, MsmOps, NttOps};
use zkml_gpu_engine::{BackendError, Prover};
use zkml_gpu_tests::conformance::data::Points;
use zkml_gpu_tests::conformance_suite;
use zkml_gpu_tests::zoo::{Everything, Specimen};

conformance_suite!(icicle, maybe stub::opened());
conformance_suite!(installed, maybe installed());

/// The back end on the libraries that the environment names, if it does: they open then, or the test fails.
fn installed() -> Option<&'static Icicle> {
    static OPENED: LazyLock<Option<Icicle>> = LazyLock::new(|| {
        std::env::var_os("ZKML_ICICLE_LIB_DIR").map(|_| Icicle::open().expect("the libraries that are named open"))
    });
    OPENED.as_ref()
}

/// The folder of the libraries; without a compiler for them, which `stub` says aloud, the test is skipped.
macro_rules! folder {
    () => {
        match stub::folder() {
            Some(folder) => folder,
            None => return,
        }
    };
}

/// Devices of the libraries that misbehave, as `stub.cpp` numbers them.
const UNLICENSED: u16 = 90;
const FULL: u16 = 91;
const SMALL: u16 = 92;
const UNORDERED: u16 = 93;
const UNREDUCED: u16 = 94;
const OFF_THE_CURVE: u16 = 95;
const UNCOPYABLE: u16 = 96;

fn random(len: usize, seed: u64) -> Vec<Fr> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    (0..len).map(|_| Fr::random(&mut rng)).collect()
}

/// The words of a refusal to open, which names the operation and what was to be opened.
fn refusal(options: &Options) -> String {
    match Icicle::with_options(options) {
        Err(BackendError::Device { message, .. }) => message,
        other => panic!("not refused: {other:?}"),
    }
}

fn refusal_of(folder: &Path) -> String {
    let options = stub::device(folder, 0);
    let refusal = refusal(&options);
    assert_eq!(presence(&options), Err(refusal.clone()));
    refusal
}

/// The proof of a specimen with everything in it, and of a fixed seed.
fn proof<B: Backend>(backend: B) -> Vec<u8> {
    let params = ParamsKZG::setup(Everything::K, ChaCha20Rng::seed_from_u64(1));
    let circuit = Everything::honest();
    let vk = keygen_vk(&params, &circuit).unwrap();
    let pk = keygen_pk(&params, vk, &circuit).unwrap();
    let prover = Prover::new(backend, &params, &pk).unwrap();
    let instances = circuit.instances();
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
    let rng = ChaCha20Rng::seed_from_u64(2);
    prover.create_proof(&circuit, &columns, rng, &mut transcript).unwrap();
    transcript.finalize()
}

#[test]
fn a_proof_has_the_processors_bytes() {
    let icicle = Icicle::with_options(&stub::device(folder!(), 0)).unwrap();
    assert_eq!(proof(Dual::new(icicle, Cpu::new())), proof(Cpu::new()));
}

#[test]
fn the_back_end_says_what_it_runs_on() {
    let folder = folder!();
    let info = presence(&stub::device(folder, 1)).unwrap();
    assert_eq!(
        (info.version, info.place.as_str(), info.device.as_str()),
        (Version::V4, folder.to_str().unwrap(), "CPU:1")
    );
    let icicle = Icicle::with_options(&stub::device(folder, 1)).unwrap();
    assert_eq!(icicle.name(), "icicle");
    assert!(icicle.description().starts_with("ICICLE 4 on CPU:1, beside "), "{}", icicle.description());
}

#[test]
fn threads_and_devices_share_the_libraries() {
    let folder = folder!();
    std::thread::scope(|scope| {
        for (thread, index) in [1, 2, 2].into_iter().enumerate() {
            scope.spawn(move || {
                let (icicle, cpu) = (Icicle::with_options(&stub::device(folder, index)).unwrap(), Cpu::new());
                // Domains grow in between.
                for log_n in [3, 10, 2, 12, 7] {
                    let column = cpu.upload(&random(1 << log_n, thread as u64)).unwrap();
                    let got = icicle.coset_ntt(&[&column], Fr::from(5)).unwrap();
                    let expected = cpu.coset_ntt(&[&column], Fr::from(5)).unwrap();
                    assert_eq!(cpu.download(&got[0]), cpu.download(&expected[0]), "thread {thread}, 2^{log_n}");
                }
            });
        }
    });
}

#[test]
fn the_coset_of_zero_is_the_constant() {
    let Some(icicle) = stub::opened() else { return };
    let column = icicle.upload(&random(8, 1)).unwrap();
    let values = icicle.coset_ntt(&[&column], Fr::ZERO).unwrap();
    assert_eq!(icicle.download(&values[0]), Ok(vec![random(8, 1)[0]; 8]));
}

#[test]
fn a_failed_call_is_an_error_that_names_it() {
    let folder = folder!();
    let unlicensed = refusal(&stub::device(folder, UNLICENSED));
    assert!(unlicensed.contains("icicle_set_device failed with LICENSE_CHECK_ERROR (13)"), "{unlicensed}");
    assert!(unlicensed.contains("ICICLE_LICENSE"), "{unlicensed}");
    assert_eq!(refusal(&stub::device(folder, FULL)), "bn254_msm failed with OUT_OF_MEMORY (2)");
    let unread = "icicle_copy_to_device failed with COPY_FAILED (6)";
    assert_eq!(refusal(&stub::device(folder, UNCOPYABLE)), unread);
    // The device has memory for one vector: the first one's was freed.
    assert_eq!(refusal(&stub::device(folder, UNCOPYABLE)), unread);
}

#[test]
fn the_back_end_serves_on_after_a_failed_call() {
    let icicle = Icicle::with_options(&stub::device(folder!(), SMALL)).unwrap();
    // Two mebibytes, of one.
    let failed = icicle.load_bases(&vec![G1Affine::generator(); 1 << 15], 0).map(drop).unwrap_err();
    let (operation, device) = ("load_bases", "icicle CPU:92".to_owned());
    let message = "icicle_malloc failed with OUT_OF_MEMORY (2)".to_owned();
    assert_eq!(failed, BackendError::Device { operation, device, message });
    let (points, scalars) = (Points::Distinct.make(100, 1), random(100, 1));
    let cpu = Cpu::new();
    let column = cpu.upload(&scalars).unwrap();
    let expected = cpu.msm(&cpu.load_bases(&points, 0).unwrap(), &[&column]);
    assert_eq!(icicle.msm(&icicle.load_bases(&points, 0).unwrap(), &[&column]), expected);
}

#[test]
fn points_of_another_device_are_refused() {
    let folder = folder!();
    let [one, other] = [1, 2].map(|index| Icicle::with_options(&stub::device(folder, index)).unwrap());
    let (bases, column) =
        (one.load_bases(&Points::Distinct.make(3, 1), 0).unwrap(), one.upload(&random(3, 1)).unwrap());
    assert!(one.msm(&bases, &[&column]).is_ok());
    let refusal = other.msm(&bases, &[&column]).unwrap_err().to_string();
    assert_eq!(refusal, "msm: device icicle CPU:2: the points are on another device, CPU:1");
}

#[test]
fn libraries_that_compute_something_else_are_refused() {
    let folder = folder!();
    let unordered = refusal(&stub::device(folder, UNORDERED));
    assert!(unordered.starts_with("its result is not the processor's"), "{unordered}");
    assert!(unordered.contains("ICICLE 3.0 to 4.0"), "{unordered}");
    assert_eq!(refusal(&stub::device(folder, UNREDUCED)), "bn254_ntt gave a number that is not reduced");
    assert_eq!(refusal(&stub::device(folder, OFF_THE_CURVE)), "bn254_msm gave no point of the curve");
}

#[test]
fn a_missing_library_is_named() {
    let _ = folder!();
    for missing in ["icicle_device", "icicle_field_bn254", "icicle_curve_bn254"] {
        let refusal = refusal_of(&stub::hollow(&[missing], &["bn254_eq"]));
        assert!(refusal.starts_with(&format!("lib{missing}.so does not load: ")), "{refusal}");
        assert!(
            refusal.contains("\nhint: install ICICLE 3.0 to 4.0") && refusal.contains("ZKML_ICICLE_LIB_DIR"),
            "{refusal}"
        );
    }
}

#[test]
fn a_missing_function_is_named() {
    let _ = folder!();
    for (library, missing) in
        [("device", "icicle_malloc"), ("field_bn254", "bn254_ntt_release_domain"), ("curve_bn254", "bn254_msm")]
    {
        let refusal = refusal_of(&stub::hollow(&[missing], &["bn254_eq"]));
        let expected =
            format!("libicicle_{library}.so has no function {missing}\nhint: ICICLE 3.0 to 4.0 are supported");
        assert_eq!(refusal, expected);
    }
}

#[test]
fn other_versions_are_refused() {
    let _ = folder!();
    let old = refusal_of(&stub::hollow(&[], &["bn254_msm_cuda", "bn254_eq"]));
    assert!(old.starts_with("libicicle_curve_bn254.so is of a release before 3.0\nhint: ICICLE 3.0 to 4.0"), "{old}");
    let unknown = refusal_of(&stub::hollow(&[], &[]));
    assert!(unknown.starts_with("libicicle_curve_bn254.so is of no release that this back end knows"), "{unknown}");
}

#[test]
fn a_missing_plugin_is_named() {
    let options = Options::default().with_folder(folder!().to_owned());
    let metal = refusal(&options.with_device(DeviceType::Metal, 0));
    assert!(metal.starts_with("ICICLE 4 in ") && metal.contains(" has no plugin for METAL, only for: CPU"), "{metal}");
    assert!(metal.contains("\nhint: ") && metal.contains("ICICLE_BACKEND_INSTALL_DIR"), "{metal}");
    // A version that is known by the other mark, whose calls all fail.
    let hollow = refusal_of(&stub::hollow(&[], &["bn254_eq"]));
    assert!(
        hollow.starts_with("ICICLE 3 in ") && hollow.contains(" has no plugin for CPU, only for: none"),
        "{hollow}"
    );
}

/// What a process with this environment finds and opens, in words.
fn elsewhere(variables: &[(&str, &Path)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tells_what_the_environment_names", "--ignored", "--nocapture"]);
    for name in ["ZKML_ICICLE_LIB_DIR", "ICICLE_BACKEND_INSTALL_DIR", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "for the tests below, in a process and an environment of its own"]
fn tells_what_the_environment_names() {
    match presence(&Options::default()) {
        Ok(info) => println!("ICICLE {} in {} on {}", info.version, info.place, info.device),
        Err(reason) => println!("{reason}"),
    }
    match Icicle::open() {
        Ok(icicle) => println!("opened {}", icicle.description()),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn the_environment_names_libraries_and_plugins() {
    let folder = folder!();
    let found = elsewhere(&[("ZKML_ICICLE_LIB_DIR", folder), ("ICICLE_BACKEND_INSTALL_DIR", folder)]);
    assert!(found.contains(&format!("ICICLE 4 in {} on CUDA:0\n", folder.display())), "{found}");
    assert!(found.contains("opened ICICLE 4 on CUDA:0, beside "), "{found}");
}

#[test]
fn without_a_folder_the_loader_looks_for_the_libraries() {
    let folder = folder!();
    let found = elsewhere(&[("LD_LIBRARY_PATH", folder), ("ICICLE_BACKEND_INSTALL_DIR", folder)]);
    assert!(found.contains("ICICLE 4 in the loader's path on CUDA:0\n"), "{found}");
    assert!(found.contains("opened ICICLE 4 on CUDA:0, beside "), "{found}");
}

#[test]
fn without_plugins_or_libraries_the_reason_is_told() {
    let folder = folder!();
    let found = elsewhere(&[("ZKML_ICICLE_LIB_DIR", folder)]);
    assert!(found.contains("has no plugin for CUDA, METAL, VULKAN, only for: CPU\nhint: "), "{found}");
    assert!(found.contains("open: device icicle: ICICLE 4 in "), "{found}");
    let nowhere = folder.join("nowhere");
    let found = elsewhere(&[("ZKML_ICICLE_LIB_DIR", &nowhere)]);
    assert!(
        found.contains("libicicle_device.so does not load: ") && found.contains("nowhere/libicicle_device.so"),
        "{found}"
    );
}
