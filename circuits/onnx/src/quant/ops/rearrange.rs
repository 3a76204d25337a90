//! Rearrangements, whose operands and constants have the result's scale.

use zkml_gpu_graph::{ACTIVATION_LIMIT, Format, Interleaving, Op, Origin, Tensor, TensorId, requantise};

use super::factor;
use crate::import::{FloatNode, FloatOrigin};
use crate::quant::converter::{Converted, Converter};
use crate::quant::error::QuantError;
use crate::quant::fitting::{fitting, range};
use crate::quant::group::Group;

/// Most fractional bits at which the constants of a rearrangement fit.
pub(super) fn constant_bits(origins: &[FloatOrigin], activation_bits: u32) -> i32 {
    let bits = |origin: &FloatOrigin| match *origin {
        FloatOrigin::Constant(c) => {
            let (min, max) = range(c < 0.0, activation_bits);
            fitting(f64::from(c.abs()), if c < 0.0 { -min } else { max })
        }
        FloatOrigin::Element { .. } => i32::MAX,
    };
    origins.iter().map(bits).min().unwrap_or(i32::MAX)
}

/// Whether the result may be negative, where `operands` tells whether an operand may.
pub(super) fn is_signed(origins: &[FloatOrigin], operands: bool) -> bool {
    operands || origins.iter().any(|o| matches!(o, FloatOrigin::Constant(c) if *c < 0.0))
}

/// `g` is the group's number.
pub(super) fn convert(
    converter: &mut Converter<'_>,
    g: usize,
    group: &Group,
    origins: &[FloatOrigin],
) -> Result<Converted, QuantError> {
    let operands = rescaled_operands(converter, g, group)?;
    Ok(rearrange(converter, group, operands, origins))
}

/// A rearrangement's result holds what its operands and constants do.
fn rearrange(converter: &Converter<'_>, group: &Group, operands: Vec<TensorId>, origins: &[FloatOrigin]) -> Converted {
    let frac_bits = converter.scales.frac_bits[group.output];
    let all = Format::new(frac_bits, -ACTIVATION_LIMIT, ACTIVATION_LIMIT);
    let origin = |origin: &FloatOrigin| match *origin {
        FloatOrigin::Element { operand, element } => Origin::Element { operand, element },
        FloatOrigin::Constant(constant) => Origin::Constant(all.quantise(constant)),
    };
    let origins: Vec<Origin> = origins.iter().map(origin).collect();
    let constants = origins.iter().filter_map(|origin| match *origin {
        Origin::Constant(constant) => Some((constant, constant)),
        Origin::Element { .. } => None,
    });
    let formats = operands.iter().map(|&id| converter.graph.tensors[id].format).map(|f| (f.min, f.max));
    let (min, max) = constants.chain(formats).fold((i64::MAX, i64::MIN), |(l, h), (a, b)| (l.min(a), h.max(b)));
    let format = Format::new(frac_bits, min, max);
    Converted { operands: Some(operands), ..Converted::of(Op::Rearrange { origins }, format) }
}

/// Operands of a rearrangement, those of another class brought to its scale.
fn rescaled_operands(converter: &mut Converter<'_>, g: usize, group: &Group) -> Result<Vec<TensorId>, QuantError> {
    let node = &converter.context.source.nodes[group.head];
    let mut operands = Vec::new();
    for (i, &source) in node.inputs.iter().enumerate() {
        let x = converter.ids[&source];
        operands.push(if converter.scales.cuts.contains(&(g, i)) {
            rescale(converter, node, x, group.output)?
        } else {
            x
        });
    }
    Ok(operands)
}

/// A tensor brought to another one's scale.
fn rescale(converter: &mut Converter<'_>, node: &FloatNode, x: TensorId, to: TensorId) -> Result<TensorId, QuantError> {
    let (frac_bits, shift) = (converter.scales.frac_bits[to], converter.shift());
    let tensor = converter.graph.tensors[x].clone();
    let multiplier = factor::integer(node, 2f64.powi(shift as i32 + frac_bits - tensor.format.frac_bits))?;
    let bound = |v: i64| requantise(v * multiplier, shift).clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT);
    let format = Format::new(frac_bits, bound(tensor.format.min), bound(tensor.format.max));
    let output = converter.graph.tensors.len();
    converter.graph.tensors.push(Tensor { format, ..tensor });
    let op = Op::Combine { multipliers: vec![multiplier], offset: Vec::new(), shared: Interleaving::NONE, width: None };
    converter.push(node, Converted::of(op, format), vec![x], output);
    Ok(output)
}

pub(super) fn outline(origins: &[FloatOrigin]) -> Op {
    let origin = |origin: &FloatOrigin| match *origin {
        FloatOrigin::Element { operand, element } => Origin::Element { operand, element },
        FloatOrigin::Constant(_) => Origin::Constant(0),
    };
    Op::Rearrange { origins: origins.iter().map(origin).collect() }
}
