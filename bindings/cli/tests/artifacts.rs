//! `proof.json` and `model.vk`: what is in them, and that no change of them is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zkml_gpu::{FileError, ModelKey, ProofBundle, Rejection};

use crate::support::{Scratch, exit_code, prove, prove_model, repository, run, text};

/// The artifacts of one proof.
struct Artifacts {
    scratch: Scratch,
    key: ModelKey,
    proof: ProofBundle,
    value: Value,
}

impl Artifacts {
    fn make() -> Self {
        Self::make_with(&[])
    }

    fn embedded() -> Self {
        Self::make_with(&["--weights", "embedded"])
    }

    fn make_with(arguments: &[&str]) -> Self {
        Self::read(prove(arguments))
    }

    fn read((scratch, out): (Scratch, String)) -> Self {
        let proof = ProofBundle::read(format!("{out}/proof.json")).expect("proof.json");
        let key = ModelKey::read(format!("{out}/model.vk")).expect("model.vk");
        let text = std::fs::read(format!("{out}/proof.json")).expect("proof.json");
        let value = serde_json::from_slice(&text).expect("JSON");
        Self { scratch, key, proof, value }
    }

    fn vk(&self) -> String {
        self.scratch.path("out/model.vk")
    }

    /// The verdict on a changed bundle, its checksum made right again.
    fn verdict(&self, change: impl FnOnce(&mut ProofBundle)) -> Result<(), Rejection> {
        let mut proof = self.proof.clone();
        change(&mut proof);
        proof.seal();
        let read = ProofBundle::from_json(&proof.to_json().expect("JSON"), "proof.json").expect("well-formed");
        self.key.verify(&read)
    }

    /// Exit code and output of the program on this text.
    fn verify_text(&self, proof: &[u8]) -> (i32, String) {
        let path = self.scratch.file("changed.json", proof);
        let output = run(&["verify", &path, "--vk", &self.vk(), "--json"]);
        (exit_code(&output), text(&output.stdout) + &text(&output.stderr))
    }
}

#[test]
fn a_proof_names_its_model_key_backend_and_quantisation() {
    let artifacts = Artifacts::make();
    let ProofBundle { model, verifying_key, backend, weights, note, insecure_srs, inputs, outputs, .. } =
        &artifacts.proof;
    assert_eq!((model.as_str(), backend.as_str()), ("gemm_plain", "cpu"));
    assert_eq!(verifying_key, artifacts.key.digest());
    assert_eq!(artifacts.proof.circuit_key, artifacts.key.circuit_digest());
    assert_eq!(artifacts.proof.max_error, artifacts.key.accuracy().max_error);
    assert_eq!(
        (weights.as_str(), note.as_str()),
        ("committed, hiding", "exact integers, proven of the model commitment")
    );
    assert!(insecure_srs & artifacts.key.is_insecure());
    for tensor in inputs.iter().chain(outputs) {
        assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>());
        for (value, real) in tensor.values.iter().zip(tensor.reals()) {
            assert!((tensor.min..=tensor.max).contains(value));
            assert_eq!(real, *value as f64 / 2f64.powi(tensor.frac_bits));
        }
    }
    let file = std::fs::metadata(artifacts.scratch.path("out/proof.json")).expect("proof.json").len();
    assert!(file < 2 * artifacts.proof.proof_bytes().len() as u64, "{file} bytes");
    assert_eq!(artifacts.verdict(|_| {}).map_err(|rejection| rejection.to_string()), Ok(()));
}

#[test]
fn every_changed_field_is_rejected_even_with_a_right_checksum() {
    type Change = fn(&mut ProofBundle);
    let changes: [(&str, Change); 21] = [
        ("model", |p| p.model = "other".into()),
        ("verifying_key", |p| p.verifying_key = "00".repeat(32)),
        ("circuit_key", |p| p.circuit_key = "00".repeat(32)),
        ("backend", |p| p.backend = "abacus".into()),
        ("backend escape", |p| p.backend = "\x1b[2J".into()),
        ("weights", |p| p.weights = "public".into()),
        ("note", |p| p.note = String::new()),
        ("insecure_srs", |p| p.insecure_srs = false),
        ("max_error", |p| p.max_error = 0.0),
        ("input name", |p| p.inputs[0].name.push('x')),
        ("input shape", |p| p.inputs[0].shape.push(1)),
        ("frac_bits", |p| p.outputs[0].frac_bits += 1),
        ("min", |p| p.outputs[0].min -= 1),
        ("max", |p| p.inputs[0].max += 1),
        ("fewer values", |p| p.outputs[0].values.truncate(1)),
        ("more values", |p| p.outputs[0].values.push(0)),
        ("no input", |p| p.inputs.clear()),
        ("two outputs", |p| p.outputs.push(p.outputs[0].clone())),
        ("no proof", |p| p.proof.clear()),
        ("longer proof", |p| p.proof = encoded(&[&p.proof_bytes()[..], &[0]].concat())),
        ("shorter proof", |p| p.proof = encoded(&p.proof_bytes()[1..])),
    ];
    let artifacts = Artifacts::make();
    for (name, change) in changes {
        assert!(artifacts.verdict(change).is_err(), "{name}");
    }
}

/// A proof's bytes as the file has them.
fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Changes an integer.
fn shift(tensor: &mut zkml_gpu::PublicTensor, index: usize, by: i64) {
    tensor.values[index] += by;
}

#[test]
fn another_input_or_output_is_rejected() {
    let artifacts = Artifacts::make();
    for index in 0..artifacts.proof.inputs[0].values.len() {
        let by = if artifacts.proof.inputs[0].values[index] > 0 { -1 } else { 1 };
        assert!(matches!(artifacts.verdict(|p| shift(&mut p.inputs[0], index, by)), Err(Rejection::Proof(_))));
    }
    for index in 0..artifacts.proof.outputs[0].values.len() {
        let by = if artifacts.proof.outputs[0].values[index] > 0 { -1 } else { 1 };
        assert!(matches!(artifacts.verdict(|p| shift(&mut p.outputs[0], index, by)), Err(Rejection::Proof(_))));
    }
    let beyond = artifacts.proof.inputs[0].max + 1 - artifacts.proof.inputs[0].values[0];
    assert!(matches!(artifacts.verdict(|p| shift(&mut p.inputs[0], 0, beyond)), Err(Rejection::Proof(_))));
}

#[test]
fn indices_are_shown_as_they_are_and_others_are_rejected() {
    let artifacts = Artifacts::read(prove_model("embedding", &[]));
    let input = &artifacts.proof.inputs[0];
    let given: Value =
        serde_json::from_slice(&std::fs::read(repository("tests/models/ops/embedding.json")).expect("input"))
            .expect("JSON");
    assert_eq!(json!(input.reals()), given["input_data"][0]);
    assert_eq!((input.shape.as_slice(), input.frac_bits, input.min, input.max), (&[1, 5][..], 0, 0, 6));
    artifacts.verdict(|_| {}).expect("an honest proof");
    for index in 0..5 {
        let by = if input.values[index] == 6 { -1 } else { 1 };
        assert!(matches!(artifacts.verdict(|p| shift(&mut p.inputs[0], index, by)), Err(Rejection::Proof(_))));
        for outside in [-1, 7, i64::MAX, i64::MIN] {
            let verdict = artifacts.verdict(|p| p.inputs[0].values[index] = outside);
            assert!(matches!(verdict, Err(Rejection::Proof(_))), "{outside}: {verdict:?}");
        }
    }
}

#[test]
fn an_input_that_is_no_index_exits_2_with_its_place() {
    let scratch = Scratch::new();
    let model = repository("tests/models/ops/embedding.onnx");
    for wrong in ["7", "-8", "0.5", "1e30"] {
        let input = scratch.file("input.json", format!(r#"{{"input_data": [[0, 1, {wrong}, 3, 4]]}}"#));
        let output = run(&["prove", &model, &input]);
        let message = text(&output.stderr);
        assert_eq!(exit_code(&output), 2, "{message}");
        assert!(message.contains("input_data[0][2]") && message.contains("from 0 to 6"), "{message}");
    }
}

#[test]
fn flipped_proof_bytes_are_rejected() {
    let artifacts = Artifacts::make();
    let bytes = artifacts.proof.proof_bytes();
    for index in (0..bytes.len()).step_by(37).chain([bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(artifacts.verdict(|p| p.proof = encoded(&changed)).is_err(), "byte {index}");
    }
}

#[test]
fn a_proof_for_another_key_is_rejected() {
    let (ours, others) = (Artifacts::make(), Artifacts::make());
    // The same model, but another reference string and other blinding.
    assert!(others.key.verify(&ours.proof).is_err());
    let adopted = ours.verdict(|p| p.verifying_key = others.key.digest().into());
    assert!(matches!(adopted, Err(Rejection::OtherModel { .. })));
    let mut disguised = ours.proof.clone();
    disguised.verifying_key = others.key.digest().into();
    disguised.circuit_key = others.key.circuit_digest().into();
    disguised.model_commitment = others.key.model_digest().into();
    disguised.architecture = others.key.architecture_digest().into();
    disguised.seal();
    assert!(matches!(others.key.verify(&disguised), Err(Rejection::Proof(_))));
}

#[test]
fn rejection_exits_1_and_unreadable_files_exit_2() {
    let artifacts = Artifacts::make();
    let mut edited = artifacts.value.clone();
    edited["outputs"][0]["values"][0] = json!(12345);
    let (code, shown) = artifacts.verify_text(edited.to_string().as_bytes());
    assert_eq!(code, 1, "{shown}");
    let verdict: Value = serde_json::from_str(&shown).expect("one JSON object");
    assert_eq!(verdict["accepted"], false);
    assert!(verdict["reason"].as_str().is_some_and(|reason| reason.contains("checksum")));

    let original = artifacts.value.to_string();
    assert_eq!(artifacts.verify_text(original.as_bytes()).0, 0);
    for text in [
        String::new(),
        original[..original.len() / 2].into(),
        format!("{original} x"),
        original.replacen('{', "{\"extra\": 1, ", 1),
        original.replacen('{', "{\"version\": 1, ", 1),
        original.replace("\"note\"", "\"notes\""),
        original.replace("zkml-gpu proof", "another proof"),
        original.replace("\"version\":3", "\"version\":2"),
        original.replace("\"proof\":\"", "\"proof\":\"A0"),
        original.replace("\"proof\":\"", "\"proof\":\"0"),
        original.replace("\"proof\":\"", "\"proof\":\"zz"),
    ] {
        let (code, shown) = artifacts.verify_text(text.as_bytes());
        assert_eq!(code, 2, "{shown}");
        assert!(shown.contains("changed.json") && shown.contains("hint:"), "{shown}");
    }
}

#[test]
fn a_damaged_key_is_refused() {
    let artifacts = Artifacts::make();
    let bytes = artifacts.key.to_bytes().to_vec();
    for index in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
        let mut changed = bytes.clone();
        changed[index] ^= 0x10;
        assert!(matches!(ModelKey::from_bytes(&changed, "model.vk"), Err(FileError::Artifact { .. })), "byte {index}");
    }
    for len in [0, 7, 20, bytes.len() - 1] {
        let path = artifacts.scratch.file("short.vk", &bytes[..len]);
        let output = run(&["verify", &artifacts.scratch.path("out/proof.json"), "--vk", &path]);
        assert_eq!(exit_code(&output), 2, "{len} bytes");
        assert!(text(&output.stderr).contains("short.vk"), "{}", text(&output.stderr));
    }
    let read = ModelKey::from_bytes(&bytes, "model.vk").expect("the key as written");
    assert_eq!(read.to_bytes(), bytes);
}

#[test]
fn artifacts_say_that_embedded_weights_are_public_and_reject_every_other_word() {
    let artifacts = Artifacts::embedded();
    let ProofBundle { weights, note, .. } = &artifacts.proof;
    assert_eq!((weights.as_str(), note.as_str()), ("embedded, public", "exact integers, fixed by the verifying key"));
    assert_eq!((artifacts.key.weights(), artifacts.key.note()), (weights.as_str(), note.as_str()));
    let read = ModelKey::from_bytes(artifacts.key.to_bytes(), "model.vk").expect("the key as written");
    assert_eq!((read.weight_mode(), read.digest()), (artifacts.key.weight_mode(), artifacts.key.digest()));
    assert_eq!(artifacts.verdict(|_| {}).map_err(|rejection| rejection.to_string()), Ok(()));
    let committed = Artifacts::make();
    for (ours, others) in [(&artifacts, &committed), (&committed, &artifacts)] {
        for text in [others.key.weights(), "", "public"] {
            let verdict = ours.verdict(|p| p.weights = text.into());
            assert!(matches!(verdict, Err(Rejection::Field { ref field, .. }) if field == "weights"), "{verdict:?}");
        }
        let verdict = ours.verdict(|p| p.note = others.key.note().into());
        assert!(matches!(verdict, Err(Rejection::Field { ref field, .. }) if field == "note"), "{verdict:?}");
    }
}

#[test]
fn a_proof_of_one_mode_is_rejected_under_a_key_of_the_other_in_whatever_words() {
    let (embedded, committed) = (Artifacts::embedded(), Artifacts::make());
    for (ours, others) in [(&embedded, &committed), (&committed, &embedded)] {
        assert!(others.key.verify(&ours.proof).is_err());
        let mut disguised = ours.proof.clone();
        disguised.verifying_key = others.key.digest().into();
        disguised.circuit_key = others.key.circuit_digest().into();
        disguised.model_commitment = others.key.model_digest().into();
        disguised.architecture = others.key.architecture_digest().into();
        disguised.weights = others.key.weights().into();
        disguised.note = others.key.note().into();
        disguised.seal();
        assert!(matches!(others.key.verify(&disguised), Err(Rejection::Proof(_))));
    }
}

#[test]
fn another_output_or_flipped_bytes_are_rejected_with_embedded_weights() {
    let artifacts = Artifacts::embedded();
    for index in 0..artifacts.proof.outputs[0].values.len() {
        let by = if artifacts.proof.outputs[0].values[index] > 0 { -1 } else { 1 };
        assert!(matches!(artifacts.verdict(|p| shift(&mut p.outputs[0], index, by)), Err(Rejection::Proof(_))));
    }
    let bytes = artifacts.proof.proof_bytes();
    for index in (0..bytes.len()).step_by(31) {
        let mut changed = bytes.clone();
        changed[index] ^= 4;
        assert!(artifacts.verdict(|p| p.proof = encoded(&changed)).is_err(), "byte {index}");
    }
    assert!(artifacts.verdict(|p| p.proof = encoded(&[&bytes[..], &[0]].concat())).is_err(), "a byte more");
}
