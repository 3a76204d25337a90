//! Sums of activations with learned summands.

use zkml_gpu_graph::{Bounds, Interleaving, Op, TensorId, Width};

use super::factor::{self, FACTOR_LIMIT, finite, largest, product_bits, summand_bits};
use crate::import::FloatNode;
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;

/// Most fractional bits of the result at which factors and summands fit.
pub(super) fn limit(
    node: &FloatNode,
    factors: &[f32],
    offset: &[f32],
    scale: impl Fn(TensorId) -> i32,
    shift: u32,
) -> Result<i32, QuantError> {
    finite(node, factors)?;
    finite(node, offset)?;
    let product = |(f, &id): (&f32, &TensorId)| product_bits(f64::from(f.abs()), FACTOR_LIMIT, scale(id), shift);
    let products = factors.iter().zip(&node.inputs).map(product);
    Ok(products.min().unwrap_or(i32::MAX).min(summand_bits(largest(offset), shift)))
}

/// Whether the result may be negative, where `operands` tells whether an operand may.
pub(super) fn is_signed(factors: &[f32], offset: &[f32], operands: bool) -> bool {
    operands || factors.iter().chain(offset).any(|v| *v < 0.0)
}

pub(super) fn convert(
    converter: &Converter<'_>,
    node: &FloatNode,
    factors: &[f32],
    offset: &[f32],
    target: Target,
) -> Result<Converted, QuantError> {
    let bits = converter.shift() as i32 + target.frac_bits;
    let multiplier = |(&id, &factor): (&TensorId, &f32)| {
        let scale = 2f64.powi(bits - converter.format(id).frac_bits);
        factor::integer(node, f64::from(factor) * converter.gain(id) * scale)
    };
    let multipliers = node.inputs.iter().zip(factors).map(multiplier).collect::<Result<_, _>>()?;
    // The limit on the scale keeps these within a bias's range.
    let offset: Vec<i64> = offset.iter().map(|&o| (f64::from(o) * 2f64.powi(bits)).round() as i64).collect();
    let width = (!offset.is_empty()).then(|| Width::of(&[Bounds::within(Bounds::of(&offset).magnitude())]));
    Ok(Converted::to(Op::Combine { multipliers, offset, shared: Interleaving::NONE, width }, target))
}

/// The shape of a sum of so many operands and summands.
pub(super) fn outline(operands: usize, summands: usize) -> Op {
    Op::Combine { multipliers: vec![1; operands], offset: vec![0; summands], shared: Interleaving::NONE, width: None }
}
