//! Means over windows, whose multiplier is rounded.

use zkml_gpu_graph::{Op, TensorId, Window};

use super::factor::{self, FACTOR_LIMIT, product_bits};
use crate::import::{FloatGraph, FloatNode, FloatOp};
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::group::Group;

/// A mean over windows, times a factor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean<'a> {
    pub(super) window: &'a Window,
    /// Whether padding counts as elements.
    pub(super) count_padding: bool,
    pub(super) scale: f32,
}

/// Most fractional bits of the result at which the factor fits.
pub(super) fn limit(node: &FloatNode, factor: f32, scale: impl Fn(TensorId) -> i32, shift: u32) -> i32 {
    product_bits(f64::from(factor.abs()), FACTOR_LIMIT, scale(node.inputs[0]), shift)
}

pub(super) fn convert(
    converter: &mut Converter<'_>,
    group: &Group,
    node: &FloatNode,
    mean: Mean<'_>,
    target: Target,
) -> Result<Converted, QuantError> {
    let Mean { window, count_padding, scale } = mean;
    let bits = converter.shift() as i32 + target.frac_bits - converter.format(node.inputs[0]).frac_bits;
    let area = window.taps();
    let scale = f64::from(scale) * converter.gain(node.inputs[0]);
    let multiplier = |count: usize| match count {
        0 => Ok(0),
        _ => {
            let count = if count_padding || !window.is_padded() { area } else { count };
            factor::integer(node, scale * 2f64.powi(bits) / count as f64)
        }
    };
    let multipliers = (0..=area).map(multiplier).collect::<Result<Vec<i64>, _>>()?;
    if count_padding || !window.is_padded() {
        let exact = scale * 2f64.powi(bits) / area as f64;
        compensate(converter, group, exact, multipliers[area] as f64);
    }
    Ok(Converted::to(Op::AveragePool { window: *window, multipliers }, target))
}

/// Leaves what a mean's rounded multiplier lacks to the weights and factors that take the mean, where nothing else
/// does: a multiplier of a large window has few bits.
fn compensate(converter: &mut Converter<'_>, group: &Group, exact: f64, rounded: f64) {
    let linear = group.function.is_none() && group.clamp.is_none();
    if linear && rounded != 0.0 && exact != rounded && goes_into_factors(converter.context.source, group.output) {
        converter.gains.insert(group.output, exact / rounded);
    }
}

/// Whether only weights and factors take a tensor, perhaps under another shape.
fn goes_into_factors(source: &FloatGraph, tensor: TensorId) -> bool {
    let absorbs = |i: usize| match &source.nodes[i].op {
        FloatOp::Linear(_) | FloatOp::Combine { .. } | FloatOp::AveragePool { .. } => true,
        FloatOp::Reshape => goes_into_factors(source, source.nodes[i].output),
        FloatOp::Affine { .. }
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::Activation(_)
        | FloatOp::Clamp { .. }
        | FloatOp::Round { .. }
        | FloatOp::MaxPool(_)
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => false,
    };
    !source.outputs.contains(&tensor) && source.readers(tensor).all(absorbs)
}

pub(super) fn outline(window: &Window) -> Op {
    Op::AveragePool { window: *window, multipliers: vec![1; window.taps() + 1] }
}
