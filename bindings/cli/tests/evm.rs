//! `zkml-gpu evm`: a contract is written, called and measured; what has none is refused by name.

#![cfg(feature = "evm")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn model(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops").join(name).display().to_string()
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_zkml-gpu")).current_dir(folder).args(arguments).output();
    let output = output.expect("run zkml-gpu");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).expect("one JSON object")
}

/// Proves a dense layer.
fn prove(folder: &Path, out: &str, more: &[&str]) {
    let [model, input] = ["gemm_plain.onnx", "gemm_plain.json"].map(model);
    let fixed =
        ["prove", &model, &input, "--out", out, "--no-cache", "--backend", "cpu", "--json", "--costs", "reference"];
    json(folder, &[&fixed, more].concat());
}

#[test]
fn a_contract_is_written_called_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prove(at, "p", &["--weights", "embedded", "--target", "evm", "--transcript", "keccak"]);
    let verdict = json(at, &["verify", "p/proof.json", "--vk", "p/model.vk", "--json"]);
    assert_eq!(verdict["accepted"], true);

    let report = json(at, &["evm", "verifier", "--vk", "p/model.vk", "--name", "Gemm", "--json"]);
    let source = std::fs::read_to_string(at.join("Gemm.sol")).unwrap();
    assert!(source.contains("contract Gemm {") && source.contains("WARNING"), "the reference string is insecure");
    assert!(std::fs::read_to_string(at.join("IGemm.sol")).unwrap().contains("interface IGemm {"));

    let call = json(at, &["evm", "calldata", "p/proof.json", "--vk", "p/model.vk", "--json"]);
    let (_, text, _) = run(at, &["evm", "calldata", "p/proof.json", "--vk", "p/model.vk"]);
    assert_eq!(text.trim(), call["calldata"].as_str().unwrap());
    assert_eq!(call["values"].as_array().unwrap().len() as u64, report["values"].as_u64().unwrap());
    let proof = call["proof"].as_str().unwrap();
    assert_eq!(proof.len() as u64, 2 + 2 * report["proof_bytes"].as_u64().unwrap());

    let solc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/solc.sh");
    let has_solc = Command::new(&solc).arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_solc {
        eprintln!("skipped: gas, without solc and npm");
        return;
    }
    let solc = solc.display().to_string();
    let gas = json(at, &["evm", "gas", "p/proof.json", "--vk", "p/model.vk", "--solc", &solc, "--json"]);
    assert_eq!((&gas["accepted"], &gas["is_deployable"]), (&Value::Bool(true), &Value::Bool(true)));
    assert!(gas["gas"].as_u64() > gas["execution_gas"].as_u64());
}

#[test]
fn what_has_no_contract_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prove(at, "blake", &["--weights", "embedded"]);
    let (code, _, stderr) = run(at, &["evm", "calldata", "blake/proof.json", "--vk", "blake/model.vk"]);
    assert!(code == 2 && stderr.contains("--transcript keccak"), "{code}: {stderr}");
    let (code, _, stderr) = run(at, &["evm", "verifier", "--vk", "blake/model.vk", "--name", "lower"]);
    assert!(code == 2 && stderr.contains("capital letter"), "{code}: {stderr}");
    let (code, _, stderr) =
        run(at, &["evm", "verifier", "--vk", "blake/model.vk", "--name", "Gemm", "--out", "IGemm.sol"]);
    assert!(code == 2 && stderr.contains("the interface's file") && !at.join("IGemm.sol").exists(), "{code}: {stderr}");
    prove(at, "keccak", &["--weights", "embedded", "--transcript", "keccak"]);
    let missing = ["evm", "gas", "keccak/proof.json", "--vk", "keccak/model.vk", "--solc", "/no/such/solc"];
    let (code, _, stderr) = run(at, &missing);
    assert!(code == 2 && stderr.contains("/no/such/solc") && stderr.contains("npm"), "{code}: {stderr}");
    prove(at, "unproven", &["--unproven-weights", "--transcript", "keccak"]);
    let (code, _, stderr) = run(at, &["evm", "verifier", "--vk", "unproven/model.vk"]);
    assert!(code == 2 && stderr.contains("no proof that its committed weights"), "{code}: {stderr}");
}

#[test]
fn several_proofs_are_verified_and_the_bad_one_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prove(at, "p", &["--weights", "embedded"]);
    let proof = std::fs::read_to_string(at.join("p/proof.json")).unwrap();
    std::fs::write(at.join("bad.json"), proof.replacen("\"max_error\":", "\"max_error\":1", 1)).unwrap();
    let many = json(at, &["verify", "p/proof.json", "p/proof.json", "--vk", "p/model.vk", "--json"]);
    assert!(many["accepted"] == true && many["proofs"].as_array().unwrap().len() == 2);
    let (code, stdout, _) = run(at, &["verify", "p/proof.json", "bad.json", "--vk", "p/model.vk"]);
    assert!(code == 1 && stdout.contains("rejected: bad.json"), "{code}: {stdout}");
}
