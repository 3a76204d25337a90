//! Products of two activations, such as the scores of attention, with learned summands: a multiplier requantises them.

use zkml_gpu_graph::{BIAS_LIMIT, Bounds, MatMul, Op, Rescale, Width};

use super::factor::{finite, largest, summand_bits};
use crate::import::{FloatMatMul, FloatNode};
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::rescale::of_products;

/// Limbs of a shift that summands leave room for. A multiplier is rarely so small that it needs more.
const LIMBS: u32 = 2;

/// Most fractional bits of the result at which summands fit.
pub(super) fn limit(node: &FloatNode, product: &FloatMatMul, shift: u32) -> Result<i32, QuantError> {
    finite(node, &product.offset)?;
    Ok(match product.offset.is_empty() {
        true => i32::MAX,
        false => summand_bits(largest(&product.offset), LIMBS * shift),
    })
}

pub(super) fn convert(
    converter: &Converter<'_>,
    node: &FloatNode,
    product: &FloatMatMul,
    target: Target,
) -> Result<Converted, QuantError> {
    let formats = converter.formats(node);
    let (to, shift, most) = (target.frac_bits, converter.shift(), largest(&product.offset));
    let rescale = of_products(node, product.scale, product.inner, formats, to, shift, most)?;
    let bits = (converter.shift() * rescale.limbs) as i32 + target.frac_bits;
    let summand = |summand: &f32| (f64::from(*summand) * 2f64.powi(bits)).round() as i64;
    let summands: Vec<i64> = product.offset.iter().map(summand).collect();
    if summands.iter().any(|summand| !(-BIAS_LIMIT..=BIAS_LIMIT).contains(summand)) {
        return Err(QuantError::Scale { node: node.name.clone(), what: "summands" });
    }
    let width = (!summands.is_empty()).then(|| Width::of(&[Bounds::within(Bounds::of(&summands).magnitude())]));
    Ok(Converted::to(with(product, rescale, summands, width), target))
}

pub(super) fn outline(product: &FloatMatMul) -> Op {
    with(product, Rescale::UNIT, vec![0; product.offset.len()], None)
}

/// A product with what follows it.
fn with(product: &FloatMatMul, rescale: Rescale, summands: Vec<i64>, width: Option<Width>) -> Op {
    let FloatMatMul { heads, inner, rows, columns, head_minor, .. } = *product;
    Op::MatMul(MatMul { heads, inner, rows, columns, head_minor, inferences: 1, rescale, summands, width })
}
