//! The rewrites of a float graph that simplifications are made of.

use super::float::{FloatGraph, FloatNode, FloatTensor};

/// Removes what no output depends on.
pub(super) fn prune(graph: &mut FloatGraph) {
    let mut needed = vec![false; graph.tensors.len()];
    graph.outputs.iter().for_each(|&id| needed[id] = true);
    let keep: Vec<bool> = graph.nodes.iter().rev().map(|node| mark(node, &mut needed)).collect();
    let mut keep = keep.into_iter().rev();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
}

fn mark(node: &FloatNode, needed: &mut [bool]) -> bool {
    if needed[node.output] {
        node.inputs.iter().for_each(|&id| needed[id] = true);
    }
    needed[node.output]
}

/// Whether an operation before node `i` would then be the only reader of its own producer.
pub(super) fn may_swap(graph: &FloatGraph, i: usize) -> bool {
    let x = graph.nodes[i].inputs[0];
    graph.producer(x).is_some() && graph.sole_reader(x) == Some(i)
}

/// Node `i`, already changed to compute both, takes the place of node `j`.
pub(super) fn merge(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let second = graph.nodes.remove(j);
    graph.nodes[i].output = second.output;
    graph.nodes[i].name = second.name;
    true
}

/// Node `j`, already changed to compute both, reads what node `i` read.
pub(super) fn absorb(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let (operand, input) = (graph.nodes[i].output, graph.nodes[i].inputs[0]);
    graph.nodes[j].inputs.iter_mut().filter(|id| **id == operand).for_each(|id| *id = input);
    graph.nodes.remove(i);
    true
}

/// Exchanges the operations of nodes `i` and `j`, which commute; the tensor between them takes the shape of the
/// first operand.
pub(super) fn swap(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let (x, between) = (graph.nodes[i].inputs[0], graph.nodes[i].output);
    let (head, tail) = graph.nodes.split_at_mut(j);
    std::mem::swap(&mut head[i].op, &mut tail[0].op);
    std::mem::swap(&mut head[i].name, &mut tail[0].name);
    let name = std::mem::take(&mut graph.tensors[between].name);
    graph.tensors[between] = FloatTensor { name, ..graph.tensors[x].clone() };
    true
}
