//! Several inputs in one proof: what it says, and that no pair of input and output can be told otherwise.

use serde_json::{Value, json};
use zkml_gpu::{About, FileError, ModelKey, ProofBundle, Rejection};

use crate::support::{Scratch, exit_code, json, program, repository, run, text};

/// A convolution with a pool, and samples of it.
const MODEL: &str = "conv_pool_relu";

fn model() -> String {
    repository(&format!("tests/models/ops/{MODEL}.onnx"))
}

/// So many samples: the model's own times falling factors.
fn samples(name: &str, count: usize) -> Vec<Vec<f64>> {
    let file = std::fs::read(repository(&format!("tests/models/ops/{name}.json"))).expect("the input");
    let value: Value = serde_json::from_slice(&file).expect("JSON");
    let own: Vec<f64> = serde_json::from_value(value["input_data"][0].clone()).expect("numbers");
    (0..count).map(|i| own.iter().map(|x| x * (1.0 - 0.4 * i as f64)).collect()).collect()
}

fn input_file(samples: &[Vec<f64>]) -> String {
    json!({ "input_data": [samples.concat()] }).to_string()
}

/// The artifacts of a proof of three inputs.
struct Joint {
    scratch: Scratch,
    samples: Vec<Vec<f64>>,
    report: Value,
    key: ModelKey,
    proof: ProofBundle,
}

impl Joint {
    fn make() -> Self {
        let (scratch, samples) = (Scratch::new(), samples(MODEL, 3));
        let file = scratch.file("three.json", input_file(&samples));
        let out = scratch.path("out");
        let report = json(&run(&["prove", &model(), "--joint", &file, "--out", &out, "--json"]));
        let proof = ProofBundle::read(format!("{out}/proof.json")).expect("proof.json");
        let key = ModelKey::read(format!("{out}/model.vk")).expect("model.vk");
        Self { scratch, samples, report, key, proof }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }

    /// The verdict on a changed bundle, its checksum made right again.
    fn verdict(&self, change: impl FnOnce(&mut ProofBundle)) -> Result<(), Rejection> {
        let mut proof = self.proof.clone();
        change(&mut proof);
        proof.seal();
        let read = ProofBundle::from_json(&proof.to_json().expect("JSON"), "proof.json").expect("well-formed");
        self.key.verify(&read)
    }
}

#[test]
fn one_proof_is_of_all_pairs_and_each_is_as_if_proved_alone() {
    let joint = Joint::make();
    assert_eq!((joint.report["inferences"].as_u64(), joint.key.inferences()), (Some(3), 3));
    let [proof, vk] = ["out/proof.json", "out/model.vk"].map(|name| joint.path(name));
    let verdict = json(&run(&["verify", &proof, "--vk", &vk, "--json"]));
    assert_eq!((&verdict["accepted"], &verdict["inferences"]), (&json!(true), &json!(3)));
    let pairs = verdict["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 3);
    for (at, (pair, sample)) in pairs.iter().zip(&joint.samples).enumerate() {
        let input = joint.scratch.file("one.json", input_file(std::slice::from_ref(sample)));
        let out = joint.path(&format!("alone{at}"));
        // Scales are those of the single model on the same samples.
        let calibration = joint.path("three.json");
        let arguments = ["prove", &model(), &input, "--calibration", &calibration, "--out", &out, "--json"];
        let alone = json(&run(&arguments));
        assert_eq!(pair["output"], alone["output"], "pair {at}");
        assert_eq!(alone["inferences"], json!(1));
    }
    let told = text(&run(&["verify", &proof, "--vk", &vk]).stdout);
    for line in ["these outputs", "output 0 ", "input 0 ", "output 2 ", "input 2 "] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let flat: Vec<Value> =
        pairs.iter().flat_map(|pair| pair["output"][0].as_array().expect("numbers").clone()).collect();
    assert_eq!(verdict["output"][0].as_array(), Some(&flat), "one after the other");
}

#[test]
fn no_output_of_a_pair_can_be_changed_and_no_two_pairs_swapped() {
    let joint = Joint::make();
    assert!(joint.verdict(|_| ()).is_ok());
    let len = joint.proof.outputs[0].values.len() / 3;
    let values = &joint.proof.outputs[0].values;
    assert_ne!(values[..len], values[2 * len..], "equal outputs may be swapped");
    let nudge = |tensor: &mut zkml_gpu::PublicTensor, at: usize| {
        let value = tensor.values[at];
        tensor.values[at] = if value < tensor.max { value + 1 } else { value - 1 };
    };
    let swap = |tensor: &mut zkml_gpu::PublicTensor| {
        let len = tensor.values.len() / 3;
        (0..len).for_each(|i| tensor.values.swap(i, 2 * len + i));
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut ProofBundle));
    let changes: [Change<'_>; 5] = [
        ("an output of pair 1", &|proof| nudge(&mut proof.outputs[0], len)),
        ("an input of pair 2", &|proof| {
            let at = proof.inputs[0].values.len() - 1;
            nudge(&mut proof.inputs[0], at);
        }),
        ("outputs of pairs 0 and 2", &|proof| swap(&mut proof.outputs[0])),
        ("inputs of pairs 0 and 2", &|proof| swap(&mut proof.inputs[0])),
        ("pairs 0 and 2", &|proof| {
            swap(&mut proof.inputs[0]);
            swap(&mut proof.outputs[0]);
        }),
    ];
    for (what, change) in changes {
        assert!(matches!(joint.verdict(change), Err(Rejection::Proof(_))), "{what}");
    }
    for inferences in [0, 1, 2, 4, u64::MAX] {
        let rejected = joint.verdict(|proof| proof.inferences = inferences).expect_err("another number");
        assert!(rejected.to_string().contains("inferences"), "{rejected}");
    }
}

#[test]
fn a_proof_that_tells_of_more_pairs_than_it_holds_is_shown_and_rejected() {
    let joint = Joint::make();
    let mut value: Value = serde_json::from_slice(&joint.proof.to_json().expect("JSON")).expect("JSON");
    value["inferences"] = json!(u64::MAX);
    let file = joint.scratch.file("many.json", value.to_string());
    assert_eq!(exit_code(&run(&["inspect", &file])), 0);
    assert_eq!(exit_code(&run(&["verify", &file, "--vk", &joint.path("out/model.vk")])), 1);
    let mut key = joint.key.to_bytes().to_vec();
    let at = key.windows(14).position(|bytes| bytes == b"\"inferences\":3").expect("the number");
    key[at + 13] = b'2';
    // The digest finds the change; hostile.rs has keys with right digests.
    assert!(matches!(ModelKey::from_bytes(&key, "model.vk"), Err(FileError::Artifact { .. })));
}

#[test]
fn a_key_is_of_so_many_inputs_and_refuses_files_of_others() {
    let scratch = Scratch::new();
    let files = [1, 2, 3].map(|n| scratch.file(&format!("{n}.json"), input_file(&samples(MODEL, n))));
    let [zkml, keys] = ["m.zkml", "keys"].map(|name| scratch.path(name));
    let compiled = run(&["compile", &model(), "--joint", "2", "--calibration", &files[2], "--out", &zkml, "--json"]);
    assert_eq!(json(&compiled)["inferences"], json!(2));
    json(&run(&["setup", &zkml, "--out", &keys, "--json"]));
    let pk = format!("{keys}/m.pk");
    let out = scratch.path("out");
    let report = json(&run(&["prove", &pk, "--joint", &files[1], "--out", &out, "--json"]));
    assert_eq!(report["inferences"], json!(2));
    let verified = run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{keys}/m.vk")]);
    assert_eq!(exit_code(&verified), 0);
    let refused = |arguments: &[&str], parts: &[&str]| {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(exit_code(&output), 2, "{message}");
        assert!(parts.iter().chain(&["hint: "]).all(|part| message.contains(part)), "{message}");
    };
    refused(&["prove", &pk, "--joint", &files[2], "--out", &out], &["3 inputs, but", "is of 2"]);
    refused(&["prove", &pk, &files[0], "--out", &out], &["1 input, but", "is of 2", "--joint"]);
    // The other way round.
    json(&run(&["compile", &model(), "--calibration", &files[2], "--out", &zkml, "--json"]));
    json(&run(&["setup", &zkml, "--out", &scratch.path("single"), "--json"]));
    let single = scratch.path("single/m.pk");
    refused(&["prove", &single, "--joint", &files[1], "--out", &scratch.path("o")], &["2 inputs", "is of 1"]);
}

#[test]
fn the_number_of_inputs_is_part_of_what_a_kept_key_is_found_by() {
    let scratch = Scratch::new();
    let cache = scratch.path("cache");
    let calibration = scratch.file("calibration.json", input_file(&samples(MODEL, 3)));
    let mut keys = Vec::new();
    for (step, count) in [2, 3, 2].into_iter().enumerate() {
        let file = scratch.file(&format!("{count}.json"), input_file(&samples(MODEL, count)));
        let out = scratch.path(&format!("out{step}"));
        let arguments = ["prove", &model(), "--joint", &file, "--calibration", &calibration, "--out", &out, "--json"];
        let output = program().args(arguments).env_remove("ZKML_GPU_NO_CACHE").args(["--cache", &cache]).output();
        let report = json(&output.expect("run zkml-gpu"));
        keys.push((report["keys"].as_str().expect("text").to_owned(), report["verifying_key"].clone()));
    }
    assert!(keys[0].0.starts_with("made now") && keys[1].0.starts_with("made now"), "{keys:?}");
    assert!(keys[2].0.starts_with("kept"), "{keys:?}");
    assert_eq!(keys[0].1, keys[2].1);
    assert_ne!(keys[0].1, keys[1].1);
}

#[test]
fn a_plan_tells_what_each_of_several_inputs_costs() {
    let scratch = Scratch::new();
    let input = scratch.file("one.json", input_file(&samples(MODEL, 1)));
    let plan = |arguments: &[&str]| run(&[&["plan", &model(), &input, "--costs", "reference"], arguments].concat());
    let [one, eight] = ["1", "8"].map(|n| json(&plan(&["--joint", n, "--json"])));
    assert_eq!((&one["inferences"], &eight["inferences"]), (&json!(1), &json!(8)));
    assert_eq!(one["parameters"], eight["parameters"], "learned values are there once");
    assert_eq!(eight["macs"].as_u64(), one["macs"].as_u64().map(|macs| 8 * macs));
    let told = text(&plan(&["--joint", "8"]).stdout);
    assert!(told.contains("8 inputs in a proof") && told.contains("for each input"), "{told}");
    assert_ne!(exit_code(&plan(&["--joint", "0"])), 0);
}

#[test]
fn a_model_of_a_batch_is_proved_as_it_is_and_not_together_with_others() {
    let scratch = Scratch::new();
    let [model, input] =
        ["onnx", "json"].map(|extension| repository(&format!("tests/models/ops/batch_network.{extension}")));
    let out = scratch.path("out");
    let report = json(&run(&["prove", &model, &input, "--allow-error", "--out", &out, "--json"]));
    assert_eq!(report["output"][0].as_array().map(Vec::len), Some(3 * 5));
    let two = scratch.file("two.json", input_file(&samples("batch_network", 2)));
    let output = run(&["prove", &model, "--joint", &two, "--allow-error", "--out", &scratch.path("o")]);
    let message = text(&output.stderr);
    assert_eq!(exit_code(&output), 3, "{message}");
    assert!(message.contains("several inferences already") && message.contains("hint: export"), "{message}");
}

fn ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(exit_code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Names of the model's input and output.
fn names() -> [String; 2] {
    let scratch = Scratch::new();
    let calibration = scratch.file("calibration.json", input_file(&samples(MODEL, 3)));
    ok(&["compile", &model(), "--calibration", &calibration, "--out", &scratch.path("m.zkml")]);
    ok(&["setup", &scratch.path("m.zkml"), "--out", &scratch.path("keys")]);
    let key = json(&run(&["inspect", &scratch.path("keys/m.vk"), "--json"]));
    ["inputs", "outputs"].map(|ports| key["statement"][ports][0]["name"].as_str().expect("a name").to_owned())
}

/// A file of three inputs, and the keys of a model for three whose input and output are seen like this.
fn joint_keys(scratch: &Scratch, [input, output]: [&str; 2]) -> (String, [String; 2]) {
    let [x, y] = names();
    let file = scratch.file("three.json", input_file(&samples(MODEL, 3)));
    let (zkml, keys) = (scratch.path("m.zkml"), scratch.path("keys"));
    let [input, output] = [format!("{x}={input}"), format!("{y}={output}")];
    let choices = ["--joint", "3", "--calibration", &file, "--input", &input, "--output", &output, "--out", &zkml];
    ok(&[&["compile", &model()], &choices[..]].concat());
    ok(&["setup", &zkml, "--out", &keys]);
    (file, ["pk", "vk"].map(|kind| format!("{keys}/m.{kind}")))
}

#[test]
fn a_private_joint_input_is_shown_nowhere_and_outputs_pair_by_pair() {
    let [x, _] = names();
    let scratch = Scratch::new();
    let (file, [pk, vk]) = joint_keys(&scratch, ["private", "public"]);
    let out = scratch.path("out");
    let proved = ok(&["prove", &pk, "--joint", &file, "--out", &out]);
    let proof = format!("{out}/proof.json");
    let told = ok(&["verify", &proof, "--vk", &vk]);
    let inspected = ok(&["inspect", &proof]);
    for text in [&proved, &told, &inspected] {
        for part in ["output 0 ", "output 2 ", &format!("{x} is private")] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("input 0"), "{text}");
    }
    let verdict = json(&run(&["verify", &proof, "--vk", &vk, "--json"]));
    let pairs = verdict["pairs"].as_array().expect("pairs");
    assert!(pairs.len() == 3 && pairs.iter().all(|pair| pair["input"] == json!([[]])), "{pairs:?}");
    let flat: Vec<Value> =
        pairs.iter().flat_map(|pair| pair["output"][0].as_array().expect("numbers").clone()).collect();
    assert_eq!(verdict["output"][0].as_array(), Some(&flat));
    // Whoever writes a file may tell any number of pairs of what is hidden, and hide all.
    let mut bundle: Value = serde_json::from_slice(&std::fs::read(&proof).expect("the proof")).expect("JSON");
    bundle["inferences"] = json!(u64::MAX);
    bundle["outputs"][0]["visibility"] = "private".into();
    let many = scratch.file("many.json", bundle.to_string());
    assert_eq!(exit_code(&run(&["inspect", &many])), 0);
    assert_eq!(exit_code(&run(&["verify", &many, "--vk", &vk])), 1);
}

#[test]
fn a_hash_or_commitment_of_joint_inputs_is_made_of_the_file_that_is_proved() {
    let [x, _] = names();
    for visibility in ["hashed", "committed"] {
        let scratch = Scratch::new();
        let (file, [pk, vk]) = joint_keys(&scratch, [visibility, visibility]);
        let (own, out) = (scratch.path("own"), scratch.path("out"));
        let made = json(&run(&["commit", &file, "--pk", &pk, "--input", &x, "--out", &own, "--json"]));
        let opening = format!("{x}={own}/{x}.opening");
        let given: &[&str] = if visibility == "committed" { &["--opening", &opening] } else { &[] };
        ok(&[&["prove", &pk, "--joint", &file, "--out", &out], given].concat());
        let proof = format!("{out}/proof.json");
        let bundle: Value = serde_json::from_slice(&std::fs::read(&proof).expect("the proof")).expect("JSON");
        match visibility {
            "hashed" => assert_eq!(bundle["inputs"][0]["hash"], made["hash"]),
            _ => {
                assert_eq!(bundle["inputs"][0]["commitments"], made["commitment"]["points"]);
                assert_eq!(made["commitment"]["order"], json!("interleaved-3"));
                let commitment = format!("{x}={own}/{x}.commitment.json");
                ok(&["verify", &proof, "--vk", &vk, "--commitment", &commitment]);
            }
        }
        // With nothing to show there are no pairs.
        let verdict = json(&run(&["verify", &proof, "--vk", &vk, "--json"]));
        assert!(verdict["accepted"] == json!(true) && verdict.get("pairs").is_none(), "{verdict}");
        // As many inputs as the key is for.
        let two = scratch.file("two.json", input_file(&samples(MODEL, 2)));
        let refused = run(&["commit", &two, "--pk", &pk, "--input", &x, "--out", &own]);
        let message = text(&refused.stderr);
        assert!(exit_code(&refused) == 2 && message.contains("holds 2 tensors, not 3"), "{message}");
    }
}

#[test]
fn an_audit_tells_how_many_inputs_a_proof_is_of_and_refuses_a_key_that_tells_otherwise() {
    let scratch = Scratch::new();
    let (_, [_, vk]) = joint_keys(&scratch, ["private", "public"]);
    let public = scratch.path("keys/m.public.zkml");
    let shown = ok(&["audit", &vk, "--model", &public]);
    for part in ["the key is this model's", "3 in a proof", "1 × hidden input", "exact integers, proven"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(json(&run(&["audit", &vk, "--model", &public, "--json"]))["inferences"], json!(3));
    let key = ModelKey::read(&vk).expect("a key");
    let about = About {
        model: key.model().into(),
        inferences: 1,
        public_weights: false,
        accuracy: *key.accuracy(),
        architecture: key.architecture_digest().into(),
    };
    let forged = ModelKey::new(about, key.keys().clone(), key.weights_proof().cloned()).expect("a key");
    let forged_file = scratch.path("forged.vk");
    forged.write(&forged_file).expect("written");
    let srs = scratch.path("keys/m.srs");
    let refused = run(&["audit", &forged_file, "--model", &public, "--srs", &srs]);
    let message = text(&refused.stderr);
    assert!(exit_code(&refused) == 2 && message.contains("of 1 inferences, the model's of 3"), "{message}");
}

#[test]
fn keys_with_and_without_a_proof_of_the_weights_are_kept_apart_for_each_number_of_inputs() {
    let scratch = Scratch::new();
    let cache = scratch.path("cache");
    let calibration = scratch.file("calibration.json", input_file(&samples(MODEL, 3)));
    let mut found = Vec::new();
    for (step, (count, extra)) in
        [(2, None), (2, Some("--unproven-weights")), (1, Some("--unproven-weights")), (2, None)].into_iter().enumerate()
    {
        let file = scratch.file(&format!("{count}.json"), input_file(&samples(MODEL, count)));
        let out = scratch.path(&format!("out{step}"));
        let arguments = ["prove", &model(), "--joint", &file, "--calibration", &calibration, "--out", &out, "--json"];
        let mut program = program();
        program.args(arguments).args(extra).env_remove("ZKML_GPU_NO_CACHE").args(["--cache", &cache]);
        let report = json(&program.output().expect("run zkml-gpu"));
        let is_proven = report["note"].as_str().expect("text").starts_with("exact integers");
        assert_eq!(is_proven, extra.is_none(), "{report}");
        found.push(report["keys"].as_str().expect("text").starts_with("kept"));
    }
    assert_eq!(found, [false, false, false, true]);
}
