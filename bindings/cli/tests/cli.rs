//! The command line's contract: files, JSON fields, exit codes.

use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::Bn256;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use serde_json::Value;

use crate::support::{Scratch, exit_code, gemm, json, program, prove, repository, run, run_in, text};

/// Fields of `prove --json`.
const PROVE_FIELDS: [&str; 38] = [
    "model",
    "backend",
    "device",
    "weights",
    "note",
    "k",
    "advice_columns",
    "fixed_columns",
    "inferences",
    "lookups",
    "parameters",
    "macs",
    "srs_ms",
    "setup_ms",
    "witness_ms",
    "prove_ms",
    "prove_cpu_ms",
    "total_cpu_ms",
    "verify_ms",
    "proof_bytes",
    "peak_rss_bytes",
    "table_bytes",
    "table_budget_bytes",
    "coset_budget_bytes",
    "output",
    "output_float",
    "max_abs_error",
    "relative_error",
    "max_error",
    "saturation",
    "insecure_srs",
    "verifying_key",
    "circuit_key",
    "model_commitment",
    "keys",
    "srs",
    "proof_file",
    "key_file",
];
/// Fields of `verify --json`.
const VERIFY_FIELDS: [&str; 15] = [
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

fn assert_fields(object: &Value, fields: &[&str]) {
    let mut expected: Vec<&str> = fields.to_vec();
    let mut got: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    expected.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, expected);
}

#[test]
fn a_processor_can_be_held_to_portable_instructions() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let arguments = ["prove", &gemm("onnx"), &gemm("json"), "--out", &out, "--json"];
    let mut command = program();
    let report = json(&command.args(arguments).env("ZKML_CPU", "portable").output().expect("run zkml-gpu"));
    let device = report["device"].as_str().expect("the device in words").to_owned();
    assert!(device.contains("portable"), "{device}");
}

#[test]
fn a_proof_is_made_and_accepted_with_exactly_the_promised_fields() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let report = json(&run(&["prove", &gemm("onnx"), &gemm("json"), "--out", &out, "--json"]));
    assert_fields(&report, &PROVE_FIELDS);
    assert_eq!((report["model"].as_str(), report["backend"].as_str()), (Some("gemm_plain"), Some("cpu")));
    assert_eq!(report["insecure_srs"], true);
    assert_eq!(report["weights"], "committed, hiding");
    for field in ["k", "advice_columns", "fixed_columns", "parameters", "macs", "proof_bytes", "peak_rss_bytes"] {
        assert!(report[field].as_u64() > Some(0), "{field}");
    }
    for field in ["srs_ms", "setup_ms", "witness_ms", "prove_ms", "prove_cpu_ms", "total_cpu_ms", "verify_ms"] {
        assert!(report[field].as_f64() > Some(0.0), "{field}");
    }
    assert!(report["max_abs_error"].as_f64() < Some(0.05), "{}", report["max_abs_error"]);

    let verdict = json(&run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{out}/model.vk"), "--json"]));
    assert_fields(&verdict, &VERIFY_FIELDS);
    assert_eq!((&verdict["accepted"], &verdict["reason"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(verdict["output"], report["output"]);
    assert_eq!(verdict["input"][0].as_array().map(Vec::len), Some(6));
}

#[test]
fn plain_output_shows_the_result_and_what_is_not_proven() {
    let (scratch, out) = prove(&[]);
    let (proof, vk) = (format!("{out}/proof.json"), format!("{out}/model.vk"));
    let verified = run(&["verify", &proof, "--vk", &vk]);
    assert_eq!(exit_code(&verified), 0);
    let shown = text(&verified.stdout);
    for part in ["accepted", "gemm_plain", "output", "insecure", "exact integers, proven of the model commitment"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let proved = run(&["prove", &gemm("onnx"), &gemm("json"), "--out", &scratch.path("again")]);
    let shown = text(&proved.stdout);
    for part in [
        "output",
        "k = ",
        "bytes",
        "insecure",
        "exact integers, proven of the model commitment",
        "proof.json",
        "model.vk",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(text(&proved.stderr), "", "no progress where stderr is no terminal");
}

#[test]
fn the_default_folder_is_named_after_the_model_and_keeps_other_files() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("gemm_plain.proof")).expect("folder");
    std::fs::write(scratch.path("gemm_plain.proof/mine.txt"), "mine").expect("file");
    let (model, input) = (gemm("onnx"), gemm("json"));
    for extra in [&[][..], &["--replace"]] {
        let arguments = [&["prove", &model, &input], extra].concat();
        let output = run_in(scratch.folder(), &arguments);
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    }
    let mut files: Vec<_> = std::fs::read_dir(scratch.path("gemm_plain.proof")).expect("folder").collect();
    assert_eq!(files.len(), 3, "{files:?}");
    files.clear();
    assert_eq!(std::fs::read(scratch.path("gemm_plain.proof/mine.txt")).expect("file"), b"mine");
}

#[test]
fn backends_that_are_built_work_and_others_exit_3_or_2() {
    let (_scratch, out) = prove(&["--backend", "dual:cpu,cpu", "--threads", "1"]);
    assert_eq!(exit_code(&run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{out}/model.vk")])), 0);
    for (name, code) in [("cuda", 3), ("wgpu:99", 3), ("icicle", 3), ("dual:cpu,cuda", 3), ("gpu", 2), ("cpu:1", 2)] {
        let scratch = Scratch::new();
        let output = run(&["prove", &gemm("onnx"), &gemm("json"), "--out", &scratch.path("out"), "--backend", name]);
        assert_eq!(exit_code(&output), code, "{name}");
        let (missing, message) = (name.trim_start_matches("dual:cpu,"), text(&output.stderr));
        assert!(message.contains(missing) && message.contains("hint:"), "{name}: {message}");
        assert!(!std::path::Path::new(&scratch.path("out")).exists());
    }
}

#[test]
fn a_proof_under_a_reference_string_from_a_file_is_not_called_insecure() {
    let scratch = Scratch::new();
    let (srs, out) = (scratch.path("params"), scratch.path("out"));
    let params = ParamsKZG::<Bn256>::setup(13, rand_core::OsRng);
    let mut file = std::fs::File::create(&srs).expect("parameters file");
    params.write_custom(&mut file, SerdeFormat::RawBytes).expect("write parameters");
    let output = run(&["prove", &gemm("onnx"), &gemm("json"), "--srs", &srs, "--out", &out, "--json"]);
    assert_eq!(json(&output)["insecure_srs"], false);
    let verified = run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{out}/model.vk")]);
    assert_eq!(exit_code(&verified), 0);
    assert!(!text(&verified.stdout).contains("insecure"), "{}", text(&verified.stdout));
}

#[test]
fn bad_arguments_exit_2() {
    let (model, input) = (gemm("onnx"), gemm("json"));
    let cases: [&[&str]; 11] = [
        &[],
        &["prove"],
        &["prove", &model],
        &["prove", &model, &input, "--seed", "1"],
        &["prove", &model, &input, "--threads", "0"],
        &["prove", &model, &input, "--threads", "x"],
        &["prove", &model, &input, "--dim", "n"],
        &["prove", &model, &input, "--weights", "hidden"],
        &["prove", &model, &input, "--weights"],
        &["verify", "proof.json"],
        &["frobnicate"],
    ];
    for arguments in cases {
        let output = run(arguments);
        assert_eq!(exit_code(&output), 2, "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["prove", "--help"], &["verify", "--help"]] {
        assert_eq!(exit_code(&run(arguments)), 0, "{arguments:?}");
    }
}

#[test]
fn bad_input_exits_2_and_names_the_file() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let input = |content: &str| scratch.file("input.json", content);
    let values = |value: &str| format!("{{\"input_data\": [[{value}, 0, 0, 0, 0, 0]]}}");
    for content in [
        "",
        "{}",
        "not json",
        r#"{"input_data": []}"#,
        r#"{"input_data": [[]]}"#,
        r#"{"input_data": [[0, 0, 0]]}"#,
        r#"{"input_data": [[0, 0, 0, 0, 0, 0], [0]]}"#,
        &values("NaN"),
        &values("1e39"),
        &values("1e999"),
        &values("\"1\""),
        &values("null"),
    ] {
        let output = run(&["prove", &gemm("onnx"), &input(content), "--out", &out]);
        assert_eq!(exit_code(&output), 2, "{content}");
        let message = text(&output.stderr);
        assert!(message.contains("input.json") && message.contains("hint:"), "{content}: {message}");
    }
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn missing_and_wrong_files_exit_2() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let (absent, model, input) = (scratch.path("absent"), gemm("onnx"), gemm("json"));
    let cases: [&[&str]; 8] = [
        &["prove", &absent, &input],
        &["prove", &input, &input],
        &["prove", &model, &absent],
        &["prove", &model, &model],
        &["prove", &model, &input, "--calibration", &absent],
        &["prove", &model, &input, "--srs", &absent],
        &["prove", &model, &input, "--srs", &model],
        &["prove", &model, &input, "--srs", &repository("tests/data/srs/prepared_k4.ptau")],
    ];
    for arguments in cases {
        let output = run(&[arguments, &["--out", &out]].concat());
        assert_eq!(exit_code(&output), 2, "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("hint:"), "{arguments:?}: {}", text(&output.stderr));
    }
    let file = scratch.file("file", "");
    assert_eq!(exit_code(&run(&["prove", &model, &input, "--out", &file])), 2);
}

#[test]
fn unsupported_operators_exit_3_and_are_named() {
    for (name, operator) in [("scatter_nd_computed", "ScatterND"), ("unknown", "Frobnicate")] {
        let model = repository(&format!("tests/models/ops/refused/{name}.onnx"));
        let output = run(&["prove", &model, &gemm("json"), "--out", "/nonexistent/out"]);
        assert_eq!(exit_code(&output), 3, "{name}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(operator), "{}", text(&output.stderr));
    }
}

#[test]
fn several_samples_of_one_file_are_all_proved() {
    let scratch = Scratch::new();
    let samples =
        r#"{"input_data": [[0.5, 0.25, 0, 0, 0, -0.5, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]], "input_shapes": [[6]]}"#;
    let (samples, out) = (scratch.file("samples.json", samples), scratch.path("out"));
    let report = json(&run(&["prove", &gemm("onnx"), &samples, "--calibration", &samples, "--out", &out, "--json"]));
    assert_eq!((&report["proved"], &report["failed"]), (&2.into(), &0.into()));
    for (index, expected) in [[0.5, 0.25, 0.0, 0.0, 0.0, -0.5], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]].iter().enumerate() {
        let proof = format!("{out}/samples.{index}.proof.json");
        let verdict = json(&run(&["verify", &proof, "--vk", &format!("{out}/model.vk"), "--json"]));
        let input = verdict["input"][0].as_array().expect("a list");
        for (value, expected) in input.iter().zip(expected) {
            assert!((value.as_f64().expect("a number") - expected).abs() < 0.1, "{value} {expected}");
        }
    }
}

#[test]
fn an_input_beyond_the_calibrated_range_is_refused_unless_clamping_is_allowed() {
    let scratch = Scratch::new();
    let wild = scratch.file("wild.json", r#"{"input_data": [[1e6, -1e6, 1e30, 3, -3, 0]]}"#);
    let out = scratch.path("out");
    let arguments = ["prove", &gemm("onnx"), &wild, "--calibration", &gemm("json"), "--out", &out, "--json"];
    let refused = run(&arguments);
    assert_eq!(exit_code(&refused), 2, "{}", text(&refused.stderr));
    for part in ["beyond the range", "would be clamped", "--calibration", "--max-saturation"] {
        assert!(text(&refused.stderr).contains(part), "{part}: {}", text(&refused.stderr));
    }
    assert!(!std::path::Path::new(&out).exists());
    let allowed = run(&[&arguments[..], &["--max-saturation", "1", "--allow-error"]].concat());
    let report = json(&allowed);
    assert!(report["saturation"]["share"].as_f64() > Some(0.3), "{}", report["saturation"]);
    assert_eq!(report["insecure_srs"], true);
}

#[test]
fn embedded_weights_are_proved_and_called_public() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let arguments = ["prove", &gemm("onnx"), &gemm("json"), "--weights", "embedded", "--replace", "--out", &out];
    let report = json(&run(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(report["weights"], "embedded, public");
    let verify = ["verify", &format!("{out}/proof.json"), "--vk", &format!("{out}/model.vk")];
    let verdict = json(&run(&[&verify[..], &["--json"]].concat()));
    assert_eq!((&verdict["accepted"], &verdict["weights"]), (&Value::Bool(true), &report["weights"]));
    for output in [run(&arguments), run(&verify)] {
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
        let shown = text(&output.stdout);
        for part in
            ["embedded, public", "exact integers, fixed by the verifying key", "can check guesses of the weights"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("hiding") && !shown.contains("proven of"), "{shown}");
    }
    let help = text(&run(&["prove", "--help"]).stdout);
    for part in ["committed", "embedded", "--private", "Public"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

/// The dense layer with an entry of `metadata_props`: appended fields of a protocol buffers message are part of it.
fn gemm_with_metadata(scratch: &Scratch, key: &str, value: &str) -> String {
    let field = |number: u8, bytes: &[u8]| {
        let len = u8::try_from(bytes.len()).ok().filter(|len| *len < 0x80).expect("a length of one byte");
        [&[number << 3 | 2, len], bytes].concat()
    };
    let entry = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    let model = std::fs::read(gemm("onnx")).expect("the model");
    scratch.file("declared.onnx", [model, field(14, &entry)].concat())
}

#[test]
fn weights_declared_private_are_not_embedded() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let prove = |model: &str, arguments: &[&str]| {
        let output = run(&[&["prove", model, &gemm("json"), "--out", &out, "--replace"], arguments].concat());
        (exit_code(&output), text(&output.stderr))
    };
    let refused = |(code, message): (i32, String), by: &str| {
        assert_eq!(code, 2, "{message}");
        for part in ["declared private", by, "embedded", "hint:", "--weights committed"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!std::path::Path::new(&out).exists(), "nothing is written");
    };
    refused(prove(&gemm("onnx"), &["--weights", "embedded", "--private"]), "by you");
    let declared = gemm_with_metadata(&scratch, "zkml-gpu.weights", "private");
    refused(prove(&declared, &["--weights", "embedded"]), "by the model's metadata");
    assert_eq!(prove(&declared, &["--weights", "committed"]).0, 0);
    assert_eq!(prove(&gemm("onnx"), &["--private"]).0, 0);
    for (key, value) in [("zkml-gpu.weights", "public"), ("author", "private")] {
        let open = gemm_with_metadata(&scratch, key, value);
        assert_eq!(prove(&open, &["--weights", "embedded"]).0, 0, "{key} = {value}");
    }
    let (code, message) = prove(&gemm_with_metadata(&scratch, "zkml-gpu.weights", "privat"), &[]);
    assert_eq!(code, 2, "a misspelt declaration must not publish: {message}");
    assert!(message.contains("privat") && message.contains("hint:"), "{message}");
}

/// Fields of a device in `devices --json`.
const DEVICE_FIELDS: [&str; 6] = ["backend", "index", "name", "available", "reason", "limits"];
/// Fields of its limits.
const LIMIT_FIELDS: [&str; 5] = ["buffer_bytes", "binding_bytes", "workgroup_bytes", "invocations", "groups"];

#[test]
fn devices_are_listed_with_what_keeps_them_from_being_used() {
    let listed = json(&run(&["devices", "--json"]));
    let listed = listed.as_array().expect("a list");
    listed.iter().for_each(|device| assert_fields(device, &DEVICE_FIELDS));
    assert_eq!((&listed[0]["backend"], &listed[0]["available"]), (&"cpu".into(), &true.into()));
    let gpus: Vec<&Value> = listed.iter().filter(|device| device["backend"] == "wgpu").collect();
    assert!(!gpus.is_empty(), "a back end without devices says why");
    for gpu in gpus {
        match gpu["index"].as_u64() {
            Some(_) => assert_fields(&gpu["limits"], &LIMIT_FIELDS),
            None => assert!(gpu["available"] == false && gpu["reason"].is_string(), "{gpu}"),
        }
    }
    let shown = run(&["devices"]);
    assert_eq!(exit_code(&shown), 0);
    for device in listed {
        assert!(text(&shown.stdout).contains(device["name"].as_str().expect("a name")));
    }
    assert_eq!(exit_code(&run(&["devices", "wgpu"])), 2);
}

#[test]
fn a_device_that_is_not_there_is_refused_and_nothing_else_runs() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    for backend in ["wgpu:99", "dual:cpu,wgpu:99"] {
        let refused = run(&["prove", &gemm("onnx"), &gemm("json"), "--out", &out, "--backend", backend]);
        assert_eq!(exit_code(&refused), 3, "{backend}");
        assert!(text(&refused.stderr).contains("wgpu:99"), "{}", text(&refused.stderr));
        assert!(!std::path::Path::new(&out).exists(), "{backend} left files");
    }
}

/// With whichever device there is, software adapters included; `devices` lists none where the test is skipped.
#[test]
fn a_gpu_proves_beside_the_processor() {
    let listed = json(&run(&["devices", "--json"]));
    let found = listed
        .as_array()
        .expect("a list")
        .iter()
        .find(|device| device["backend"] == "wgpu" && device["available"] == true);
    let Some(index) = found.and_then(|device| device["index"].as_u64()) else { return };
    let scratch = Scratch::new();
    let out = scratch.path("out");
    for backend in [format!("wgpu:{index}"), format!("dual:cpu,wgpu:{index}")] {
        let arguments =
            ["prove", &gemm("onnx"), &gemm("json"), "--out", &out, "--replace", "--json", "--backend", &backend];
        let report = json(&run(&[&arguments[..], &["--costs", "reference"]].concat()));
        assert_eq!(report["backend"], backend.as_str());
        assert!(
            report["device"].as_str().expect("words").contains(found.expect("found")["name"].as_str().expect("a name"))
        );
        let verdict = run(&["verify", &format!("{out}/proof.json"), "--vk", &format!("{out}/model.vk")]);
        assert_eq!(exit_code(&verdict), 0);
    }
}
