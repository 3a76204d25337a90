//! Accuracy of quantisation: the integers against the float model, on every sample of each benchmark model and on
//! digits that neither training nor calibration has seen.

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zkml_gpu_graph::{Graph, Shape, Storage};
use zkml_gpu_onnx::import::{FloatGraph, FloatLinear, FloatModel, FloatNode, FloatOp, FloatTensor, ImportOptions};
use zkml_gpu_onnx::quant::{QuantError, QuantOptions, Quantised, Sample, quantise, split_samples};

/// Largest error allowed, as a part of the float output's range.
const TARGET: f32 = 0.02;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn lenet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("examples").join("lenet")
}

fn load(path: PathBuf) -> FloatModel {
    FloatModel::load(path, &ImportOptions::default()).unwrap()
}

/// The rows of an array of an npz file.
fn rows(path: PathBuf, name: &str) -> Vec<Vec<f32>> {
    let mut file = NpzReader::new(File::open(path).unwrap()).unwrap();
    let array: ArrayD<f32> = file.by_name(name).unwrap();
    array.axis_iter(Axis(0)).map(|row| row.iter().copied().collect()).collect()
}

fn samples(name: &str) -> (Vec<Sample>, Vec<Vec<f32>>) {
    let path = || models().join(format!("{name}.samples.npz"));
    (rows(path(), "x").into_iter().map(|x| vec![x]).collect(), rows(path(), "y"))
}

fn lenet_calibration(graph: &FloatGraph) -> Vec<Sample> {
    let text = std::fs::read_to_string(lenet().join("calibration.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let data: Vec<Vec<f32>> = serde_json::from_value(json["input_data"].clone()).unwrap();
    split_samples(graph, &data).unwrap()
}

/// First output of an integer inference as real numbers.
fn infer(graph: &Graph, sample: &Sample) -> Vec<f32> {
    let execution = graph.run(&graph.quantise_inputs(sample)).unwrap();
    graph.dequantise_outputs(&execution).remove(0)
}

/// Largest error over all samples, as a part of the float outputs' range.
fn largest_error(graph: &Graph, samples: &[Sample], expected: &[Vec<f32>]) -> f32 {
    let (low, high) = expected.iter().flatten().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let error = |(sample, expected): (&Sample, &Vec<f32>)| {
        let got = infer(graph, sample);
        assert_eq!(got.len(), expected.len());
        got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max)
    };
    samples.iter().zip(expected).map(error).fold(0f32, f32::max) / (high - low)
}

fn check(
    name: &str,
    graph: &FloatGraph,
    calibration: &[Sample],
    samples: &[Sample],
    expected: &[Vec<f32>],
) -> Quantised {
    let quantised = quantise(graph, calibration, &QuantOptions::default()).unwrap();
    let error = largest_error(&quantised.graph, samples, expected);
    println!("{name}: {:.3} % of the range, {:?}", 100.0 * error, quantised.report);
    assert!(error <= TARGET, "{name}: {:.3} % of the range", 100.0 * error);
    quantised
}

fn argmax(values: &[f32]) -> Option<usize> {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

#[test]
fn mlp_digits_meets_the_target_with_eight_bits() {
    let (samples, expected) = samples("mlp_digits");
    let model = load(models().join("mlp_digits.onnx"));
    let quantised = check("mlp_digits", model.graph(), &samples[..10], &samples, &expected);
    assert_eq!(quantised.report.activation_bits, 8);
}

#[test]
fn cnn_264k_meets_the_target_with_eight_bits() {
    let (samples, expected) = samples("cnn_264k");
    let model = load(models().join("cnn_264k.onnx"));
    let quantised = check("cnn_264k", model.graph(), &samples[..2], &samples, &expected);
    assert_eq!(quantised.report.activation_bits, 8);
    assert_eq!(quantised.graph.macs(), 1_943_836);
}

#[test]
fn resblock_meets_the_target_with_eight_bits() {
    let (samples, expected) = samples("resblock");
    let model = load(models().join("resblock.onnx"));
    let quantised = check("resblock", model.graph(), &samples[..2], &samples, &expected);
    assert_eq!(quantised.report.activation_bits, 8);
}

#[test]
fn transformers_meet_the_target() {
    for name in ["micro_transformer", "tiny_transformer", "nanogpt_block"] {
        let (samples, expected) = samples(name);
        let model = load(models().join(format!("{name}.onnx")));
        check(name, model.graph(), &samples[..1], &samples, &expected);
    }
}

#[test]
fn lenet_meets_the_target_with_eight_bits() {
    let (samples, expected) = samples("lenet");
    let model = load(lenet().join("lenet.onnx"));
    let calibration = lenet_calibration(model.graph());
    let quantised = check("lenet", model.graph(), &calibration, &samples, &expected);
    assert_eq!(quantised.report.activation_bits, 8);
}

#[test]
fn lenet_reads_held_out_digits_as_the_float_model_does() {
    let model = load(lenet().join("lenet.onnx"));
    let graph = quantise(model.graph(), &lenet_calibration(model.graph()), &QuantOptions::default()).unwrap().graph;
    let mut file = NpzReader::new(File::open(lenet().join("heldout.npz")).unwrap()).unwrap();
    let (images, labels): (ArrayD<u8>, ArrayD<u8>) = (file.by_name("images").unwrap(), file.by_name("labels").unwrap());
    let digits: Vec<Sample> =
        images.axis_iter(Axis(0)).map(|i| vec![i.iter().map(|p| f32::from(*p) / 255.0).collect()]).collect();
    let expected: Vec<Vec<f32>> = digits.iter().map(|d| model.run(d).unwrap().remove(0)).collect();
    assert_eq!(digits.len(), 2000);
    let got: Vec<Option<usize>> = digits.iter().map(|d| argmax(&infer(&graph, d))).collect();
    let agree = got.iter().zip(&expected).filter(|(a, b)| **a == argmax(b)).count();
    let correct = got.iter().zip(&labels).filter(|(a, b)| **a == Some(usize::from(**b))).count();
    let error = largest_error(&graph, &digits, &expected);
    println!("{agree} of 2000 as the float model, {correct} correct, error {:.3} % of the range", 100.0 * error);
    assert!(agree >= 1990, "{agree} of 2000");
    assert!(correct >= 1935, "{correct} of 2000");
    assert!(error <= TARGET, "{error}");
}

/// A stack of dense layers with ReLUs, weights distributed as PyTorch initialises them.
fn dense_stack(widths: &[usize], seed: u64) -> FloatGraph {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let tensor = |name: String, n| FloatTensor::new(name, Shape::vector(n), vec![1, n], Storage::Plain);
    let mut graph = FloatGraph { name: "dense".into(), inputs: vec![0], ..FloatGraph::default() };
    graph.tensors.push(tensor("input".into(), widths[0]));
    for (layer, pair) in widths.windows(2).enumerate() {
        let bound = 1.0 / (pair[0] as f32).sqrt();
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.gen_range(-bound..bound)).collect() };
        let (weights, bias) = (draw(pair[0] * pair[1]), draw(pair[1]));
        let linear = FloatLinear::dense(pair[1], weights, bias);
        for op in [FloatOp::Linear(linear), FloatOp::Clamp { min: 0.0, max: f32::INFINITY }] {
            let output = graph.tensors.len();
            graph.tensors.push(tensor(format!("t{output}"), pair[1]));
            graph.nodes.push(FloatNode { name: format!("dense{layer}"), op, inputs: vec![output - 1], output });
        }
    }
    graph.outputs = vec![graph.tensors.len() - 1];
    graph
}

#[test]
fn dense_4m_meets_the_target() {
    let seed = 1;
    println!("seed {seed}");
    let graph = dense_stack(&[4, 1000, 1000, 1000, 1000, 1000, 3], seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed + 1);
    let samples: Vec<Sample> = (0..8).map(|_| vec![(0..4).map(|_| rng.gen_range(-1.0..1.0)).collect()]).collect();
    let expected: Vec<Vec<f32>> = samples.iter().map(|s| graph.run(s).unwrap().remove(0)).collect();
    let quantised = check("dense_4m", &graph, &samples[..6], &samples, &expected);
    assert_eq!(quantised.graph.parameters(), 4_012_003);
}

#[test]
fn accumulators_stay_within_their_bounds() {
    let (samples, _) = samples("resblock");
    let model = load(models().join("resblock.onnx"));
    let graph = quantise(model.graph(), &samples, &QuantOptions::default()).unwrap().graph;
    let bounds = graph.accumulator_bounds();
    for sample in &samples {
        let execution = graph.run(&graph.quantise_inputs(sample)).unwrap();
        for (bounds, accumulators) in bounds.iter().zip(&execution.accumulators) {
            assert!(accumulators.iter().all(|a| (bounds.min..=bounds.max).contains(a)));
        }
    }
}

#[test]
fn an_input_beyond_the_calibrated_range_saturates() {
    let (samples, _) = samples("mlp_digits");
    let model = load(models().join("mlp_digits.onnx"));
    let graph = quantise(model.graph(), &samples, &QuantOptions::default()).unwrap().graph;
    let format = graph.tensors[graph.inputs[0]].format;
    let inputs = graph.quantise_inputs(&[vec![1e9; 64]]);
    assert!(inputs[0].iter().all(|v| *v == format.max));
    assert!(graph.run(&inputs).is_ok());
    assert!(graph.quantise_inputs(&[vec![f32::NEG_INFINITY; 64]])[0].iter().all(|v| *v == format.min));
}

#[test]
fn bits_grow_only_while_the_error_is_above_the_target() {
    let (samples, _) = samples("resblock");
    let model = load(models().join("resblock.onnx"));
    let bits = |error_target| {
        let options = QuantOptions::default().with_error_target(error_target);
        quantise(model.graph(), &samples, &options).unwrap().report
    };
    assert_eq!(bits(0.02).activation_bits, 8);
    assert_eq!(bits(0.01).activation_bits, 9);
    assert!(bits(0.0).max_error <= bits(0.01).max_error);
}

#[test]
fn bad_samples_and_options_are_refused() {
    let model = load(models().join("mlp_digits.onnx"));
    let run = |samples: &[Sample], options: &QuantOptions| quantise(model.graph(), samples, options).unwrap_err();
    let good = QuantOptions::default();
    assert!(matches!(run(&[], &good), QuantError::NoSamples));
    assert!(matches!(run(&[vec![vec![0.0; 63]]], &good), QuantError::Sample(_)));
    assert!(matches!(run(&[vec![vec![f32::NAN; 64]]], &good), QuantError::NotFinite { .. }));
    let sample = vec![vec![vec![0.0; 64]]];
    for options in [good.clone().with_activation_bits(17), good.clone().with_shift(0), good.clone().with_headroom(0.5)]
    {
        assert!(matches!(run(&sample, &options), QuantError::Option { .. }));
    }
    assert!(matches!(split_samples(model.graph(), &[vec![0.0; 65]]), Err(QuantError::SampleLength { got: 65, .. })));
    assert!(matches!(split_samples(model.graph(), &[vec![]]), Err(QuantError::SampleLength { got: 0, .. })));
}
