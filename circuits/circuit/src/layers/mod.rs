//! One file per layer family: how a node is laid out.
//!
//! To add a layer: a variant of [`Op`] with its integer reference in `graph/execute.rs`, a file here that places it,
//! and a line in [`place`].

mod argmax;
mod combine;
mod gather;
mod groups;
mod linear;
mod matmul;
mod multiply;
pub(crate) mod normalise;
pub(crate) mod product;
mod rearrange;
pub(crate) mod softmax;

use crate::layout::{LayoutError, Planner};
use zkml_gpu_graph::Op;

/// Places a node.
pub(crate) fn place(planner: &mut Planner<'_>, index: usize) -> Result<(), LayoutError> {
    let graph = planner.graph;
    let node = &graph.nodes[index];
    match &node.op {
        Op::Linear(linear) => linear::place(planner, index, linear),
        Op::Combine { multipliers, offset, .. } => combine::place(planner, index, multipliers, offset),
        Op::MaxPool(window) => gather::place_maximum(planner, index, window),
        Op::AveragePool { window, multipliers } => gather::place_sum(planner, index, window, multipliers),
        Op::MatMul(product) => matmul::place(planner, index, product),
        Op::Multiply(rescale) => multiply::place(planner, index, *rescale),
        Op::Softmax(softmax) => softmax::place(planner, index, softmax),
        Op::Normalise(normalise) => normalise::place(planner, index, normalise),
        Op::Reshape => Ok(()),
        Op::Rearrange { .. } => rearrange::place(planner, index),
        Op::ArgMax { starts, stride, count, last } => {
            let candidates = argmax::Candidates { starts, stride: *stride, count: *count, last: *last };
            argmax::place(planner, index, candidates)
        }
    }
}
