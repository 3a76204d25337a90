//! The float operations, one file for each: how it limits its result's scale, and the integers that it becomes.
//!
//! Each question that quantisation asks of an operation is one exhaustive match here. Scales and shifts by channel
//! ([`FloatOp::Affine`]) never arrive, because the import folds them away; they are refused.

mod argmax;
mod average_pool;
mod combine;
mod factor;
mod linear;
mod matmul;
mod max_pool;
mod multiply;
mod normalise;
mod pointwise;
mod rearrange;
mod reshape;
mod softmax;

use zkml_gpu_graph::{Op, TensorId};

use super::converter::{Converted, Converter, Target};
use super::error::QuantError;
use super::group::Group;
use crate::import::{FloatNode, FloatOp};
use average_pool::Mean;

/// What the scale of an operation's result follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScaleOf {
    /// The values on the samples, as far as weights, factors and accumulators allow.
    Accumulator,
    /// The values on the samples, for a function that follows no operation.
    Function,
    /// The operand, of which the result has the very format.
    Operand,
    /// All operands, which have the scale of the result.
    Moved,
    /// Nothing: shares are at most 1.
    Shares,
    /// Nothing: indices are whole numbers.
    Indices,
}

/// What the scale of an operation's result follows from.
pub(super) const fn scale_of(op: &FloatOp) -> ScaleOf {
    match op {
        FloatOp::Linear(_)
        | FloatOp::Combine { .. }
        | FloatOp::AveragePool { .. }
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Normalise(_) => ScaleOf::Accumulator,
        FloatOp::Affine { .. } | FloatOp::Clamp { .. } | FloatOp::Round { .. } | FloatOp::Activation(_) => {
            ScaleOf::Function
        }
        FloatOp::MaxPool(_) | FloatOp::Reshape => ScaleOf::Operand,
        FloatOp::Rearrange { .. } => ScaleOf::Moved,
        FloatOp::Softmax(_) => ScaleOf::Shares,
        FloatOp::ArgMax { .. } => ScaleOf::Indices,
    }
}

/// Whether a node's result may be negative, where `operands` tells whether an operand may.
pub(super) fn is_signed(node: &FloatNode, operands: bool) -> bool {
    match &node.op {
        FloatOp::Combine { factors, offset } => combine::is_signed(factors, offset, operands),
        FloatOp::AveragePool { scale, .. } => operands || *scale < 0.0,
        FloatOp::Rearrange { origins } => rearrange::is_signed(origins, operands),
        FloatOp::Clamp { .. }
        | FloatOp::Round { .. }
        | FloatOp::Activation(_)
        | FloatOp::MaxPool(_)
        | FloatOp::Reshape => operands,
        FloatOp::Multiply { scale } => multiply::is_signed(node, *scale),
        FloatOp::Linear(_) | FloatOp::Affine { .. } | FloatOp::MatMul(_) | FloatOp::Normalise(_) => true,
        FloatOp::Softmax(_) | FloatOp::ArgMax { .. } => false,
    }
}

/// Most fractional bits at which the constants fit that are moved into a result; `i32::MAX` where there are none.
pub(super) fn constant_bits(op: &FloatOp, activation_bits: u32) -> i32 {
    let FloatOp::Rearrange { origins } = op else { return i32::MAX };
    rearrange::constant_bits(origins, activation_bits)
}

/// Most fractional bits of a node's result at which its weights, biases and factors fit; `i32::MAX` where it has none.
pub(super) fn limit(node: &FloatNode, scale: impl Fn(TensorId) -> i32, shift: u32) -> Result<i32, QuantError> {
    Ok(match &node.op {
        FloatOp::Linear(weights) => linear::limit(node, weights, scale, shift)?,
        FloatOp::Combine { factors, offset } => combine::limit(node, factors, offset, scale, shift)?,
        FloatOp::AveragePool { scale: factor, .. } => average_pool::limit(node, *factor, scale, shift),
        FloatOp::Clamp { .. } | FloatOp::Round { .. } | FloatOp::Activation(_) => pointwise::limit(node, scale, shift),
        FloatOp::MatMul(product) => matmul::limit(node, product, shift)?,
        FloatOp::Affine { .. }
        | FloatOp::Multiply { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::MaxPool(_)
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => i32::MAX,
    })
}

/// The integers of group `g`, whose accumulators, where it has some, are requantised to `target`.
pub(super) fn convert(
    to: &mut Converter<'_>,
    (g, group): (usize, &Group),
    target: impl Fn(&Converter<'_>) -> Result<Target, QuantError>,
) -> Result<Converted, QuantError> {
    let node = &to.context.source.nodes[group.head];
    match &node.op {
        FloatOp::Linear(weights) if group.raw => linear::convert_raw(to, node, weights),
        FloatOp::Linear(weights) => linear::convert(to, group, node, weights, target(to)?),
        FloatOp::Combine { factors, offset } => combine::convert(to, node, factors, offset, target(to)?),
        FloatOp::Clamp { .. } | FloatOp::Round { .. } | FloatOp::Activation(_) => {
            pointwise::convert(to, node, target(to)?)
        }
        FloatOp::AveragePool { window, count_padding, scale } => {
            let mean = Mean { window, count_padding: *count_padding, scale: *scale };
            let target = target(to)?;
            average_pool::convert(to, group, node, mean, target)
        }
        FloatOp::MatMul(product) => matmul::convert(to, node, product, target(to)?),
        FloatOp::Multiply { scale } => multiply::convert(to, node, *scale, target(to)?),
        FloatOp::Softmax(shares) => softmax::convert(to, node, shares, target(to)?),
        FloatOp::Normalise(groups) => normalise::convert(to, node, groups, target(to)?),
        FloatOp::MaxPool(window) => Ok(max_pool::convert(to, node, window)),
        FloatOp::Reshape => Ok(reshape::convert(to, group, node)),
        FloatOp::Rearrange { origins } => rearrange::convert(to, g, group, origins),
        FloatOp::ArgMax { starts, stride, count, last } => Ok(argmax::convert(starts, *stride, *count, *last)),
        FloatOp::Affine { .. } => Err(QuantError::Scale { node: node.name.clone(), what: "factors" }),
    }
}

/// The operation that a group becomes, without weights, factors and tables; `None` where it becomes none.
pub(super) fn outline(group: &Group, node: &FloatNode) -> Option<Op> {
    Some(match &node.op {
        FloatOp::Linear(weights) => linear::outline(group, weights),
        FloatOp::Combine { offset, .. } => combine::outline(node.inputs.len(), offset.len()),
        FloatOp::Clamp { .. } | FloatOp::Round { .. } | FloatOp::Activation(_) => pointwise::outline(node.inputs.len()),
        FloatOp::AveragePool { window, .. } => average_pool::outline(window),
        FloatOp::MatMul(product) => matmul::outline(product),
        FloatOp::Multiply { .. } => multiply::outline(),
        FloatOp::Softmax(shares) => softmax::outline(shares),
        FloatOp::Normalise(groups) => normalise::outline(groups),
        FloatOp::MaxPool(window) => max_pool::outline(window),
        FloatOp::Reshape => Op::Reshape,
        FloatOp::Rearrange { origins } => rearrange::outline(origins),
        FloatOp::ArgMax { starts, stride, count, last } => argmax::outline(starts, *stride, *count, *last),
        FloatOp::Affine { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::import::FloatLinear;

    use super::*;

    fn node(op: FloatOp) -> FloatNode {
        FloatNode { name: "n".into(), op, inputs: vec![0], output: 1 }
    }

    #[test]
    fn a_scale_is_limited_by_weights_biases_and_factors() {
        let linear = |weight: f32, bias: f32| node(FloatOp::Linear(FloatLinear::dense(1, vec![weight], vec![bias])));
        let of = |node: &FloatNode| limit(node, |_| 4, 11).unwrap();
        // 2^8 · 100 is the last that fits 16 bits, and 2^20 · 2^20 the last that fits a bias.
        assert_eq!(of(&linear(-100.0, 0.0)), 8 + 4 - 11);
        assert_eq!(of(&linear(1.0, (1 << 20) as f32)), 14 + 4 - 11);
        assert_eq!(of(&linear(0.001, (1 << 20) as f32)), 20 - 11);
        assert_eq!(of(&node(FloatOp::sum(vec![1.0]))), 30 + 4 - 11);
        assert_eq!(of(&node(FloatOp::Reshape)), i32::MAX);
        assert!(matches!(limit(&linear(f32::NAN, 0.0), |_| 4, 11), Err(QuantError::NotFinite { .. })));
        assert!(matches!(limit(&linear(1.0, f32::INFINITY), |_| 4, 11), Err(QuantError::NotFinite { .. })));
    }
}
