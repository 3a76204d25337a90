//! Softmax: exponentials from a table, and a reciprocal of their sum.

use zkml_gpu_graph::{Activation, Format, Op, Rescale, Softmax};

use crate::import::{FloatNode, FloatSoftmax};
use crate::quant::converter::{Converted, Converter, Target};
use crate::quant::error::QuantError;
use crate::quant::lines;
use crate::quant::rescale::{dividend_bits, rescale};

/// Bits of the reciprocal of a sum of exponentials with one member.
const RECIPROCAL_BITS: u32 = 16;

pub(super) fn convert(
    converter: &Converter<'_>,
    node: &FloatNode,
    softmax: &FloatSoftmax,
    target: Target,
) -> Result<Converted, QuantError> {
    let x = converter.format(node.inputs[0]);
    let unit = converter.context.source.tensors[node.inputs[0]].unit;
    let integers = integers(node, softmax, (x, unit), target.frac_bits, converter.shift())?;
    Ok(Converted::to(Op::Softmax(integers), target))
}

/// A softmax of elements of this format in this unit, for shares with `to` fractional bits.
fn integers(
    node: &FloatNode,
    softmax: &FloatSoftmax,
    (x, unit): (Format, f32),
    to: i32,
    shift: u32,
) -> Result<Softmax, QuantError> {
    let bits = dividend_bits(to, shift);
    let most = 1i64 << (bits - RECIPROCAL_BITS).min(RECIPROCAL_BITS);
    let step = x.step() * f64::from(unit);
    let exponential = |d: i64| match d {
        0 => most,
        // Only the maximum itself has the greatest.
        d => ((most as f64 * libm::exp(-(d as f64) * step)).round() as i64).min(most - 1),
    };
    let exact = |d: usize| most as f64 * libm::exp(-(d as f64) * step);
    let table = || Activation::table(0, (0..=x.max - x.min).map(exponential).collect());
    // A table that no address space holds has no lines either; the limits of tables refuse it.
    let reach = usize::try_from(x.max.abs_diff(x.min)).ok();
    let exp = reach.and_then(|reach| lines::exponentials(reach + 1, exact)).unwrap_or_else(table);
    Ok(Softmax {
        groups: softmax.groups,
        len: softmax.len,
        masked: softmax.masked.clone(),
        exp,
        bits,
        rescale: rescale(node, 1.0, bits as i32 - to, shift, 2f64.powi(bits as i32))?,
    })
}

pub(super) fn outline(softmax: &FloatSoftmax) -> Op {
    Op::Softmax(Softmax {
        groups: softmax.groups,
        len: softmax.len,
        masked: softmax.masked.clone(),
        exp: Activation::table(0, vec![1, 0]),
        bits: 1,
        rescale: Rescale::UNIT,
    })
}
