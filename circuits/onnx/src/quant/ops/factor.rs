//! Weights, factors and summands: how many fractional bits they leave for a result.

use zkml_gpu_graph::BIAS_LIMIT;

use crate::import::FloatNode;
use crate::quant::error::QuantError;
use crate::quant::fitting::fitting;

/// Largest factor of a sum or mean.
pub(super) const FACTOR_LIMIT: i64 = 1 << 30;

/// Most fractional bits of a result at which a factor of an operand with `operand` fractional bits is at most `most`.
pub(super) fn product_bits(factor: f64, most: i64, operand: i32, shift: u32) -> i32 {
    fitting(factor, most).saturating_add(operand).saturating_sub(shift as i32)
}

/// Most fractional bits of a result at which a summand fits.
pub(super) fn summand_bits(value: f64, shift: u32) -> i32 {
    fitting(value, BIAS_LIMIT).saturating_sub(shift as i32)
}

/// The largest magnitude.
pub(super) fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0f64, |m, v| m.max(f64::from(v.abs())))
}

/// Refuses values that are infinite or not numbers.
pub(super) fn finite(node: &FloatNode, values: &[f32]) -> Result<(), QuantError> {
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(QuantError::NotFinite { node: node.name.clone(), what: "weights" }),
    }
}

/// A factor as an integer.
pub(super) fn integer(node: &FloatNode, factor: f64) -> Result<i64, QuantError> {
    if factor.abs() > FACTOR_LIMIT as f64 || factor.is_nan() {
        return Err(QuantError::Scale { node: node.name.clone(), what: "factors" });
    }
    Ok(factor.round() as i64)
}
