//! What is wrong is said: nothing of the command line is passed over in silence, and nothing that a user gives is called
//! a bug.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use prost::Message;
use serde_json::Value;
use tract_onnx::pb::{ModelProto, StringStringEntryProto};

use crate::support::{Scratch, exit_code, gemm, json, repository, run, run_in, text};

fn refused(output: &Output, parts: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(exit_code(output), 2, "{message}");
    for part in parts.iter().chain(&["hint:"]) {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let attention = |extension: &str| repository(&format!("tests/models/ops/attention.{extension}"));
    let (model, data) = (attention("onnx"), attention("json"));
    for value in ["nan", "-0.1", "inf"] {
        for command in ["calibrate", "evaluate"] {
            let output = run(&[command, &model, &data, &format!("--max-error={value}")]);
            assert_eq!(exit_code(&output), 2, "{command} {value}");
            assert!(text(&output.stderr).contains("--max-error"), "{}", text(&output.stderr));
        }
    }
    refused(&run(&["calibrate", &model, &data, "--min-bits", "9", "--max-bits", "5"]), &["--max-bits", "--min-bits"]);
    refused(&run(&["evaluate", &model, &data, "--bits", "9", "--max-bits", "5"]), &["--max-bits", "--bits"]);
    let wide = json(&run(&["evaluate", &gemm("onnx"), &gemm("json"), "--bits", "12", "--json"]));
    assert_eq!(wide["activation_bits"], 12, "the default gives way to what is asked for");
    let memory = ["plan", &gemm("onnx"), &gemm("json"), "--costs", "reference", "--backend", "cpu", "--max-memory"];
    assert_eq!(exit_code(&run(&[&memory[..], &["1.5GiB"]].concat())), 0);
    assert_eq!(exit_code(&run(&[&memory[..], &["0.001GiB"]].concat())), 4);
}

#[test]
fn dimensions_that_the_model_lacks_and_second_sizes_are_refused() {
    let file = |extension: &str| repository(&format!("tests/models/ops/symbolic_rows.{extension}"));
    let plan = |dimensions: &[&str]| {
        let fixed = ["plan", &file("onnx"), &file("json"), "--costs", "reference", "--backend", "cpu"];
        run(&[&fixed[..], dimensions].concat())
    };
    assert_eq!(exit_code(&plan(&["--dim", "rows=3"])), 0);
    refused(&plan(&["--dim", "rows=3", "--dim", "rosw=2"]), &["symbolic_rows.onnx", "'rosw'", "`rows`"]);
    refused(&plan(&["--dim", "rows=3", "--dim", "rows=2"]), &["symbolic_rows.onnx", "'rows'", "second"]);
    let output = run(&["evaluate", &gemm("onnx"), &gemm("json"), "--dim", "rows=3"]);
    refused(&output, &["'rows'", "no symbolic dimension"]);
}

#[test]
fn instructions_that_are_not_known_are_refused() {
    let plan = |value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zkml-gpu"));
        command.args(["plan", &gemm("onnx"), &gemm("json"), "--costs", "reference"]).env("ZKML_CPU", value);
        command.output().expect("run zkml-gpu")
    };
    refused(&plan("banana"), &["ZKML_CPU", "banana", "`portable`"]);
    assert_eq!([exit_code(&plan("portable")), exit_code(&plan(""))], [0, 0]);
}

#[test]
fn entries_of_the_metadata_that_are_not_known_are_refused() {
    let scratch = Scratch::new();
    let evaluate = |key: &str, value: &str| {
        let model = changed(&scratch, &gemm("onnx"), |model| {
            model.metadata_props.push(StringStringEntryProto { key: key.into(), value: value.into() });
        });
        run(&["evaluate", &model, &gemm("json")])
    };
    for key in ["zkml-gpu.weight", "zkml-gpu.Weights", "ZKML-GPU.weights", "zkml_gpu.weights", "zkml-gpu."] {
        refused(&evaluate(key, "private"), &["changed.onnx", key, "`zkml-gpu.weights`"]);
    }
    refused(&evaluate("zkml-gpu.weights", "Private"), &["Private", "`private`"]);
    for (key, value) in [("zkml-gpu.weights", "private"), ("zkml-gpus", "x"), ("weights", "private")] {
        assert_eq!(exit_code(&evaluate(key, value)), 0, "{key}");
    }
}

/// A model of the tests, changed.
fn changed(scratch: &Scratch, path: &str, change: impl FnOnce(&mut ModelProto)) -> String {
    let bytes = std::fs::read(path).expect("the model");
    let mut model = ModelProto::decode(&bytes[..]).expect("ONNX");
    change(&mut model);
    scratch.file("changed.onnx", model.encode_to_vec())
}

/// Multiplies all weights of a model, as far as the results are finite.
fn scale(model: &mut ModelProto, factor: f32) {
    let finite = |value: f32| (value * factor).clamp(f32::MIN, f32::MAX);
    for tensor in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
        // 32-bit floats.
        if tensor.data_type == 1 {
            tensor.float_data.iter_mut().for_each(|value| *value = finite(*value));
            for bytes in tensor.raw_data.chunks_exact_mut(4) {
                let value = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
                bytes.copy_from_slice(&finite(value).to_le_bytes());
            }
        }
    }
}

#[test]
fn weights_of_any_magnitude_are_planned_or_refused_and_no_bug() {
    let scratch = Scratch::new();
    let [mut planned, mut refused] = [0, 0];
    for name in ["gemm_plain", "conv_batch_norm", "attention", "average_pool_global_large", "concat_relu"] {
        for factor in [1e-38, 1e-12, 1e12, 1e30, f32::MAX] {
            let path = repository(&format!("tests/models/ops/{name}.onnx"));
            let model = changed(&scratch, &path, |model| scale(model, factor));
            let input = repository(&format!("tests/models/ops/{name}.json"));
            let output = run(&["plan", &model, &input, "--costs", "reference", "--backend", "cpu"]);
            let message = text(&output.stderr);
            match exit_code(&output) {
                0 => planned += 1,
                2 => {
                    assert!(message.contains("\nhint: "), "{name} {factor}: {message}");
                    refused += 1;
                }
                code => panic!("{name} {factor}: {code}: {message}"),
            }
        }
    }
    assert!(planned > 5 && refused > 2, "{planned} planned, {refused} refused");
}

#[test]
fn weights_of_1e30_are_refused_with_the_node_and_no_file_is_left() {
    let scratch = Scratch::new();
    let model = changed(&scratch, &gemm("onnx"), |model| scale(model, 1e30));
    let out = scratch.path("out");
    let output = run(&["prove", &model, &gemm("json"), "--backend", "cpu", "--costs", "reference", "--out", &out]);
    refused(&output, &["'gemm0'", "orders of magnitude"]);
    assert!(!Path::new(&out).exists());
}

/// A command whose input comes from the test.
fn with_stdin(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkml-gpu"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run zkml-gpu");
    // A program that does not read it closes the pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("output")
}

#[test]
fn an_input_may_come_from_standard_input_but_only_one() {
    let (model, data) = (gemm("onnx"), std::fs::read(gemm("json")).expect("the input"));
    let from_file = json(&run(&["evaluate", &model, &gemm("json"), "--json"]));
    assert_eq!(json(&with_stdin(&["evaluate", &model, "-", "--json"], &data)), from_file);
    let calibrated = ["evaluate", &model, &gemm("json"), "--calibration", "-", "--json"];
    assert_eq!(json(&with_stdin(&calibrated, &data)), from_file);
    refused(&with_stdin(&["evaluate", &model, "-", "--calibration", "-"], &data), &["standard input", "already"]);
    refused(&with_stdin(&["evaluate", &model, "-"], b"{"), &["standard input"]);
    refused(&with_stdin(&["evaluate", &model, "-"], b""), &["standard input"]);
    let plan = ["plan", &model, "-", "--costs", "reference", "--backend", "cpu", "--json"];
    assert_eq!(exit_code(&with_stdin(&plan, &data)), 0);
    refused(&with_stdin(&["bench", "prove", &model, "--input", "-"], &data), &["--input", "standard input"]);
    let scratch = Scratch::new();
    scratch.file("-", &data);
    assert_eq!(exit_code(&run_in(scratch.folder(), &["evaluate", &model, "./-"])), 0, "a file of that name");
}

#[test]
fn places_that_take_no_file_are_found_out_before_the_work() {
    let scratch = Scratch::new();
    let missing = scratch.path("missing/file");
    let attention = |extension: &str| repository(&format!("tests/models/ops/attention.{extension}"));
    let cases: [&[&str]; 4] = [
        &["calibrate", &attention("onnx"), &attention("json"), "--out", &missing],
        &["bench", "prove", &gemm("onnx"), "--backend", "cpu", "--report", &missing],
        &["bench", "prove", &gemm("onnx"), "--backend", "cpu", "--save", &missing],
        &["bench", "ops", "--log-n", "2", "--backend", "cpu", "--save", &missing],
    ];
    for arguments in cases {
        let output = run(arguments);
        refused(&output, &["missing/file", "folder of the path is missing"]);
        assert!(output.stdout.is_empty(), "nothing was measured: {arguments:?}");
    }
    let file = scratch.path("bits.json");
    assert_eq!(exit_code(&run(&["calibrate", &gemm("onnx"), &gemm("json"), "--out", &file])), 0);
    assert_eq!(std::fs::read_dir(scratch.folder()).expect("folder").count(), 1, "a trial leaves nothing");
}

#[test]
fn a_benchmark_takes_threads_without_back_ends() {
    let output = run(&["bench", "ops", "--log-n", "2", "--threads", "1", "--json"]);
    assert_eq!(json(&output)["threads"], 1);
}

#[test]
fn a_fused_layer_has_the_name_of_the_node_that_computes() {
    let file = |name: &str| repository(&format!("examples/lenet/{name}"));
    let (model, data) = (file("lenet.onnx"), file("seven.json"));
    let plan = json(&run(&["plan", &model, &data, "--costs", "reference", "--backend", "cpu", "--json"]));
    let layers = plan["layers"].as_array().expect("a list");
    let named = |name: &str| layers.iter().find(|layer| layer["name"] == name).map(|layer| layer["operator"].clone());
    for gemm in ["n14_Gemm", "n18_Gemm", "n22_Gemm"] {
        assert_eq!(named(gemm), Some("Linear".into()), "{plan}");
    }
    assert_eq!(named("n3_Conv"), Some("Linear, pooled".into()));
    assert_eq!((named("n5_MaxPool"), named("n15_Relu")), (None, None));
    let moved: Vec<&Value> = layers.iter().filter(|layer| layer["operator"] == "Reshape").collect();
    assert!(moved.iter().all(|layer| !layer["name"].as_str().is_some_and(|name| name.contains("Gemm"))), "{moved:?}");
    let shown = text(&run(&["evaluate", &model, &data]).stdout);
    assert!(shown.contains("  n14_Gemm ") && !shown.contains("n15_Relu"), "{shown}");
}

#[test]
fn failures_are_objects_where_json_is_asked_for() {
    let scratch = Scratch::new();
    let (absent, missing) = (scratch.path("absent"), scratch.path("missing/file"));
    let unknown = repository("tests/models/ops/refused/unknown.onnx");
    let (model, data) = (gemm("onnx"), gemm("json"));
    let cases: [(&[&str], &str, i32, &str); 8] = [
        (&["prove", &absent, &data], "bad_input", 2, "absent"),
        (&["plan", &unknown, &data], "unsupported", 3, "Frobnicate"),
        (&["plan", &model, &data, "--costs", "reference", "--max-memory", "1MiB"], "would_not_fit", 4, "1 MiB"),
        (&["evaluate", &model, &absent], "bad_input", 2, "absent"),
        (&["calibrate", &model, &data, "--out", &missing], "bad_input", 2, "missing/file"),
        (&["verify", &absent, "--vk", &absent], "bad_input", 2, "absent"),
        (&["bench", "ops", "--log-n", "2", "--backend", "cpu", "--save", &missing], "bad_input", 2, "missing/file"),
        (&["plan", &model], "bad_input", 2, "INPUT.json"),
    ];
    for (arguments, class, code, part) in cases {
        let output = run(&[arguments, &["--json"]].concat());
        assert_eq!(exit_code(&output), code, "{arguments:?}: {}", text(&output.stderr));
        let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        let error = &object["error"];
        let [message, hint] = ["message", "hint"].map(|field| error[field].as_str().unwrap_or_default());
        assert!(error["class"] == class && message.contains(part), "{arguments:?}: {object}");
        assert!(!message.contains("hint:") && (!hint.is_empty() || part == "INPUT.json"), "{arguments:?}: {object}");
        assert!(text(&output.stderr).contains(part), "people read it as before");
        assert!(run(arguments).stdout.is_empty(), "{arguments:?}: only where it is asked for");
    }
}

/// Limits of the address space, as batch systems and careful shells set them.
#[cfg(target_os = "linux")]
#[test]
fn under_a_limit_of_address_space_the_program_refuses_and_never_aborts() {
    let scratch = Scratch::new();
    let file = |name: &str| repository(&format!("examples/lenet/{name}"));
    let mut codes = Vec::new();
    // Below the first the system does not start the program at all.
    for megabytes in [150u32, 170, 200, 220, 260, 320, 8192] {
        let out = scratch.path(&megabytes.to_string());
        let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes * 1024);
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_zkml-gpu"),
            "prove",
            &file("lenet.onnx"),
            &file("seven.json"),
        ]);
        command.args(["--out", &out, "--backend", "cpu", "--costs", "reference", "--threads", "2"]);
        let output = command.output().expect("run zkml-gpu");
        let (code, message) = (exit_code(&output), text(&output.stderr));
        assert!(code == 0 || code == 4, "{megabytes} MiB: {code}: {message}");
        let told = message.contains("hint:") && (message.contains(" bytes") || message.contains("iB"));
        assert!(code == 0 || told, "{megabytes} MiB: {message}");
        assert!(code == 0 || !Path::new(&out).exists(), "{megabytes} MiB");
        codes.push(code);
    }
    assert_eq!((codes.first(), codes.last()), (Some(&4), Some(&0)), "{codes:?}");
}
