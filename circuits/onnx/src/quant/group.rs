//! Which float nodes become one quantised node: an operation with the function or clamp and the pooling that follow it.

use std::collections::BTreeSet;

use zkml_gpu_graph::{TensorId, Window};

use crate::import::{FloatGraph, FloatOp, Function};

/// One node of the quantised graph to be.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Index of the float node that computes, which gives the name; a clamp or function that follows no other computes
    /// the identity.
    pub(super) head: usize,
    /// What the function takes: the result of the head.
    pub(super) argument: TensorId,
    /// The function after the head; a table in the circuit.
    pub(super) function: Option<Function>,
    /// Bounds of the result, after the function.
    pub(super) clamp: Option<[f32; 2]>,
    /// Whether the result are integers that the model's file tells.
    pub(super) rounded: bool,
    /// Fused maximum pooling, `[1, 1]` for none.
    pub(super) pool: [usize; 2],
    /// The result.
    pub(super) output: TensorId,
    /// Whether the accumulator itself is the result.
    pub(super) raw: bool,
}

/// Groups all nodes, in an order of evaluation. Of the outputs with these names no accumulator is the result.
pub(super) fn group(graph: &FloatGraph, hidden: &BTreeSet<String>) -> Vec<Group> {
    let mut taken = vec![false; graph.nodes.len()];
    let mut groups = Vec::new();
    for head in 0..graph.nodes.len() {
        if !taken[head] {
            let mut group = grow(graph, head, &mut taken);
            group.raw &= !hidden.contains(&graph.tensors[group.output].name);
            groups.push(group);
        }
    }
    groups
}

fn grow(graph: &FloatGraph, head: usize, taken: &mut [bool]) -> Group {
    let mut group = single(graph, head);
    match &graph.nodes[head].op {
        FloatOp::MaxPool(_)
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. }
        | FloatOp::Softmax(_) => return group,
        FloatOp::Clamp { min, max } => group.clamp = Some([*min, *max]),
        FloatOp::Round { .. } => group.rounded = true,
        FloatOp::Activation(function) => {
            (group.function, group.argument) = (Some(function.clone()), graph.nodes[head].inputs[0]);
        }
        FloatOp::Linear(_)
        | FloatOp::Affine { .. }
        | FloatOp::Combine { .. }
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Normalise(_)
        | FloatOp::AveragePool { .. } => {}
    }
    // A function, then a clamp, then integers of the model's own: each at most once, in this order.
    while !group.rounded
        && let Some(reader) = graph.sole_reader(group.output)
    {
        let bare = group.clamp.is_none();
        match &graph.nodes[reader].op {
            FloatOp::Activation(function) if bare && group.function.is_none() => {
                group.function = Some(function.clone());
            }
            FloatOp::Clamp { min, max } if bare => group.clamp = Some([*min, *max]),
            FloatOp::Round { .. } => group.rounded = true,
            FloatOp::Activation(_)
            | FloatOp::Clamp { .. }
            | FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. }
            | FloatOp::Reshape
            | FloatOp::Rearrange { .. }
            | FloatOp::ArgMax { .. } => break,
        }
        extend(graph, &mut group, reader, taken);
    }
    let linear = matches!(&graph.nodes[head].op, FloatOp::Linear(linear) if !linear.transposed);
    let images = if let FloatOp::Linear(linear) = &graph.nodes[head].op { linear.window.images } else { 1 };
    // The pooling comes first in the circuit, which only a function that never falls allows.
    if linear
        && group.function.as_ref().is_none_or(Function::is_monotone)
        && let Some(reader) = graph.sole_reader(group.output)
        && let FloatOp::MaxPool(window) = &graph.nodes[reader].op
        && *window == (Window { kernel: window.kernel, stride: window.kernel, images, ..Window::UNIT })
    {
        group.pool = window.kernel;
        extend(graph, &mut group, reader, taken);
    }
    let unread = graph.readers(group.output).next().is_none() && graph.outputs.contains(&group.output);
    let bare = group.clamp.is_none() && group.function.is_none() && !group.rounded;
    group.raw = linear && unread && bare && group.pool == [1, 1];
    group
}

fn single(graph: &FloatGraph, head: usize) -> Group {
    let output = graph.nodes[head].output;
    Group { head, argument: output, function: None, clamp: None, rounded: false, pool: [1, 1], output, raw: false }
}

fn extend(graph: &FloatGraph, group: &mut Group, reader: usize, taken: &mut [bool]) {
    taken[reader] = true;
    group.output = graph.nodes[reader].output;
}
