//! Networks that others publish figures of, with random weights: what a proof costs depends on shapes only.

use std::path::{Path, PathBuf};

use prost::Message;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto,
};
use zkml_gpu::{Error, write_whole};

use super::record::Published;

/// Versions of the format and of the operators.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;
/// Seed of the weights.
const SEED: u64 = 4;

/// Convolutions, each with a ReLU and a pooling of 2 x 2, then dense layers with a ReLU between them.
struct Network {
    name: &'static str,
    /// Without the batch: features, or channels, height and width.
    input: &'static [usize],
    /// Channels of each convolution, and its kernel's side.
    convolutions: &'static [(usize, usize)],
    /// Outputs of each dense layer.
    dense: &'static [usize],
    published: &'static [(&'static str, &'static str, f64)],
}

const NETWORKS: [Network; 4] = [
    Network {
        name: "mlp_digits",
        input: &[64],
        convolutions: &[],
        dense: &[32, 10],
        published: &[("EZKL 23.0.5 on 2 virtual cores of an Intel Xeon", "CPU time", 5.8)],
    },
    Network {
        name: "lenet",
        input: &[1, 28, 28],
        convolutions: &[(6, 5), (16, 5)],
        dense: &[120, 84, 10],
        published: &[("EZKL 23.0.5 on 2 virtual cores of an Intel Xeon", "CPU time", 190.0)],
    },
    Network {
        name: "cnn_264k",
        input: &[3, 32, 32],
        convolutions: &[(12, 5), (33, 5)],
        dense: &[247, 173, 10],
        published: &[
            ("DeepProve's README, hardware unstated", "time", 1.24),
            ("EZKL in DeepProve's README, hardware unstated", "time", 197.0),
        ],
    },
    Network {
        name: "dense_4m",
        input: &[4],
        convolutions: &[],
        dense: &[1000, 1000, 1000, 1000, 1000, 3],
        published: &[
            ("DeepProve's README, hardware unstated", "time", 2.34),
            ("EZKL in DeepProve's README, hardware unstated", "time", 127.0),
        ],
    },
];

/// A network of the suite on the disk.
pub(super) struct Member {
    pub(super) path: PathBuf,
    pub(super) published: Vec<Published>,
}

/// Writes all networks to a folder, as `NAME.onnx`.
///
/// # Errors
/// [`Error::File`] where the system refuses.
pub(super) fn write(folder: &Path) -> Result<Vec<Member>, Error> {
    NETWORKS.iter().map(|network| member(network, folder)).collect()
}

fn member(network: &Network, folder: &Path) -> Result<Member, Error> {
    let path = folder.join(format!("{}.onnx", network.name));
    write_whole(&path, &model(network).encode_to_vec())?;
    let published = network.published.iter().map(|(source, what, seconds)| Published {
        source: (*source).into(),
        what: (*what).into(),
        seconds: *seconds,
    });
    Ok(Member { path, published: published.collect() })
}

fn model(network: &Network) -> ModelProto {
    let mut builder =
        Builder { graph: GraphProto::default(), last: "input".into(), rng: ChaCha8Rng::seed_from_u64(SEED) };
    let mut shape = network.input.to_vec();
    for &(channels, side) in network.convolutions {
        builder.convolution([channels, shape[0]], side);
        // No padding, then halves.
        shape = vec![channels, (shape[1] - side + 1) / 2, (shape[2] - side + 1) / 2];
    }
    if shape.len() > 1 {
        builder.node("Flatten", &[], vec![]);
    }
    let mut width: usize = shape.iter().product();
    for (layer, &outputs) in network.dense.iter().enumerate() {
        if layer > 0 {
            builder.node("Relu", &[], vec![]);
        }
        builder.dense([outputs, width]);
        width = outputs;
    }
    let mut graph = builder.graph;
    graph.name = network.name.into();
    graph.input = vec![value("input", &[&[1], network.input].concat())];
    graph.output = vec![value(&builder.last, &[1, width])];
    let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
    ModelProto { ir_version: IR_VERSION, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
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

#[cfg(test)]
mod tests {
    use zkml_gpu::{ImportOptions, Model};

    use super::*;

    #[test]
    fn the_networks_are_imported_with_the_sizes_that_others_give() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let members = write(folder.path()).expect("written");
        let found = members.iter().map(|member| {
            let model = Model::load(&member.path, &ImportOptions::default()).expect("imported");
            let sizes: Vec<usize> = model.input_sizes().iter().map(|(_, size)| *size).collect();
            let sample: Vec<Vec<f32>> = sizes.iter().map(|size| vec![0.5; *size]).collect();
            let outputs = model.run(&sample).expect("it runs").concat();
            assert!(outputs.iter().any(|value| *value != 0.0) && !member.published.is_empty());
            (sizes[0], outputs.len())
        });
        assert_eq!(found.collect::<Vec<_>>(), [(64, 10), (784, 10), (3072, 10), (4, 3)]);
    }

    #[test]
    fn parameters_are_as_published() {
        let count = |network: &Network| {
            let graph = model(network).graph.expect("a graph");
            graph.initializer.iter().map(|tensor| tensor.raw_data.len() / 4).sum::<usize>()
        };
        assert_eq!(NETWORKS.each_ref().map(count), [2_410, 44_426, 259_511, 4_012_003]);
    }
}
