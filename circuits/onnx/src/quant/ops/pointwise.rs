//! Clamps and activation functions that follow no operation: requantisations of their operand.

use zkml_gpu_graph::{Op, TensorId};

use super::combine;
use super::factor::{FACTOR_LIMIT, product_bits};
use crate::import::FloatNode;
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;

/// Most fractional bits of the argument.
pub(super) fn limit(node: &FloatNode, scale: impl Fn(TensorId) -> i32, shift: u32) -> i32 {
    product_bits(1.0, FACTOR_LIMIT, scale(node.inputs[0]), shift)
}

pub(super) fn convert(converter: &Converter<'_>, node: &FloatNode, target: Target) -> Result<Converted, QuantError> {
    combine::convert(converter, node, &[1.0], &[], target)
}

pub(super) fn outline(operands: usize) -> Op {
    combine::outline(operands, 0)
}
