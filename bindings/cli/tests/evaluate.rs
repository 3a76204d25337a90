//! `zkml-gpu evaluate`.

use serde_json::Value;

use crate::support::{Scratch, exit_code, gemm, json, repository, run, text};

fn model(name: &str, extension: &str) -> String {
    repository(&format!("tests/models/ops/{name}.{extension}"))
}

fn evaluate(name: &str, arguments: &[&str]) -> Value {
    json(&run(&[&["evaluate", &model(name, "onnx"), &model(name, "json"), "--json"], arguments].concat()))
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn an_evaluation_tells_errors_by_output_and_by_layer_the_worst_first() {
    let evaluation = evaluate("attention", &[]);
    assert_eq!(evaluation["model"], "attention");
    assert!(evaluation["samples"].as_u64() > Some(0));
    let outputs = evaluation["outputs"].as_array().expect("a list");
    let layers = evaluation["layers"].as_array().expect("a list");
    assert_eq!(evaluation["argmax_agreement"].as_array().expect("a list").len(), outputs.len());
    assert!(outputs.len() == 1 && layers.len() > 5, "{evaluation}");
    for tensor in outputs.iter().chain(layers) {
        let [most, mean, cosine] = ["max_error", "mean_error", "cosine"].map(|field| number(&tensor[field]));
        assert!((0.0..0.2).contains(&most) && mean <= most && (0.9..=1.0 + 1e-6).contains(&cosine), "{tensor}");
        assert!(tensor["name"].is_string() && tensor["bits"].as_u64() > Some(1), "{tensor}");
    }
    assert!(layers.is_sorted_by(|a, b| number(&a["max_error"]) >= number(&b["max_error"])), "{evaluation}");
}

#[test]
fn fewer_bits_have_greater_errors() {
    let error = |bits: &str| {
        let evaluation = evaluate("attention", &["--bits", bits, "--max-bits", bits]);
        assert_eq!(evaluation["activation_bits"].to_string(), bits);
        number(&evaluation["outputs"][0]["mean_error"])
    };
    assert!(error("5") > 2.0 * error("10"));
}

#[test]
fn an_evaluation_in_words_has_the_figures_of_the_json_object() {
    let output = run(&["evaluate", &model("attention", "onnx"), &model("attention", "json")]);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let evaluation = evaluate("attention", &[]);
    for tensor in ["outputs", "layers"].into_iter().flat_map(|list| evaluation[list].as_array().expect("a list")) {
        let name = tensor["node"].as_str().filter(|node| shown.contains(node)).or(tensor["name"].as_str());
        let name: String = name.expect("a name").chars().take(40).collect();
        let figure = format!("{:.3} %", 100.0 * number(&tensor["max_error"]));
        assert!(shown.lines().any(|line| line.contains(&name) && line.contains(&figure)), "{name} {figure}: {shown}");
    }
    let agreement = format!("{:.2} %", 100.0 * number(&evaluation["argmax_agreement"][0]));
    assert!(shown.contains("greatest element") && shown.contains(&agreement), "{agreement}: {shown}");
}

#[test]
fn samples_beyond_the_calibration_saturate() {
    let scratch = Scratch::new();
    let sample = |value: f32| serde_json::json!({ "input_data": [vec![value; 6]] }).to_string();
    let (small, large) = (scratch.file("small.json", sample(0.01)), scratch.file("large.json", sample(100.0)));
    let figures = |data: &str| {
        let evaluation = json(&run(&["evaluate", &gemm("onnx"), data, "--calibration", &small, "--json"]));
        let saturated = |layer: &Value| (layer["name"] == "input").then(|| number(&layer["saturated"]));
        let input = evaluation["layers"].as_array().expect("a list").iter().find_map(saturated);
        [number(&evaluation["outputs"][0]["max_error"]), input.expect("the input among the layers")]
    };
    let ([error, saturated], [small_error, small_saturated]) = (figures(&large), figures(&small));
    assert!(error > 0.5 && saturated == 1.0, "{error} {saturated}");
    assert!(small_error < 0.02 && small_saturated == 0.0, "{small_error} {small_saturated}");
}

#[test]
fn a_wrong_file_exits_2_by_name_and_missing_data_too() {
    let scratch = Scratch::new();
    let short = scratch.file("short.json", r#"{"input_data": [[1.0, 2.0]]}"#);
    let broken = scratch.file("broken.json", "{");
    let missing = scratch.path("missing.json");
    let (onnx, data) = (gemm("onnx"), gemm("json"));
    let cases: [(&[&str], &str); 6] = [
        (&[&onnx, &short], "short.json"),
        (&[&onnx, &broken], "broken.json"),
        (&[&onnx, &missing], "missing.json"),
        (&[&data, &data], "gemm_plain.json"),
        (&[&onnx, &data, "--calibration", &missing], "missing.json"),
        (&[&onnx], "<DATA.json>"),
    ];
    for (arguments, named) in cases {
        let output = run(&[&["evaluate"], arguments].concat());
        let shown = text(&output.stderr);
        assert_eq!(exit_code(&output), 2, "{arguments:?}: {shown}");
        assert!(output.stdout.is_empty() && shown.contains(named), "{arguments:?}: {shown}");
    }
    let output = run(&["evaluate", &onnx, &data, "--bits", "40"]);
    assert_eq!(exit_code(&output), 2, "{}", text(&output.stderr));
}
