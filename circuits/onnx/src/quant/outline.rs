//! The shape of a quantised graph before anything is calibrated: what a circuit's size depends on.

use std::collections::HashMap;

use zkml_gpu_graph::{Format, Graph, Node, Tensor, TensorId, Visibilities};

use super::group::{Group, group};
use super::ops;
use super::options::QuantOptions;
use crate::import::FloatGraph;

/// The graph that [`quantise`](super::quantise()) will make, without its weights, factors and ranges: no sample is
/// needed, and nothing is computed. It says no more than what a circuit needs. `None` for operations whose shape is not
/// known ahead.
pub fn outline(source: &FloatGraph, options: &QuantOptions) -> Option<Graph> {
    let graph = Graph {
        name: source.name.clone(),
        shift: options.shift_for(options.activation_bits),
        tensors: Vec::new(),
        activations: Vec::new(),
        nodes: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        visibility: Visibilities::default(),
    };
    let mut outline = Outline { source, graph, ids: HashMap::new() };
    for &input in &source.inputs {
        let id = outline.tensor(input);
        outline.graph.inputs.push(id);
    }
    for group in group(source, &options.hidden_outputs) {
        let node = outline.node(&group)?;
        outline.graph.nodes.push(node);
    }
    outline.graph.outputs = source.outputs.iter().map(|id| outline.ids.get(id).copied()).collect::<Option<_>>()?;
    Some(outline.graph)
}

struct Outline<'a> {
    source: &'a FloatGraph,
    graph: Graph,
    /// Tensor of each float tensor.
    ids: HashMap<TensorId, TensorId>,
}

impl Outline<'_> {
    fn tensor(&mut self, source: TensorId) -> TensorId {
        let tensor = &self.source.tensors[source];
        let id = self.graph.tensors.len();
        self.graph.tensors.push(Tensor {
            name: tensor.name.clone(),
            shape: tensor.shape,
            format: Format::new(0, 0, 1),
            logical_shape: tensor.logical_shape.clone(),
            storage: tensor.storage,
        });
        self.ids.insert(source, id);
        id
    }

    fn node(&mut self, group: &Group) -> Option<Node> {
        let head = &self.source.nodes[group.head];
        let op = ops::outline(group, head)?;
        let inputs = head.inputs.iter().map(|id| self.ids.get(id).copied()).collect::<Option<_>>()?;
        Some(Node { name: head.name.clone(), op, inputs, output: self.tensor(group.output), activation: None })
    }
}
