//! Just enough of ONNX's protocol buffers to write a network of dense layers too large to keep in the repository.
//!
//! Field numbers are those of `onnx.proto3`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const FLOAT: u64 = 1;
const ATTRIBUTE_INT: u64 = 2;

/// A network of dense layers with these widths, each followed by a ReLU; weights are uniform in ±1/√width.
pub(crate) fn dense(widths: &[usize], seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut graph = Message::default();
    let mut value = "input".to_owned();
    for (layer, pair) in widths.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let [weights, bias, sum, next] = ["w", "b", "s", "y"].map(|kind| format!("{kind}{layer}"));
        graph.message(1, &gemm(&[&value, &weights, &bias], &sum));
        graph.message(1, &node("Relu", &[&sum], &next));
        let bound = 1.0 / (inputs as f32).sqrt();
        graph.message(5, &tensor(&weights, &[outputs, inputs], bound, &mut rng));
        graph.message(5, &tensor(&bias, &[outputs], bound, &mut rng));
        value = next;
    }
    graph.bytes(2, b"dense");
    graph.message(11, &value_info("input", &[1, widths[0]]));
    graph.message(12, &value_info(&value, &[1, widths[widths.len() - 1]]));

    let mut opset = Message::default();
    opset.number(2, 13);
    let mut model = Message::default();
    model.number(1, 8);
    model.message(7, &graph);
    model.message(8, &opset);
    model.0
}

fn gemm(inputs: &[&str], output: &str) -> Message {
    let mut transposed = Message::default();
    transposed.bytes(1, b"transB");
    transposed.number(3, 1);
    transposed.number(20, ATTRIBUTE_INT);
    let mut message = node("Gemm", inputs, output);
    message.message(5, &transposed);
    message
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
    let mut message = Message::default();
    inputs.iter().for_each(|input| message.bytes(1, input.as_bytes()));
    message.bytes(2, output.as_bytes());
    message.bytes(3, output.as_bytes());
    message.bytes(4, operator.as_bytes());
    message
}

fn tensor(name: &str, shape: &[usize], bound: f32, rng: &mut ChaCha8Rng) -> Message {
    let uniform = |_| bound * (rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0);
    let values: Vec<u8> = (0..shape.iter().product()).map(uniform).flat_map(f32::to_le_bytes).collect();
    let mut message = Message::default();
    shape.iter().for_each(|size| message.number(1, *size as u64));
    message.number(2, FLOAT);
    message.bytes(8, name.as_bytes());
    message.bytes(9, &values);
    message
}

fn value_info(name: &str, shape: &[usize]) -> Message {
    let mut dimensions = Message::default();
    for size in shape {
        let mut dimension = Message::default();
        dimension.number(1, *size as u64);
        dimensions.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.number(1, FLOAT);
    tensor.message(2, &dimensions);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut message = Message::default();
    message.bytes(1, name.as_bytes());
    message.message(2, &kind);
    message
}

/// A protocol buffers message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
    }
}
