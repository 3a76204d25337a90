//! The quantised graph: what is proved.
//!
//! A tensor holds integers `v` that stand for the real numbers `v · 2^-frac_bits`. Every tensor is an image of
//! `channels × height × width`, stored row-major in that order; a vector is `channels × 1 × 1`, and a matrix of
//! `rows × features` (the input of a batched matrix product) is `features × 1 × rows`, one channel a feature.
//!
//! All products are requantised by one shift `S` ([`Graph::shift`]), common to the whole graph:
//!
//! ```text
//! q = floor((acc + 2^(S-1)) / 2^S)        y = clamp(q, min, max)
//! ```
//!
//! so a weight has `S + f_y - f_x` fractional bits, and a circuit needs one remainder table only. The clamp to the
//! output's range is the activation function: a ReLU is a range that starts at zero.
//!
//! [`Graph::run`] is the integer reference: the circuit's witness is bit for bit what it computes.

mod bounds;
mod execute;
mod real;
mod validate;
pub(crate) mod window;

pub use bounds::Bounds;
pub use execute::{ExecuteError, Execution, requantise};
pub(crate) use real::transpose;
pub use validate::{ACTIVATION_LIMIT, BIAS_LIMIT, MAX_SHIFT, ValidateError, WEIGHT_BITS};

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// Extent of a tensor: channels, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels; the features of a vector or matrix.
    pub channels: usize,
    /// Rows of the image; 1 for vectors and matrices.
    pub height: usize,
    /// Columns of the image; the batch rows of a matrix; 1 for vectors.
    pub width: usize,
}

impl Shape {
    /// A vector of `n` features.
    pub const fn vector(n: usize) -> Self {
        Self { channels: n, height: 1, width: 1 }
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether the tensor has no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row-major index of an element.
    pub const fn index(&self, c: usize, i: usize, j: usize) -> usize {
        (c * self.height + i) * self.width + j
    }
}

/// How integers stand for real numbers: `real = v · 2^-frac_bits`, `min <= v <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Format {
    /// Fractional bits; may be negative.
    pub frac_bits: i32,
    /// Least value, inclusive.
    pub min: i64,
    /// Greatest value, inclusive.
    pub max: i64,
}

impl Format {
    /// Nearest integer to `real`, saturated to the range; not-a-number becomes 0.
    pub fn quantise(&self, real: f32) -> i64 {
        let scaled = (f64::from(real) * 2f64.powi(self.frac_bits)).round();
        if scaled.is_nan() {
            return 0;
        }
        // A cast from float saturates at the type's bounds, so the clamp decides.
        (scaled as i64).clamp(self.min, self.max)
    }

    /// The real number that `v` stands for.
    pub fn dequantise(&self, v: i64) -> f32 {
        (v as f64 * 2f64.powi(-self.frac_bits)) as f32
    }
}

/// A value of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the source model.
    pub name: String,
    /// Extent as stored.
    pub shape: Shape,
    /// Meaning and range of the integers.
    pub format: Format,
    /// Shape in the source model (ONNX axis order), for input and output files.
    pub logical_shape: Vec<usize>,
    /// Set when the logical order is `rows × features` with more than one row, so that storage is its transpose.
    pub transposed: bool,
}

/// Kernel extent, stride and zero padding of a window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Padding before: top, left.
    pub pad_before: [usize; 2],
    /// Padding after: bottom, right.
    pub pad_after: [usize; 2],
}

impl Window {
    /// The 1 × 1 window of a matrix product.
    pub const UNIT: Self = Self { kernel: [1, 1], stride: [1, 1], pad_before: [0, 0], pad_after: [0, 0] };

    /// Output extent (height, width) over an input of `height × width`; `None` where the window does not fit.
    pub fn output(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let axis = |a: usize, size: usize| {
            let padded = size + self.pad_before[a] + self.pad_after[a];
            (self.stride[a] > 0 && self.kernel[a] > 0).then_some(())?;
            Some(padded.checked_sub(self.kernel[a])? / self.stride[a] + 1)
        };
        Some([axis(0, height)?, axis(1, width)?])
    }
}

/// A product with learned weights: dense layer, matrix product or convolution, with its folded batch norm,
/// activation and, where it follows directly, its maximum pooling.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// The sliding window; [`Window::UNIT`] for dense layers.
    pub window: Window,
    /// Output channels.
    pub out_channels: usize,
    /// Weights, `[out][in][kernel height][kernel width]`, at most 16 bits each.
    pub weights: Vec<i32>,
    /// Biases in the accumulator's scale, one per output channel; all zero where the layer has none.
    pub bias: Vec<i64>,
    /// Maximum pooling of the outputs over disjoint `[height, width]` windows (stride = kernel, no padding);
    /// `[1, 1]` for none. Rows and columns that fill no window are dropped.
    pub pool: [usize; 2],
    /// Whether the output is the accumulator itself, without requantisation; only for outputs of the graph that
    /// no other node reads, without pooling.
    pub raw: bool,
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Product with weights, one input.
    Linear(Linear),
    /// `acc = Σ multiplier_i · x_i` elementwise over inputs of equal shape, requantised: residual additions and
    /// activations that stand alone.
    Combine {
        /// One factor per input.
        multipliers: Vec<i64>,
    },
    /// Maximum over windows; padding never wins.
    MaxPool(Window),
    /// `acc = multiplier(count) · Σ window`, requantised.
    AveragePool {
        /// The window.
        window: Window,
        /// Factor for a window that covers `count` elements inside the image (index `count`; index 0 unused).
        /// All equal where padding counts.
        multipliers: Vec<i64>,
    },
    /// Same elements in the same order under another shape: flatten, reshape, squeeze.
    Reshape,
}

/// A node of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name of the source model's node (of the last one where several were fused).
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<TensorId>,
    /// Result.
    pub output: TensorId,
}

/// A quantised network, its nodes in an order of evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// The requantisation shift `S` in bits.
    pub shift: u32,
    /// All values.
    pub tensors: Vec<Tensor>,
    /// All operations, each after the producers of its operands.
    pub nodes: Vec<Node>,
    /// Tensors that the caller gives.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller gets.
    pub outputs: Vec<TensorId>,
}

impl Graph {
    /// Number of learned values: weights and biases.
    pub fn parameters(&self) -> usize {
        self.linear_layers().map(|l| l.weights.len() + l.bias.iter().filter(|b| **b != 0).count()).sum()
    }

    /// Multiplications of one inference.
    pub fn macs(&self) -> usize {
        self.nodes
            .iter()
            .filter_map(|node| match &node.op {
                Op::Linear(linear) => {
                    let x = self.tensors[node.inputs[0]].shape;
                    let [h, w] = linear.window.output(x.height, x.width)?;
                    Some(linear.weights.len() * h * w)
                }
                _ => None,
            })
            .sum()
    }

    fn linear_layers(&self) -> impl Iterator<Item = &Linear> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::Linear(linear) => Some(linear),
            _ => None,
        })
    }
}
