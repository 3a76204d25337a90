//! Rewrites a graph into the forms that the layout places, without changing what it computes.

use super::tensors::{conflict, roots};
use crate::graph::{Graph, Node, Op, Tensor, TensorId, Window};

/// Inserts copies where a tensor is read in two ways that its cells cannot serve at once: a public input that is
/// gathered, and a tensor that products read under two shapes. A copy requantises `x · 2^S`, which is `x`.
pub fn lower(mut graph: Graph) -> Graph {
    // Each copy takes one reader from a class, so there are at most as many copies as nodes.
    for _ in 0..graph.nodes.len() {
        let Some(node) = conflict(&graph) else { break };
        let multipliers = vec![0, 1 << graph.shift];
        insert_copy(&mut graph, node, Op::AveragePool { window: Window::UNIT, multipliers });
    }
    let mut index = 0;
    while index < graph.nodes.len() {
        let gathers = matches!(graph.nodes[index].op, Op::MaxPool(_) | Op::AveragePool { .. });
        if gathers && graph.inputs.contains(&roots(&graph)[graph.nodes[index].inputs[0]]) {
            let multipliers = vec![1 << graph.shift];
            insert_copy(&mut graph, index, Op::Combine { multipliers, offset: Vec::new() });
            index += 1;
        }
        index += 1;
    }
    graph
}

/// Lets a node read a copy of its first operand, made by `op` just before it.
fn insert_copy(graph: &mut Graph, node: usize, op: Op) {
    let source: TensorId = graph.nodes[node].inputs[0];
    let copy = graph.tensors.len();
    let tensor = Tensor { name: format!("{} (copy)", graph.tensors[source].name), ..graph.tensors[source].clone() };
    graph.tensors.push(tensor);
    graph.nodes[node].inputs[0] = copy;
    let name = format!("{} (operand)", graph.nodes[node].name);
    graph.nodes.insert(node, Node { name, op, inputs: vec![source], output: copy, activation: None });
}
