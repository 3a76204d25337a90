//! Models in segments, as their users have them: keys that last, retrained weights, weights that are a file's, tensors
//! that are committed to and hashed before a proof.

use crate::support::{Scratch, exit_code, json, repository, retrained, run, text};
use serde_json::Value;
use zkml_gpu::SegmentedKey;

/// Two products, a sum of both, and clamps.
fn residual(extension: &str) -> String {
    repository(&format!("tests/models/ops/residual_add.{extension}"))
}

/// A folder with `m.zkml`, of two segments, and the keys of it.
struct Keys(Scratch);

impl Keys {
    fn make(options: &[&str]) -> Self {
        let keys = Self(Scratch::new());
        let (model, input, zkml) = (residual("onnx"), residual("json"), keys.path("m.zkml"));
        let compile = ["compile", &model, "--calibration", &input, "--segments", "2", "--allow-error", "--out", &zkml];
        let told = json(&run(&[&compile[..], options, &["--json"]].concat()));
        assert_eq!(told["segments"].as_array().map(Vec::len), Some(2), "{told}");
        let told = keys.json(&["setup", &zkml, "--out", &keys.path("keys"), "--json"]);
        assert_eq!(told["segments"], 2, "{told}");
        keys
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }

    fn pk(&self) -> String {
        self.path("keys/m.pk")
    }

    fn vk(&self) -> String {
        self.path("keys/m.vk")
    }

    fn srs(&self) -> String {
        self.path("keys/m.srs")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json(&run(arguments))
    }
}

fn refused(arguments: &[&str], part: &str) {
    let output = run(arguments);
    let message = text(&output.stderr);
    assert_eq!(exit_code(&output), 2, "{arguments:?}: {message}");
    assert!(message.contains(part) && message.contains("\nhint: "), "{part}: {message}");
}

#[test]
fn keys_of_segments_last_and_their_weights_are_a_files() {
    let keys = Keys::make(&["--weights", "public"]);
    let proof = keys.path("out/proof.json");
    let told = keys.json(&["prove", &keys.pk(), &residual("json"), "--out", &keys.path("out"), "--json"]);
    assert_eq!((&told["segments"], &told["keys"]), (&2.into(), &keys.pk().into()), "{told}");
    let of = |model: &str, vk: &str, proof: &str, srs: &str| {
        run(&["verify", proof, "--vk", vk, "--srs", srs, "--model", model, "--json"])
    };
    let found = json(&of(&residual("onnx"), &keys.vk(), &proof, &keys.srs()));
    let file = &found["audit"]["file"];
    assert_eq!((&found["accepted"], &file["name"]), (&true.into(), &"residual_add.onnx".into()), "{found}");
    // The input is public: the error is measured on it.
    assert_eq!(file["measured"]["samples"], 1, "{found}");
    let audit = ["audit", &keys.vk(), "--model", &keys.path("keys/m.public.zkml"), "--srs", &keys.srs(), "--json"];
    assert_eq!(keys.json(&audit)["segments"], 2);

    let model = retrained(&keys.0, &residual("onnx"), "m.onnx", |weight| 0.9 * weight);
    let other = of(&model, &keys.vk(), &proof, &keys.srs());
    assert_eq!(exit_code(&other), 1, "{}", text(&other.stderr));
    assert!(text(&other.stdout).contains("of the model commitment is not that of"), "{}", text(&other.stdout));

    // Other weights, the same circuits.
    let retrain = |model: &str, out: &str, more: &[&str]| {
        let arguments = ["retrain", &keys.pk(), model, "--calibration", &residual("json"), "--out", out];
        run(&[&arguments[..], &["--allow-error"], more].concat())
    };
    let told = json(&retrain(&model, &keys.path("new"), &["--json"]));
    assert_eq!(told["segments"], 2, "{told}");
    let vk = keys.path("new/m.vk");
    let [old, new] = [&keys.vk(), &vk].map(|path| SegmentedKey::read(path).expect("a key"));
    let mut others = 0;
    for (old, new) in old.segments().iter().zip(new.segments()) {
        assert_eq!(old.circuit_digest(), new.circuit_digest());
        assert!(new.weights_proof().is_some());
        // A segment may have no learned value.
        others += usize::from(old.model_digest() != new.model_digest());
    }
    assert!(others > 0, "no segment has other weights");
    keys.json(&["prove", &keys.path("new/m.pk"), &residual("json"), "--out", &keys.path("newer"), "--json"]);
    let newer = keys.path("newer/proof.json");
    assert_eq!(exit_code(&of(&model, &vk, &newer, &keys.srs())), 0, "the retrained file's");
    assert_eq!(exit_code(&of(&residual("onnx"), &vk, &newer, &keys.srs())), 1, "the old file's");
    assert_eq!(exit_code(&run(&["verify", &newer, "--vk", &keys.vk()])), 1, "under the old key");

    let larger = retrained(&keys.0, &residual("onnx"), "larger.onnx", |weight| 50.0 * weight);
    assert_eq!(exit_code(&retrain(&larger, &keys.path("none"), &[])), 2);
    // Another architecture, cut elsewhere or not at all.
    let learned = repository("tests/models/ops/learned_residual.onnx");
    let output = retrain(&learned, &keys.path("none"), &[]);
    assert_eq!(exit_code(&output), 2, "{}", text(&output.stderr));
    assert!(!std::path::Path::new(&keys.path("none")).exists());

    // What is hidden is compared with no file.
    let hidden = Keys::make(&[]);
    hidden.json(&["prove", &hidden.pk(), &residual("json"), "--out", &hidden.path("out"), "--json"]);
    let (proof, model) = (hidden.path("out/proof.json"), residual("onnx"));
    refused(&["verify", &proof, "--vk", &hidden.vk(), "--srs", &hidden.srs(), "--model", &model], "does not tell how");
}

#[test]
fn embedded_weights_in_segments_are_a_files_and_are_not_retrained() {
    let keys = Keys::make(&["--weights", "embedded"]);
    keys.json(&["prove", &keys.pk(), &residual("json"), "--out", &keys.path("out"), "--json"]);
    let proof = keys.path("out/proof.json");
    let of = |model: &str| run(&["verify", &proof, "--vk", &keys.vk(), "--srs", &keys.srs(), "--model", model]);
    let own = of(&residual("onnx"));
    assert_eq!(exit_code(&own), 0, "{}{}", text(&own.stdout), text(&own.stderr));
    let other = retrained(&keys.0, &residual("onnx"), "other.onnx", |weight| 0.9 * weight);
    assert_eq!(exit_code(&of(&other)), 1);
    let retrain = ["retrain", &keys.pk(), &other, "--calibration", &residual("json"), "--out", &keys.path("none")];
    refused(&retrain, "embedded");
}

#[test]
fn tensors_of_a_model_in_segments_are_committed_to_before_a_proof() {
    let keys = Keys::make(&["--input", "input=committed", "--output", "relu4=hashed"]);
    let commit = |options: &[&str], out: &str| {
        run(&[&["commit", &residual("json"), "--out", &keys.path(out), "--json"], options].concat())
    };
    json(&commit(&["--input", "input", "--vk", &keys.vk(), "--srs", &keys.srs()], "by_vk"));
    json(&commit(&["--input", "input", "--pk", &keys.pk()], "by_pk"));
    for folder in ["by_vk", "by_pk"] {
        let files = ["commitment.json", "opening"].map(|kind| keys.path(&format!("{folder}/input.{kind}")));
        let [commitment, opening] = &files;
        assert_eq!(keys.json(&["open", commitment, opening, "--pk", &keys.pk(), "--json"])["opens"], true);
        let (given, out) = (format!("input={opening}"), keys.path(&format!("{folder}/out")));
        keys.json(&["prove", &keys.pk(), &residual("json"), "--opening", &given, "--out", &out, "--json"]);
        let proof = format!("{out}/proof.json");
        let with = |commitment: &str| run(&["verify", &proof, "--vk", &keys.vk(), "--commitment", commitment]);
        assert_eq!(exit_code(&with(&format!("input={commitment}"))), 0);
        // Each commitment is blinded on its own.
        let other =
            keys.path(if folder == "by_vk" { "by_pk/input.commitment.json" } else { "by_vk/input.commitment.json" });
        assert_eq!(exit_code(&with(&format!("input={other}"))), 1, "{folder}");
    }
    // The output is hashed: only numbers that have its hash are accepted.
    let zeros = keys.0.file("zeros.json", r#"{"input_data": [[0, 0, 0, 0, 0, 0, 0, 0]]}"#);
    keys.json(&["commit", &zeros, "--output", "relu4", "--vk", &keys.vk(), "--out", &keys.path("hash"), "--json"]);
    let hash = keys.path("hash/relu4.hash");
    assert_eq!(keys.json(&["open", &hash, &zeros, "--output", "relu4", "--vk", &keys.vk(), "--json"])["opens"], true);
    let proof = keys.path("by_vk/out/proof.json");
    let expected = format!("relu4={hash}");
    assert_eq!(exit_code(&run(&["verify", &proof, "--vk", &keys.vk(), "--hash", &expected])), 1);

    let by = ["--vk", &keys.vk(), "--srs", &keys.srs()];
    let message = text(&commit(&[&["--input", "z"], &by[..]].concat(), "none").stderr);
    assert!(message.contains("no input or output 'z'") && message.contains("'input', 'relu4'"), "{message}");
    assert!(!std::path::Path::new(&keys.path("none")).exists());
}
