//! A quantised graph under construction.

use std::collections::HashMap;

use zkml_gpu_graph::{Activation, Format, Graph, Node, Op, Tensor, TensorId, Visibilities};

use super::context::{Context, Scales};
use crate::import::FloatNode;

/// A quantised graph under construction.
pub(super) struct Converter<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) scales: Scales,
    pub(super) graph: Graph,
    /// Quantised tensor of each float tensor.
    pub(super) ids: HashMap<TensorId, TensorId>,
    /// Factors that the readers of a float tensor apply: what the rounding of a mean's multiplier has changed.
    pub(super) gains: HashMap<TensorId, f64>,
}

/// A node before it has its place.
pub(super) struct Converted {
    pub(super) op: Op,
    /// Operands, where they are others than the float node's.
    pub(super) operands: Option<Vec<TensorId>>,
    /// The result's format.
    pub(super) format: Format,
    /// The function that follows requantisation.
    pub(super) activation: Option<Activation>,
}

impl Converted {
    /// An operation whose result has this format, without a function.
    pub(super) const fn of(op: Op, format: Format) -> Self {
        Self { op, operands: None, format, activation: None }
    }

    /// An operation whose accumulators are requantised.
    pub(super) fn to(op: Op, target: Target) -> Self {
        Self { op, operands: None, format: target.format, activation: target.activation }
    }
}

/// What an accumulator is requantised to.
pub(super) struct Target {
    /// Fractional bits after requantisation.
    pub(super) frac_bits: i32,
    /// The result's format.
    pub(super) format: Format,
    /// The function between them.
    pub(super) activation: Option<Activation>,
}

impl<'a> Converter<'a> {
    /// A graph without tensors.
    pub(super) fn new(context: &'a Context<'a>, scales: Scales) -> Self {
        let graph = Graph {
            name: context.source.name.clone(),
            shift: context.options.shift,
            tensors: Vec::new(),
            activations: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            visibility: Visibilities::default(),
        };
        Self { context, scales, graph, ids: HashMap::new(), gains: HashMap::new() }
    }

    /// The requantisation shift `S`.
    pub(super) const fn shift(&self) -> u32 {
        self.context.options.shift
    }

    /// Adds the tensor that holds a float tensor's values.
    pub(super) fn add_tensor(&mut self, source: TensorId, format: Format) -> TensorId {
        let tensor = &self.context.source.tensors[source];
        let id = self.graph.tensors.len();
        self.graph.tensors.push(Tensor {
            name: tensor.name.clone(),
            shape: tensor.shape,
            format,
            logical_shape: tensor.logical_shape.clone(),
            storage: tensor.storage,
        });
        self.ids.insert(source, id);
        id
    }

    /// Adds a tensor of a float tensor's shape that holds something on the way to its values.
    pub(super) fn add_unnamed(&mut self, source: TensorId, name: String, format: Format) -> TensorId {
        let tensor = &self.context.source.tensors[source];
        let (shape, logical_shape, storage) = (tensor.shape, tensor.logical_shape.clone(), tensor.storage);
        self.graph.tensors.push(Tensor { name, shape, format, logical_shape, storage });
        self.graph.tensors.len() - 1
    }

    /// Format of the tensor that holds a float tensor's values.
    pub(super) fn format(&self, source: TensorId) -> Format {
        self.graph.tensors[self.ids[&source]].format
    }

    /// Formats of a node's two operands.
    pub(super) fn formats(&self, node: &FloatNode) -> [Format; 2] {
        [0, 1].map(|i| self.format(node.inputs[i]))
    }

    /// Appends a node; equal functions share one table.
    pub(super) fn push(&mut self, node: &FloatNode, converted: Converted, inputs: Vec<TensorId>, output: TensorId) {
        let Converted { op, activation, .. } = converted;
        let activation = activation.map(|activation| self.shared(activation));
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs, output, activation });
    }

    /// Index of a function's table, which equal functions share.
    pub(super) fn shared(&mut self, activation: Activation) -> usize {
        let known = self.graph.activations.iter().position(|known| *known == activation);
        known.unwrap_or_else(|| {
            self.graph.activations.push(activation);
            self.graph.activations.len() - 1
        })
    }

    /// Factor that the readers of a float tensor apply.
    pub(super) fn gain(&self, tensor: TensorId) -> f64 {
        self.gains.get(&tensor).copied().unwrap_or(1.0)
    }
}
