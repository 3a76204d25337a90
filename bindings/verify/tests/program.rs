//! The program's contract: it accepts a real proof, rejects a changed one, and names the file that is wrong.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::OsRng;
use zkml_gpu::{BackendChoice, CompileOptions, ImportOptions, Model, Srs, read_samples};
use zkml_gpu_verify::{ErrorClass, ModelKey, ProofBundle, Verdict};

/// A proof under its key, both in a folder that goes away with the test.
struct Artifacts {
    folder: tempfile::TempDir,
    key: &'static ModelKey,
    proof: &'static ProofBundle,
}

impl Artifacts {
    fn write() -> Self {
        let (key, proof) = proved();
        let artifacts = Self { folder: tempfile::tempdir().expect("a temporary folder"), key, proof };
        artifacts.file("model.vk", key.to_bytes());
        artifacts.file("proof.json", proof.to_json().expect("JSON"));
        artifacts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).expect("a file");
        self.path(name)
    }

    fn verify(&self, proof: &str, vk: &str, options: &[&str]) -> Output {
        let mut command = program();
        command.arg(self.path(proof)).arg("--vk").arg(self.path(vk)).args(options);
        command.output().expect("zkml-gpu-verify runs")
    }
}

/// A dense layer from 6 to 4, proved once for all tests.
fn proved() -> &'static (ModelKey, ProofBundle) {
    static PROVED: OnceLock<(ModelKey, ProofBundle)> = OnceLock::new();
    PROVED.get_or_init(prove)
}

fn prove() -> (ModelKey, ProofBundle) {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain.onnx");
    let input = model.with_extension("json");
    let model = Model::load(model, &ImportOptions::default()).expect("a model");
    let samples = read_samples(input, &model.inputs()).expect("an input");
    let compiled = model.compile(&samples, &CompileOptions::default()).expect("a circuit");
    let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
    let prover = compiled.prover(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
    let proof = prover.prove(&samples[0], OsRng).expect("a proof").bundle;
    (prover.key().clone(), proof)
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_zkml-gpu-verify"))
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("zkml-gpu-verify runs")
}

fn exit_code(output: &Output) -> u8 {
    output.status.code().and_then(|code| u8::try_from(code).ok()).expect("not killed by a signal")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_real_proof_is_accepted_with_what_it_says() {
    let artifacts = Artifacts::write();
    let output = artifacts.verify("proof.json", "model.vk", &[]);
    assert_eq!((exit_code(&output), text(&output.stderr)), (0, ""));
    let shown = text(&output.stdout);
    for part in ["accepted: gemm_plain", "output", "input", "committed, hiding", artifacts.key.note(), "insecure"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let output = artifacts.verify("proof.json", "model.vk", &["--json"]);
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let fields = [
        "accepted",
        "inferences",
        "input",
        "input_hash",
        "input_visibility",
        "insecure_srs",
        "model",
        "note",
        "output",
        "output_hash",
        "output_visibility",
        "reason",
        "verify_ms",
        "verifying_key",
        "weights",
    ];
    let mut found: Vec<&String> = verdict.as_object().expect("an object").keys().collect();
    found.sort();
    assert_eq!(found, fields);
    assert_eq!((&verdict["accepted"], &verdict["reason"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(verdict["output"][0], serde_json::json!(artifacts.proof.outputs[0].reals()));
    assert_eq!(verdict["note"], artifacts.key.note());
    assert_eq!(verdict["verifying_key"], artifacts.proof.verifying_key.as_str());
}

#[test]
fn a_changed_proof_is_rejected() {
    let artifacts = Artifacts::write();
    type Change = fn(&mut ProofBundle);
    let changes: [(&str, Change); 4] = [
        ("the proof does not hold", |proof| {
            let tensor = &mut proof.outputs[0];
            tensor.values[0] += if tensor.values[0] > 0 { -1 } else { 1 };
        }),
        ("back end's name", |proof| proof.backend = "abacus".into()),
        ("bytes follow", |proof| proof.proof = STANDARD.encode([&proof.proof_bytes()[..], &[0]].concat())),
        ("field-valued", |proof| proof.note = String::new()),
    ];
    for (reason, change) in changes {
        let mut proof = artifacts.proof.clone();
        change(&mut proof);
        proof.seal();
        let verdict = Verdict::new(artifacts.key, &proof);
        assert!(!verdict.accepted && verdict.to_string().starts_with("rejected: "), "{reason}");
        artifacts.file("changed.json", proof.to_json().expect("JSON"));
        let output = artifacts.verify("changed.json", "model.vk", &[]);
        assert_eq!((exit_code(&output), text(&output.stdout)), (1, verdict.to_string().as_str()), "{reason}");
        assert!(text(&output.stdout).contains(reason), "{reason}: {}", text(&output.stdout));
    }
    let mut edited = artifacts.proof.clone();
    edited.model = "other".into();
    artifacts.file("edited.json", edited.to_json().expect("JSON"));
    let output = artifacts.verify("edited.json", "model.vk", &["--json"]);
    assert!(exit_code(&output) == 1 && text(&output.stdout).contains("checksum"), "{}", text(&output.stdout));
}

#[test]
fn a_proof_under_another_key_is_rejected() {
    let artifacts = Artifacts::write();
    let (other, _) = prove();
    artifacts.file("other.vk", other.to_bytes());
    let output = artifacts.verify("proof.json", "other.vk", &[]);
    assert!(exit_code(&output) == 1 && text(&output.stdout).contains("circuit_key"), "{}", text(&output.stdout));
    let mut adopted = artifacts.proof.clone();
    adopted.verifying_key = other.digest().into();
    adopted.circuit_key = other.circuit_digest().into();
    adopted.seal();
    artifacts.file("adopted.json", adopted.to_json().expect("JSON"));
    assert_eq!(exit_code(&artifacts.verify("adopted.json", "other.vk", &[])), 1);
}

#[test]
fn files_that_are_missing_or_damaged_are_named_with_a_hint() {
    let artifacts = Artifacts::write();
    let key = artifacts.key.to_bytes();
    artifacts.file("short.vk", &key[..key.len() - 1]);
    artifacts.file("empty.json", "");
    for (proof, vk, wrong) in [
        ("absent.json", "model.vk", "absent.json"),
        ("proof.json", "absent.vk", "absent.vk"),
        ("proof.json", "short.vk", "short.vk"),
        ("empty.json", "model.vk", "empty.json"),
        ("model.vk", "model.vk", "model.vk"),
        ("proof.json", "proof.json", "proof.json"),
        (".", "model.vk", "cannot read"),
    ] {
        let output = artifacts.verify(proof, vk, &[]);
        assert_eq!(exit_code(&output), ErrorClass::BadInput.exit_code(), "{proof} {vk}");
        let message = text(&output.stderr);
        assert!(output.stdout.is_empty() && message.starts_with("error: "), "{message}");
        assert!(message.contains(wrong) && message.contains("\nhint: "), "{message}");
    }
}

#[test]
fn failures_are_objects_where_json_is_asked_for() {
    let artifacts = Artifacts::write();
    let [proof, vk] = ["proof.json", "absent.vk"];
    let output = artifacts.verify(proof, vk, &["--json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let error = &object["error"];
    assert_eq!((exit_code(&output), &error["class"]), (2, &"bad_input".into()));
    assert!(error["message"].as_str().is_some_and(|message| message.contains("absent.vk")), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("no such file")), "{error}");
    assert!(text(&output.stderr).contains("absent.vk"), "people read it as before");
    let output = run(&["proof.json", "--json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((exit_code(&output), &object["error"]["class"]), (2, &"bad_input".into()));
    assert!(artifacts.verify(proof, vk, &[]).stdout.is_empty() && run(&["proof.json"]).stdout.is_empty());
}

#[test]
fn wrong_arguments_end_with_code_2_and_a_hint() {
    for arguments in [
        &[][..],
        &["proof.json"],
        &["--vk", "model.vk"],
        &["proof.json", "--vk"],
        &["proof.json", "--vk", "model.vk", "--fast"],
        &["proof.json", "\x1b[2J", "--vk", "model.vk"],
    ] {
        let output = run(arguments);
        assert_eq!(exit_code(&output), 2, "{arguments:?}");
        let message = text(&output.stderr);
        assert!(output.stdout.is_empty() && message.contains("\nhint: ") && !message.contains('\x1b'), "{message}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (argument, part) in
        [("--help", "--vk model.vk"), ("-h", "Exit codes"), ("--version", env!("CARGO_PKG_VERSION"))]
    {
        let output = run(&[argument]);
        assert_eq!((exit_code(&output), text(&output.stderr)), (0, ""), "{argument}");
        assert!(text(&output.stdout).contains(part), "{argument}: {}", text(&output.stdout));
    }
}
