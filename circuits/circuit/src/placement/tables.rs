//! The tables of a network, and which of its tensors share cells.

use zkml_gpu_graph::{Activation, Graph, Op};

use super::error::LayoutError;
use super::tensors::Tensors;

/// The activation tables that the graph needs.
pub(crate) fn activations(graph: &Graph) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for node in &graph.nodes {
        let Some(activation) = graph.activation(node) else { continue };
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
