//! The quantised graph: what is proved.
//!
//! A tensor holds integers `v` that represent the real numbers `v · 2^-frac_bits`: quantisation is symmetric with
//! power-of-two scales, without the zero point of Jacob et al. 2018 (<https://arxiv.org/abs/1712.05877>). Every tensor
//! is an image of `channels × height × width`, stored row-major in that order; a vector is `channels × 1 × 1`, and a
//! matrix of `rows × features` (the input of a batched matrix product) is `features × 1 × rows`, one channel a feature.
//!
//! All products are requantised by one shift `S` ([`Graph::shift`]), common to the whole graph:
//!
//! ```text
//! q = floor((acc + 2^(S-1)) / 2^S)        y = clamp(q, min, max)
//! ```
//!
//! so a weight has `S + f_y - f_x` fractional bits, and all remainders have the same bits. Products of
//! activations have no weight to absorb a scale: they are multiplied by an integer and shifted by a multiple of `S`
//! ([`Rescale`]), with a remainder of as many bits. The clamp to the output's range is the activation function: a ReLU
//! is a range that starts at zero. Other functions are tables ([`Activation`]): `y = f(q)`, with `q` clamped to the
//! table's domain. A long table may be of straight lines ([`Segments`]).
//!
//! Several inferences may share a graph ([`Graph::joint`]): their elements alternate ([`Interleaving`]), and every
//! learned value is there once.
//!
//! A new operation is a file in `ops`, a variant of [`Op`], and the arms that the compiler then misses.
//!
//! [`Graph::run`] is the integer reference: the circuit's witness is bit for bit what it computes.

#![deny(clippy::wildcard_enum_match_arm)]

mod activation;
mod architecture;
mod bounds;
mod error;
mod execute;
mod graph;
mod interleaving;
mod joint;
mod limits;
mod ops;
mod real;
mod rescale;
mod segments;
mod site;
mod tensor;
mod tiles;
mod validate;
mod visibility;
pub mod window;

pub use activation::{Activation, Function};
pub use bounds::{Bounds, Width};
pub use error::{ExecuteError, ValidateError};
pub use execute::Execution;
pub use graph::{Graph, Node};
pub use interleaving::Interleaving;
pub use joint::JointError;
pub use limits::{
    ACTIVATION_LIMIT, ARGUMENT_LIMIT, BIAS_LIMIT, FRAC_BITS_LIMIT, MAX_DIVIDEND_BITS, MAX_REMAINDER_BITS,
    MAX_REMAINDER_LIMBS, MAX_SHIFT, WEIGHT_BITS,
};
pub use ops::{Linear, MatMul, Normalise, NormaliseValues, Op, Origin, Softmax, SoftmaxValues};
pub use rescale::{Rescale, requantise};
pub use segments::Segments;
pub use tensor::{Format, MANTISSA_LIMIT, Shape, Storage, Tensor, TensorId, index, transpose};
pub use visibility::{Visibilities, Visibility};
pub use window::Window;
