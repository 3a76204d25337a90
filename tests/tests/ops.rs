//! Every operator and form from its ONNX file to an accepted proof, and no further: a proof of another output is
//! rejected. The models are those of the import tests (`scripts/make_test_models.py`).

use std::path::{Path, PathBuf};

use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_graph::Graph;
use zkml_gpu_onnx::import::FloatModel;
use zkml_gpu_onnx::quant::{QuantOptions, Target, quantise, search};
use zkml_gpu_tests::models::symbols;
use zkml_gpu_tests::networks::{Session, embedded};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join("ops")
}

/// Of a model that is quantised already: its float graph, its sample, onnxruntime's output, and a step of its integers.
fn already_quantised(path: &Path) -> (FloatModel, Vec<Vec<f32>>, Vec<f32>, f32) {
    let model = FloatModel::load(path, &symbols("")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lists = |key: &str| -> Vec<Vec<f32>> { serde_json::from_value(json[key].clone()).unwrap() };
    let unit: f32 = serde_json::from_value(json["unit"].clone()).unwrap();
    (model, lists("input_data"), lists("output_data").remove(0), unit)
}

#[test]
fn what_is_quantised_already_stays_within_a_step_of_its_integers() {
    let files = std::fs::read_dir(folder().parent().unwrap().join("quantised")).unwrap();
    let files: Vec<PathBuf> =
        files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    assert!(files.len() >= 5);
    let (mut near, mut same, mut all) = (0, 0, 0);
    for path in files {
        let (model, sample, expected, unit) = already_quantised(&path);
        let options = QuantOptions::default().with_activation_bits(10).with_max_activation_bits(12);
        let graph = quantise(model.graph(), std::slice::from_ref(&sample), &options).unwrap().graph;
        let inputs = graph.quantise_inputs(&sample);
        let output = &graph.tensors[graph.outputs[0]];
        let stored: Vec<f32> = graph.run(&inputs).unwrap().values[graph.outputs[0]]
            .iter()
            .map(|value| output.format.dequantise(*value))
            .collect();
        let steps = |(own, expected): (&f32, &f32)| ((own - expected) / unit).abs();
        let steps: Vec<f32> = output.to_logical(&stored).iter().zip(&expected).map(steps).collect();
        assert_eq!(steps.len(), expected.len());
        println!("{}: at most {:.2} steps", path.display(), steps.iter().fold(0f32, |most, step| most.max(*step)));
        near += steps.iter().filter(|steps| **steps <= 1.01).count();
        same += steps.iter().filter(|steps| **steps <= 0.5).count();
        all += steps.len();
        let session = Session::with_inputs(graph, &LayoutOptions::default(), 1, inputs);
        assert!(session.real(&session.first, &session.outputs, &[]), "an honest proof is rejected");
        let mut outputs = session.outputs.clone();
        outputs[0][0] += 1;
        assert!(!session.real(&session.first, &outputs, &[]), "a wrong output is accepted");
    }
    println!("{near} of {all} outputs within a step of onnxruntime's, {same} within half a step");
    assert!(near * 100 >= all * 99, "{near} of {all}");
}

/// Names of all models, in an order that does not change.
/// Where one step for all arguments would leave nothing of the small ones.
#[test]
fn numbers_that_span_decades_keep_the_bound() {
    let names: Vec<String> = models().into_iter().filter(|name| name.starts_with("wide_")).collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let path = folder().join(format!("{name}.onnx"));
        let model = FloatModel::load(&path, &symbols("")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sample: Vec<Vec<f32>> = serde_json::from_value(json["input_data"].clone()).unwrap();
        let options = QuantOptions::default().with_activation_bits(4).with_max_activation_bits(16);
        let (_, found) = search(model.graph(), std::slice::from_ref(&sample), &options, Target::Speed).unwrap();
        assert!(found.report.max_error <= options.error_target, "{name}: {}", found.report.max_error);
        // Parts with steps of their own, and no table that is longer than the others.
        let longest = found.graph.activations.iter().map(|table| table.values.len()).max().unwrap_or(0);
        assert!(longest <= 1 << 12, "{name}: a table of {longest} rows");
        let inputs = found.graph.quantise_inputs(&sample);
        let session = Session::with_inputs(lower(found.graph), &LayoutOptions::default(), 1, inputs);
        assert!(session.real(&session.first, &session.outputs, &[]), "{name}: an honest proof is rejected");
        let mut outputs = session.outputs.clone();
        outputs[0][0] += 1;
        assert!(!session.real(&session.first, &outputs, &[]), "{name}: a wrong output is accepted");
    }
}

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
