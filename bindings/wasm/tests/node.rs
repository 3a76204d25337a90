//! The package for JavaScript in Node.js: what it proves the native library verifies, what it verifies the native
//! library has proved, and equal randomness gives equal bytes. Skipped where there is no Node.js or the package is not
//! built (`scripts/wasm.sh prover verifier`).

use std::path::{Path, PathBuf};
use std::process::Command;

use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng};
use serde_json::json;
use zkml_gpu::{
    BackendChoice, CompileOptions, ImportOptions, Model, ModelKey, ModelProver, ProofBundle, Srs, Visibility,
    read_samples,
};

/// Of the proof that both make.
const SEED: u64 = 7;
/// The first release of Node.js that the package was tried on.
const LEAST_NODE: u32 = 20;

fn model_file(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain").with_extension(kind)
}

/// Runs a test of the package in Node.js on files of a folder; what it says.
fn node(package: &Path, test: &str, files: &Path) -> String {
    let ran = Command::new("node")
        .args(["--test", "--test-reporter=spec", &format!("test/{test}.test.mjs")])
        .current_dir(package)
        .env("ZKML_FILES", files)
        .output()
        .expect("Node.js");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    println!("{said}");
    said
}

/// The package's folder, if Node.js is there and the package is built.
fn package() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("npm");
    let node = Command::new("node").arg("--version").output();
    let built = ["prover/zkml_gpu_bg.wasm", "verifier/zkml_gpu_verify_bg.wasm"];
    let missing = built.iter().find(|file| !package.join("wasm").join(file).exists());
    let version = node.map(|node| String::from_utf8_lossy(&node.stdout).trim().to_owned()).unwrap_or_default();
    let major = version.strip_prefix('v').and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match (major, missing) {
        (Some(LEAST_NODE..), None) => Some(package),
        (_, None) => {
            println!("SKIPPED: Node.js {LEAST_NODE} or later is not there, but '{version}'");
            None
        }
        (_, Some(file)) => {
            println!("SKIPPED: {file} is not built; scripts/wasm.sh prover verifier builds it");
            None
        }
    }
}

/// Keys of the model with an input that is seen like this, in files; and their prover.
fn keys(folder: &Path, name: &str, visibility: Visibility) -> ModelProver {
    let model = Model::load(model_file("onnx"), &ImportOptions::default()).expect("a model");
    let samples = read_samples(model_file("json"), &model.inputs()).expect("samples");
    let input = model.inputs()[0].name.to_owned();
    let options = CompileOptions::default().with_visibility(vec![(input, visibility)], Vec::new());
    let compiled = model.compile(&samples, &options).expect("a circuit");
    let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
    let key = compiled.setup(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
    key.write_pair(folder, name).expect("files");
    let budget = key.model().memory_budget(None).expect("memory");
    key.prover(&BackendChoice::Cpu, &budget).expect("a prover")
}

#[test]
fn what_node_proves_the_library_verifies_and_the_other_way_round() {
    let Some(package) = package() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let prover = keys(folder.path(), "public", Visibility::Public);
    keys(folder.path(), "hashed", Visibility::Hashed);
    keys(folder.path(), "committed", Visibility::Committed);
    let samples = read_samples(model_file("json"), &prover.model().inputs()).expect("samples");
    let proof = prover.prove(&samples[0], OsRng).expect("a proof").bundle;
    let seeded = prover.prove(&samples[0], ChaCha20Rng::seed_from_u64(SEED)).expect("a proof").bundle;
    // A lie whose checksum, which guards against damage alone, is right.
    let mut lie = proof.clone();
    lie.outputs[0].values[0] += 1;
    lie.seal();
    std::fs::copy(model_file("json"), at("input.json")).expect("a file");
    for (name, bytes) in [
        ("public.proof.json", proof.to_json().expect("JSON")),
        ("seeded.json", seeded.to_json().expect("JSON")),
        ("lie.json", lie.to_json().expect("JSON")),
        ("expected.json", json!({ "output": proof.outputs[0].reals() }).to_string().into_bytes()),
    ] {
        std::fs::write(at(name), bytes).expect("a file");
    }
    node(&package, "package", folder.path());
    for name in ["public", "hashed", "committed"] {
        let key = ModelKey::read(at(&format!("{name}.vk"))).expect("a key");
        let proof = ProofBundle::read(at(&format!("{name}.node.json"))).expect("a proof");
        key.verify(&proof).expect(name);
        assert_eq!(proof.inputs[0].visibility.is_hidden(), name != "public", "{name}");
    }
}

#[test]
fn a_digit_that_is_drawn_on_the_page_is_proven_there() {
    let Some(package) = package() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let lenet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/lenet");
    let model = Model::load(lenet.join("lenet.onnx"), &ImportOptions::default()).expect("a model");
    let samples = read_samples(lenet.join("calibration.json"), &model.inputs()).expect("samples");
    let hashed = vec![("input".to_owned(), Visibility::Hashed)];
    let options = CompileOptions::default().with_public_weights(true).with_visibility(hashed, Vec::new());
    let compiled = model.compile(&samples, &options).expect("a circuit");
    let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
    let key = compiled.setup(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
    key.write_pair(folder.path(), "digit").expect("files");
    if node(&package, "page", folder.path()).contains("SKIPPED") {
        return;
    }
    let proof = ProofBundle::read(folder.path().join("page.proof.json")).expect("a proof");
    key.key().verify(&proof).expect("accepted");
    assert!(proof.inputs[0].values.is_empty() && proof.inputs[0].hash.is_some());
}
