//! `zkml-gpu bench prove`: fields, equal proofs, comparisons and refusals. Nothing is said about time.

use std::fs;

use serde_json::Value;

use crate::support::{Scratch, exit_code, gemm, json, repository, run, text};

/// The command on the small dense layer, with as few proofs as there can be.
fn bench(arguments: &[&str]) -> std::process::Output {
    run(&[&["bench", "prove", &gemm("onnx"), "--runs", "2", "--warm-ups", "0"], arguments].concat())
}

fn rows(report: &Value) -> &[Value] {
    report["rows"].as_array().expect("rows")
}

/// The steps of a proof with committed weights, in their order.
const STEPS: [&str; 9] =
    ["witness", "synthesize", "commit_advice", "commit_random", "interpolate", "quotient", "evaluate", "open", "link"];

#[test]
fn all_back_ends_prove_the_same_and_tell_what_it_takes() {
    let report = json(&bench(&["--backend", "cpu,dual:cpu,cpu", "--json"]));
    assert_eq!((&report["format_version"], &report["bench"], &report["seed"]), (&1.into(), &"prove".into(), &1.into()));
    let rows = rows(&report);
    assert_eq!(rows.iter().map(|row| row["backend"].as_str()).collect::<Vec<_>>(), [Some("cpu"), Some("dual:cpu,cpu")]);
    for field in ["circuit_digest", "key_digest", "proof_digest"] {
        assert!(rows[0][field].as_str().is_some_and(|digest| digest.len() >= 64), "{field}");
        assert_eq!(rows[0][field], rows[1][field], "{field}");
    }
    for row in rows {
        assert_eq!((row["model"].as_str(), row["input"].as_str()), (Some("gemm_plain"), Some("random, seed 1")));
        for spread in ["prove_ms", "prove_cpu_ms", "verify_ms", "float_ms"] {
            let of = |field: &str| row[spread][field].as_f64().expect("a time");
            assert!(0.0 < of("least") && of("least") <= of("median") && of("median") <= of("greatest"), "{row}");
        }
        let names: Vec<&str> =
            row["steps"].as_array().expect("steps").iter().filter_map(|s| s["name"].as_str()).collect();
        for step in STEPS {
            assert!(names.contains(&step), "{step}: {names:?}");
        }
        assert_eq!(row["runs"].as_array().map(Vec::len), Some(2));
        let overhead = row["prove_ms"]["median"].as_f64().zip(row["float_ms"]["median"].as_f64());
        assert_eq!(row["overhead"].as_f64(), overhead.map(|(prove, float)| prove / float));
        assert!(row["peak_rss_bytes"].as_u64() > Some(1 << 20), "{row}");
        let work = row["estimate"]["work"].as_object().expect("quantities of work");
        assert!(work.len() == 9 && work["full_points"].as_f64() > Some(1.0), "{work:?}");
    }
}

#[test]
fn another_error_is_another_circuit() {
    let model = repository("tests/models/ops/gelu.onnx");
    let digest = |error: &str| {
        let arguments = ["bench", "prove", &model, "--runs", "1", "--warm-ups", "0", "--backend", "cpu", "--json"];
        let report = json(&run(&[&arguments[..], &["--max-error", error]].concat()));
        rows(&report)[0]["circuit_digest"].clone()
    };
    assert_ne!(digest("0.2"), digest("0.0001"));
}

#[test]
fn the_steps_of_a_run_add_up_to_its_time() {
    let report = json(&bench(&["--backend", "cpu", "--json"]));
    for run in rows(&report)[0]["runs"].as_array().expect("runs") {
        let steps = run["steps"].as_array().expect("steps").iter().filter_map(|step| step["ms"].as_f64());
        let (sum, prove_ms) = (steps.sum::<f64>(), run["prove_ms"].as_f64().expect("a time"));
        assert!((sum - prove_ms).abs() < 1e-6 * prove_ms, "{sum} of {prove_ms}");
    }
}

#[test]
fn the_stock_prover_proves_the_same_circuit() {
    let report = json(&bench(&["--backend", "cpu", "--weights", "embedded", "--peers", "--json"]));
    let [ours, stock] = rows(&report) else { panic!("two rows: {report}") };
    assert_eq!(stock["backend"], "halo2-axiom");
    assert_eq!(ours["circuit_digest"], stock["circuit_digest"]);
    assert_eq!(ours["proof_bytes"], stock["proof_bytes"]);
    assert!(stock["proof_digest"].is_null() && stock["estimate"].is_null(), "{stock}");
}

/// A program in the language of the shell, which writes these outputs and says what it took.
#[cfg(unix)]
fn program(name: &str, outputs: &str, verify: &str) -> String {
    format!(
        r#"[[program]]
name = "{name}"
setup = [["sh", "-c", "test -f {{model}} && test -f {{input}} && echo keys > {{output}}/keys"]]
prove = [["sh", "-c", "cat keys > proof; echo '{outputs}' > outputs.json; echo 'proved in 1.5 s, error 0.125'"]]
verify = [["sh", "-c", "{verify}"]]
time = {{ after = "proved in" }}
error = {{ outputs = "{{output}}/outputs.json" }}
proof = "{{output}}/proof"
"#
    )
}

#[cfg(unix)]
#[test]
fn programs_of_others_stand_beside_ours_at_their_error() {
    let scratch = Scratch::new();
    let input = gemm("json");
    let ours = json(&bench(&["--backend", "cpu", "--input", &input, "--json"]));
    let error = rows(&ours)[0]["max_abs_error"].as_f64().expect("our own error");
    let zoo = json(&run(&["prove", &gemm("onnx"), &input, "--out", &scratch.path("proof"), "--json"]));
    let float: Vec<f64> = zoo["output_float"]
        .as_array()
        .expect("outputs")
        .iter()
        .flat_map(|tensor| tensor.as_array().expect("a tensor").iter().filter_map(Value::as_f64))
        .collect();
    // Worse than ours in one element, and by how much.
    let worse = 4.0 * error;
    let mut outputs = float.clone();
    outputs[0] += worse;
    let text_of = |values: &[f64]| serde_json::to_string(values).expect("numbers");
    let programs = [
        program("worse", &text_of(&outputs), "test -s proof"),
        program("failing", &text_of(&float), "echo no >&2; exit 7"),
        program("short", &text_of(&float[1..]), "true"),
    ];
    let file = format!("--peers={}", scratch.file("peers.toml", programs.concat()));
    let report = json(&bench(&["--backend", "cpu", "--input", &input, "--json", &file]));
    assert_eq!(rows(&report)[0]["proof_digest"], rows(&ours)[0]["proof_digest"]);
    let [worse_row, failing, short] = report["programs"].as_array().expect("programs").as_slice() else {
        panic!("three programs: {report}")
    };
    assert_eq!((&worse_row["program"], &worse_row["model"]), (&"worse".into(), &"gemm_plain".into()));
    assert!(worse_row["failed"].is_null(), "{worse_row}");
    assert_eq!(worse_row["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!((&worse_row["prove_ms"]["median"], &worse_row["proof_bytes"]), (&1500.0.into(), &5.into()));
    let told = worse_row["max_abs_error"].as_f64().expect("an error");
    assert!((told - worse).abs() < 1e-6, "{told} is not {worse}");
    assert!(
        worse_row["peak_rss_bytes"].as_u64() > Some(1 << 16) && worse_row["verify_ms"]["median"].as_f64() > Some(0.0)
    );
    let equal = worse_row["ours"].as_array().expect("ours at that error");
    assert!(equal.len() == 1 && equal[0]["max_abs_error"].as_f64() <= Some(told), "{equal:?}");
    for (row, why) in [(failing, "7"), (short, "numbers instead of")] {
        assert!(row["failed"].as_str().is_some_and(|text| text.contains(why)), "{row}");
        assert!(row["prove_ms"].is_null() && row["ours"] == serde_json::json!([]), "{row}");
    }
    let shown = bench(&["--backend", "cpu", "--input", &input, &file]);
    let shown = text(&shown.stdout);
    for part in ["programs of others", "cpu, at that error", "worse takes", "failing: sh ended with"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn files_of_programs_that_say_too_little_are_refused() {
    let scratch = Scratch::new();
    let program = |rest: &str| format!("[[program]]\nname = \"x\"\n{rest}");
    for (name, content) in [
        ("empty.toml", String::new()),
        ("no-proof.toml", program("prove = []")),
        ("no-word.toml", program("prove = [[]]")),
        ("unknown.toml", program("prove = [[\"x\", \"{modle}\"]]")),
        ("field.toml", program("prove = [[\"x\"]]\nprooof = \"p\"")),
        ("twice.toml", program("prove = [[\"x\"]]\n").repeat(2)),
        ("toml.json", program("prove = [[\"x\"]]")),
    ] {
        let file = format!("--peers={}", scratch.file(name, content));
        let output = bench(&["--backend", "cpu", "--input", &gemm("json"), &file]);
        let message = text(&output.stderr);
        assert!(exit_code(&output) == 2 && output.stdout.is_empty(), "{name}: {message}");
        assert!(message.contains(name) && message.contains("hint:"), "{message}");
    }
    let file = format!("--peers={}", repository("scripts/peers/ezkl.toml"));
    let output = bench(&["--backend", "cpu", &file]);
    assert!(exit_code(&output) == 2 && text(&output.stderr).contains("--input"), "{}", text(&output.stderr));
}

#[test]
fn seeds_are_told_and_change_the_proof() {
    let digest = |seed: &str| {
        let report = json(&bench(&["--backend", "cpu", "--seed", seed, "--json"]));
        assert_eq!(rows(&report)[0]["input"], format!("random, seed {seed}"));
        rows(&report)[0]["proof_digest"].clone()
    };
    assert_ne!(digest("2"), digest("3"));
}

#[test]
fn the_table_shows_steps_memory_overhead_and_the_input() {
    let output = bench(&["--backend", "cpu", "--input", &gemm("json")]);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in ["gemm_plain.json", "overhead", "host MB", "quotient", "commit advice", "BLAKE2b", "± ", "threads"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(shown.contains("without optimisation"), cfg!(debug_assertions));
}

#[test]
fn a_change_beyond_the_spread_is_told() {
    let scratch = Scratch::new();
    let saved = scratch.path("saved.json");
    let output = bench(&["--backend", "cpu", "--json", "--save", &saved]);
    assert_eq!(fs::read_to_string(&saved).expect("a record"), text(&output.stdout), "what is saved is what is printed");
    let record = json(&output);
    // Whatever this machine does meanwhile, it does not become a thousand times slower or faster.
    let scaled = |name: &str, factor: f64, k: u64| {
        let mut old = record.clone();
        let row = &mut old["rows"][0];
        for time in row["prove_ms"].as_object_mut().expect("times").values_mut() {
            *time = (time.as_f64().expect("a time") * factor).into();
        }
        row["k"] = k.into();
        scratch.file(name, old.to_string())
    };
    let k = rows(&record)[0]["k"].as_u64().expect("k");
    for (factor, k, verdict) in [(1e3, k, "faster"), (1e-3, k, "slower"), (1e3, k + 1, "not_comparable")] {
        let old = scaled(&format!("{verdict}.json"), factor, k);
        let report = json(&bench(&["--backend", "cpu", "--json", "--compare", &old]));
        let change = &report["comparison"]["changes"][0];
        assert_eq!((change["name"].as_str(), change["verdict"].as_str()), (Some("gemm_plain on cpu"), Some(verdict)));
        assert!(report["comparison"]["other_machine"].is_null());
    }
}

#[test]
fn files_that_are_no_record_are_refused_before_anything_is_measured() {
    let scratch = Scratch::new();
    let record = json(&bench(&["--backend", "cpu", "--json"]));
    let mut negative = record.clone();
    negative["rows"][0]["prove_ms"]["least"] = (-1.0).into();
    let record = record.to_string();
    for (name, content) in [
        ("empty.json", String::new()),
        ("other.json", "{\"a\": 1}".into()),
        ("ops.json", record.replace("\"bench\":\"prove\"", "\"bench\":\"ops\"")),
        ("version.json", record.replace("\"format_version\":1", "\"format_version\":2")),
        ("negative.json", negative.to_string()),
        ("cut.json", record[..record.len() / 2].into()),
    ] {
        let output = bench(&["--compare", &scratch.file(name, content)]);
        let message = text(&output.stderr);
        assert!(exit_code(&output) == 2 && output.stdout.is_empty(), "{name}: {message}");
        assert!(message.contains(name) && message.contains("hint:"), "{message}");
    }
    assert_eq!(exit_code(&bench(&["--compare", &scratch.path("absent.json")])), 2);
    assert_eq!(exit_code(&bench(&["--compare", "/dev/zero"])), 2);
}

#[test]
fn wrong_arguments_are_refused_with_a_hint() {
    for (arguments, code) in [
        (&["--peers"][..], 2),
        (&["--backend", "cpu,cpu"], 2),
        (&["--backend", "gpu"], 2),
        (&["--backend", "icicle:x"], 2),
        (&["--backend", "wgpu:99"], 3),
        (&["--input", "absent.json"], 2),
        (&["--suite", "--input", "absent.json"], 2),
        (&["--max-memory", "1MiB", "--backend", "cpu"], 4),
    ] {
        let output = bench(arguments);
        let message = text(&output.stderr);
        assert_eq!(exit_code(&output), code, "{arguments:?}: {message}");
        assert!(output.stdout.is_empty() && message.contains("hint:"), "{arguments:?}: {message}");
    }
    for arguments in
        [&[][..], &["--suite", "--runs", "0"], &["absent.onnx", "--seed", "x"], &["absent.onnx", "--max-error=-1"]]
    {
        assert_eq!(exit_code(&run(&[&["bench", "prove"], arguments].concat())), 2, "{arguments:?}");
    }
}

#[test]
fn what_a_model_lacks_is_told_once_and_with_its_code() {
    let folder = repository("tests/models/ops/refused");
    let files = std::fs::read_dir(folder).expect("models").flatten().map(|entry| entry.path());
    let model = files.filter(|path| path.extension().is_some_and(|end| end == "onnx")).min().expect("a model");
    let model = model.to_str().expect("a path of text");
    let alone = run(&["prove", model, &gemm("json")]);
    let output = run(&["bench", "prove", model, "--backend", "cpu"]);
    assert_eq!(exit_code(&output), exit_code(&alone), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).matches("error:").count(), 1, "{}", text(&output.stderr));
    let output = run(&["bench", "prove", "absent.onnx", "--backend", "cpu"]);
    assert!(exit_code(&output) == 2 && text(&output.stderr).contains("absent.onnx"), "{}", text(&output.stderr));
}
