//! Which float nodes become one quantised node: an operation with the clamp and the pooling that follow it.

use crate::graph::{TensorId, Window};
use crate::import::{FloatGraph, FloatOp};

/// One node of the quantised graph to be.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Index of the float node that computes; a clamp that stands alone computes the identity.
    pub(super) head: usize,
    /// Index of the last float node, which gives the name.
    pub(super) last: usize,
    /// Bounds of the activation.
    pub(super) clamp: Option<[f32; 2]>,
    /// Fused maximum pooling, `[1, 1]` for none.
    pub(super) pool: [usize; 2],
    /// The result.
    pub(super) output: TensorId,
    /// Whether the accumulator itself is the result.
    pub(super) raw: bool,
}

/// Groups all nodes, in an order of evaluation.
pub(super) fn group(graph: &FloatGraph) -> Vec<Group> {
    let mut taken = vec![false; graph.nodes.len()];
    let mut groups = Vec::new();
    for head in 0..graph.nodes.len() {
        if !taken[head] {
            let group = grow(graph, head, &mut taken);
            groups.push(group);
        }
    }
    groups
}

fn grow(graph: &FloatGraph, head: usize, taken: &mut [bool]) -> Group {
    let op = &graph.nodes[head].op;
    let mut group = Group { head, last: head, clamp: None, pool: [1, 1], output: graph.nodes[head].output, raw: false };
    let mut extend = |group: &mut Group, reader: usize| {
        taken[reader] = true;
        group.last = reader;
        group.output = graph.nodes[reader].output;
    };
    match op {
        FloatOp::Clamp { min, max } => group.clamp = Some([*min, *max]),
        FloatOp::MaxPool(_) | FloatOp::Reshape => return group,
        _ => {}
    }
    if group.clamp.is_none()
        && let Some(reader) = graph.sole_reader(group.output)
        && let FloatOp::Clamp { min, max } = graph.nodes[reader].op
    {
        group.clamp = Some([min, max]);
        extend(&mut group, reader);
    }
    let linear = matches!(op, FloatOp::Linear(_));
    if linear
        && let Some(reader) = graph.sole_reader(group.output)
        && let FloatOp::MaxPool(window) = &graph.nodes[reader].op
        && *window == (Window { kernel: window.kernel, stride: window.kernel, ..Window::UNIT })
    {
        group.pool = window.kernel;
        extend(&mut group, reader);
    }
    let unread = graph.readers(group.output).next().is_none() && graph.outputs.contains(&group.output);
    group.raw = linear && unread && group.clamp.is_none() && group.pool == [1, 1];
    group
}
