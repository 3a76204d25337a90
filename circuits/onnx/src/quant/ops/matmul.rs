//! Products of two activations, such as the scores of attention: a multiplier requantises them.

use zkml_gpu_graph::{MatMul, Op, Rescale};

use crate::import::{FloatMatMul, FloatNode};
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::rescale::of_products;

pub(super) fn convert(
    converter: &Converter<'_>,
    node: &FloatNode,
    product: &FloatMatMul,
    target: Target,
) -> Result<Converted, QuantError> {
    let formats = converter.formats(node);
    let rescale = of_products(node, product.scale, product.inner, formats, target.frac_bits, converter.shift())?;
    Ok(Converted::to(with(product, rescale), target))
}

pub(super) const fn outline(product: &FloatMatMul) -> Op {
    with(product, Rescale::UNIT)
}

/// A product with what follows it.
const fn with(product: &FloatMatMul, rescale: Rescale) -> Op {
    let FloatMatMul { heads, inner, rows, columns, head_minor, .. } = *product;
    Op::MatMul(MatMul { heads, inner, rows, columns, head_minor, inferences: 1, rescale })
}
