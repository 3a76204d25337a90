//! Numbers at the ends of what 32-bit floats hold, as weights, summands, factors, constants and inputs: every model of
//! finite numbers is quantised, or refused with the node's name. A graph that breaks an invariant would be a bug.

use zkml_gpu_graph::{Shape, Storage};

use super::error::QuantError;
use super::evaluate::evaluate;
use super::options::QuantOptions;
use super::quantise::quantise;
use crate::import::{
    FloatGraph, FloatLinear, FloatNode, FloatNormalise, FloatOp, FloatOrigin, FloatSoftmax, FloatTensor, Function,
};

const VALUES: [f32; 11] = [1.0e-45, f32::MIN_POSITIVE, 1e-30, 1e-12, 1.0, 3e9, 1e18, 1e19, 2e20, 1e30, f32::MAX];

/// `x`, then a dense layer, then an operation, then another dense layer where the result is not to be an output itself.
fn graph(op: FloatOp, both: bool, weight: f32, bias: f32, exposed: bool) -> FloatGraph {
    let tensor = |name: &str| FloatTensor::new(name.into(), Shape::vector(2), vec![1, 2], Storage::Plain);
    let dense = |weight: f32, bias: f32| {
        FloatOp::Linear(FloatLinear::dense(2, vec![weight, -weight / 2.0, weight / 3.0, weight], vec![bias, -bias]))
    };
    let node = |name: &str, op, inputs, output| FloatNode { name: name.into(), op, inputs, output };
    let operands = if both { vec![1, 1] } else { vec![1] };
    let mut nodes = vec![node("first", dense(weight, bias), vec![0], 1), node("middle", op, operands, 2)];
    if !exposed {
        nodes.push(node("last", dense(1.0, 0.5), vec![2], 3));
    }
    FloatGraph {
        name: "extreme".into(),
        tensors: ["x", "hidden", "moved", "y"].map(tensor).into(),
        outputs: vec![nodes.len()],
        nodes,
        inputs: vec![0],
    }
}

fn operations(value: f32) -> Vec<(FloatOp, bool)> {
    let element = |element| FloatOrigin::Element { operand: 0, element };
    let single = [
        FloatOp::Reshape,
        FloatOp::Clamp { min: 0.0, max: f32::INFINITY },
        FloatOp::Clamp { min: -value, max: value },
        FloatOp::Activation(Function::Sigmoid),
        FloatOp::Activation(Function::Square),
        FloatOp::Activation(Function::Exp),
        FloatOp::Activation(Function::LeakyRelu { slope: value.min(1.0) }),
        FloatOp::Combine { factors: vec![value], offset: Vec::new() },
        FloatOp::Combine { factors: vec![1.0], offset: vec![value, -value] },
        FloatOp::Rearrange { origins: vec![element(1), FloatOrigin::Constant(value)] },
        FloatOp::Softmax(FloatSoftmax { groups: 1, len: 2, masked: Vec::new() }),
        FloatOp::Normalise(FloatNormalise { groups: 1, len: 2, centred: true, epsilon: value }),
        FloatOp::Linear(FloatLinear::dense(2, vec![value, 0.0, value, value], vec![value, 0.0])),
    ];
    let double = [FloatOp::Multiply { scale: value }, FloatOp::Multiply { scale: 1.0 }];
    single.into_iter().map(|op| (op, false)).chain(double.into_iter().map(|op| (op, true))).collect()
}

#[test]
fn finite_numbers_of_any_magnitude_are_quantised_or_refused_by_name() {
    let [mut accepted, mut refused] = [0, 0];
    for value in VALUES {
        for (op, both) in operations(value) {
            for (weight, bias, input) in mixtures(value) {
                for exposed in [false, true] {
                    let graph = graph(op.clone(), both, weight, bias, exposed);
                    let samples = [vec![vec![input, -input / 4.0]]];
                    let case = format!("{op:?}, weight {weight:e}, bias {bias:e}, input {input:e}, {exposed}");
                    match quantise(&graph, &samples, &QuantOptions::default()) {
                        Ok(quantised) => {
                            evaluate(&graph, &quantised, &samples).expect(&case);
                            accepted += 1;
                        }
                        Err(error @ (QuantError::Scale { .. } | QuantError::NotFinite { .. })) => {
                            let message = error.to_string();
                            let names = ["first", "middle", "last", "'x'", "hidden", "moved", "'y'"];
                            assert!(names.iter().any(|name| message.contains(name)), "{case}: {message}");
                            assert!(message.contains("\nhint: "), "{case}: {message}");
                            refused += 1;
                        }
                        Err(error) => panic!("{case}: {error}"),
                    }
                }
            }
        }
    }
    assert!(accepted > 300 && refused > 300, "{accepted} accepted, {refused} refused");
}

/// Weight, bias and input: each extreme among ordinary ones, and together.
fn mixtures(value: f32) -> [(f32, f32, f32); 7] {
    let inverse = (1.0 / value).clamp(1e-38, f32::MAX);
    [
        (1.0, 0.5, 1.0),
        (value, 0.5, 1.0),
        (1.0, value, 1.0),
        (1.0, 0.5, value),
        (value, 0.0, inverse),
        (inverse, 0.0, value),
        (value, value, value),
    ]
}

#[test]
fn ordinary_numbers_are_accepted_and_weights_of_1e30_are_refused() {
    let of = |weight: f32| {
        let graph = graph(FloatOp::Reshape, false, weight, 0.0, false);
        quantise(&graph, &[vec![vec![1.0, 2.0]]], &QuantOptions::default())
    };
    assert!(of(1.0).is_ok() && of(1e-12).is_ok() && of(1e12).is_ok());
    assert!(matches!(of(1e30), Err(QuantError::Scale { .. })));
}
