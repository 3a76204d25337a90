//! The float graph: what an ONNX model computes, in the operations that can be proved.
//!
//! Tensors are stored as in the quantised graph (see [`zkml_gpu_graph`]): images of `channels × height × width`.

use zkml_gpu_graph::{Shape, Storage, TensorId, Window};

use super::error::ImportError;
use super::function::Function;

/// A value of the float graph.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatTensor {
    /// Name in the source model.
    pub name: String,
    /// Extent as stored.
    pub shape: Shape,
    /// Shape in the source model (ONNX axis order).
    pub logical_shape: Vec<usize>,
    /// How the elements are stored.
    pub storage: Storage,
    /// What 1 stands for among the numbers that nodes take and give: 1, or the scale that a quantised model has for this
    /// tensor.
    pub unit: f32,
    /// Least and greatest of the integers that it holds, times its unit, where the model's file says so.
    pub integers: Option<[i64; 2]>,
}

impl FloatTensor {
    /// A tensor of numbers that are counted one by one.
    pub fn new(name: String, shape: Shape, logical_shape: Vec<usize>, storage: Storage) -> Self {
        Self { name, shape, logical_shape, storage, unit: 1.0, integers: None }
    }
}

/// A product with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatLinear {
    /// The sliding window; [`Window::UNIT`] for matrix products.
    pub window: Window,
    /// Vertical and horizontal distance of neighbouring input elements on the grid that the window slides over, zeros
    /// between them; more than `[1, 1]` for transposed convolutions with a stride.
    pub input_dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Weights, `[out][in / groups][kernel height][kernel width]`.
    pub weights: Vec<f32>,
    /// One for each output channel.
    pub bias: Vec<f32>,
    /// Whether the result of a matrix product is stored row by row, one channel a row.
    pub transposed: bool,
}

/// A product of two activations; see [`MatMul`](zkml_gpu_graph::MatMul).
#[derive(Clone, Debug, PartialEq)]
pub struct FloatMatMul {
    /// Products side by side.
    pub heads: usize,
    /// Length of the sums.
    pub inner: usize,
    /// Rows of the left operand's matrices.
    pub rows: usize,
    /// Columns of the right operand's matrices.
    pub columns: usize,
    /// Whether heads are the inner axis of the blocks.
    pub head_minor: bool,
    /// Factor of the sums.
    pub scale: f32,
    /// Learned summands, in the result's order; empty for none.
    pub offset: Vec<f32>,
}

/// Softmax over the outermost axis.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatSoftmax {
    /// Number of groups.
    pub groups: usize,
    /// Members of a group.
    pub len: usize,
    /// Members that take no part, by element; empty for none.
    pub masked: Vec<bool>,
}

/// Normalisation over the outermost axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatNormalise {
    /// Number of groups.
    pub groups: usize,
    /// Members of a group.
    pub len: usize,
    /// Whether the mean is taken off.
    pub centred: bool,
    /// Added to the variance.
    pub epsilon: f32,
}

impl FloatLinear {
    /// A product over single elements: a dense layer for vectors, rows times a matrix for matrices.
    pub fn dense(out_channels: usize, weights: Vec<f32>, bias: Vec<f32>) -> Self {
        Self { window: Window::UNIT, input_dilation: [1, 1], groups: 1, out_channels, weights, bias, transposed: false }
    }

    /// Extent (height, width) of the output; `None` where the window does not fit.
    pub fn output(&self, input: Shape) -> Option<[usize; 2]> {
        let images = self.window.images;
        let grid = |axis: usize, size: usize| (size - 1) * self.input_dilation[axis] + 1;
        self.window.output(grid(0, input.height), grid(1, input.width / images) * images)
    }
}

/// Where an element of a rearranged tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FloatOrigin {
    /// An element of an operand.
    Element {
        /// Which operand.
        operand: u32,
        /// Its element, in stored order.
        element: u32,
    },
    /// A constant.
    Constant(f32),
}

impl FloatOrigin {
    /// Whether it is a constant that is infinite or not a number.
    fn is_infinite(&self) -> bool {
        matches!(self, Self::Constant(value) if !value.is_finite())
    }
}

/// A float operation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FloatOp {
    /// Product with weights: convolution, dense layer, matrix product.
    Linear(FloatLinear),
    /// `y = scale[c] · x + shift[c]` by channel; folded into a neighbour, or made [`FloatOp::Linear`] or
    /// [`FloatOp::Combine`], before the graph leaves this module.
    Affine {
        /// One factor for each channel.
        scale: Vec<f32>,
        /// One summand for each channel; empty for none. Learned ones are never taken for none, whatever they are.
        shift: Vec<f32>,
        /// Whether the factors are learned: they may go into weights only.
        learned: bool,
    },
    /// `y = offset + Σ factor_i · x_i`, elementwise over equal shapes.
    Combine {
        /// One factor for each operand: constants of the architecture, which a circuit's key shows.
        factors: Vec<f32>,
        /// One summand for each element, in stored order; empty for none. They may be learned, and then are there even
        /// if all are 0.
        offset: Vec<f32>,
    },
    /// Product of two activations, left and right.
    MatMul(FloatMatMul),
    /// `y = scale · a · b`, elementwise over equal shapes.
    Multiply {
        /// The factor.
        scale: f32,
    },
    /// Softmax: shares of exponentials.
    Softmax(FloatSoftmax),
    /// LayerNorm, InstanceNorm or RMSNorm without scale and shift: division by a standard deviation.
    Normalise(FloatNormalise),
    /// A function of each element.
    Activation(Function),
    /// `y = min(max(x, min), max)`: a ReLU is `0..=∞`.
    Clamp {
        /// Least output; negative infinity for none.
        min: f32,
        /// Greatest output; infinity for none.
        max: f32,
    },
    /// `y = step · min(max(round(x / step), min), max)`, of two nearest integers the even one: what a quantised model says
    /// of its own tensors.
    Round {
        /// What 1 stands for among the integers.
        step: f32,
        /// Least integer.
        min: i64,
        /// Greatest integer.
        max: i64,
    },
    /// Maximum over windows; padding never wins.
    MaxPool(Window),
    /// `scale ·` mean over windows.
    AveragePool {
        /// The window.
        window: Window,
        /// Whether the mean divides by the kernel's extent even where the window reaches into the padding.
        count_padding: bool,
        /// Factor after the mean.
        scale: f32,
    },
    /// The same elements in the same order under another shape.
    Reshape,
    /// Elements of operands and constants in any order and number.
    Rearrange {
        /// Origin of each element of the output, in stored order. No constant is learned: a circuit's key shows them.
        origins: Vec<FloatOrigin>,
    },
    /// Index of the greatest of `count` elements `start + k·stride`, for each start.
    ArgMax {
        /// Element of the first candidate of each output.
        starts: Vec<u32>,
        /// Distance of candidates.
        stride: usize,
        /// Number of candidates.
        count: usize,
        /// Whether the last of equal maxima counts; otherwise the first.
        last: bool,
    },
}

impl FloatOp {
    /// A sum of operands without a summand of its own.
    pub fn sum(factors: Vec<f32>) -> Self {
        Self::Combine { factors, offset: Vec::new() }
    }

    /// Which of its numbers are infinite or none. The bounds of a clamp may be infinite.
    fn infinite(&self) -> Option<&'static str> {
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        let unless = |holds: bool, what: &'static str| (!holds).then_some(what);
        match self {
            Self::Linear(linear) => {
                unless(finite(&linear.weights), "weights").or(unless(finite(&linear.bias), "biases"))
            }
            Self::Affine { scale, shift, .. } => unless(finite(scale) && finite(shift), "scales or shifts"),
            Self::Combine { factors, offset } => unless(finite(factors) && finite(offset), "factors"),
            Self::Rearrange { origins } => unless(!origins.iter().any(FloatOrigin::is_infinite), "constants"),
            Self::AveragePool { scale, .. } | Self::Multiply { scale } => unless(scale.is_finite(), "factors"),
            Self::MatMul(product) => unless(product.scale.is_finite() && finite(&product.offset), "factors"),
            Self::Clamp { min, max } => unless(!min.is_nan() && !max.is_nan(), "bounds"),
            Self::Round { step, .. } => unless(step.is_normal() && *step > 0.0, "scales"),
            Self::Softmax(_)
            | Self::Normalise(_)
            | Self::Activation(_)
            | Self::MaxPool(_)
            | Self::Reshape
            | Self::ArgMax { .. } => None,
        }
    }
}

/// An operation with its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name of the source model's node.
    pub name: String,
    /// What it computes.
    pub op: FloatOp,
    /// Operands.
    pub inputs: Vec<TensorId>,
    /// Result.
    pub output: TensorId,
}

/// A float network, its nodes in an order of evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatGraph {
    /// Name of the model.
    pub name: String,
    /// All values; some may be left unused by folding.
    pub tensors: Vec<FloatTensor>,
    /// All operations, each after the producers of its operands.
    pub nodes: Vec<FloatNode>,
    /// Tensors that the caller gives.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller gets.
    pub outputs: Vec<TensorId>,
}

impl FloatGraph {
    /// Refuses learned values that are infinite or not numbers, with their node.
    pub(super) fn check_finite(&self) -> Result<(), ImportError> {
        let infinite = self.nodes.iter().find_map(|node| Some((node, node.op.infinite()?)));
        match infinite {
            Some((node, what)) => Err(ImportError::NotFinite { node: node.name.clone(), what }),
            None => Ok(()),
        }
    }

    /// Whether nothing reads a tensor's elements but softmaxes, which do not see what is far below the greatest.
    pub fn feeds_softmaxes(&self, tensor: TensorId) -> bool {
        let mut readers = self.readers(tensor).map(|index| &self.nodes[index]).peekable();
        let to_softmax = |node: &FloatNode| match &node.op {
            FloatOp::Softmax(_) => true,
            FloatOp::Reshape | FloatOp::Rearrange { .. } => self.feeds_softmaxes(node.output),
            FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Normalise(_)
            | FloatOp::Activation(_)
            | FloatOp::Clamp { .. }
            | FloatOp::Round { .. }
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. }
            | FloatOp::ArgMax { .. } => false,
        };
        !self.outputs.contains(&tensor) && readers.peek().is_some() && readers.all(to_softmax)
    }

    /// Weights and summands that are not 0, and products and sums that have some, but none other than 0.
    pub fn learned(&self) -> [usize; 2] {
        let count = |values: &[f32]| values.iter().filter(|value| **value != 0.0).count();
        self.nodes.iter().fold([0, 0], |[values, empty], node| {
            let (learned, biases) = match &node.op {
                FloatOp::Linear(linear) => (&linear.weights, count(&linear.bias)),
                FloatOp::Combine { offset, .. } if !offset.is_empty() => (offset, 0),
                FloatOp::MatMul(product) if !product.offset.is_empty() => (&product.offset, 0),
                FloatOp::Affine { .. }
                | FloatOp::Combine { .. }
                | FloatOp::MatMul(_)
                | FloatOp::Multiply { .. }
                | FloatOp::Softmax(_)
                | FloatOp::Normalise(_)
                | FloatOp::Activation(_)
                | FloatOp::Clamp { .. }
                | FloatOp::Round { .. }
                | FloatOp::MaxPool(_)
                | FloatOp::AveragePool { .. }
                | FloatOp::Reshape
                | FloatOp::Rearrange { .. }
                | FloatOp::ArgMax { .. } => return [values, empty],
            };
            let own = count(learned);
            [values + own + biases, empty + usize::from(own == 0)]
        })
    }

    /// Indices of the nodes that read a tensor.
    pub fn readers(&self, tensor: TensorId) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, n)| n.inputs.contains(&tensor)).map(|(i, _)| i)
    }

    /// Index of the node that computes a tensor; `None` for inputs.
    pub fn producer(&self, tensor: TensorId) -> Option<usize> {
        self.nodes.iter().position(|n| n.output == tensor)
    }

    /// The one node that reads a tensor, where it is the only one and the tensor is no output of the graph.
    pub fn sole_reader(&self, tensor: TensorId) -> Option<usize> {
        let mut readers = self.readers(tensor);
        let first = readers.next()?;
        (readers.next().is_none() && !self.outputs.contains(&tensor)).then_some(first)
    }
}
