//! Models that are quantised already: the integers of the circuit are those of onnxruntime.

use std::path::{Path, PathBuf};

use serde_json::Value;
use zkml_gpu_onnx::import::{FloatModel, ImportOptions};
use zkml_gpu_onnx::quant::{QuantOptions, needs_samples, quantise};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/quantised")
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).expect(name)).expect(name)
}

/// Shares of an output's elements that are onnxruntime's: of the integers that are proved, those that are equal and those
/// within one unit; and of the float reference those that are equal.
fn agreement(name: &str, with_samples: bool) -> [f64; 3] {
    let file = json(&format!("{name}.samples.json"));
    let lists = |key: &str| -> Vec<Vec<f32>> { serde_json::from_value(file[key].clone()).expect("lists") };
    let (inputs, outputs) = (lists("inputs"), lists("outputs"));
    // What one step of the output's integers stands for.
    let unit = json(&format!("{name}.json"))["unit"].as_f64().expect("a number") as f32;
    let model = FloatModel::load(folder().join(format!("{name}.onnx")), &ImportOptions::default()).expect(name);
    let samples: Vec<Vec<Vec<f32>>> = inputs.into_iter().map(|input| vec![input]).collect();
    let given = if with_samples { &samples[..] } else { &[] };
    assert_eq!(needs_samples(model.graph(), &QuantOptions::default()), with_samples, "{name}");
    let quantised = quantise(model.graph(), given, &QuantOptions::default()).expect(name);
    let (mut counts, mut all) = ([0usize; 3], 0usize);
    for (sample, expected) in samples.iter().zip(&outputs) {
        let graph = &quantised.graph;
        let execution = graph.run(&graph.quantise_inputs(sample)).expect(name);
        let tensor = &graph.tensors[graph.outputs[0]];
        let proved: Vec<f32> =
            execution.values[graph.outputs[0]].iter().map(|value| tensor.format.dequantise(*value)).collect();
        let float = model.run(sample).expect(name);
        for ((proved, float), expected) in tensor.to_logical(&proved).iter().zip(&float[0]).zip(expected) {
            let units = |value: f32| (value - expected).abs() / unit;
            counts[0] += usize::from(units(*proved) < 0.01);
            counts[1] += usize::from(units(*proved) < 1.01);
            counts[2] += usize::from(units(*float) < 0.01);
            all += 1;
        }
    }
    let shares = counts.map(|count| count as f64 / all.max(1) as f64);
    println!(
        "{name}: {:.3} equal, {:.3} within one unit, {:.3} of the reference equal",
        shares[0], shares[1], shares[2]
    );
    shares
}

/// Without one sample, since the file tells every scale.
#[test]
fn integers_are_those_of_onnxruntime() {
    for name in ["qdq_conv", "qdq_gemm", "qlinear_conv", "qdq_residual"] {
        let [equal, near, reference] = agreement(name, false);
        assert!(equal >= 0.8 && near >= 0.99 && reference >= 0.999, "{name}: {equal} {near} {reference}");
    }
}

/// Where the file tells no scales for activations, samples do.
#[test]
fn weights_alone_leave_the_scales_to_samples() {
    let [_, near, reference] = agreement("qdq_weights_alone", true);
    assert!(near >= 0.95 && reference >= 0.999, "{near} {reference}");
}
