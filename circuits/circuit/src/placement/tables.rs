//! The tables of a network, and which of its tensors share cells.

use zkml_gpu_graph::{Activation, Function, Graph, Node, Op};

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

/// What keeps the results of a node to its function, where that is not its gates alone.
pub(super) enum Kept {
    /// Limbs: in the range of `2^bits` values from `least` on.
    Clamped { least: i64, bits: u32 },
    /// A table of the function.
    LookedUp(Function),
}

/// What keeps the results of a node to its function, where clamps of up to `table_bits` have tables.
pub(super) fn kept(graph: &Graph, node: &Node, table_bits: u32) -> Option<Kept> {
    let function = graph.function(node).filter(|_| follows_function(&node.op))?;
    // The index of a maximum has no limbs: it is looked up.
    let bits = function.clamped_bits().filter(|bits| *bits > table_bits && !matches!(node.op, Op::ArgMax { .. }));
    Some(match bits {
        Some(bits) => Kept::Clamped { least: function.min(), bits },
        None => Kept::LookedUp(function),
    })
}

/// The activation tables that the graph needs, where clamps of up to `table_bits` have one.
pub(crate) fn activations(graph: &Graph, table_bits: u32) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for kept in graph.nodes.iter().filter_map(|node| kept(graph, node, table_bits)) {
        let Kept::LookedUp(function) = kept else { continue };
        let activation = function.into_table();
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
