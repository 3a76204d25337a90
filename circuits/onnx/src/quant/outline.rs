//! The shape of a quantised graph before anything is calibrated: what a circuit's size depends on.

use std::collections::HashMap;

use crate::import::{FloatGraph, FloatNormalise, FloatOp, FloatOrigin};
use zkml_gpu_graph::{
    Activation, Format, Graph, Linear, Node, Normalise, Op, Origin, Rescale, Softmax, Tensor, TensorId,
};

use super::QuantOptions;
use super::group::{Group, group};

/// The graph that [`quantise`](super::quantise) will make, without its weights, factors and ranges: no sample is needed, and
/// nothing is computed. For [`needs`](crate::layout::needs) only. `None` for operations whose shape is not known ahead.
pub fn outline(source: &FloatGraph, options: &QuantOptions) -> Option<Graph> {
    let graph = Graph {
        name: source.name.clone(),
        shift: options.shift_for(options.activation_bits),
        tensors: Vec::new(),
        activations: Vec::new(),
        nodes: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut outline = Outline { source, graph, ids: HashMap::new() };
    for &input in &source.inputs {
        let id = outline.tensor(input);
        outline.graph.inputs.push(id);
    }
    for group in group(source) {
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
            format: Format { frac_bits: 0, min: 0, max: 1 },
            logical_shape: tensor.logical_shape.clone(),
            storage: tensor.storage,
        });
        self.ids.insert(source, id);
        id
    }

    fn node(&mut self, group: &Group) -> Option<Node> {
        let head = &self.source.nodes[group.head];
        let op = match &head.op {
            FloatOp::Linear(linear) => Op::Linear(Linear {
                window: linear.window,
                input_dilation: linear.input_dilation,
                groups: linear.groups,
                out_channels: linear.out_channels,
                weights: Vec::new(),
                bias: Vec::new(),
                pool: group.pool,
                raw: group.raw,
                transposed: linear.transposed,
                width: None,
            }),
            FloatOp::Combine { offset, .. } => {
                let (multipliers, offset) = (vec![1; head.inputs.len()], vec![0; offset.len()]);
                Op::Combine { multipliers, offset, width: None }
            }
            FloatOp::Clamp { .. } | FloatOp::Activation(_) => {
                Op::Combine { multipliers: vec![1; head.inputs.len()], offset: Vec::new(), width: None }
            }
            FloatOp::AveragePool { window, .. } => {
                Op::AveragePool { window: *window, multipliers: vec![1; window.taps() + 1] }
            }
            FloatOp::Rearrange { origins } => {
                let origin = |origin: &FloatOrigin| match *origin {
                    FloatOrigin::Element { operand, element } => Origin::Element { operand, element },
                    FloatOrigin::Constant(_) => Origin::Constant(0),
                };
                Op::Rearrange { origins: origins.iter().map(origin).collect() }
            }
            FloatOp::ArgMax { starts, stride, count, last } => {
                Op::ArgMax { starts: starts.clone(), stride: *stride, count: *count, last: *last }
            }
            FloatOp::MatMul(product) => Op::MatMul(super::products::matmul(product, Rescale::UNIT)),
            FloatOp::Multiply { .. } => Op::Multiply(Rescale::UNIT),
            FloatOp::Softmax(softmax) => Op::Softmax(Softmax {
                groups: softmax.groups,
                len: softmax.len,
                masked: softmax.masked.clone(),
                exp: Activation { min: 0, values: vec![1, 0] },
                bits: 1,
                rescale: Rescale::UNIT,
            }),
            FloatOp::Normalise(FloatNormalise { groups, len, centred, .. }) => Op::Normalise(Normalise {
                groups: *groups,
                len: *len,
                centred: *centred,
                epsilon: 1,
                bits: 1,
                rescale: Rescale::UNIT,
            }),
            FloatOp::MaxPool(window) => Op::MaxPool(*window),
            FloatOp::Reshape => Op::Reshape,
            _ => return None,
        };
        let inputs = head.inputs.iter().map(|id| self.ids.get(id).copied()).collect::<Option<_>>()?;
        let name = self.source.nodes[group.last].name.clone();
        Some(Node { name, op, inputs, output: self.tensor(group.output), activation: None })
    }
}
