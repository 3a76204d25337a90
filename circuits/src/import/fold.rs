//! Simplification of a float graph: scales and shifts go into the weights around them, clamps move next to the
//! operation whose output they bound.

use crate::graph::{TensorId, Window};

use super::{FloatGraph, FloatLinear, FloatOp, FloatTensor, ImportError};

/// Most channels for which a scale that found no neighbour becomes a product with a diagonal matrix.
const MAX_DIAGONAL: usize = 2048;

/// Folds until nothing changes; leaves no [`FloatOp::Affine`].
pub(super) fn fold(graph: &mut FloatGraph) -> Result<(), ImportError> {
    while (0..graph.nodes.len()).any(|i| step(graph, i)) {}
    for i in 0..graph.nodes.len() {
        replace_affine(graph, i)?;
    }
    // Scales that have just become `Combine` may now join a sum.
    while (0..graph.nodes.len()).any(|i| step(graph, i)) {}
    Ok(())
}

/// Tries to fold node `i` with the only reader of its output; tells whether the graph changed.
fn step(graph: &mut FloatGraph, i: usize) -> bool {
    let Some(j) = graph.sole_reader(graph.nodes[i].output) else { return false };
    let swappable = may_swap(graph, i);
    let (head, tail) = graph.nodes.split_at_mut(i.max(j));
    let (first, second) = if i < j { (&mut head[i], &mut tail[0]) } else { return false };
    let operand = first.output;
    match (&mut first.op, &mut second.op) {
        (FloatOp::Linear(linear), FloatOp::Affine { scale, shift }) => scale_outputs(linear, scale, shift),
        (FloatOp::Affine { scale: a, shift: b }, FloatOp::Affine { scale, shift }) => {
            for (k, (a, b)) in a.iter_mut().zip(b).enumerate() {
                (*a, *b) = (*a * scale[k], *b * scale[k] + shift[k]);
            }
        }
        (FloatOp::Clamp { min, max }, FloatOp::Clamp { min: low, max: high }) => {
            (*min, *max) = (min.max(*low).min(*high), max.max(*low).min(*high));
        }
        (FloatOp::AveragePool { scale: factor, .. }, op) if let Some(s) = uniform(op) => *factor *= s,
        (FloatOp::Combine { factors }, op) if let Some(s) = uniform(op) => factors.iter_mut().for_each(|f| *f *= s),
        (FloatOp::Affine { scale, shift }, FloatOp::Linear(linear)) if unpadded(&linear.window) => {
            scale_inputs(linear, scale, shift);
            return absorb(graph, i, j);
        }
        (op, FloatOp::Combine { factors }) if let Some(s) = uniform(op) => {
            for (factor, _) in factors.iter_mut().zip(&second.inputs).filter(|(_, id)| **id == operand) {
                *factor *= s;
            }
            return absorb(graph, i, j);
        }
        (FloatOp::MaxPool(_) | FloatOp::Reshape, FloatOp::Clamp { .. }) if swappable => return swap(graph, i, j),
        (FloatOp::MaxPool(_), FloatOp::Affine { scale, .. }) if swappable && scale.iter().all(|s| *s > 0.0) => {
            return swap(graph, i, j);
        }
        _ => return false,
    }
    merge(graph, i, j)
}

/// The factor of an operation that only scales, equally everywhere.
fn uniform(op: &FloatOp) -> Option<f32> {
    match op {
        FloatOp::Affine { scale, shift } => {
            let first = *scale.first()?;
            (scale.iter().all(|s| *s == first) && shift.iter().all(|s| *s == 0.0)).then_some(first)
        }
        FloatOp::Combine { factors } if factors.len() == 1 => factors.first().copied(),
        _ => None,
    }
}

fn unpadded(window: &Window) -> bool {
    window.pad_before == [0, 0] && window.pad_after == [0, 0]
}

fn scale_outputs(linear: &mut FloatLinear, scale: &[f32], shift: &[f32]) {
    let row = (linear.weights.len() / linear.out_channels.max(1)).max(1);
    for (c, weights) in linear.weights.chunks_mut(row).enumerate() {
        weights.iter_mut().for_each(|w| *w *= scale[c]);
        linear.bias[c] = linear.bias[c] * scale[c] + shift[c];
    }
}

fn scale_inputs(linear: &mut FloatLinear, scale: &[f32], shift: &[f32]) {
    let taps = linear.window.kernel[0] * linear.window.kernel[1];
    let row = scale.len() * taps;
    for (weights, bias) in linear.weights.chunks_mut(row).zip(&mut linear.bias) {
        for (k, weight) in weights.iter_mut().enumerate() {
            *bias += *weight * shift[k / taps];
            *weight *= scale[k / taps];
        }
    }
}

/// Whether an operation before node `i` would then be the only reader of its own producer.
fn may_swap(graph: &FloatGraph, i: usize) -> bool {
    let x = graph.nodes[i].inputs[0];
    graph.producer(x).is_some() && graph.sole_reader(x) == Some(i)
}

/// Node `i`, already changed to compute both, takes the place of node `j`.
fn merge(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let second = graph.nodes.remove(j);
    graph.nodes[i].output = second.output;
    graph.nodes[i].name = second.name;
    true
}

/// Node `j`, already changed to compute both, reads what node `i` read.
fn absorb(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let (operand, input): (TensorId, TensorId) = (graph.nodes[i].output, graph.nodes[i].inputs[0]);
    graph.nodes[j].inputs.iter_mut().filter(|id| **id == operand).for_each(|id| *id = input);
    graph.nodes.remove(i);
    true
}

/// Exchanges the operations of nodes `i` and `j`, which commute; the tensor between them takes the shape of the
/// first operand.
fn swap(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let (x, between) = (graph.nodes[i].inputs[0], graph.nodes[i].output);
    let (head, tail) = graph.nodes.split_at_mut(j);
    std::mem::swap(&mut head[i].op, &mut tail[0].op);
    std::mem::swap(&mut head[i].name, &mut tail[0].name);
    let name = std::mem::take(&mut graph.tensors[between].name);
    graph.tensors[between] = FloatTensor { name, ..graph.tensors[x].clone() };
    true
}

/// A scale and shift without a neighbour to go into: a sum of one operand, or a product with a diagonal matrix.
fn replace_affine(graph: &mut FloatGraph, i: usize) -> Result<(), ImportError> {
    if let Some(factor) = uniform(&graph.nodes[i].op) {
        graph.nodes[i].op = FloatOp::Combine { factors: vec![factor] };
        return Ok(());
    }
    let FloatOp::Affine { scale, shift } = &graph.nodes[i].op else { return Ok(()) };
    let n = scale.len();
    if n > MAX_DIAGONAL {
        return Err(ImportError::UnsupportedForm {
            operator: "scale and shift".into(),
            node: graph.nodes[i].name.clone(),
            form: format!("{n} channels and no convolution or product before it"),
            hint: "put normalisation directly after a layer with weights",
        });
    }
    let mut weights = vec![0.0; n * n];
    scale.iter().enumerate().for_each(|(c, s)| weights[c * n + c] = *s);
    let bias = shift.clone();
    graph.nodes[i].op = FloatOp::Linear(FloatLinear {
        window: Window::UNIT,
        input_dilation: [1, 1],
        groups: 1,
        out_channels: n,
        weights,
        bias,
    });
    Ok(())
}
