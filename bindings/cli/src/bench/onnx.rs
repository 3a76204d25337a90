//! Networks with random weights as ONNX files.

use prost::Message;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};

/// Versions of the format and of the operators.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;
/// Seed of the weights.
const SEED: u64 = 4;

/// Convolutions, each with a ReLU and a pooling of 2 x 2, then dense layers with a ReLU between them.
pub(crate) struct Shapes<'a> {
    /// Without the batch: features, or channels, height and width.
    pub(crate) input: &'a [usize],
    /// Channels of each convolution, and its kernel's side.
    pub(crate) convolutions: &'a [(usize, usize)],
    /// Outputs of each dense layer.
    pub(crate) dense: &'a [usize],
}

impl Shapes<'_> {
    /// The network as an ONNX file.
    pub(crate) fn model(&self) -> Vec<u8> {
        let mut builder =
            Builder { graph: GraphProto::default(), last: "input".into(), rng: ChaCha8Rng::seed_from_u64(SEED) };
        let mut shape = self.input.to_vec();
        for &(channels, side) in self.convolutions {
            builder.convolution([channels, shape[0]], side);
            let pooled = |size: usize| {
                let convolved = size - side + 1;
                convolved / 2
            };
            shape = vec![channels, pooled(shape[1]), pooled(shape[2])];
        }
        if shape.len() > 1 {
            builder.node("Flatten", &[], vec![]);
        }
        let mut width: usize = shape.iter().product();
        for (layer, &outputs) in self.dense.iter().enumerate() {
            if layer > 0 {
                builder.node("Relu", &[], vec![]);
            }
            builder.dense([outputs, width]);
            width = outputs;
        }
        let mut graph = builder.graph;
        graph.name = "network".into();
        graph.input = vec![value("input", &[&[1], self.input].concat())];
        graph.output = vec![value(&builder.last, &[1, width])];
        let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![opset],
            graph: Some(graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

/// A chain of layers in the making.
struct Builder {
    graph: GraphProto,
    /// The last result.
    last: String,
    rng: ChaCha8Rng,
}

impl Builder {
    fn convolution(&mut self, [channels, inputs]: [usize; 2], side: usize) {
        let weights = self.weights(&[channels, inputs, side, side], inputs * side * side);
        let bias = self.weights(&[channels], inputs * side * side);
        self.node("Conv", &[&weights, &bias], vec![integers("kernel_shape", &[side as i64; 2])]);
        self.node("Relu", &[], vec![]);
        self.node("MaxPool", &[], vec![integers("kernel_shape", &[2, 2]), integers("strides", &[2, 2])]);
    }

    fn dense(&mut self, [outputs, inputs]: [usize; 2]) {
        let weights = self.weights(&[outputs, inputs], inputs);
        let bias = self.weights(&[outputs], inputs);
        let transposed = AttributeProto {
            name: "transB".into(),
            i: 1,
            r#type: AttributeType::Int.into(),
            ..AttributeProto::default()
        };
        self.node("Gemm", &[&weights, &bias], vec![transposed]);
    }

    /// A node that takes the last result and these.
    fn node(&mut self, operator: &str, others: &[&str], attribute: Vec<AttributeProto>) {
        let output = format!("{}{}", operator.to_lowercase(), self.graph.node.len());
        let input = std::iter::once(self.last.clone()).chain(others.iter().map(|name| (*name).to_owned())).collect();
        self.graph.node.push(NodeProto {
            name: output.clone(),
            op_type: operator.into(),
            input,
            output: vec![output.clone()],
            attribute,
            ..NodeProto::default()
        });
        self.last = output;
    }

    /// Uniform in ±1/√inputs, as layers are initialised for training.
    fn weights(&mut self, shape: &[usize], inputs: usize) -> String {
        let bound = 1.0 / (inputs as f32).sqrt();
        let name = format!("weights{}", self.graph.initializer.len());
        let mut draw = || bound * (self.rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0);
        let raw_data = (0..shape.iter().product()).flat_map(|_: usize| draw().to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: DataType::Float.into(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }
}

fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.to_vec(),
        r#type: AttributeType::Ints.into(),
        ..AttributeProto::default()
    }
}

fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dimension = |size: &usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(*size as i64)),
        ..tensor_shape_proto::Dimension::default()
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float.into(), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..ValueInfoProto::default() }
}
