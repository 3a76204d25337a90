//! Nodes, and the graph that they make.

use serde::{Deserialize, Serialize};

use crate::activation::{Activation, Function};
use crate::bounds::{Bounds, Width};
use crate::ops::{Linear, Op, entry_function};
use crate::site::Site;
use crate::tensor::{Format, Tensor, TensorId};
use crate::visibility::{Visibilities, Visibility};

/// A node of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name of the source model's node (of the last one where several were fused).
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<TensorId>,
    /// Result.
    pub output: TensorId,
    /// Index in [`Graph::activations`] of the function that follows requantisation; `None` for the clamp to the
    /// output's range.
    pub activation: Option<usize>,
}

impl Node {
    /// Whether the output is the accumulator itself.
    pub const fn is_raw(&self) -> bool {
        matches!(&self.op, Op::Linear(linear) if linear.raw)
    }
}

/// A quantised network, its nodes in an order of evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// The requantisation shift `S` in bits.
    pub shift: u32,
    /// All values.
    pub tensors: Vec<Tensor>,
    /// Functions that nodes apply, other than clamps.
    pub activations: Vec<Activation>,
    /// All operations, each after the producers of its operands.
    pub nodes: Vec<Node>,
    /// Tensors that the caller gives.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller gets.
    pub outputs: Vec<TensorId>,
    /// Who sees what the caller gives and gets.
    pub visibility: Visibilities,
}

impl Graph {
    /// A node as its operation sees it.
    pub(crate) fn site<'a>(&'a self, node: &'a Node) -> Site<'a> {
        let Node { name, inputs, output, .. } = node;
        Site { name, tensors: &self.tensors, inputs, output: *output, shift: self.shift }
    }

    /// Number of learned values: weights, summands, and biases that are not 0, which a layer without biases has too.
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(|node| node.op.parameters()[0]).sum()
    }

    /// Number of learned values by the shapes alone, whatever they are: a bias for each output channel.
    pub fn weight_cells(&self) -> usize {
        self.nodes.iter().map(|node| node.op.parameters()[1]).sum()
    }

    /// Who sees a tensor that the caller gives; none where it is no input.
    pub fn input_visibility(&self, tensor: TensorId) -> Option<Visibility> {
        self.inputs.iter().position(|input| *input == tensor).map(|index| self.visibility.input(index))
    }

    /// The function from a node's rounded values to its output: its activation, or the clamp to the output's range; of
    /// a hidden input's elements, the identity on those that there may be. `None` for outputs that nothing bounds but
    /// what they are made of: raw ones, whose range may be too wide, and reshapes.
    pub fn function(&self, node: &Node) -> Option<Function> {
        if !node.op.has_function() {
            return None;
        }
        if matches!(node.op, Op::Enter) {
            return Some(entry_function(&self.tensors[node.output]));
        }
        let Format { min, max, .. } = self.tensors[node.output].format;
        let table = |index: usize| Function::Table(self.activations[index].clone());
        Some(node.activation.map_or(Function::Clamp { min, max }, table))
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> usize {
        self.nodes.iter().map(|node| node.op.macs(&self.site(node))).sum()
    }

    /// Public bounds of each node's accumulators over all inputs within the formats' ranges, and over all learned
    /// values of the widths that are declared; zero for nodes without accumulators. Saturated at `i64`'s ends on graphs
    /// that [`Graph::validate`] refuses.
    pub fn accumulator_bounds(&self) -> Vec<Bounds> {
        self.nodes.iter().map(|node| node.op.bounds(&self.site(node))).collect()
    }

    /// Public bound of the difference of two accumulators of one channel of a product.
    pub fn spread(&self, node: &Node, linear: &Linear) -> u64 {
        let exact = || linear.channel_bounds(self.tensors[node.inputs[0]].format);
        match linear.width {
            Some(width) => Width::limit(width.spread_bits),
            None => exact().iter().map(Bounds::spread).max().unwrap_or(0),
        }
    }
}
