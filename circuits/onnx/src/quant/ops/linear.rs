//! Products with weights: dense layers (GEMM) and convolutions. Weights take `S + f_y - f_x` fractional bits, so that
//! one shift requantises all accumulators.

use std::borrow::Cow;

use zkml_gpu_graph::{BIAS_LIMIT, Bounds, FRAC_BITS_LIMIT, Format, Linear, Op, TensorId, WEIGHT_BITS, Width};

use super::factor::{finite, largest, product_bits, summand_bits};
use crate::import::{FloatLinear, FloatNode};
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::fitting::fitting;
use crate::quant::group::Group;

/// Largest accumulator of an output that is not requantised, as it is declared: accumulators below the limit of a bias.
const RAW_LIMIT: i64 = 2 * BIAS_LIMIT;
/// Largest weight.
const WEIGHT_LIMIT: i64 = (1 << (WEIGHT_BITS - 1)) - 1;

/// Most fractional bits of the result at which weights and biases fit.
pub(super) fn limit(
    node: &FloatNode,
    linear: &FloatLinear,
    scale: impl Fn(TensorId) -> i32,
    shift: u32,
) -> Result<i32, QuantError> {
    finite(node, &linear.weights)?;
    finite(node, &linear.bias)?;
    let products = product_bits(largest(&linear.weights), WEIGHT_LIMIT, scale(node.inputs[0]), shift);
    Ok(products.min(summand_bits(largest(&linear.bias), shift)))
}

/// Weights for accumulators that are requantised to the target's fractional bits.
pub(super) fn convert(
    converter: &Converter<'_>,
    group: &Group,
    node: &FloatNode,
    linear: &FloatLinear,
    target: Target,
) -> Result<Converted, QuantError> {
    let bias_bits = converter.shift() as i32 + target.frac_bits;
    let x = converter.format(node.inputs[0]);
    let weight_bits = bias_bits - x.frac_bits;
    let linear = with_gain(converter, node, linear);
    let integers = integers(&linear, weight_bits, bias_bits, group.pool, false)
        .ok_or_else(|| QuantError::Scale { node: node.name.clone(), what: "weights or biases" })?;
    Ok(Converted::to(Op::Linear(declared(integers, x)), target))
}

/// An accumulator exposed as it is, with as many fractional bits as weights and accumulator allow.
pub(super) fn convert_raw(
    converter: &Converter<'_>,
    node: &FloatNode,
    linear: &FloatLinear,
) -> Result<Converted, QuantError> {
    let x = converter.format(node.inputs[0]);
    let linear = &*with_gain(converter, node, linear);
    finite(node, &linear.weights)?;
    finite(node, &linear.bias)?;
    let mut weight_bits = fitting(largest(&linear.weights), WEIGHT_LIMIT).min(converter.shift() as i32 + 16);
    loop {
        let frac_bits = x.frac_bits + weight_bits;
        if frac_bits < -FRAC_BITS_LIMIT {
            return Err(QuantError::Scale { node: node.name.clone(), what: "accumulators" });
        }
        if let Some(integers) = integers(linear, weight_bits, frac_bits, [1, 1], true) {
            let integers = declared(integers, x);
            let Bounds { min, max } = integers.width.unwrap_or_default().bounds();
            if max <= RAW_LIMIT && frac_bits <= FRAC_BITS_LIMIT {
                // A statement shows the range.
                let format = Format::new(frac_bits, min, max);
                return Ok(Converted::of(Op::Linear(integers), format));
            }
        }
        weight_bits -= 1;
    }
}

/// The shape of the product.
pub(super) fn outline(group: &Group, linear: &FloatLinear) -> Op {
    Op::Linear(Linear {
        window: linear.window,
        input_dilation: linear.input_dilation,
        groups: linear.groups,
        out_channels: linear.out_channels,
        weights: Vec::new(),
        bias: Vec::new(),
        pool: group.pool,
        raw: group.raw,
        transposed: linear.transposed,
        width: None,
    })
}

/// A product that also applies its operand's gain.
fn with_gain<'l>(converter: &Converter<'_>, node: &FloatNode, linear: &'l FloatLinear) -> Cow<'l, FloatLinear> {
    let gain = converter.gain(node.inputs[0]);
    if gain == 1.0 {
        return Cow::Borrowed(linear);
    }
    let weights = linear.weights.iter().map(|w| (f64::from(*w) * gain) as f32).collect();
    Cow::Owned(FloatLinear { weights, ..linear.clone() })
}

/// Weights and biases as integers; `None` where one is too large for its scale.
fn integers(linear: &FloatLinear, weight_bits: i32, bias_bits: i32, pool: [usize; 2], raw: bool) -> Option<Linear> {
    let scale = |v: f32, bits: i32| (f64::from(v) * 2f64.powi(bits)).round();
    let bias: Vec<i64> = linear.bias.iter().map(|&b| scale(b, bias_bits) as i64).collect();
    let weights: Vec<i64> = linear.weights.iter().map(|&w| scale(w, weight_bits) as i64).collect();
    // A mean's gain may make weights greater than those that the scale was chosen for.
    let fits = bias.iter().all(|b| (-BIAS_LIMIT..=BIAS_LIMIT).contains(b))
        && weights.iter().all(|w| (-WEIGHT_LIMIT - 1..=WEIGHT_LIMIT).contains(w));
    fits.then(|| Linear {
        window: linear.window,
        input_dilation: linear.input_dilation,
        groups: linear.groups,
        out_channels: linear.out_channels,
        weights: weights.into_iter().map(|w| w as i32).collect(),
        bias,
        pool,
        raw,
        transposed: linear.transposed,
        width: None,
    })
}

/// A product that declares how wide its accumulators are.
fn declared(linear: Linear, input: Format) -> Linear {
    let width = Width::of(&linear.channel_bounds(input));
    Linear { width: Some(width), ..linear }
}
