//! The operations, one file for each: its attributes, what makes it well formed, the bounds of its accumulators, and
//! what it computes.
//!
//! Each question that a graph asks of an operation is one exhaustive match here. A new operation is a file, a variant
//! of [`Op`], and the arms that the compiler then misses.

use serde::{Deserialize, Serialize};

mod argmax;
mod average_pool;
mod combine;
mod enter;
mod linear;
mod matmul;
mod max_pool;
mod multiply;
mod normalise;
mod outcome;
mod rearrange;
mod reshape;
mod softmax;

use crate::bounds::{Bounds, Width};
use crate::interleaving::Interleaving;
use crate::rescale::Rescale;
use crate::site::{Check, Site};
use crate::window::Window;

use combine::Combination;
pub(crate) use enter::function as entry_function;
pub use linear::Linear;
pub use matmul::MatMul;
pub use normalise::{Normalise, NormaliseValues};
pub(crate) use outcome::Outcome;
pub use rearrange::Origin;
pub use softmax::{Softmax, SoftmaxValues};

/// An operation. Exhaustive, so that a new one does not compile until each stage says what it makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Product with weights, one input.
    Linear(Linear),
    /// `acc = offset + Σ multiplier_i · x_i` elementwise over inputs of equal shape, requantised: residual additions,
    /// additions of learned tensors, and activation functions that follow no other operation.
    Combine {
        /// One factor per input.
        multipliers: Vec<i64>,
        /// Learned summands in the accumulator's scale, one for each element of an inference; empty for none.
        offset: Vec<i64>,
        /// How the inferences that share the summands stand in the result: all of them take the same ones.
        shared: Interleaving,
        /// How wide the summands are, for the circuit. `None` where they are constants of the architecture, as in
        /// [`Linear::width`].
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
    /// A hidden input of the graph on cells of its own, inside its range; of indices, one row with a 1 for each.
    Enter,
}

impl Op {
    /// Number of operands, where `given` are; any number from 1 has the operands of a rearrangement.
    pub(crate) fn operands(&self, given: usize) -> usize {
        match self {
            Self::Combine { multipliers, .. } => multipliers.len().max(1),
            Self::MatMul(_) | Self::Multiply(_) => 2,
            Self::Rearrange { .. } => given.max(1),
            Self::Linear(_)
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Reshape
            | Self::Softmax(_)
            | Self::Normalise(_)
            | Self::ArgMax { .. }
            | Self::Enter => 1,
        }
    }

    /// Checks attributes, shapes and formats. `uses` counts the readers of the result, and its places among the graph's
    /// outputs.
    pub(crate) fn validate(&self, site: &Site<'_>, uses: impl Fn() -> [usize; 2]) -> Check {
        match self {
            Self::Linear(linear) => linear.validate(site, uses),
            Self::Combine { multipliers, offset, shared, width } => {
                combine::validate(site, Combination { multipliers, offset, shared: *shared, width: *width })
            }
            Self::MaxPool(window) => max_pool::validate(site, window),
            Self::AveragePool { window, multipliers } => average_pool::validate(site, window, multipliers),
            Self::Reshape => reshape::validate(site),
            Self::Rearrange { origins } => rearrange::validate(site, origins),
            Self::MatMul(product) => product.validate(site),
            Self::Multiply(rescale) => multiply::validate(site, rescale),
            Self::Softmax(softmax) => softmax.validate(site),
            Self::Normalise(normalise) => normalise.validate(site),
            Self::ArgMax { starts, stride, count, .. } => argmax::validate(site, starts, *stride, *count),
            Self::Enter => enter::validate(site),
        }
    }

    /// Public bounds of the accumulators; zero where there are none. Saturated at `i64`'s ends where
    /// [`validate`](Self::validate) refuses the node.
    pub(crate) fn bounds(&self, site: &Site<'_>) -> Bounds {
        match self {
            Self::Linear(linear) => linear.bounds(site),
            Self::Combine { multipliers, offset, shared, width } => {
                combine::bounds(site, Combination { multipliers, offset, shared: *shared, width: *width })
            }
            Self::AveragePool { multipliers, .. } => average_pool::bounds(site, multipliers),
            Self::MatMul(product) => product.bounds(site),
            Self::Multiply(rescale) => multiply::bounds(site, rescale),
            Self::Softmax(softmax) => softmax.bounds(),
            Self::Normalise(normalise) => normalise.bounds(),
            Self::MaxPool(_) | Self::Reshape | Self::Rearrange { .. } | Self::ArgMax { .. } | Self::Enter => {
                Bounds::default()
            }
        }
    }

    /// Computes the operation on the values of its operands; `values` are those of all tensors.
    pub(crate) fn run(&self, site: &Site<'_>, values: &[Vec<i64>]) -> Outcome {
        let value = |i: usize| &values[site.inputs[i]];
        let shape = || site.operand(0).shape;
        match self {
            Self::Linear(linear) => linear.run(value(0), shape()),
            Self::Combine { multipliers, offset, shared, width } => {
                combine::run(site, values, Combination { multipliers, offset, shared: *shared, width: *width })
            }
            Self::MaxPool(window) => max_pool::run(value(0), shape(), window),
            Self::AveragePool { window, multipliers } => average_pool::run(value(0), shape(), window, multipliers),
            Self::Reshape => reshape::run(value(0)),
            Self::Rearrange { origins } => rearrange::run(site, values, origins),
            Self::MatMul(product) => product.run(value(0), value(1)),
            Self::Multiply(rescale) => multiply::run(value(0), value(1), rescale),
            Self::Softmax(softmax) => softmax.run(value(0)),
            Self::Normalise(normalise) => normalise.run(value(0)),
            Self::ArgMax { starts, stride, count, last } => argmax::run(value(0), starts, *stride, *count, *last),
            Self::Enter => enter::run(value(0)),
        }
    }

    /// Multiply-accumulates of products with weights, and of activations.
    pub(crate) fn macs(&self, site: &Site<'_>) -> usize {
        match self {
            Self::Linear(linear) => linear.macs(site),
            Self::MatMul(product) => product.macs(),
            Self::Combine { .. }
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Reshape
            | Self::Rearrange { .. }
            | Self::Multiply(_)
            | Self::Softmax(_)
            | Self::Normalise(_)
            | Self::ArgMax { .. }
            | Self::Enter => 0,
        }
    }

    /// Numbers of learned values: those that are there, and by the shapes alone.
    pub(crate) fn parameters(&self) -> [usize; 2] {
        match self {
            Self::Linear(linear) => [linear.parameters(), linear.weight_cells()],
            Self::Combine { offset, .. } => [offset.len(); 2],
            Self::MatMul(product) => [product.summands.len(); 2],
            Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Reshape
            | Self::Rearrange { .. }
            | Self::Multiply(_)
            | Self::Softmax(_)
            | Self::Normalise(_)
            | Self::ArgMax { .. }
            | Self::Enter => [0; 2],
        }
    }

    /// How wide accumulators of learned values are declared to be; `None` where there are none, or where they are
    /// constants of the architecture.
    pub const fn width(&self) -> Option<Width> {
        match self {
            Self::Linear(linear) => linear.width,
            Self::Combine { width, .. } => *width,
            Self::MatMul(product) => product.width,
            Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Reshape
            | Self::Rearrange { .. }
            | Self::Multiply(_)
            | Self::Softmax(_)
            | Self::Normalise(_)
            | Self::ArgMax { .. }
            | Self::Enter => None,
        }
    }

    /// What the operation is, and its sizes, without any of its integers.
    pub(crate) fn form(&self) -> String {
        match self {
            Self::Linear(Linear {
                window,
                input_dilation,
                groups,
                out_channels,
                pool,
                raw,
                transposed,
                width,
                weights: _,
                bias: _,
            }) => {
                let learned = width.is_some();
                format!("{window:?}{input_dilation:?}{groups} {out_channels}{pool:?}{raw}{transposed}{learned}")
            }
            Self::Combine { offset, shared, width, .. } => {
                format!("combine {} {shared:?}{}", offset.is_empty(), width.is_some())
            }
            Self::MaxPool(window) => format!("maximum {window:?}"),
            Self::AveragePool { window, .. } => format!("mean {window:?}"),
            Self::Reshape => "reshape".into(),
            Self::Rearrange { origins } => {
                let origin = |origin: &Origin| match origin {
                    Origin::Element { operand, element } => format!("{operand}.{element} "),
                    Origin::Constant(_) => "constant ".into(),
                };
                format!("rearrange {}", origins.iter().map(origin).collect::<String>())
            }
            Self::MatMul(MatMul { heads, rows, inner, columns, .. }) => {
                format!("matmul {heads} {rows} {inner} {columns}")
            }
            Self::Multiply(_) => "multiply".into(),
            Self::Softmax(Softmax { groups, len, .. }) => format!("softmax {groups} {len}"),
            Self::Normalise(_) => "normalise".into(),
            Self::ArgMax { starts, stride, count, last } => format!("argmax {starts:?}{stride} {count}{last}"),
            Self::Enter => "enter".into(),
        }
    }

    /// Declares the greater of the widths of both operations, where both declare one.
    pub(crate) fn widen(&mut self, other: &Self) {
        if let (Some(own), Some(other)) = (self.width(), other.width()) {
            self.set_width(Width {
                bits: own.bits.max(other.bits),
                spread_bits: own.spread_bits.max(other.spread_bits),
            });
        }
    }

    /// Declares the width of another operation, where both declare one.
    pub(crate) const fn take_width(&mut self, other: &Self) {
        if let Some(other) = other.width() {
            self.set_width(other);
        }
    }

    /// Declares another width, where there is one.
    pub(crate) const fn set_width(&mut self, other: Width) {
        match self {
            Self::Linear(Linear { width: Some(width), .. })
            | Self::Combine { width: Some(width), .. }
            | Self::MatMul(MatMul { width: Some(width), .. }) => *width = other,
            Self::Linear(_)
            | Self::Combine { .. }
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Reshape
            | Self::Rearrange { .. }
            | Self::MatMul(_)
            | Self::Multiply(_)
            | Self::Softmax(_)
            | Self::Normalise(_)
            | Self::ArgMax { .. }
            | Self::Enter => {}
        }
    }

    /// Whether the output is an accumulator's requantisation, and so may have an activation.
    pub fn requantises(&self) -> bool {
        match self {
            Self::Linear(linear) => !linear.raw,
            Self::Combine { .. }
            | Self::AveragePool { .. }
            | Self::MatMul(_)
            | Self::Multiply(_)
            | Self::Softmax(_)
            | Self::Normalise(_) => true,
            Self::MaxPool(_) | Self::Reshape | Self::Rearrange { .. } | Self::ArgMax { .. } | Self::Enter => false,
        }
    }

    /// Whether the output has a range of its own that a circuit keeps it to. Raw outputs have none, because theirs may be
    /// too wide, nor have reshapes.
    pub(crate) const fn has_function(&self) -> bool {
        match self {
            Self::Linear(linear) => !linear.raw,
            Self::Reshape => false,
            Self::Combine { .. }
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Rearrange { .. }
            | Self::MatMul(_)
            | Self::Multiply(_)
            | Self::Softmax(_)
            | Self::Normalise(_)
            | Self::ArgMax { .. }
            | Self::Enter => true,
        }
    }

    /// What follows the accumulators of an operation whose weights do not take it in.
    pub const fn rescale(&self) -> Option<Rescale> {
        match self {
            Self::MatMul(MatMul { rescale, .. })
            | Self::Multiply(rescale)
            | Self::Softmax(Softmax { rescale, .. })
            | Self::Normalise(Normalise { rescale, .. }) => Some(*rescale),
            Self::Linear(_)
            | Self::Combine { .. }
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::Reshape
            | Self::Rearrange { .. }
            | Self::ArgMax { .. }
            | Self::Enter => None,
        }
    }

    /// Shift of the accumulators in units of the graph's.
    pub fn limbs(&self) -> u32 {
        self.rescale().map_or(1, |rescale| rescale.limbs)
    }
}
