//! The layers, one file for each family: how many rows and columns a node needs (`count`), and how it is placed
//! (`place`).
//!
//! `count` gives a lower bound without placing a cell; a test holds it to what `place` takes. To add a layer:
//! `docs/add-a-layer.md`.

mod argmax;
mod combine;
mod enter;
mod groups;
mod linear;
mod matmul;
mod multiply;
mod normalise;
mod pool;
mod rearrange;
mod softmax;

use zkml_gpu_graph::Op;

use super::counter::{Counter, Rows};
use super::error::LayoutError;
use super::planner::Planner;

/// Counts a node: its rows of each bank.
pub(super) fn count(counter: &mut Counter<'_>, index: usize) -> Rows {
    match &counter.node(index).op {
        Op::Linear(linear) => linear::count(counter, index, linear),
        Op::Combine { offset, .. } => combine::count(counter, index, offset.len()),
        Op::MaxPool(window) => pool::count_maximum(counter, index, window),
        Op::AveragePool { window, .. } => pool::count_sum(counter, index, window),
        Op::MatMul(product) => matmul::count(counter, index, product),
        Op::Multiply(rescale) => multiply::count(counter, index, *rescale),
        Op::Softmax(softmax) => softmax::count(counter, index, softmax),
        Op::Normalise(normalise) => normalise::count(counter, index, normalise),
        // Nothing is placed for a reshape.
        Op::Reshape => [0; 3],
        Op::Rearrange { .. } => rearrange::count(counter, index),
        Op::ArgMax { starts, count, .. } => argmax::count(counter, starts.len(), *count),
        Op::Enter => enter::count(counter, index),
    }
}

/// Places a node.
pub(super) fn place(planner: &mut Planner<'_>, index: usize) -> Result<(), LayoutError> {
    let graph = planner.graph;
    match &graph.nodes[index].op {
        Op::Linear(linear) => linear::place(planner, index, linear),
        Op::Combine { multipliers, offset, shared, .. } => {
            let summands = combine::Summands { offset, shared: *shared };
            combine::place(planner, index, multipliers, summands)
        }
        Op::MaxPool(window) => pool::place_maximum(planner, index, window),
        Op::AveragePool { window, multipliers } => pool::place_sum(planner, index, window, multipliers),
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
        Op::Enter => enter::place(planner, index),
    }
}
