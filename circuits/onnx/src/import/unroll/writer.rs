//! Nodes that are made for others.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use super::super::check::MAX_NODES;
use super::super::error::ImportError;
use super::super::protos::{float, integer, integers, opset};
use super::{called, unsupported};

/// Most bytes of what is written: copies of names, and of constants in the bodies of loops.
const MAX_BYTES: usize = 64 << 20;
/// First versions of ONNX's operators in which an attribute is an operand.
const SQUEEZE_OPERANDS: i64 = 13;
const CLIP_OPERANDS: i64 = 11;

/// Writes a graph anew.
pub(super) struct Writer {
    pub(super) opset: i64,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    written: HashSet<String>,
    bytes: usize,
    /// The node that is written out, without its attributes.
    node: NodeProto,
    /// What its values' names begin with: no two nodes have the same output.
    values: String,
}

impl Writer {
    pub(super) fn new(proto: &ModelProto) -> Self {
        Self {
            opset: opset(proto),
            nodes: Vec::new(),
            constants: Vec::new(),
            written: HashSet::new(),
            bytes: 0,
            node: NodeProto::default(),
            values: String::new(),
        }
    }

    pub(super) fn finish(self) -> (Vec<NodeProto>, Vec<TensorProto>) {
        (self.nodes, self.constants)
    }

    /// Leaves a node as it is.
    pub(super) fn keep(&mut self, node: NodeProto) {
        self.nodes.push(node);
    }

    /// Begins to write out a node.
    pub(super) fn begin(&mut self, node: &NodeProto) {
        self.values = super::outputs(node).next().unwrap_or_default().into();
        self.node = NodeProto { name: called(node).into(), op_type: node.op_type.clone(), ..NodeProto::default() };
    }

    /// The name of a value that is made for the node.
    pub(super) fn value(&self, part: &str) -> String {
        format!("{}.{part}", self.values)
    }

    /// Appends a copy of a node, under a name that begins with that of what is written out.
    pub(super) fn copy(&mut self, part: &str, node: NodeProto) -> Result<(), ImportError> {
        let node = NodeProto { name: format!("{}.{part}", self.node.name), doc_string: String::new(), ..node };
        let names = node.input.iter().chain(&node.output).map(String::len).sum::<usize>();
        self.bytes = self.bytes.saturating_add(node.name.len() + names + attributes_bytes(&node));
        self.nodes.push(node);
        self.check_size()
    }

    /// Refuses what is written out where the graph is too large with it.
    pub(super) fn check_size(&self) -> Result<(), ImportError> {
        if self.nodes.len() > MAX_NODES || self.bytes > MAX_BYTES {
            let form = format!("so many steps that the model has more than {MAX_NODES} nodes, or large ones");
            return Err(unsupported(&self.node, form, "use shorter sequences, or fewer steps"));
        }
        Ok(())
    }

    /// Appends a node with one output, whose name is returned.
    pub(super) fn op(
        &mut self,
        operator: &str,
        part: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> Result<String, ImportError> {
        let output = self.value(part);
        let node = NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..NodeProto::default()
        };
        self.copy(part, node)?;
        Ok(output)
    }

    /// Lets a value be an output of the node that is written out, where something may read that.
    pub(super) fn bind(&mut self, value: &str, output: Option<&String>) -> Result<(), ImportError> {
        let Some(output) = output.filter(|name| !name.is_empty()) else { return Ok(()) };
        let node = NodeProto {
            op_type: "Identity".into(),
            input: vec![value.into()],
            output: vec![output.clone()],
            ..NodeProto::default()
        };
        self.copy(output, node)
    }

    /// A constant of whole numbers; a single one without axes.
    pub(super) fn integers(&mut self, part: &str, values: &[i64], is_number: bool) -> String {
        let name = self.value(part);
        if self.written.insert(name.clone()) {
            self.constants.push(TensorProto {
                name: name.clone(),
                dims: if is_number { vec![] } else { vec![values.len() as i64] },
                data_type: DataType::Int64 as i32,
                raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                ..TensorProto::default()
            });
        }
        name
    }

    /// A truth value that holds.
    pub(super) fn truth(&mut self, part: &str) -> String {
        let name = self.value(part);
        if self.written.insert(name.clone()) {
            let data_type = DataType::Bool as i32;
            self.constants.push(TensorProto {
                name: name.clone(),
                data_type,
                raw_data: vec![1],
                ..TensorProto::default()
            });
        }
        name
    }

    /// A number that is the architecture's: not learned.
    pub(super) fn number(&mut self, part: &str, value: f32) -> Result<String, ImportError> {
        let tensor = TensorProto {
            data_type: DataType::Float as i32,
            raw_data: value.to_le_bytes().to_vec(),
            ..TensorProto::default()
        };
        let attribute = AttributeProto {
            name: "value".into(),
            r#type: AttributeType::Tensor as i32,
            t: Some(tensor),
            ..AttributeProto::default()
        };
        self.op("Constant", part, &[], vec![attribute])
    }

    /// A constant of a body, under its own name.
    pub(super) fn constant(&mut self, part: &str, tensor: &TensorProto) -> String {
        let name = self.value(part);
        self.constants.push(TensorProto { name: name.clone(), ..tensor.clone() });
        name
    }

    /// A place along an axis, without that axis. An index without axes keeps tract from taking a product apart, of which
    /// each step reads a part.
    pub(super) fn take(&mut self, part: &str, value: &str, axis: i64, place: usize) -> Result<String, ImportError> {
        let index = self.integers(&format!("place{place}"), &[place as i64], true);
        self.op("Gather", part, &[value, &index], vec![integer("axis", axis)])
    }

    /// A value with new axes of extent 1, in ascending order.
    pub(super) fn unsqueeze(&mut self, part: &str, value: &str, axes: &[i64]) -> Result<String, ImportError> {
        if self.opset < SQUEEZE_OPERANDS {
            return self.op("Unsqueeze", part, &[value], vec![integers("axes", axes)]);
        }
        let listed: Vec<String> = axes.iter().map(i64::to_string).collect();
        let operand = self.integers(&format!("axes{}", listed.join("_")), axes, false);
        self.op("Unsqueeze", part, &[value, &operand], vec![])
    }

    /// Values one after another along an axis.
    pub(super) fn concat(&mut self, part: &str, values: &[String], axis: i64) -> Result<String, ImportError> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        self.op("Concat", part, &values, vec![integer("axis", axis)])
    }

    /// A value within `-bound` and `bound`.
    pub(super) fn clip(&mut self, part: &str, value: &str, bound: f32) -> Result<String, ImportError> {
        if self.opset < CLIP_OPERANDS {
            return self.op("Clip", part, &[value], vec![float("min", -bound), float("max", bound)]);
        }
        let [low, high] = [("low", -bound), ("high", bound)].map(|(which, bound)| (format!("{part}.{which}"), bound));
        let (low, high) = (self.number(&low.0, low.1)?, self.number(&high.0, high.1)?);
        self.op("Clip", part, &[value, &low, &high], vec![])
    }
}

/// Bytes of constants in a node's attributes, and of the graphs there.
fn attributes_bytes(node: &NodeProto) -> usize {
    let of = |attribute: &AttributeProto| {
        let tensors = attribute.t.iter().chain(&attribute.tensors).map(tensor_bytes).sum::<usize>();
        let graphs = attribute.g.iter().chain(&attribute.graphs).map(graph_bytes).sum::<usize>();
        let lists = 4 * attribute.floats.len() + 8 * attribute.ints.len() + attribute.s.len();
        tensors + graphs + lists + attribute.strings.iter().map(Vec::len).sum::<usize>()
    };
    node.attribute.iter().map(of).sum()
}

fn tensor_bytes(tensor: &TensorProto) -> usize {
    let words = tensor.float_data.len() + tensor.int32_data.len();
    tensor.raw_data.len() + 4 * words + 8 * (tensor.int64_data.len() + tensor.double_data.len())
}

fn graph_bytes(graph: &GraphProto) -> usize {
    /// More than a node or constant takes beside its content.
    const EACH: usize = 512;
    let names = |node: &NodeProto| node.input.iter().chain(&node.output).map(String::len).sum::<usize>();
    let nodes = graph.node.iter().map(|node| EACH + node.name.len() + names(node) + attributes_bytes(node));
    let constants = graph.initializer.iter().map(|tensor| EACH + tensor.name.len() + tensor_bytes(tensor));
    nodes.chain(constants).sum()
}

/// The names of a graph's values that are its own, with what they are called where it is copied to.
pub(super) type Names = HashMap<String, String>;
