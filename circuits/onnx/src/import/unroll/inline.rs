//! The graph in an attribute, copied to where the attribute's node is.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::super::error::ImportError;
use super::called;
use super::writer::{Names, Writer};

/// Copies a graph's constants; they are the same in every copy of its nodes.
pub(super) fn constants(body: &GraphProto, place: &str, writer: &mut Writer) -> Names {
    let copy = |tensor: &_| {
        let tensor: &tract_onnx::pb::TensorProto = tensor;
        (tensor.name.clone(), writer.constant(&format!("{place}.{}", tensor.name), tensor))
    };
    body.initializer.iter().map(copy).collect()
}

/// Copies a graph's nodes; `names` says what its inputs and constants are called outside. Returns what its outputs are
/// called there.
pub(super) fn nodes(
    body: &GraphProto,
    place: &str,
    mut names: Names,
    writer: &mut Writer,
) -> Result<Vec<String>, ImportError> {
    for output in body.node.iter().flat_map(|node| &node.output).filter(|output| !output.is_empty()) {
        names.insert(output.clone(), writer.value(&format!("{place}.{output}")));
    }
    for node in &body.node {
        let part = format!("{place}.{}", called(node));
        let copy = renamed(node, &names);
        writer.copy(&part, copy)?;
    }
    Ok(body.output.iter().map(|output| outside(&output.name, &names)).collect())
}

/// What a name stands for outside: names that are not the graph's own are from there.
fn outside(name: &str, names: &Names) -> String {
    names.get(name).map_or_else(|| name.to_owned(), Clone::clone)
}

/// A node with other names of values, also in graphs of its own.
fn renamed(node: &NodeProto, names: &Names) -> NodeProto {
    let mut node = node.clone();
    node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = outside(name, names));
    for attribute in &mut node.attribute {
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|graph| rename(graph, names));
    }
    node
}

/// Renames what a graph reads from outside.
fn rename(graph: &mut GraphProto, names: &Names) {
    let inputs = graph.input.iter().map(|input| &input.name);
    let constants = graph.initializer.iter().map(|tensor| &tensor.name);
    let own: HashSet<&String> =
        inputs.chain(constants).chain(graph.node.iter().flat_map(|node| &node.output)).collect();
    let of_outside = names.iter().filter(|(name, _)| !own.contains(name));
    let names: Names = of_outside.map(|(name, new)| (name.clone(), new.clone())).collect();
    for node in &mut graph.node {
        *node = renamed(node, &names);
    }
    graph.output.iter_mut().for_each(|output| output.name = outside(&output.name, &names));
}
