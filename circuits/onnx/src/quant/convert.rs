//! From float nodes to integers, once every scale is chosen.

use std::cmp::Reverse;

use zkml_gpu_graph::{ARGUMENT_LIMIT, Bounds, FRAC_BITS_LIMIT, Format, Graph, Interleaving, Node, Op, TensorId};

use super::calibrate::Observations;
use super::context::Context;
use super::converter::{Converted, Converter, Target};
use super::error::QuantError;
use super::fitting::range;
use super::group::Group;
use super::lines;
use super::ops::{self, limit};
use super::options::QuantOptions;
use super::table;
use super::wide::{FINER, Part, Wide};
use crate::import::{FloatGraph, FloatOp, Function};

/// Largest factor of a sum.
const MOST_FACTOR: i64 = 1 << 30;

/// Quantises with a fixed number of activation bits; returns the graph, and its tensors with those of the float graph.
pub(super) fn convert(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    options: &QuantOptions,
    activation_bits: u32,
) -> Result<(Graph, Vec<(TensorId, TensorId)>), QuantError> {
    // Wide numbers may be too wide for what else reads them.
    match convert_with(source, groups, observations, options, (activation_bits, true)) {
        Err(QuantError::Scale { .. } | QuantError::Graph(_)) => {
            convert_with(source, groups, observations, options, (activation_bits, false))
        }
        result => result,
    }
}

fn convert_with(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    options: &QuantOptions,
    (activation_bits, may_be_wide): (u32, bool),
) -> Result<(Graph, Vec<(TensorId, TensorId)>), QuantError> {
    let context = Context::new((source, groups), observations, options, activation_bits, may_be_wide);
    let mut converter = Converter::new(&context, context.scales()?);
    for &id in &source.inputs {
        let format = context.input_format(id, &converter.scales);
        let tensor = converter.add_tensor(id, format);
        converter.graph.inputs.push(tensor);
    }
    for (g, group) in groups.iter().enumerate() {
        convert_group(&mut converter, g, group)?;
    }
    let Converter { mut graph, ids, .. } = converter;
    graph.outputs = source.outputs.iter().map(|id| ids[id]).collect();
    let mut sources: Vec<(TensorId, TensorId)> = ids.iter().map(|(float, own)| (*own, *float)).collect();
    sources.sort_unstable();
    in_units(&mut graph, source, &sources)?;
    graph.validate()?;
    Ok((graph, sources))
}

/// Lets integers stand for what they are in the model, where they were counted in units.
fn in_units(graph: &mut Graph, source: &FloatGraph, sources: &[(TensorId, TensorId)]) -> Result<(), QuantError> {
    for (own, float) in sources {
        let (tensor, unit) = (&mut graph.tensors[*own], source.tensors[*float].unit);
        let scaled = tensor.format.in_units(unit);
        tensor.format = scaled.ok_or_else(|| QuantError::Scale { node: tensor.name.clone(), what: "activations" })?;
    }
    // What is rescaled to be moved is what it is moved into.
    for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::Rearrange { .. })) {
        let Format { frac_bits, mantissa, .. } = graph.tensors[node.output].format;
        for id in node.inputs.iter().filter(|id| sources.binary_search_by_key(*id, |(own, _)| *own).is_err()) {
            let format = &mut graph.tensors[*id].format;
            (format.frac_bits, format.mantissa) = (frac_bits, mantissa);
        }
    }
    Ok(())
}

fn convert_group(converter: &mut Converter<'_>, g: usize, group: &Group) -> Result<(), QuantError> {
    let context = converter.context;
    if let (Some(function), Some(plan)) = (&group.function, context.wide.of(group.output)) {
        return convert_wide(converter, (g, group), function, plan);
    }
    let converted = ops::convert(converter, (g, group), |converter| target(converter, group))?;
    append(converter, group, converted);
    Ok(())
}

/// Appends what a group's operation became, with the tensor of its result.
fn append(converter: &mut Converter<'_>, group: &Group, mut converted: Converted) {
    let node = &converter.context.source.nodes[group.head];
    let own = || node.inputs.iter().map(|id| converter.ids[id]).collect();
    let inputs = converted.operands.take().unwrap_or_else(own);
    let output = converter.add_tensor(group.output, converted.format);
    converter.push(node, converted, inputs, output);
}

/// Most fractional bits of what a group's operation gives, at which its weights, biases and factors fit.
fn most_bits(converter: &Converter<'_>, group: &Group) -> Result<i32, QuantError> {
    let node = &converter.context.source.nodes[group.head];
    let limit = limit(node, |id| converter.format(id).frac_bits, converter.context.options.shift)?;
    if limit < -FRAC_BITS_LIMIT {
        return Err(QuantError::Scale { node: node.name.clone(), what: "weights, biases or factors" });
    }
    Ok(limit)
}

/// A function of numbers that span decades: its argument as a tensor, its parts, and their sum.
fn convert_wide(
    converter: &mut Converter<'_>,
    (g, group): (usize, &Group),
    function: &Function,
    plan: &Wide,
) -> Result<(), QuantError> {
    let context = converter.context;
    let node = &context.source.nodes[group.head];
    let shift = converter.shift() as i32;
    let is_operand = matches!(node.op, FloatOp::Activation(_));
    let argument = if is_operand { node.inputs[0] } else { convert_argument(converter, (g, group), plan)? };
    let mut format = converter.format(argument);
    let mut x = converter.ids[&argument];
    let result = bounded(context.full_format(group.output, &converter.scales), group.clamp);
    let parts = plan.parts(function, (format.frac_bits, converter.gain(argument)), result);
    let name = &context.source.tensors[group.output].name;
    let node_of = |op, inputs, output, activation| Node { name: node.name.clone(), op, inputs, output, activation };
    let sum = |multipliers| Op::Combine { multipliers, offset: Vec::new(), shared: Interleaving::NONE, width: None };
    let mut operands = Vec::with_capacity(parts.len());
    // The finest steps first: what the others are rounded from becomes coarser.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| Reverse(parts[*index].frac_bits));
    for index in order {
        let Part { frac_bits, table } = &parts[index];
        while shift + frac_bits < format.frac_bits {
            // A range of a power of two of values stays one, and is clamped without a table.
            let (min, max) = (format.min >> shift, ((format.max + 1) >> shift) - 1);
            format = Format { frac_bits: format.frac_bits - shift, min, max: max.max(min), ..format };
            let coarser = converter.add_unnamed(group.output, format!("{name} (argument, coarser)"), format);
            converter.graph.nodes.push(node_of(sum(vec![1]), vec![x], coarser, None));
            x = coarser;
        }
        let multiplier = 1i64.checked_shl((shift + frac_bits - format.frac_bits) as u32).filter(|m| *m <= MOST_FACTOR);
        let multiplier = multiplier.ok_or_else(|| QuantError::Scale { node: node.name.clone(), what: "factors" })?;
        let Bounds { min, max } = Bounds::of(&table.values);
        let part = Format::new(result.frac_bits + FINER, min, max);
        let output = converter.add_unnamed(group.output, format!("{name} (part {index})"), part);
        let activation = converter.shared(table.clone());
        converter.graph.nodes.push(node_of(sum(vec![multiplier]), vec![x], output, Some(activation)));
        operands.push(output);
    }
    if shift < FINER {
        return Err(QuantError::Scale { node: node.name.clone(), what: "factors" });
    }
    let output = converter.add_tensor(group.output, result);
    let op = sum(vec![1 << (shift - FINER); operands.len()]);
    converter.graph.nodes.push(node_of(op, operands, output, None));
    Ok(())
}

/// What a group's operation makes of its operands, as a tensor of its own; returns it as one of the float graph.
fn convert_argument(
    converter: &mut Converter<'_>,
    (g, group): (usize, &Group),
    plan: &Wide,
) -> Result<TensorId, QuantError> {
    let Context { observations, options, .. } = *converter.context;
    let signed = observations.spread(group.argument).min < 0.0;
    let limits = range(signed, plan.bits);
    let fitting = observations.frac_bits(group.argument, limits, options.headroom, None);
    let frac_bits = plan.frac_bits.min(fitting).min(most_bits(converter, group)?);
    // As many bits less as there are fractional ones.
    let fewer = u32::try_from(fitting.saturating_sub(frac_bits)).unwrap_or(0);
    let (min, max) = range(signed, plan.bits.saturating_sub(fewer).max(2));
    let format = Format::new(frac_bits, min, max);
    let bare = Group { function: None, clamp: None, output: group.argument, ..group.clone() };
    let target = |_: &Converter<'_>| Ok(Target { frac_bits, format, activation: None });
    let converted = ops::convert(converter, (g, &bare), target)?;
    append(converter, &bare, converted);
    Ok(group.argument)
}

/// What a group's accumulators are requantised to.
fn target(converter: &Converter<'_>, group: &Group) -> Result<Target, QuantError> {
    let format = bounded(converter.context.full_format(group.output, &converter.scales), group.clamp);
    let Some(function) = &group.function else {
        return Ok(Target { frac_bits: format.frac_bits, format, activation: None });
    };
    let argument = argument(converter, group, function, format)?;
    let activation =
        lines::by_lines(function, argument, format).unwrap_or_else(|| table::tabulate(function, argument, format));
    let Bounds { min, max } = Bounds::of(&activation.values);
    let format = Format { min, max, ..format };
    Ok(Target { frac_bits: argument.frac_bits, format, activation: Some(activation) })
}

/// The format of a function's argument: an operand's own where the function takes it as it is.
fn argument(
    converter: &Converter<'_>,
    group: &Group,
    function: &Function,
    result: Format,
) -> Result<Format, QuantError> {
    let node = &converter.context.source.nodes[group.head];
    if matches!(node.op, FloatOp::Activation(_)) {
        let format = converter.format(node.inputs[0]);
        // A table has a row for each argument.
        let is_tabulated = -ARGUMENT_LIMIT <= format.min && format.max <= ARGUMENT_LIMIT;
        let what = "arguments";
        return if is_tabulated { Ok(format) } else { Err(QuantError::Scale { node: node.name.clone(), what }) };
    }
    let Context { observations, options, .. } = *converter.context;
    let activation_bits = converter.context.bits(group.output);
    let spread = observations.spread(group.argument).widened(options.headroom);
    Ok(table::argument(function, spread, result, activation_bits, most_bits(converter, group)?))
}

/// A format's part that an activation's bounds leave.
fn bounded(format: Format, clamp: Option<[f32; 2]>) -> Format {
    let Some([low, high]) = clamp else { return format };
    // The casts saturate, so that infinite bounds leave the range as it is.
    let scaled = |v: f32| (f64::from(v) * 2f64.powi(format.frac_bits)).round() as i64;
    let min = scaled(low).clamp(format.min, format.max);
    Format { min, max: scaled(high).clamp(min, format.max), ..format }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_leaves_a_part_of_the_range() {
        let format = Format::new(2, -128, 127);
        assert_eq!(bounded(format, Some([0.0, 6.0])), Format { min: 0, max: 24, ..format });
        assert_eq!(bounded(format, Some([f32::NEG_INFINITY, 0.0])), Format { max: 0, ..format });
        assert_eq!(bounded(format, Some([100.0, 200.0])), Format { min: 127, ..format });
    }
}
