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
//! so a weight has `S + f_y - f_x` fractional bits, and a circuit needs one remainder table only. Products of activations have
//! no weight to absorb a scale: they are multiplied by an integer and shifted by a multiple of `S` ([`Rescale`]), with a
//! remainder of as many limbs. The clamp to the
//! output's range is the activation function: a ReLU is a range that starts at zero. Other functions are tables
//! ([`Activation`]): `y = f(q)`, with `q` clamped to the table's domain.
//!
//! [`Graph::run`] is the integer reference: the circuit's witness is bit for bit what it computes.

mod attention;
mod bounds;
mod execute;
mod real;
mod validate;
pub mod window;

pub use attention::{MatMul, Normalise, NormaliseValues, Rescale, Softmax, SoftmaxValues};
pub use bounds::{Bounds, Width};
pub use execute::{ExecuteError, Execution, requantise};
pub use real::{index, transpose};
pub use validate::{ACTIVATION_LIMIT, BIAS_LIMIT, MAX_REMAINDER_LIMBS, MAX_SHIFT, ValidateError, WEIGHT_BITS};
pub use validate::{MAX_DIVIDEND_BITS, MAX_REMAINDER_BITS};

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

    /// Channel, row and column of the element with this row-major index.
    pub const fn position(&self, element: usize) -> (usize, usize, usize) {
        (element / (self.height * self.width), element / self.width % self.height, element % self.width)
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

    /// Largest magnitude of an integer.
    pub fn magnitude(&self) -> i64 {
        self.max.max(self.min.saturating_neg())
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
    /// How the elements are stored.
    pub storage: Storage,
}

/// How stored elements stand for those of a tensor of the source model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Storage {
    /// As they are, in the model's order.
    #[default]
    Plain,
    /// `rows × features` with more than one row, stored as its transpose.
    Transposed,
    /// Indices below the number of channels, each a row in which the channel of its number holds 1, the greatest integer of the
    /// format, and the others 0.
    OneHot,
}

/// Kernel size, stride, dilation and zero padding of a window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width, in taps.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Vertical and horizontal distance of neighbouring taps.
    pub dilation: [usize; 2],
    /// Padding before: top, left.
    pub pad_before: [usize; 2],
    /// Padding after: bottom, right.
    pub pad_after: [usize; 2],
}

impl Window {
    /// The 1 × 1 window of a matrix product.
    pub const UNIT: Self =
        Self { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_before: [0, 0], pad_after: [0, 0] };

    /// Number of taps.
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Elements that the window spans along an axis.
    pub const fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Whether windows reach into padding.
    pub fn is_padded(&self) -> bool {
        self.pad_before != [0, 0] || self.pad_after != [0, 0]
    }

    /// Output extent (height, width) over an input of `height × width`; `None` where the window does not fit.
    pub fn output(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let axis = |a: usize, size: usize| {
            (self.stride[a] > 0 && self.kernel[a] > 0).then_some(())?;
            let padded = size + self.pad_before[a] + self.pad_after[a];
            Some(padded.checked_sub(self.extent(a))? / self.stride[a] + 1)
        };
        Some([axis(0, height)?, axis(1, width)?])
    }
}

/// A function on integers as a table: `y = values[q - min]`, with `q` clamped to the table's domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Activation {
    /// Least argument.
    pub min: i64,
    /// Results for `min`, `min + 1`, ...; never empty.
    pub values: Vec<i64>,
}

impl Activation {
    /// The clamp to a range. A single value has two arguments, because saturation needs a table with two ends.
    pub fn clamp(min: i64, max: i64) -> Self {
        let values = if min == max { vec![min; 2] } else { (min..=max).collect() };
        Self { min, values }
    }

    /// Greatest argument.
    pub const fn max(&self) -> i64 {
        self.min + self.values.len() as i64 - 1
    }

    /// The result for an argument, clamped.
    pub fn apply(&self, q: i64) -> i64 {
        self.values[(q.clamp(self.min, self.max()) - self.min) as usize]
    }
}

/// A product with learned weights: dense layer, matrix product, convolution or transposed convolution, with its folded
/// batch norm, activation and, where it follows directly, its maximum pooling.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// The sliding window; [`Window::UNIT`] for dense layers.
    pub window: Window,
    /// Vertical and horizontal distance of neighbouring input elements on the grid that the window slides over, zeros
    /// between them; more than `[1, 1]` for transposed convolutions with a stride.
    pub input_dilation: [usize; 2],
    /// Groups of channels: output channel `o` reads the input channels of group `o / (out_channels / groups)` only.
    pub groups: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Weights, `[out][in / groups][kernel height][kernel width]`, at most 16 bits each.
    pub weights: Vec<i32>,
    /// Biases in the accumulator's scale, one per output channel; all zero where the layer has none.
    pub bias: Vec<i64>,
    /// Maximum pooling of the outputs over disjoint `[height, width]` windows (stride = kernel, no padding);
    /// `[1, 1]` for none. Rows and columns that fill no window are dropped.
    pub pool: [usize; 2],
    /// Whether the output is the accumulator itself, without requantisation; only for outputs of the graph that
    /// no other node reads, without pooling.
    pub raw: bool,
    /// Whether the result of a matrix product is stored row by row, one channel a row: the transpose of the usual order.
    pub transposed: bool,
    /// How wide accumulators of learned weights are, for the circuit. `None` where the weights are constants of the architecture: the
    /// circuit is then sized by their exact bounds, and its key tells them.
    pub width: Option<Width>,
}

impl Linear {
    /// A product over single elements: a dense layer for vectors, rows times a matrix for matrices.
    pub fn dense(out_channels: usize, weights: Vec<i32>, bias: Vec<i64>) -> Self {
        Self {
            window: Window::UNIT,
            input_dilation: [1, 1],
            groups: 1,
            out_channels,
            weights,
            bias,
            pool: [1, 1],
            raw: false,
            transposed: false,
            width: None,
        }
    }

    /// The grid that the window slides over, for an input of this shape.
    pub const fn grid(&self, input: Shape) -> Shape {
        Shape {
            channels: input.channels,
            height: (input.height - 1) * self.input_dilation[0] + 1,
            width: (input.width - 1) * self.input_dilation[1] + 1,
        }
    }

    /// Extent (height, width) of the accumulators, before pooling; `None` where the window does not fit.
    pub fn output(&self, input: Shape) -> Option<[usize; 2]> {
        let grid = self.grid(input);
        self.window.output(grid.height, grid.width)
    }

    /// Index of a weight in [`weights`](Self::weights); `None` for a channel outside the output's group, whose weight is 0.
    pub fn weight_index(&self, input: Shape, output: usize, channel: usize, tap: usize) -> Option<usize> {
        let group_inputs = input.channels / self.groups;
        let group = output / (self.out_channels / self.groups);
        let within = channel.checked_sub(group * group_inputs).filter(|c| *c < group_inputs)?;
        Some((output * group_inputs + within) * self.window.taps() + tap)
    }
}

/// Where an element of a rearranged tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An element of an operand.
    Element {
        /// Which operand.
        operand: u32,
        /// Its element, in stored order.
        element: u32,
    },
    /// A constant.
    Constant(i64),
}

/// An operation. Exhaustive, so that a new one does not compile until each stage says what it makes of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Product with weights, one input.
    Linear(Linear),
    /// `acc = offset + Σ multiplier_i · x_i` elementwise over inputs of equal shape, requantised: residual additions,
    /// additions of learned tensors, and activations that stand alone.
    Combine {
        /// One factor per input.
        multipliers: Vec<i64>,
        /// Learned summands in the accumulator's scale, one an element; empty for none.
        offset: Vec<i64>,
        /// How wide the summands are, for the circuit. `None` where they are constants of the architecture, as in [`Linear::width`].
        width: Option<Width>,
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
    /// Elements of operands and constants in any order and number: transposition, concatenation, slice, padding,
    /// upsampling.
    Rearrange {
        /// Origin of each element of the output, in stored order.
        origins: Vec<Origin>,
    },
    /// Product of two activations, left and right.
    MatMul(MatMul),
    /// `acc = multiplier · a · b` elementwise over two inputs of equal shape, requantised.
    Multiply(Rescale),
    /// Softmax over the outermost axis.
    Softmax(Softmax),
    /// Normalisation over the outermost axis.
    Normalise(Normalise),
    /// Index of the greatest of `count` elements `start + k·stride`, for each start.
    ArgMax {
        /// Element of the first candidate of each output.
        starts: Vec<u32>,
        /// Distance of candidates.
        stride: usize,
        /// Number of candidates, at least 2.
        count: usize,
        /// Whether the last of equal maxima counts; otherwise the first.
        last: bool,
    },
}

impl Op {
    /// Whether the output is an accumulator's requantisation, and so may have an activation.
    pub fn requantises(&self) -> bool {
        match self {
            Self::Linear(linear) => !linear.raw,
            Self::Combine { .. } | Self::AveragePool { .. } => true,
            _ => self.rescale().is_some(),
        }
    }

    /// What follows the accumulators of an operation whose weights do not take it in.
    pub fn rescale(&self) -> Option<Rescale> {
        match self {
            Self::MatMul(MatMul { rescale, .. })
            | Self::Multiply(rescale)
            | Self::Softmax(Softmax { rescale, .. })
            | Self::Normalise(Normalise { rescale, .. }) => Some(*rescale),
            _ => None,
        }
    }

    /// Shift of the accumulators in units of the graph's.
    pub fn limbs(&self) -> u32 {
        self.rescale().map_or(1, |rescale| rescale.limbs)
    }
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
    /// Index in [`Graph::activations`] of the function that follows requantisation; `None` for the clamp to the output's
    /// range.
    pub activation: Option<usize>,
}

impl Node {
    /// Whether the output is the accumulator itself.
    pub const fn is_raw(&self) -> bool {
        matches!(&self.op, Op::Linear(linear) if linear.raw)
    }
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
    /// Functions that nodes apply, other than clamps.
    pub activations: Vec<Activation>,
    /// All operations, each after the producers of its operands.
    pub nodes: Vec<Node>,
    /// Tensors that the caller gives.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller gets.
    pub outputs: Vec<TensorId>,
}

impl Graph {
    /// Number of learned values: weights, summands, and biases that are not 0, which a layer without biases has too.
    pub fn parameters(&self) -> usize {
        let learned = |node: &Node| match &node.op {
            Op::Linear(linear) => linear.weights.len() + linear.bias.iter().filter(|b| **b != 0).count(),
            Op::Combine { offset, .. } => offset.len(),
            _ => 0,
        };
        self.nodes.iter().map(learned).sum()
    }

    /// Number of learned values by the shapes alone, whatever they are: a bias for each output channel.
    pub fn weight_cells(&self) -> usize {
        let learned = |node: &Node| match &node.op {
            Op::Linear(linear) => linear.weights.len() + linear.bias.len(),
            Op::Combine { offset, .. } => offset.len(),
            _ => 0,
        };
        self.nodes.iter().map(learned).sum()
    }

    /// The function from a node's rounded values to its output: its activation, or the clamp to the output's range. `None`
    /// for outputs that are looked up in no table: raw ones, whose range may be too wide for one, and reshapes.
    pub fn activation(&self, node: &Node) -> Option<Activation> {
        if node.is_raw() || matches!(node.op, Op::Reshape) {
            return None;
        }
        let Format { min, max, .. } = self.tensors[node.output].format;
        Some(node.activation.map_or_else(|| Activation::clamp(min, max), |index| self.activations[index].clone()))
    }

    /// Multiplications of one inference.
    pub fn macs(&self) -> usize {
        self.nodes
            .iter()
            .filter_map(|node| match &node.op {
                Op::Linear(linear) => {
                    let [h, w] = linear.output(self.tensors[node.inputs[0]].shape)?;
                    Some(linear.weights.len() * h * w)
                }
                Op::MatMul(product) => Some(product.blocks() * product.rows * product.columns),
                _ => None,
            })
            .sum()
    }
}
