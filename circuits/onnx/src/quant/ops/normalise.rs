//! Normalisations (LayerNorm, InstanceNorm, RMSNorm): an inverse square root of the variance.

use zkml_gpu_graph::{Format, Normalise, Op, Rescale};

use crate::import::{FloatNode, FloatNormalise};
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::rescale::{dividend_bits, rescale};

/// Greatest epsilon of a normalisation in the scale of squares.
const MOST_EPSILON: f64 = (1u64 << 50) as f64;

pub(super) fn convert(
    converter: &Converter<'_>,
    node: &FloatNode,
    normalise: &FloatNormalise,
    target: Target,
) -> Result<Converted, QuantError> {
    let x = converter.format(node.inputs[0]);
    let integers = integers(node, normalise, x, target.frac_bits, converter.shift())?;
    Ok(Converted::to(Op::Normalise(integers), target))
}

/// A normalisation of elements of this format, to `to` fractional bits.
fn integers(
    node: &FloatNode,
    normalise: &FloatNormalise,
    x: Format,
    to: i32,
    shift: u32,
) -> Result<Normalise, QuantError> {
    let FloatNormalise { groups, len, centred, epsilon } = *normalise;
    let bits = dividend_bits(to, shift);
    let n = len as f64;
    let epsilon = (n * n * f64::from(epsilon) * 2f64.powi(2 * x.frac_bits)).round().clamp(1.0, MOST_EPSILON) as i64;
    let rescale = rescale(node, 1.0, bits as i32 - to, shift, (n.sqrt() + 1.0) * 2f64.powi(bits as i32))?;
    Ok(Normalise { groups, len, centred, epsilon, bits, rescale })
}

pub(super) const fn outline(normalise: &FloatNormalise) -> Op {
    let FloatNormalise { groups, len, centred, .. } = *normalise;
    Op::Normalise(Normalise { groups, len, centred, epsilon: 1, bits: 1, rescale: Rescale::UNIT })
}
