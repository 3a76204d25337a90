//! Products of two activations, element by element.

use zkml_gpu_graph::{Op, Rescale};

use crate::import::FloatNode;
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::rescale::of_products;

/// Whether the result may be negative: squares are not.
pub(super) fn is_signed(node: &FloatNode, scale: f32) -> bool {
    node.inputs[0] != node.inputs[1] || scale < 0.0
}

pub(super) fn convert(
    converter: &Converter<'_>,
    node: &FloatNode,
    scale: f32,
    target: Target,
) -> Result<Converted, QuantError> {
    let rescale = of_products(node, scale, 1, converter.formats(node), target.frac_bits, converter.shift(), 0.0)?;
    Ok(Converted::to(Op::Multiply(rescale), target))
}

pub(super) const fn outline() -> Op {
    Op::Multiply(Rescale::UNIT)
}
