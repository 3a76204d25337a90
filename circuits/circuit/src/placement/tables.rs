//! The tables of a network, and which of its tensors share cells.

use zkml_gpu_graph::{Activation, Graph, Node, Op};

use super::error::LayoutError;
use super::tensors::Tensors;

/// Whether the results of a node are what its function says, and not its gates.
const fn follows_function(op: &Op) -> bool {
    match op {
        Op::Linear(_)
        | Op::Combine { .. }
        | Op::AveragePool { .. }
        | Op::MatMul(_)
        | Op::Multiply(_)
        | Op::Softmax(_)
        | Op::Normalise(_)
        | Op::ArgMax { .. }
        | Op::Enter => true,
        Op::MaxPool(_) | Op::Reshape | Op::Rearrange { .. } => false,
    }
}

/// The bits of a node whose results are clamped by limbs, where clamps of up to `table_bits` have tables; none where they
/// are looked up, or neither.
pub(super) fn clamped_bits(graph: &Graph, node: &Node, table_bits: u32) -> Option<u32> {
    // The index of a maximum has no limbs: it is looked up.
    let is_clamped = follows_function(&node.op) && !matches!(node.op, Op::ArgMax { .. });
    graph.function(node).filter(|_| is_clamped)?.clamped_bits().filter(|bits| *bits > table_bits)
}

/// The table that a node's results are looked up in.
pub(crate) fn looked_up(graph: &Graph, node: &Node, table_bits: u32) -> Option<Activation> {
    let function = graph.function(node).filter(|_| follows_function(&node.op))?;
    clamped_bits(graph, node, table_bits).is_none().then(|| function.table())
}

/// The activation tables that the graph needs, where clamps of up to `table_bits` have one.
pub(crate) fn activations(graph: &Graph, table_bits: u32) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for activation in graph.nodes.iter().filter_map(|node| looked_up(graph, node, table_bits)) {
        if !all.contains(&activation) {
            all.push(activation);
        }
    }
    all
}

/// The tables of exponentials that the graph needs.
pub(crate) fn exponentials(graph: &Graph) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for node in &graph.nodes {
        let Op::Softmax(softmax) = &node.op else { continue };
        if !all.contains(&softmax.exp) {
            all.push(softmax.exp.clone());
        }
    }
    all
}

/// Which tensors share cells, for operand rows of `lanes` cells.
pub(crate) fn tensors(graph: &Graph, lanes: usize) -> Result<Tensors, LayoutError> {
    Tensors::new(graph, lanes).map_err(|index| LayoutError::Unsupported {
        node: graph.nodes[index].name.clone(),
        reason: "it reads a tensor under another shape than an earlier node: the graph was not lowered".into(),
    })
}
