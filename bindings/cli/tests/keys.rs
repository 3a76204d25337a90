//! Keys that last: compiled models, keys in files and in the cache, many proofs with one load, retrained models.

use std::path::Path;
use std::process::{Output, Stdio};

use prost::Message;
use serde_json::Value;
use tract_onnx::pb::{ModelProto, StringStringEntryProto};
use zkml_gpu::circuit::weights::WeightsProof;
use zkml_gpu::{
    About, BackendChoice, CompiledModel, ImportOptions, Model, ModelKey, PROVING_KEY, ProofBundle, ProverKey,
    PublicModel, Rejection, Srs,
};

use crate::support::limited::{Limits, run_limited};
use crate::support::{Scratch, exit_code, gemm, json, program, repository, run, text};

/// A folder with `gemm.zkml`, `keys/gemm.pk` and `keys/gemm.vk`.
struct Keys(Scratch);

impl Keys {
    fn make() -> Self {
        let keys = Self(Scratch::new());
        keys.ok(&["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--out", &keys.path("gemm.zkml")]);
        keys.ok(&["setup", &keys.path("gemm.zkml"), "--out", &keys.path("keys")]);
        keys
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }

    fn pk(&self) -> String {
        self.path("keys/gemm.pk")
    }

    fn vk(&self) -> String {
        self.path("keys/gemm.vk")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = run(arguments);
        assert_eq!(exit_code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn verify(&self, proof: &str, vk: &str) -> i32 {
        exit_code(&run(&["verify", proof, "--vk", vk]))
    }
}

/// Samples of the dense layer, each of its six numbers times a factor.
fn samples(factors: &[f64]) -> String {
    let numbers: Vec<String> = factors
        .iter()
        .flat_map(|factor| [1.0, -0.5, 0.25, 0.5, -1.0, 0.75].map(|x| (x * factor).to_string()))
        .collect();
    format!(r#"{{"input_data": [[{}]]}}"#, numbers.join(", "))
}

/// The dense layer with other weights: each learned value through a function.
fn retrained(scratch: &Scratch, name: &str, change: impl Fn(f32) -> f32) -> String {
    crate::support::retrained(scratch, &gemm("onnx"), name, change)
}

fn refused(output: &Output, parts: &[&str]) -> String {
    let message = text(&output.stderr);
    assert_eq!(exit_code(output), 2, "{message}");
    for part in parts.iter().chain(&["\nhint: "]) {
        assert!(message.contains(part), "{part}: {message}");
    }
    message
}

#[test]
fn equal_inputs_give_one_compiled_model_and_it_reads_back() {
    let keys = Keys::make();
    let again = keys.path("again.zkml");
    keys.ok(&["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--out", &again]);
    let bytes = std::fs::read(keys.path("gemm.zkml")).expect("a file");
    assert_eq!(std::fs::read(&again).expect("a file"), bytes);
    let model = CompiledModel::read(&again).expect("the model as written");
    model.check().expect("the layout says what the graph says");
    assert_eq!((model.name(), model.about().source.file.as_str()), ("gemm_plain", "gemm_plain.onnx"));
    model.write(keys.path("third.zkml")).expect("write");
    assert_eq!(std::fs::read(keys.path("third.zkml")).expect("a file"), bytes, "what is read is what was written");
    keys.ok(&["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--max-error", "0.5", "--out", &again]);
    assert_ne!(std::fs::read(&again).expect("a file"), bytes, "another bound is another model");
    refused(&run(&["compile", &gemm("onnx"), "--out", &again]), &["--calibration"]);
}

#[test]
fn one_published_key_accepts_the_proofs_of_every_run() {
    let keys = Keys::make();
    for (run, factor) in [1.0, 0.5].into_iter().enumerate() {
        let input = keys.0.file("input.json", samples(&[factor]));
        let out = keys.path(&format!("out{run}"));
        keys.ok(&["prove", &keys.pk(), &input, "--out", &out]);
        assert_eq!(keys.verify(&format!("{out}/proof.json"), &keys.vk()), 0);
        assert_eq!(std::fs::read(format!("{out}/model.vk")).unwrap(), std::fs::read(keys.vk()).unwrap());
    }
    // Keys that are made again have other blinding, and another string.
    keys.ok(&["setup", &keys.path("gemm.zkml"), "--out", &keys.path("other")]);
    assert_eq!(keys.verify(&keys.path("out0/proof.json"), &keys.path("other/gemm.vk")), 1);
}

#[cfg(unix)]
#[test]
fn a_proving_key_is_its_users_alone_and_says_so() {
    use std::os::unix::fs::PermissionsExt;

    let keys = Keys::make();
    let mode = |path: &str| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&keys.pk()), 0o600);
    assert_ne!(mode(&keys.vk()) & 0o044, 0);
    let bytes = std::fs::read(keys.pk()).expect("a file");
    let start = String::from_utf8_lossy(&bytes[..1000]).into_owned();
    assert!(start.contains("Private: it holds the model's weights"), "{start}");
    let again = run(&["setup", &keys.path("gemm.zkml"), "--out", &keys.path("keys")]);
    refused(&again, &["is there already", "--replace"]);
    assert_eq!(std::fs::read(keys.pk()).expect("a file"), bytes);
    let shown = keys.ok(&["setup", &keys.path("gemm.zkml"), "--out", &keys.path("keys"), "--replace"]);
    assert!(shown.contains("private, it holds the weights") && shown.contains("publish"), "{shown}");
    assert_eq!(mode(&keys.path("gemm.zkml")), 0o600, "its weights are to be hidden");
    let embedded = ["--weights", "embedded", "--out", &keys.path("e.zkml")];
    keys.ok(&[&["compile", &gemm("onnx"), "--calibration", &gemm("json")][..], &embedded].concat());
    assert_ne!(mode(&keys.path("e.zkml")) & 0o044, 0, "public weights");
}

#[test]
fn a_key_that_was_cut_or_changed_in_any_part_is_refused_and_nothing_is_written() {
    let keys = Keys::make();
    for (kind, path) in [("pk", keys.pk()), ("zkml", keys.path("gemm.zkml"))] {
        let bytes = std::fs::read(path).expect("a file");
        let step = bytes.len() / 40 + 1;
        let changes = (0..bytes.len().min(200)).step_by(7).chain((0..bytes.len()).step_by(step));
        for at in changes {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            let changed = keys.0.file("changed", &changed);
            let refused = match kind {
                "pk" => ProverKey::read(&changed).map(|_| ()).unwrap_err(),
                _ => CompiledModel::read(&changed).map(|_| ()).unwrap_err(),
            };
            assert!(refused.to_string().contains("hint:"), "byte {at} of {kind}: {refused}");
        }
        for len in [0, 1, 8, 12, 100, bytes.len() / 2, bytes.len() - 1] {
            let cut = keys.0.file("cut", &bytes[..len]);
            let (command, out) = (if kind == "pk" { "prove" } else { "setup" }, keys.path("none"));
            let arguments = [command, &cut, &gemm("json"), "--out", &out];
            let arguments: Vec<&str> =
                arguments.into_iter().filter(|a| kind == "pk" || !a.ends_with(".json")).collect();
            let output = run(&arguments);
            assert_eq!(exit_code(&output), 2, "{len} bytes: {}", text(&output.stderr));
            assert!(!Path::new(&out).exists(), "{len} bytes of {kind}");
        }
        let mut newer = bytes.clone();
        newer[8] += 1;
        let newer = keys.0.file("newer", &newer);
        let message = ProverKey::read(&newer).map(|_| ()).unwrap_err().to_string();
        let other = CompiledModel::read(&newer).map(|_| ()).unwrap_err().to_string();
        let named = format!("version {} of ", PROVING_KEY.version + 1);
        assert!((message + &other).contains(&named), "{other}");
    }
}

#[test]
fn files_are_known_by_what_they_are() {
    let keys = Keys::make();
    let (zkml, out) = (keys.path("gemm.zkml"), keys.path("none"));
    refused(&run(&["prove", &zkml, &gemm("json"), "--out", &out]), &["is a compiled model", "zkml-gpu setup"]);
    refused(&run(&["prove", &keys.vk(), &gemm("json"), "--out", &out]), &["is a verifying key"]);
    refused(&run(&["setup", &keys.pk(), "--out", &out]), &["not a compiled model"]);
    refused(&run(&["verify", &gemm("json"), "--vk", &keys.pk()]), &["not a model.vk"]);
    for option in
        [["--weights", "embedded"], ["--calibration", "x"], ["--srs", "x"], ["--dim", "n=1"], ["--costs", "x"]]
    {
        let output = run(&[&["prove", &keys.pk(), &gemm("json"), "--out", &out][..], &option].concat());
        refused(&output, &[option[0], "no meaning for a proving key"]);
    }
    assert!(!Path::new(&out).exists());
    for (file, kind) in [
        (keys.path("gemm.zkml"), "compiled model"),
        (keys.pk(), "proving key"),
        (keys.vk(), "verifying key"),
        (keys.path("keys/gemm.public.zkml"), "public model"),
    ] {
        let told = json(&run(&["inspect", &file, "--json"]));
        assert_eq!(told["kind"], kind);
        let shown = keys.ok(&["inspect", &file]);
        assert!(shown.contains(kind) && shown.contains("gemm_plain"), "{shown}");
    }
    keys.ok(&["prove", &keys.pk(), &gemm("json"), "--out", &keys.path("out")]);
    let told = json(&run(&["inspect", &keys.path("out/proof.json"), "--json"]));
    let key = ModelKey::read(keys.vk()).expect("a key");
    assert_eq!((&told["kind"], told["verifying_key"].as_str()), (&"proof".into(), Some(key.digest())));
    refused(&run(&["inspect", &gemm("onnx")]), &["no file of this program"]);
}

#[test]
fn a_folder_of_inputs_is_proved_with_one_load_and_a_second_run_skips_what_is_there() {
    let keys = Keys::make();
    let (inputs, out) = (keys.path("inputs"), keys.path("out"));
    std::fs::create_dir(&inputs).expect("a folder");
    for (name, content) in [
        ("a.json", samples(&[1.0])),
        ("b.json", "{}".into()),
        ("c.json", samples(&[0.5, 0.25])),
        ("d.json", samples(&[1e6])),
    ] {
        std::fs::write(Path::new(&inputs).join(name), content).expect("an input");
    }
    let arguments = ["prove", &keys.pk(), &inputs, "--out", &out, "--jobs", "2", "--json"];
    let output = run(&arguments);
    assert_eq!(exit_code(&output), 2, "some failed");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&report["proved"], &report["skipped"], &report["failed"]), (&3.into(), &0.into(), &2.into()));
    let failed: Vec<&Value> = report["results"].as_array().unwrap().iter().filter(|r| r["state"] == "failed").collect();
    assert!(failed.iter().any(|r| r["input"].as_str().unwrap().ends_with("b.json")), "{failed:?}");
    assert!(failed.iter().any(|r| r["error"].as_str().unwrap().contains("clamped")), "{failed:?}");
    for proof in ["a", "c.0", "c.1"] {
        assert_eq!(keys.verify(&format!("{out}/{proof}.proof.json"), &keys.vk()), 0, "{proof}");
    }
    // One is damaged, one is of another input: both are made again, the third is not.
    let third = std::fs::read(format!("{out}/c.1.proof.json")).expect("a proof");
    std::fs::write(format!("{out}/a.proof.json"), "{").expect("damage");
    std::fs::copy(format!("{out}/c.1.proof.json"), format!("{out}/c.0.proof.json")).expect("a copy");
    let report: Value = serde_json::from_slice(&run(&arguments).stdout).expect("one JSON object");
    assert_eq!((&report["proved"], &report["skipped"]), (&2.into(), &1.into()), "{report}");
    assert_eq!(std::fs::read(format!("{out}/c.1.proof.json")).expect("a proof"), third);
    let inputs = |name: &str| ProofBundle::read(format!("{out}/{name}.proof.json")).expect("a proof").inputs;
    assert_ne!(inputs("c.0"), inputs("c.1"));
    let twice = [keys.0.file("a.json", samples(&[1.0])), format!("{}/a.json", keys.path("inputs"))];
    refused(&run(&["prove", &keys.pk(), &twice[0], &twice[1], "--out", &out]), &["one proof's name"]);
    // What was clamped by permission is not passed over without it, and no older proof stays for what failed.
    let wild = keys.0.file("wild.json", samples(&[1e6]));
    let many = ["prove", &keys.pk(), &wild, &twice[0], "--out", &keys.path("wild"), "--json"];
    assert_eq!(exit_code(&run(&[&many[..], &["--max-saturation", "1"]].concat())), 0);
    assert!(Path::new(&keys.path("wild/wild.proof.json")).exists());
    assert_eq!(exit_code(&run(&many)), 2);
    assert!(!Path::new(&keys.path("wild/wild.proof.json")).exists());
}

#[test]
fn a_published_key_in_the_folder_is_not_replaced_in_passing() {
    let (ours, others) = (Keys::make(), Keys::make());
    let out = ours.path("out");
    ours.ok(&["prove", &ours.pk(), &gemm("json"), "--out", &out]);
    refused(&run(&["prove", &others.pk(), &gemm("json"), "--out", &out]), &["of other keys", "--replace"]);
    assert_eq!(ours.verify(&format!("{out}/proof.json"), &ours.vk()), 0);
    ours.ok(&["prove", &others.pk(), &gemm("json"), "--out", &out, "--replace"]);
    assert_eq!(ours.verify(&format!("{out}/proof.json"), &others.vk()), 0);
}

#[test]
fn a_retrained_model_keeps_the_circuit_key_and_has_another_commitment() {
    let keys = Keys::make();
    let model = retrained(&keys.0, "gemm.onnx", |weight| 0.9 * weight);
    let retrain = |model: &str, out: &str, more: &[&str]| {
        let arguments = ["retrain", &keys.pk(), model, "--calibration", &gemm("json"), "--out", out];
        run(&[&arguments[..], more].concat())
    };
    let report = json(&retrain(&model, &keys.path("new"), &["--json"]));
    let [old, new] = [keys.vk(), keys.path("new/gemm.vk")].map(|path| ModelKey::read(path).expect("a key"));
    assert_eq!(old.circuit_digest(), new.circuit_digest());
    assert_ne!(old.model_digest(), new.model_digest());
    assert_eq!(report["circuit_key"], old.circuit_digest());
    let out = keys.path("out");
    let proved = json(&run(&["prove", &keys.path("new/gemm.pk"), &gemm("json"), "--out", &out, "--json"]));
    assert_eq!(keys.verify(&format!("{out}/proof.json"), &keys.path("new/gemm.vk")), 0);
    let rejected = run(&["verify", &format!("{out}/proof.json"), "--vk", &keys.vk()]);
    assert_eq!(exit_code(&rejected), 1);
    assert!(text(&rejected.stdout).contains("the circuit is the same"), "{}", text(&rejected.stdout));
    let before = json(&run(&["prove", &keys.pk(), &gemm("json"), "--out", &keys.path("before"), "--json"]));
    assert_ne!(proved["output"], before["output"], "the new weights count");

    let larger = retrained(&keys.0, "larger.onnx", |weight| 50.0 * weight);
    refused(&retrain(&larger, &keys.path("none"), &[]), &[]);
    refused(&retrain(&larger, &keys.path("none"), &["--allow-error"]), &["larger"]);
    // The same input, another architecture: it has no bias.
    let other = repository("tests/models/ops/gemm_no_bias.onnx");
    refused(&retrain(&other, &keys.path("none"), &["--allow-error"]), &["other tensors"]);
    assert!(!Path::new(&keys.path("none")).exists());
}

#[test]
fn whoever_has_the_public_model_checks_a_key_and_learns_nothing_of_the_weights() {
    let keys = Keys::make();
    let public = |folder: &str| keys.path(&format!("{folder}/gemm.public.zkml"));
    let audit = |vk: &str, model: &str, srs: &str| run(&["audit", vk, "--model", model, "--srs", srs]);
    let srs = keys.path("keys/gemm.srs");
    let shown = keys.ok(&["audit", &keys.vk(), "--model", &public("keys")]);
    for part in ["the key is this model's", "1 × linear", "exact integers", "24 learned values", "made on one machine"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let report = json(&run(&["audit", &keys.vk(), "--model", &public("keys"), "--json"]));
    let key = ModelKey::read(keys.vk()).expect("a key");
    assert_eq!(report["architecture"], key.architecture_digest());
    assert_eq!(report["model_commitment"], key.model_digest());

    // A retrained model has the same public model, byte for byte, and the same architecture.
    let model = retrained(&keys.0, "gemm.onnx", |weight| 0.9 * weight);
    keys.ok(&["retrain", &keys.pk(), &model, "--calibration", &gemm("json"), "--out", &keys.path("new")]);
    let bytes = |path: String| std::fs::read(path).expect("a file");
    assert_eq!(bytes(public("keys")), bytes(public("new")));
    let new = keys.path("new/gemm.vk");
    assert_eq!(exit_code(&audit(&new, &public("keys"), &srs)), 0);
    assert_eq!(ModelKey::read(&new).expect("a key").architecture_digest(), key.architecture_digest());

    // Another reference string, another model, a key without a proof of its weights, no reference string at all.
    let plain = keys.path("plain");
    keys.ok(&["setup", &keys.path("gemm.zkml"), "--unproven-weights", "--out", &plain]);
    refused(&audit(&format!("{plain}/gemm.vk"), &public("keys"), &srs), &["its reference string is another"]);
    let unproven = ["audit", &format!("{plain}/gemm.vk"), "--model", &public("keys")];
    refused(&run(&unproven), &["nothing proves that its weights are integers"]);
    let shown = keys.ok(&[&unproven[..], &["--allow-unproven-weights"]].concat());
    assert!(shown.contains("field-valued, architecture not proven"), "{shown}");
    let other = Keys(Scratch::new());
    let (onnx, input) =
        (repository("tests/models/ops/gemm_no_bias.onnx"), repository("tests/models/ops/gemm_no_bias.json"));
    let zkml = other.path("gemm.zkml");
    other.ok(&["compile", &onnx, "--calibration", &input, "--out", &zkml, "--allow-error"]);
    other.ok(&["setup", &zkml, "--out", &other.path("keys")]);
    let message = refused(&audit(&keys.vk(), &other.path("keys/gemm.public.zkml"), &srs), &["not this model's"]);
    assert!(message.contains("do not trust"), "{message}");
    // A string that comes with the key and calls itself a ceremony's is not believed.
    let disguised = keys.path("keys/gemm.halo2");
    let power = report["k"].to_string();
    keys.ok(&["srs", "import", &srs, "--power", &power, "--out", &disguised, "--format", "halo2"]);
    std::fs::rename(&disguised, &srs).expect("rename");
    refused(&run(&["audit", &keys.vk(), "--model", &public("keys")]), &["calls itself a ceremony's"]);
    std::fs::remove_file(&srs).expect("remove");
    refused(&run(&["audit", &keys.vk(), "--model", &public("keys")]), &["no reference string is given"]);
}

/// The dense layer, whose metadata say that its weights are private.
fn declared_private(scratch: &Scratch, name: &str) -> String {
    let mut model = ModelProto::decode(&std::fs::read(gemm("onnx")).expect("the model")[..]).expect("a model");
    let entry = StringStringEntryProto { key: "zkml-gpu.weights".into(), value: "private".into() };
    model.metadata_props.push(entry);
    scratch.file(name, model.encode_to_vec())
}

/// The dense layer with one learned value that is another.
fn with_one_other_weight(scratch: &Scratch, name: &str, place: usize) -> String {
    let count = std::cell::Cell::new(0);
    retrained(scratch, name, |weight| {
        count.set(count.get() + 1);
        if count.get() == place { weight + 0.01 } else { weight }
    })
}

#[test]
fn public_weights_are_those_of_the_models_file_and_of_no_other() {
    for (weights, other) in [("public", "of the model commitment is not that of"), ("embedded", "fixed column")] {
        let keys = Keys(Scratch::new());
        let zkml = keys.path("gemm.zkml");
        keys.ok(&["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--weights", weights, "--out", &zkml]);
        keys.ok(&["setup", &zkml, "--out", &keys.path("keys")]);
        keys.ok(&["prove", &keys.pk(), &gemm("json"), "--out", &keys.path("out")]);
        let proof = keys.path("out/proof.json");
        let verify = |vk: &str, more: &[&str]| run(&[&["verify", &proof, "--vk", vk], more].concat());
        let of = |model: &str| verify(&keys.vk(), &["--model", model]);
        let shown = text(&of(&gemm("onnx")).stdout);
        for part in [
            "accepted",
            ", public; exact integers",
            "the key is this model's",
            "the weights are gemm_plain.onnx's",
            "on 1 sample",
        ] {
            assert!(shown.contains(part), "{weights}, {part}: {shown}");
        }
        let report = json(&verify(&keys.vk(), &["--model", &gemm("onnx"), "--json"]));
        assert_eq!((&report["accepted"], &report["audit"]["file"]["name"]), (&true.into(), &"gemm_plain.onnx".into()));
        assert!(report["audit"]["file"]["digest"].as_str().is_some_and(|digest| digest.len() == 64));
        // The first weight, the last, a bias: the file has 24 learned values.
        for place in [1, 20, 24] {
            let model = with_one_other_weight(&keys.0, "other.onnx", place);
            let output = of(&model);
            let rejected = text(&output.stdout);
            assert_eq!(exit_code(&output), 1, "{rejected}");
            for part in ["rejected: the key is not this model's", other] {
                assert!(rejected.contains(part), "{part}: {rejected}");
            }
        }
        refused(&of(&repository("tests/models/ops/gemm_no_bias.onnx")), &["other tensors"]);
        // A proof that does not hold is of no file.
        let hidden = Keys::make();
        assert_eq!(exit_code(&verify(&hidden.vk(), &["--model", &gemm("onnx")])), 1);
        // Nobody says how the integers follow from the file.
        let public = hidden.path("keys/gemm.public.zkml");
        let refusal = verify(&keys.vk(), &["--model", &gemm("onnx"), "--public", &public]);
        refused(&refusal, &["does not tell how to quantise"]);
        std::fs::remove_file(keys.path("keys/gemm.public.zkml")).expect("remove");
        refused(&of(&gemm("onnx")), &["gemm.public.zkml is missing"]);
    }
}

#[test]
fn public_weights_are_checked_of_joint_and_hidden_inferences_too() {
    let keys = Keys(Scratch::new());
    let two = keys.0.file("two.json", samples(&[1.0, 0.5]));
    for (name, compile, prove) in [
        ("joint", &["--joint", "2"][..], &["--joint", &two][..]),
        ("hashed", &["--input", "input=hashed"], &[&gemm("json")]),
        ("private", &["--output", "gemm0=private"], &[&gemm("json")]),
    ] {
        let [zkml, out] = [format!("{name}.zkml"), name.to_owned()].map(|file| keys.path(&file));
        let arguments =
            ["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--weights", "public", "--out", &zkml];
        keys.ok(&[&arguments[..], compile].concat());
        keys.ok(&["setup", &zkml, "--unproven-weights", "--out", &out]);
        keys.ok(&[&["prove", &format!("{out}/{name}.pk")], prove, &["--out", &out]].concat());
        let [proof, vk] = ["proof.json", &format!("{name}.vk")].map(|file| format!("{out}/{file}"));
        let of = |more: &[&str]| run(&[&["verify", &proof, "--vk", &vk, "--json", "--model"], more].concat());
        let report = json(&of(&[&gemm("onnx")]));
        assert_eq!(report["accepted"], true, "{name}: {report}");
        // What is hidden is measured on nothing, unless samples are given.
        let measured = &report["audit"]["file"]["measured"];
        assert_eq!(
            measured["samples"],
            if name == "joint" {
                2.into()
            } else if name == "hashed" {
                Value::Null
            } else {
                1.into()
            }
        );
        let measured = json(&of(&[&gemm("onnx"), "--samples", &two]))["audit"]["file"]["measured"].clone();
        assert_eq!(measured["samples"], 2, "{name}");
        let other = with_one_other_weight(&keys.0, "other.onnx", 1);
        assert_eq!(exit_code(&of(&[&other])), 1, "{name}");
    }
}

#[test]
fn public_weights_are_hidden_by_nothing_and_hidden_ones_are_not_called_public() {
    let keys = Keys(Scratch::new());
    let (zkml, srs) = (keys.path("gemm.zkml"), keys.path("keys/gemm.srs"));
    let compile = ["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--out", &zkml, "--weights", "public"];
    refused(&run(&[&compile[..], &["--private"]].concat()), &["declared private by you"]);
    keys.ok(&compile);
    keys.ok(&["setup", &zkml, "--out", &keys.path("keys")]);
    // Nothing is drawn, so two runs make one key.
    let again = |out: &str| {
        keys.ok(&["setup", &zkml, "--unproven-weights", "--srs", &srs, "--out", &keys.path(out)]);
        std::fs::read(keys.path(&format!("{out}/gemm.vk"))).expect("a key")
    };
    assert_eq!(again("one"), again("two"));

    let model = Model::load(gemm("onnx"), &ImportOptions::default()).expect("the model");
    let string = Srs::read(&srs, CompiledModel::read(&zkml).expect("compiled").k()).expect("a reference string");
    let public = PublicModel::read(keys.path("keys/gemm.public.zkml")).expect("a public model");
    let audited = |key: &ModelKey| public.audit_file(key, &model, &[], &string, &BackendChoice::Cpu);
    assert!(audited(&ModelKey::read(keys.vk()).expect("a key")).is_ok());
    // A key whose owner says that nothing hides what a blinding does.
    let hidden = keys.path("hidden.zkml");
    keys.ok(&["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--out", &hidden]);
    keys.ok(&["setup", &hidden, "--srs", &srs, "--out", &keys.path("hidden")]);
    let hidden = ModelKey::read(keys.path("hidden/hidden.vk")).expect("a key");
    assert!(audited(&hidden).expect_err("hidden").to_string().contains("hides the weights"));
    let about = About {
        model: hidden.model().into(),
        inferences: 1,
        public_weights: true,
        accuracy: *hidden.accuracy(),
        architecture: hidden.architecture_digest().into(),
    };
    let said = ModelKey::new(about, hidden.keys().clone(), hidden.weights_proof().cloned()).expect("a key");
    assert!(audited(&said).expect_err("blinded").to_string().contains("column 0 of the model commitment"));

    // A retrained model is as public, and of its own file.
    let new = retrained(&keys.0, "gemm.onnx", |weight| 0.9 * weight);
    keys.ok(&["retrain", &keys.pk(), &new, "--calibration", &gemm("json"), "--out", &keys.path("new")]);
    let vk = keys.path("new/gemm.vk");
    keys.ok(&["prove", &keys.path("new/gemm.pk"), &gemm("json"), "--out", &keys.path("out")]);
    let of = |file: &str| run(&["verify", &keys.path("out/proof.json"), "--vk", &vk, "--model", file, "--srs", &srs]);
    assert_eq!(exit_code(&of(&new)), 0);
    assert_eq!(exit_code(&of(&gemm("onnx"))), 1);
    let private = declared_private(&keys.0, "private.onnx");
    let output = run(&["retrain", &keys.pk(), &private, "--calibration", &gemm("json"), "--out", &keys.path("none")]);
    refused(&output, &["declared private by the model's metadata"]);
}

#[test]
fn a_key_whose_weights_proof_does_not_hold_has_no_valid_proofs() {
    let keys = Keys::make();
    keys.ok(&["prove", &keys.pk(), &gemm("json"), "--out", &keys.path("out")]);
    let key = ModelKey::read(keys.vk()).expect("a key");
    let proof = ProofBundle::read(keys.path("out/proof.json")).expect("a proof");
    assert!(key.verify(&proof).is_ok() && proof.note.starts_with("exact integers"));
    // Its last byte is of the link's last scalar.
    let mut bytes = key.weights_proof().expect("a proof of the weights").to_bytes();
    let last = bytes.len() - 30;
    bytes[last] ^= 1;
    let about = About {
        model: key.model().into(),
        inferences: 1,
        public_weights: false,
        accuracy: *key.accuracy(),
        architecture: key.architecture_digest().into(),
    };
    let changed = WeightsProof::from_bytes(&bytes).expect("well formed");
    let forged = ModelKey::new(about.clone(), key.keys().clone(), Some(changed)).expect("a key");
    let mut renamed = proof.clone();
    renamed.verifying_key = forged.digest().into();
    renamed.seal();
    assert!(matches!(forged.verify(&renamed), Err(Rejection::Weights(_))), "{:?}", forged.verify(&renamed));
    // Without the proof the key is another, and says so.
    let plain = ModelKey::new(about, key.keys().clone(), None).expect("a key");
    renamed.verifying_key = plain.digest().into();
    renamed.seal();
    assert!(matches!(plain.verify(&renamed), Err(Rejection::Field { ref field, .. }) if field == "note"));
}

#[test]
fn embedded_weights_are_set_up_and_cannot_be_retrained() {
    let keys = Keys(Scratch::new());
    let zkml = keys.path("gemm.zkml");
    keys.ok(&["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--weights", "embedded", "--out", &zkml]);
    keys.ok(&["setup", &zkml, "--out", &keys.path("keys")]);
    let public = keys.path("keys/gemm.public.zkml");
    let shown = keys.ok(&["audit", &keys.vk(), "--model", &public]);
    assert!(shown.contains("exact integers, fixed by the verifying key"), "{shown}");
    keys.ok(&["prove", &keys.pk(), &gemm("json"), "--out", &keys.path("out")]);
    assert_eq!(keys.verify(&keys.path("out/proof.json"), &keys.vk()), 0);
    let model = retrained(&keys.0, "new.onnx", |weight| 0.9 * weight);
    let output = run(&["retrain", &keys.pk(), &model, "--calibration", &gemm("json"), "--out", &keys.path("none")]);
    refused(&output, &["embedded in its circuit"]);
}

/// `prove` of the dense layer with a cache in `folder`.
fn cached(scratch: &Scratch, out: &str, more: &[&str]) -> std::process::Command {
    let mut command = program();
    command.env_remove("ZKML_GPU_NO_CACHE").env("ZKML_GPU_CACHE", scratch.path("cache"));
    command.args(["prove", &gemm("onnx"), &gemm("json"), "--out", &scratch.path(out)]).args(more);
    command
}

fn entries(scratch: &Scratch) -> Vec<std::path::PathBuf> {
    let found = std::fs::read_dir(scratch.path("cache")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut keys: Vec<_> = found.filter(|path| path.extension().is_some_and(|extension| extension == "pk")).collect();
    keys.sort();
    keys
}

#[test]
fn the_same_model_has_the_same_key_from_then_on() {
    let scratch = Scratch::new();
    let vk = |out: &str| std::fs::read(scratch.path(out).to_owned() + "/model.vk").expect("a key");
    let done = |command: &mut std::process::Command| {
        let output = command.output().expect("run");
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
        output
    };
    // Two at once, where none is there yet.
    let children = ["a", "b"].map(|out| cached(&scratch, out, &[]).stdout(Stdio::null()).spawn().expect("run"));
    for mut child in children {
        assert!(child.wait().expect("wait").success());
    }
    assert_eq!((vk("a"), entries(&scratch).len()), (vk("b"), 1));
    let report = json(&done(&mut cached(&scratch, "c", &["--json"])));
    assert!(report["keys"].as_str().unwrap().starts_with("kept in"), "{}", report["keys"]);
    assert_eq!(vk("c"), vk("a"));
    // Whatever decides about the key has another.
    for (out, more) in [
        ("d", ["--max-error", "0.1"]),
        ("e", ["--weights", "embedded"]),
        ("f", ["--calibration", &gemm("json")]),
        ("g", ["--costs", "reference"]),
    ] {
        done(&mut cached(&scratch, out, &more));
        assert_ne!(vk(out), vk("a"), "{more:?}");
    }
    assert_eq!(entries(&scratch).len(), 5);
    // None is kept, and none found.
    done(cached(&scratch, "h", &["--no-cache"]).env_remove("ZKML_GPU_CACHE"));
    assert_ne!(vk("h"), vk("a"));
    assert_eq!(entries(&scratch).len(), 5);
    // A limit that has room for one: those used longest ago go.
    done(&mut cached(&scratch, "i", &["--private", "--cache-size", "900kB"]));
    let size: u64 = entries(&scratch).iter().map(|path| std::fs::metadata(path).expect("a file").len()).sum();
    assert!(size <= 900_000 && !entries(&scratch).is_empty(), "{size} bytes");
}

#[test]
fn a_damaged_entry_is_made_anew_and_said() {
    let scratch = Scratch::new();
    assert!(cached(&scratch, "a", &[]).output().expect("run").status.success());
    let entry = entries(&scratch).remove(0);
    let whole = std::fs::read(&entry).expect("a file");
    for damage in [whole[..whole.len() / 2].to_vec(), Vec::new(), [&whole[..], &[0]].concat()] {
        std::fs::write(&entry, damage).expect("damage");
        let output = cached(&scratch, "b", &["--replace"]).output().expect("run");
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("was damaged and is made anew"), "{}", text(&output.stderr));
        ProverKey::read(&entry).expect("a whole key");
        let verified = run(&["verify", &scratch.path("b/proof.json"), "--vk", &scratch.path("b/model.vk")]);
        assert_eq!(exit_code(&verified), 0);
    }
}

#[test]
fn weights_in_other_files_have_keys_of_their_own() {
    let scratch = Scratch::new();
    let mut model = ModelProto::decode(&std::fs::read(gemm("onnx")).expect("the model")[..]).expect("a model");
    let mut weights = Vec::new();
    for tensor in &mut model.graph.as_mut().expect("a graph").initializer {
        let raw = std::mem::take(&mut tensor.raw_data);
        if raw.is_empty() {
            continue;
        }
        let entries = [
            ("location", "weights.bin".to_owned()),
            ("offset", weights.len().to_string()),
            ("length", raw.len().to_string()),
        ];
        let entry = |(key, value): (&str, String)| StringStringEntryProto { key: key.into(), value };
        tensor.external_data = entries.map(entry).to_vec();
        // TensorProto.DataLocation: EXTERNAL.
        tensor.data_location = Some(1);
        weights.extend(raw);
    }
    assert!(!weights.is_empty(), "there is a weight to move");
    let model = scratch.file("m.onnx", model.encode_to_vec());
    let proved = |out: &str| {
        let mut command = program();
        command.env_remove("ZKML_GPU_NO_CACHE").env("ZKML_GPU_CACHE", scratch.path("cache"));
        let arguments =
            ["prove", &model, &gemm("json"), "--calibration", &gemm("json"), "--json", "--out", &scratch.path(out)];
        json(&command.args(arguments).output().expect("run"))
    };
    scratch.file("weights.bin", &weights);
    let (first, again) = (proved("a"), proved("b"));
    assert_eq!(first["verifying_key"], again["verifying_key"]);
    // Other weights, in the file beside the model's.
    for number in weights.chunks_exact_mut(4) {
        let value = f32::from_le_bytes(number.try_into().expect("four bytes"));
        number.copy_from_slice(&(-value).to_le_bytes());
    }
    scratch.file("weights.bin", &weights);
    let other = proved("c");
    assert_ne!(other["verifying_key"], first["verifying_key"]);
    assert_ne!(other["output"], first["output"]);
}

#[test]
fn an_entry_of_another_model_is_not_taken() {
    let scratch = Scratch::new();
    assert!(cached(&scratch, "a", &[]).output().expect("run").status.success());
    assert!(cached(&scratch, "b", &["--weights", "embedded"]).output().expect("run").status.success());
    let both = entries(&scratch);
    // Each in the other's place.
    let [one, other] = [0, 1].map(|at| std::fs::read(&both[at]).expect("a file"));
    std::fs::write(&both[0], &other).expect("write");
    std::fs::write(&both[1], &one).expect("write");
    let output = cached(&scratch, "c", &["--json"]).output().expect("run");
    assert!(text(&output.stderr).contains("the key of something else"), "{}", text(&output.stderr));
    assert_eq!(json(&output)["weights"], "committed, hiding");
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_may_write_to_holds_no_keys_that_are_taken() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    assert!(cached(&scratch, "a", &[]).output().expect("run").status.success());
    std::fs::set_permissions(scratch.path("cache"), PermissionsExt::from_mode(0o777)).expect("permissions");
    let output = cached(&scratch, "b", &["--json"]).output().expect("run");
    assert!(text(&output.stderr).contains("others than its owner may write"), "{}", text(&output.stderr));
    assert_eq!(json(&output)["keys"], "made for this run");
}

#[test]
fn a_closed_stderr_stops_no_program_for_ever() {
    for arguments in [&["verify", "absent.json", "--vk", "absent.vk"][..], &["setup", "absent.zkml", "--out", "absent"]]
    {
        let mut child = program().args(arguments).stderr(Stdio::piped()).spawn().expect("run");
        // Nobody reads what it says.
        drop(child.stderr.take());
        let start = std::time::Instant::now();
        while child.try_wait().expect("wait").is_none() {
            assert!(start.elapsed().as_secs() < 60, "{arguments:?} waits");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(child.wait().expect("wait").code(), Some(2), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn keys_that_cannot_be_kept_are_made_for_the_run_and_said() {
    let scratch = Scratch::new();
    // A file in the place of the folder.
    std::fs::write(scratch.path("cache"), "").expect("a file");
    let output = cached(&scratch, "a", &[]).output().expect("run");
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("could not be kept"), "{}", text(&output.stderr));
    // The system knows a home also where the environment does not.
    let mut command = cached(&scratch, "b", &["--json"]);
    command.env_remove("ZKML_GPU_CACHE").env_remove("HOME").env("XDG_CACHE_HOME", scratch.path("xdg"));
    let report = json(&command.output().expect("run"));
    assert!(report["keys"].as_str().unwrap().contains("xdg/zkml-gpu/keys"), "{}", report["keys"]);
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new_one() {
    let scratch = Scratch::new();
    let (zkml, keys) = (scratch.path("gemm.zkml"), scratch.path("keys"));
    let compile = ["compile", &gemm("onnx"), "--calibration", &gemm("json"), "--out", &zkml];
    let setup = ["setup", &zkml, "--out", &keys, "--replace"];
    for arguments in [&compile[..], &setup] {
        let output = run(arguments);
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    }
    let mut finished = 0;
    for round in 0..200u64 {
        // From the first instant to beyond the end, on machines of any speed.
        let limits = Limits { kill_after_ms: Some(round * 2 % 250), ..Limits::default() };
        let out = scratch.path(&format!("out{}", round % 3));
        let prove = ["prove", &scratch.path("keys/gemm.pk"), &gemm("json"), "--out", &out, "--replace"];
        let output = run_limited(scratch.folder(), [&compile[..], &setup, &prove][round as usize % 3], &limits);
        finished += usize::from(output.status.success());
        assert!(output.status.code().is_none_or(|code| code == 0), "{}", text(&output.stderr));
        CompiledModel::read(&zkml).expect("a whole model");
        let key = ProverKey::read(scratch.path("keys/gemm.pk")).expect("a whole key");
        // None, for the moment in which the private one is replaced, but never another's.
        let published = scratch.path("keys/gemm.vk");
        if Path::new(&published).exists() {
            assert_eq!(ModelKey::read(&published).expect("a whole key").digest(), key.key().digest());
        }
        if Path::new(&out).join("proof.json").exists() {
            let verdict = run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{out}/model.vk")]);
            assert_eq!(exit_code(&verdict), 0, "{}", text(&verdict.stdout));
        }
    }
    println!("{finished} of 200 ran to their end");
    let output = run(&["prove", &scratch.path("keys/gemm.pk"), &gemm("json"), "--out", &scratch.path("end")]);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_leaves_no_files() {
    let keys = Keys::make();
    let out = keys.path("out");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let mut command = program();
    command.args(["prove", &keys.pk(), &gemm("json"), "--out", &out]).stdout(full);
    assert_eq!(exit_code(&command.output().expect("run")), 2);
    assert!(!Path::new(&out).exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_what_was_there() {
    let keys = Keys::make();
    let [pk, vk] = [keys.pk(), keys.vk()].map(|path| std::fs::read(path).expect("a file"));
    let limits = Limits { file_blocks: Some(20), ..Limits::default() };
    let setup = ["setup", &keys.path("gemm.zkml"), "--out", &keys.path("keys"), "--replace"];
    let output = run_limited(keys.0.folder(), &setup, &limits);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!([keys.pk(), keys.vk()].map(|path| std::fs::read(path).expect("a file")), [pk, vk]);
    let names = ["gemm.pk", "gemm.public.zkml", "gemm.srs", "gemm.vk"];
    let mut found: Vec<_> =
        std::fs::read_dir(keys.path("keys")).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    found.sort();
    assert_eq!(found, names, "nothing beside them");
}

/// A model that is quantised already tells its scales: no sample is needed, and its own clamp of an input is no loss.
#[test]
fn a_model_that_tells_its_scales_is_compiled_without_samples() {
    let scratch = Scratch::new();
    let model = |name: &str, kind: &str| repository(&format!("tests/models/quantised/{name}.{kind}"));
    let (zkml, keys) = (scratch.path("told.zkml"), scratch.path("keys"));
    let compiled = run(&["compile", &model("qdq_residual", "onnx"), "--out", &zkml]);
    assert_eq!(exit_code(&compiled), 0, "{}", text(&compiled.stderr));
    assert!(text(&compiled.stdout).contains("not measured"), "{}", text(&compiled.stdout));
    assert_eq!(exit_code(&run(&["setup", &zkml, "--unproven-weights", "--out", &keys])), 0);
    let far = serde_json::json!({ "input_data": [vec![9.0; 192]] });
    let inputs = [model("qdq_residual", "json"), scratch.file("far.json", far.to_string())];
    for (number, input) in inputs.iter().enumerate() {
        let out = scratch.path(&format!("out{number}"));
        let proved = run(&["prove", &format!("{keys}/told.pk"), input, "--out", &out]);
        assert_eq!(exit_code(&proved), 0, "{}", text(&proved.stderr));
        let verdict = run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{keys}/told.vk"), "--json"]);
        assert_eq!(exit_code(&verdict), 0, "{}", text(&verdict.stdout));
        if number == 0 {
            let file: Value = serde_json::from_slice(&std::fs::read(input).expect("the input")).expect("JSON");
            let expected: Vec<f64> = serde_json::from_value(file["output_data"][0].clone()).expect("a list");
            let got: Vec<f64> = serde_json::from_value(json(&verdict)["output"][0].clone()).expect("a list");
            // Units of 1/256, as onnxruntime counts them.
            let near = |(got, expected): (&f64, &f64)| (got - expected).abs() * 256.0 < 1.01;
            assert!(got.len() == 4 && got.iter().zip(&expected).all(near), "{got:?} {expected:?}");
        }
    }
    refused(&run(&["compile", &model("qdq_weights_alone", "onnx"), "--out", &zkml]), &["none are given"]);
}
