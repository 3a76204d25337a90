//! `zkml-gpu calibrate`, and the commands that take what it writes.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Scratch, exit_code, json, repository, run, text};

fn model(extension: &str) -> String {
    repository(&format!("tests/models/ops/attention.{extension}"))
}

/// The command on a block of attention.
fn calibrate(arguments: &[&str]) -> Value {
    json(&run(&[&["calibrate", &model("onnx"), &model("json"), "--json"], arguments].concat()))
}

fn error(report: &Value) -> f64 {
    report["outputs"][0]["max_error"].as_f64().expect("a number")
}

/// Bits of all layers' results together.
fn bits(report: &Value) -> u64 {
    report["layers"].as_array().expect("a list").iter().map(|layer| layer["bits"].as_u64().expect("bits")).sum()
}

#[test]
fn a_smaller_error_takes_more_bits() {
    let [coarse, fine] = ["0.1", "0.01"].map(|bound| calibrate(&["--max-error", bound]));
    for (report, bound) in [(&coarse, 0.1), (&fine, 0.01)] {
        assert!(error(report) <= bound && report["reached"] == true, "{report}");
        let widths = report["precision"]["tensor_bits"].as_object().expect("an object").values();
        assert!(widths.clone().all(|width| *width == *widths.clone().next().expect("one")), "{report}");
    }
    assert!(bits(&fine) > bits(&coarse));
    let accurate = calibrate(&["--target", "accuracy"]);
    assert!(error(&accurate) < error(&fine), "{accurate}");
}

#[test]
fn what_is_written_is_what_other_commands_take() {
    let scratch = Scratch::new();
    let (file, out) = (scratch.path("bits.json"), scratch.path("proof"));
    let report = calibrate(&["--max-error", "0.02", "--out", &file]);
    let written: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
    assert_eq!(written, report["precision"]);
    let taken = |command: &str, arguments: &[&str]| {
        let fixed = [command, &model("onnx"), &model("json"), "--json", "--precision", &file];
        json(&run(&[&fixed, arguments].concat()))
    };
    let evaluation = taken("evaluate", &[]);
    assert_eq!((&evaluation["outputs"], &evaluation["layers"]), (&report["outputs"], &report["layers"]));
    let plan = taken("plan", &["--costs", "reference", "--calibration", &model("json")]);
    assert_eq!((&plan["k"], &plan["rows"]), (&report["plan"]["k"], &report["plan"]["rows"]));
    let proof = taken(
        "prove",
        &[
            "--out",
            &out,
            "--backend",
            "cpu",
            "--costs",
            "reference",
            "--calibration",
            &model("json"),
            "--max-error",
            "0.05",
        ],
    );
    assert_eq!(proof["k"], plan["k"]);
}

#[test]
fn a_table_in_words_says_what_was_reached() {
    let shown = |bound: &str| {
        let output = run(&["calibrate", &model("onnx"), &model("json"), "--max-error", bound, "--max-bits", "10"]);
        assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let (reached, missed) = (shown("0.05"), shown("0.000001"));
    assert!(reached.contains("within the bound of 5.000 %") && missed.contains("ABOVE the bound"), "{reached}{missed}");
    for column in ["bits", "max error", "mean error", "saturated", "lookups", "time"] {
        assert!(reached.contains(column), "{reached}");
    }
}

#[test]
fn files_that_hold_no_bits_of_the_model_are_refused() {
    let scratch = Scratch::new();
    for (name, content, said) in [
        ("empty.json", String::new(), "empty.json"),
        ("other.json", json!({"bits": 8}).to_string(), "other.json"),
        ("wide.json", json!({"activation_bits": 8, "tensor_bits": {"input": 17}}).to_string(), "2 to 16"),
        (
            "stranger.json",
            json!({"activation_bits": 8, "tensor_bits": {"nowhere": 8, "somewhere": 8}}).to_string(),
            "stranger.json: bits are given for the tensor 'nowhere'",
        ),
    ] {
        let file = scratch.file(name, content);
        for command in ["evaluate", "plan"] {
            let output = run(&[command, &model("onnx"), &model("json"), "--precision", &file]);
            let message = text(&output.stderr);
            assert!(exit_code(&output) == 2 && message.contains(said), "{command} {name}: {message}");
            assert!(message.contains("hint:"), "{message}");
        }
    }
    let both = run(&["evaluate", &model("onnx"), &model("json"), "--precision", "x", "--bits", "8"]);
    assert_eq!(exit_code(&both), 2);
}
