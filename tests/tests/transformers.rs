//! Transformers from their files to accepted proofs.

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_graph::Op;
use zkml_gpu_onnx::import::{FloatModel, FloatOp, ImportOptions};
use zkml_gpu_onnx::quant::{QuantOptions, Sample, evaluate, quantise};
use zkml_gpu_tests::networks::Session;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn load(name: &str) -> (FloatModel, Vec<Sample>) {
    let model = FloatModel::load(models().join(format!("{name}.onnx")), &ImportOptions::default()).unwrap();
    let mut file = NpzReader::new(File::open(models().join(format!("{name}.samples.npz"))).unwrap()).unwrap();
    let inputs: ArrayD<f32> = file.by_name("x").unwrap();
    (model, inputs.axis_iter(Axis(0)).map(|row| vec![row.iter().copied().collect()]).collect())
}

/// Proves the second sample; then a wrong output, with the same proof and with one of its own.
fn prove(name: &str) {
    let (model, samples) = load(name);
    let quantised = quantise(model.graph(), &samples[..1], &QuantOptions::default()).unwrap();
    let inputs = quantised.graph.quantise_inputs(&samples[1]);
    let session = Session::with_inputs(quantised.graph, &LayoutOptions::default(), 1, inputs);
    println!("{:?}", session.layout.summary());
    let proof = session.proof(&session.first, &session.outputs, &[]).expect("an honest proof");
    assert!(session.verify(&session.outputs, &proof).is_ok());
    let mut outputs = session.outputs.clone();
    outputs[0][0] += if outputs[0][0] > 0 { -1 } else { 1 };
    assert!(session.verify(&outputs, &proof).is_err());
    assert!(!session.real(&session.first, &outputs, &[]));
}

#[test]
fn a_micro_transformer_is_proved_and_a_wrong_output_is_not() {
    prove("micro_transformer");
}

#[test]
fn a_small_sentence_encoder_is_proved_and_its_embeddings_are_close() {
    prove("minilm_small");
    let (model, samples) = load("minilm_small");
    let quantised = quantise(model.graph(), &samples[..1], &QuantOptions::default()).unwrap();
    let output = &evaluate(model.graph(), &quantised, &samples).unwrap().outputs[0];
    assert!(output.cosine >= 0.99, "{output:?}");
}

/// The least gap between the two greatest logits is a two-thousandth of a position's range.
#[test]
fn a_gpt_of_four_layers_chooses_as_in_float_at_all_positions_of_all_samples() {
    let (model, samples) = load("nanogpt");
    let options = QuantOptions::default().with_activation_bits(16).with_max_activation_bits(16);
    let quantised = quantise(model.graph(), &samples, &options).unwrap();
    let evaluation = evaluate(model.graph(), &quantised, &samples).unwrap();
    assert_eq!((evaluation.samples, evaluation.argmax_agreement.as_slice()), (20, &[1.0][..]));
}

#[test]
fn attention_moves_no_data() {
    for name in ["micro_transformer", "tiny_transformer", "nanogpt_block"] {
        let (model, samples) = load(name);
        let moves = |op: &FloatOp| matches!(op, FloatOp::Rearrange { .. });
        let moved: Vec<&str> =
            model.graph().nodes.iter().filter(|node| moves(&node.op)).map(|node| node.name.as_str()).collect();
        assert!(moved.is_empty(), "{name}: {moved:?}");
        let graph = quantise(model.graph(), &samples[..1], &QuantOptions::default()).unwrap().graph;
        let count = |is: fn(&Op) -> bool| graph.nodes.iter().filter(|node| is(&node.op)).count();
        assert_eq!(count(|op| matches!(op, Op::MatMul(_))), 2, "{name}");
        assert_eq!(count(|op| matches!(op, Op::Softmax(_))), 1, "{name}");
        assert_eq!(count(|op| matches!(op, Op::Normalise(_))), 2, "{name}");
        // The activation function is the first hidden layer's own.
        assert_eq!(graph.activations.len(), 1, "{name}");
    }
}

#[test]
fn an_evaluation_tells_errors_of_outputs_and_layers_the_worst_first() {
    let (model, samples) = load("micro_transformer");
    let quantised = quantise(model.graph(), &samples[..1], &QuantOptions::default()).unwrap();
    let evaluation = evaluate(model.graph(), &quantised, &samples).unwrap();
    assert_eq!((evaluation.samples, evaluation.outputs.len()), (4, 1));
    let output = &evaluation.outputs[0];
    assert!(output.max_error > 0.0 && output.max_error < 0.05 && output.mean_error < output.max_error, "{output:?}");
    assert!(output.cosine > 0.99 && evaluation.argmax_agreement[0] > 0.8, "{evaluation:?}");
    assert!(evaluation.layers.is_sorted_by(|a, b| a.max_error >= b.max_error));
    assert_eq!(evaluation.layers.len(), quantised.graph.nodes.len() + 1, "one input");
    // With fewer bits everything is worse.
    let options = QuantOptions::default().with_activation_bits(5).with_max_activation_bits(5);
    let coarse = quantise(model.graph(), &samples[..1], &options).unwrap();
    let coarse = evaluate(model.graph(), &coarse, &samples).unwrap();
    assert!(coarse.outputs[0].max_error > output.max_error && coarse.outputs[0].cosine < output.cosine);
}
