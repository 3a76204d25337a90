//! What is known of values before a model runs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::super::error::ImportError;

/// Operators that give other results each time.
const RANDOM: [&str; 6] =
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// Shapes of values, and those of them that are constants.
pub(super) struct Known {
    facts: HashMap<String, InferenceFact>,
}

impl Known {
    /// Infers what is known of values from the part of a model that they are computed by.
    pub(super) fn infer(
        proto: &ModelProto,
        mut values: Vec<String>,
        infer: impl Fn(&ModelProto) -> Result<InferenceModel, ImportError>,
    ) -> Result<Self, ImportError> {
        values.sort_unstable();
        values.dedup();
        if values.is_empty() {
            return Ok(Self { facts: HashMap::new() });
        }
        let model = infer(&part(proto, &values))?;
        let fact = |(slot, value): (usize, String)| Some((value, model.output_fact(slot).ok()?.clone()));
        Ok(Self { facts: values.into_iter().enumerate().filter_map(fact).collect() })
    }

    /// Extents of a value.
    pub(super) fn shape(&self, value: &str) -> Option<Vec<usize>> {
        let shape = self.facts.get(value)?.shape.concretize()?;
        shape.iter().map(|dim| dim.to_i64().ok().and_then(|dim| usize::try_from(dim).ok())).collect()
    }

    /// A value, where it is constant.
    pub(super) fn constant(&self, value: &str) -> Option<Arc<Tensor>> {
        self.facts.get(value)?.value.concretize()
    }

    /// The whole numbers that a value is, where it is constant.
    pub(super) fn integers(&self, value: &str) -> Option<Vec<i64>> {
        let constant = self.constant(value)?;
        let integers = constant.cast_to::<i64>().ok()?;
        Some(integers.to_plain_array_view::<i64>().ok()?.iter().copied().collect())
    }
}

/// The part of a model that computes some values, which are its outputs.
fn part(proto: &ModelProto, values: &[String]) -> ModelProto {
    let Some(graph) = &proto.graph else { return ModelProto::default() };
    let mut producers: HashMap<&str, &NodeProto> = HashMap::new();
    for node in &graph.node {
        node.output.iter().for_each(|output| _ = producers.insert(output, node));
    }
    let mut read: HashSet<&str> = graph.input.iter().map(|input| &*input.name).collect();
    let mut queue: Vec<&str> = values.iter().map(String::as_str).collect();
    while let Some(value) = queue.pop() {
        if read.insert(value) || values.iter().any(|wanted| wanted == value) {
            queue.extend(producers.remove(value).into_iter().flat_map(|node| &node.input).map(String::as_str));
        }
    }
    let is_read = |node: &&NodeProto| node.output.iter().any(|output| read.contains(&**output));
    let mut node: Vec<NodeProto> = graph.node.iter().filter(is_read).cloned().collect();
    let mut output = Vec::new();
    for (i, value) in values.iter().enumerate() {
        // tract forgets the shape of an output that is an input or a constant as well.
        let name = format!("{value}.known{i}");
        node.push(NodeProto {
            name: name.clone(),
            op_type: "Identity".into(),
            input: vec![value.clone()],
            output: vec![name.clone()],
            ..NodeProto::default()
        });
        output.push(ValueInfoProto { name, ..ValueInfoProto::default() });
    }
    let initializer = graph.initializer.iter().filter(|tensor| read.contains(&*tensor.name)).cloned().collect();
    let part = GraphProto { node, initializer, output, input: graph.input.clone(), ..GraphProto::default() };
    ModelProto {
        ir_version: proto.ir_version,
        opset_import: proto.opset_import.clone(),
        graph: Some(part),
        ..ModelProto::default()
    }
}

/// Names of values that follow from constants and shapes alone.
pub(in super::super) fn constants(graph: &GraphProto) -> HashSet<&str> {
    let mut known: HashSet<&str> = graph.initializer.iter().map(|tensor| &*tensor.name).collect();
    let mut rest: Vec<&NodeProto> = graph.node.iter().filter(|node| !RANDOM.contains(&&*node.op_type)).collect();
    loop {
        let before = rest.len();
        rest.retain(|node| {
            let of_shapes = matches!(&*node.op_type, "Constant" | "Shape" | "Size");
            let mut inputs = node.input.iter().filter(|input| !input.is_empty()).peekable();
            let follows = inputs.peek().is_some() && inputs.all(|input| known.contains(&**input));
            if of_shapes || follows {
                known.extend(node.output.iter().map(String::as_str));
            }
            !(of_shapes || follows)
        });
        if rest.len() == before {
            return known;
        }
    }
}
