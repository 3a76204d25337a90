//! Every operator and form from its ONNX file to an accepted proof, and no further: a proof of another output is
//! rejected. The models are those of the import tests (`scripts/make_test_models.py`).

use std::path::{Path, PathBuf};

use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_graph::Graph;
use zkml_gpu_onnx::import::FloatModel;
use zkml_gpu_onnx::quant::{QuantOptions, quantise};
use zkml_gpu_tests::models::symbols;
use zkml_gpu_tests::networks::{Session, embedded};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join("ops")
}

/// Names of all models, in an order that does not change.
fn models() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let models = files.filter(|path| path.extension().is_some_and(|e| e == "onnx"));
    let mut names: Vec<String> = models.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() > 80, "models are missing");
    names
}

/// The model with the scales of its sample input, which is then the input that is proved.
fn quantised(name: &str) -> (Graph, Vec<Vec<i64>>) {
    let model = FloatModel::load(folder().join(format!("{name}.onnx")), &symbols(name)).unwrap();
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sample: Vec<Vec<f32>> = serde_json::from_value(json["input_data"].clone()).unwrap();
    let graph = quantise(model.graph(), std::slice::from_ref(&sample), &QuantOptions::default()).unwrap().graph;
    let inputs = graph.quantise_inputs(&sample);
    (graph, inputs)
}

/// Proves one inference; then the same with one output value changed.
fn prove(name: &str, options: &LayoutOptions) {
    let (graph, inputs) = quantised(name);
    let session = Session::with_inputs(graph, options, 1, inputs);
    assert!(session.real(&session.first, &session.outputs, &[]), "{name}: an honest proof is rejected");
    let mut outputs = session.outputs.clone();
    let format = session.layout.statement.outputs[0].format;
    outputs[0][0] += if outputs[0][0] == format.max { -1 } else { 1 };
    assert!(!session.real(&session.first, &outputs, &[]), "{name}: a wrong output is accepted");
}

/// The models, dealt to tests that run side by side.
fn prove_part(part: usize) {
    models().iter().skip(part).step_by(4).for_each(|name| prove(name, &LayoutOptions::default()));
}

#[test]
fn every_form_is_proved_first_part() {
    prove_part(0);
}

#[test]
fn every_form_is_proved_second_part() {
    prove_part(1);
}

#[test]
fn every_form_is_proved_third_part() {
    prove_part(2);
}

#[test]
fn every_form_is_proved_fourth_part() {
    prove_part(3);
}

#[test]
fn forms_of_convolution_are_proved_with_embedded_weights() {
    for name in models().iter().filter(|name| name.starts_with("conv_")).step_by(3) {
        prove(name, &embedded());
    }
}
