//! Simplification of a float graph: scales and shifts go into the weights around them, clamps move next to the
//! operation whose output they bound.

use std::sync::Arc;

use zkml_gpu_graph::Shape;

use super::float::{FloatGraph, FloatLinear, FloatMatMul, FloatNode, FloatOp};
use super::function::{Composed, Function};
use super::rewrite::{absorb, may_swap, merge, prune, swap};
use super::{matrices, tidy};

/// Folds until nothing changes; leaves no [`FloatOp::Affine`] and no node that nothing reads.
pub(super) fn fold(graph: &mut FloatGraph) {
    prune(graph);
    settle(graph);
    for i in 0..graph.nodes.len() {
        replace_affine(graph, i);
    }
    // Scales that have just become `Combine` may now join a sum.
    settle(graph);
    matrices::transpose(graph);
}

fn settle(graph: &mut FloatGraph) {
    while (0..graph.nodes.len()).any(|i| step(graph, i) || spread(graph, i) || tidy::step(graph, i)) {}
}

/// Lets a product read past a scale and shift that others read as well; tells whether the graph changed.
fn spread(graph: &mut FloatGraph, i: usize) -> bool {
    let FloatOp::Affine { scale, shift, .. } = graph.nodes[i].op.clone() else { return false };
    let (operand, input) = (graph.nodes[i].output, graph.nodes[i].inputs[0]);
    let reads = |node: &&mut FloatNode| {
        let product = matches!(&node.op, FloatOp::Linear(linear) if unpadded(linear));
        product && node.inputs[0] == operand
    };
    let Some(reader) = graph.nodes.iter_mut().find(reads) else { return false };
    if let FloatOp::Linear(linear) = &mut reader.op {
        scale_inputs(linear, &scale, &shift);
    }
    reader.inputs[0] = input;
    prune(graph);
    true
}

/// Tries to fold node `i` with the only reader of its output; tells whether the graph changed.
fn step(graph: &mut FloatGraph, i: usize) -> bool {
    let Some(j) = graph.sole_reader(graph.nodes[i].output) else { return false };
    let swappable = may_swap(graph, i);
    let is_scaled_later = graph.sole_reader(graph.nodes[j].output).is_some_and(|k| takes_scales(&graph.nodes[k].op));
    let shape = graph.tensors[graph.nodes[i].inputs[0]].shape;
    let result = graph.tensors[graph.nodes[i].output].shape;
    let (head, tail) = graph.nodes.split_at_mut(i.max(j));
    let (first, second) = if i < j { (&mut head[i], &mut tail[0]) } else { return false };
    let operand = first.output;
    match (&mut first.op, &mut second.op) {
        (FloatOp::Linear(linear), op) if let Some((scale, shift)) = by_channel(op, result) => {
            scale_outputs(linear, &scale, &shift);
        }
        (FloatOp::Affine { scale: a, shift: b, learned: first }, FloatOp::Affine { scale, shift, learned }) => {
            a.iter_mut().zip(scale.iter()).for_each(|(a, s)| *a *= s);
            b.iter_mut().zip(scale.iter()).for_each(|(b, s)| *b *= s);
            add_offset(b, 1.0, shift);
            *first |= *learned;
        }
        (FloatOp::Clamp { min, max }, FloatOp::Clamp { min: low, max: high }) => {
            (*min, *max) = (min.max(*low).min(*high), max.max(*low).min(*high));
        }
        (FloatOp::AveragePool { scale: factor, .. }, op)
            if let Some((s, shift)) = uniform(op)
                && shift.is_empty() =>
        {
            *factor *= s;
        }
        // Matrices of one column have no summands.
        (FloatOp::MatMul(FloatMatMul { scale, offset, columns, .. }), op)
            if let Some((s, shift)) = uniform(op)
                && (shift.is_empty() || *columns > 1)
                && s > 0.0 =>
        {
            *scale *= s;
            offset.iter_mut().for_each(|o| *o *= s);
            if !shift.is_empty() {
                add_offset(offset, 1.0, &shift);
            }
        }
        (FloatOp::Multiply { scale: factor }, op)
            if let Some((s, shift)) = uniform(op)
                && shift.is_empty()
                && s > 0.0 =>
        {
            *factor *= s;
        }
        (op, FloatOp::MatMul(FloatMatMul { scale: factor, .. }) | FloatOp::Multiply { scale: factor })
            // What requantises a product is a positive multiplier.
            if let Some((s, shift)) = uniform(op)
                && shift.is_empty()
                && s > 0.0 =>
        {
            // A product may read it twice.
            second.inputs.iter().filter(|id| **id == operand).for_each(|_| *factor *= s);
            return absorb(graph, i, j);
        }
        (FloatOp::Combine { factors, offset }, op) if let Some((s, shift)) = uniform(op) => {
            factors.iter_mut().for_each(|f| *f *= s);
            offset.iter_mut().for_each(|o| *o *= s);
            add_offset(offset, 1.0, &shift);
        }
        (op, FloatOp::Linear(linear)) if let Some((scale, shift)) = by_channel(op, shape) => {
            if !unpadded(linear) && !shift.is_empty() {
                return false;
            }
            scale_inputs(linear, &scale, &shift);
            return absorb(graph, i, j);
        }
        (op, FloatOp::Combine { factors, offset }) if let Some((s, shift)) = uniform(op) => {
            for (factor, _) in factors.iter_mut().zip(&second.inputs).filter(|(_, id)| **id == operand) {
                add_offset(offset, *factor, &shift);
                *factor *= s;
            }
            return absorb(graph, i, j);
        }
        (FloatOp::Round { step, min, max }, FloatOp::Round { step: second, min: low, max: high })
            if *step == *second =>
        {
            (*min, *max) = (*min.clamp(low, high), *max.clamp(low, high));
        }
        // A bound that is one of the integers.
        (FloatOp::Round { step, min, max }, FloatOp::Clamp { min: low, max: high })
            if is_bound(*low, *step) && is_bound(*high, *step) =>
        {
            let [low, high] = [*low, *high].map(|bound| (bound / *step) as i64);
            (*min, *max) = (low.clamp(*min, *max), high.clamp(*min, *max));
        }
        (FloatOp::MaxPool(_) | FloatOp::Reshape, FloatOp::Clamp { .. } | FloatOp::Round { .. }) if swappable => {
            return swap(graph, i, j);
        }
        // One table for both.
        (op @ (FloatOp::Activation(_) | FloatOp::Clamp { .. }), FloatOp::Activation(function))
            if let Some(inner) = pointwise(op)
                && inner.is_short() =>
        {
            let outer = Composed::Apply(function.clone(), Arc::new(inner));
            *op = FloatOp::Activation(Function::Composed(Arc::new(outer)));
        }
        // A scale that nothing else takes.
        (FloatOp::Activation(function), op)
            if !is_scaled_later
                && let Some((s, shift)) = uniform(op)
                && shift.is_empty() =>
        {
            *function = Function::Composed(Arc::new(Composed::Affine(Arc::new(expression(function)), s, 0.0)));
        }
        (op, FloatOp::Activation(function))
            if let Some((s, shift)) = uniform(op)
                && shift.is_empty() =>
        {
            let scaled = Arc::new(Composed::Affine(Arc::new(Composed::Argument), s, 0.0));
            *function = Function::Composed(Arc::new(Composed::Apply(function.clone(), scaled)));
            return absorb(graph, i, j);
        }
        (FloatOp::Reshape, FloatOp::Activation(_)) if swappable => return swap(graph, i, j),
        (FloatOp::MaxPool(_), FloatOp::Activation(f)) if swappable && f.is_monotone() => return swap(graph, i, j),
        // The signs of learned factors are nobody's business.
        (FloatOp::MaxPool(_), FloatOp::Affine { scale, learned: false, .. })
            if swappable && scale.iter().all(|s| *s > 0.0) =>
        {
            return swap(graph, i, j);
        }
        (
            FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::Activation(_)
            | FloatOp::Clamp { .. }
            | FloatOp::Round { .. }
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. }
            | FloatOp::Reshape
            | FloatOp::Rearrange { .. }
            | FloatOp::ArgMax { .. },
            _,
        ) => return false,
    }
    merge(graph, i, j)
}

/// A clamp or a function of each element as an expression.
fn pointwise(op: &FloatOp) -> Option<Composed> {
    match op {
        FloatOp::Activation(function) => Some(expression(function)),
        FloatOp::Clamp { min, max } => Some(Composed::Clamp(Arc::new(Composed::Argument), *min, *max)),
        FloatOp::Affine { .. }
        | FloatOp::Combine { .. }
        | FloatOp::Linear(_)
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::Round { .. }
        | FloatOp::MaxPool(_)
        | FloatOp::AveragePool { .. }
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => None,
    }
}

fn expression(function: &Function) -> Composed {
    if let Function::Composed(expression) = function {
        return Composed::clone(expression);
    }
    Composed::Apply(function.clone(), Arc::new(Composed::Argument))
}

/// Whether a scale of its operand goes into the operation.
fn takes_scales(op: &FloatOp) -> bool {
    match op {
        FloatOp::Affine { .. }
        | FloatOp::Combine { .. }
        | FloatOp::Linear(_)
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. } => true,
        FloatOp::Activation(_)
        | FloatOp::Clamp { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::Round { .. }
        | FloatOp::MaxPool(_)
        | FloatOp::AveragePool { .. }
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => false,
    }
}

/// Whether a clamp's bound is infinite, or a whole number of steps.
fn is_bound(bound: f32, step: f32) -> bool {
    bound.is_infinite() || (bound / step).fract() == 0.0
}

/// Factor and summands of an operation that scales equally everywhere, by a number that is not learned, and adds
/// constants.
fn uniform(op: &FloatOp) -> Option<(f32, Vec<f32>)> {
    match op {
        FloatOp::Affine { scale, shift, learned: false } => {
            let first = *scale.first()?;
            (scale.iter().all(|s| *s == first) && shift.is_empty()).then(|| (first, Vec::new()))
        }
        FloatOp::Combine { factors, offset } if factors.len() == 1 => Some((factors[0], offset.clone())),
        FloatOp::Affine { .. }
        | FloatOp::Combine { .. }
        | FloatOp::Linear(_)
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::Activation(_)
        | FloatOp::Clamp { .. }
        | FloatOp::Round { .. }
        | FloatOp::MaxPool(_)
        | FloatOp::AveragePool { .. }
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => None,
    }
}

/// Scale and shift by channel of an operation on a tensor of this shape that does no more; no shift is empty.
fn by_channel(op: &FloatOp, shape: Shape) -> Option<(Vec<f32>, Vec<f32>)> {
    match op {
        FloatOp::Affine { scale, shift, .. } => Some((scale.clone(), shift.clone())),
        FloatOp::Combine { factors, offset } if factors.len() == 1 && offset.is_empty() => {
            Some((vec![factors[0]; shape.channels], Vec::new()))
        }
        FloatOp::Combine { factors, offset } if factors.len() == 1 && offset.len() == shape.channels => {
            Some((vec![factors[0]; shape.channels], offset.clone()))
        }
        FloatOp::Combine { .. }
        | FloatOp::Linear(_)
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::Activation(_)
        | FloatOp::Clamp { .. }
        | FloatOp::Round { .. }
        | FloatOp::MaxPool(_)
        | FloatOp::AveragePool { .. }
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => None,
    }
}

/// Adds `factor · summands`, where an empty list is all zero.
fn add_offset(offset: &mut Vec<f32>, factor: f32, summands: &[f32]) {
    if offset.is_empty() {
        offset.resize(summands.len(), 0.0);
    }
    offset.iter_mut().zip(summands).for_each(|(o, s)| *o += factor * s);
}

fn unpadded(linear: &FloatLinear) -> bool {
    !linear.window.is_padded() && linear.input_dilation == [1, 1]
}

fn scale_outputs(linear: &mut FloatLinear, scale: &[f32], shift: &[f32]) {
    let row = (linear.weights.len() / linear.out_channels.max(1)).max(1);
    for (c, weights) in linear.weights.chunks_mut(row).enumerate() {
        weights.iter_mut().for_each(|w| *w *= scale[c]);
        linear.bias[c] = linear.bias[c] * scale[c] + shift.get(c).unwrap_or(&0.0);
    }
}

fn scale_inputs(linear: &mut FloatLinear, scale: &[f32], shift: &[f32]) {
    let taps = linear.window.taps();
    let (group_inputs, group_outputs) = (scale.len() / linear.groups, linear.out_channels / linear.groups);
    for (o, (weights, bias)) in linear.weights.chunks_mut(group_inputs * taps).zip(&mut linear.bias).enumerate() {
        let first = o / group_outputs * group_inputs;
        for (k, weight) in weights.iter_mut().enumerate() {
            *bias += *weight * shift.get(first + k / taps).unwrap_or(&0.0);
            *weight *= scale[first + k / taps];
        }
    }
}

/// A scale and shift without a neighbour to go into: a sum of one operand where the scale is the same everywhere and
/// not learned, or a product with a diagonal, which is one group a channel.
fn replace_affine(graph: &mut FloatGraph, i: usize) {
    let shape = graph.tensors[graph.nodes[i].inputs[0]].shape;
    let FloatOp::Affine { scale, shift, learned } = &graph.nodes[i].op else { return };
    let first = scale.first().copied().unwrap_or(1.0);
    graph.nodes[i].op = if !learned && scale.iter().all(|s| *s == first) {
        let area = shape.height * shape.width;
        let offset = shift.iter().flat_map(|s| std::iter::repeat_n(*s, area)).collect();
        FloatOp::Combine { factors: vec![first], offset }
    } else {
        let bias = if shift.is_empty() { vec![0.0; scale.len()] } else { shift.clone() };
        let diagonal = FloatLinear::dense(scale.len(), scale.clone(), bias);
        FloatOp::Linear(FloatLinear { groups: scale.len(), ..diagonal })
    };
}

#[cfg(test)]
mod tests {
    use zkml_gpu_graph::Window;

    use super::*;

    #[test]
    fn a_scale_goes_into_the_groups_that_read_it() {
        let window = Window { kernel: [1, 2], ..Window::UNIT };
        let mut linear = FloatLinear { window, groups: 2, ..FloatLinear::dense(2, vec![1.0; 4], vec![0.0; 2]) };
        scale_inputs(&mut linear, &[2.0, 3.0], &[10.0, 100.0]);
        assert_eq!((linear.weights, linear.bias), (vec![2.0, 2.0, 3.0, 3.0], vec![20.0, 200.0]));
    }

    #[test]
    fn summands_are_those_of_all_operands() {
        let mut offset = Vec::new();
        add_offset(&mut offset, 2.0, &[1.0, -1.0]);
        add_offset(&mut offset, 1.0, &[]);
        add_offset(&mut offset, -1.0, &[1.0, 0.0]);
        assert_eq!(offset, [1.0, -2.0]);
    }
}
