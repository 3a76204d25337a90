//! From float nodes to integers, once every scale is chosen.

use zkml_gpu_graph::{FRAC_BITS_LIMIT, Format, Graph, Op, TensorId};

use super::calibrate::Observations;
use super::context::Context;
use super::converter::{Converter, Target};
use super::error::QuantError;
use super::group::Group;
use super::ops::{self, limit};
use super::options::QuantOptions;
use super::table;
use crate::import::{FloatGraph, FloatOp, Function};

/// Quantises with a fixed number of activation bits; returns the graph, and its tensors with those of the float graph.
pub(super) fn convert(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    options: &QuantOptions,
    activation_bits: u32,
) -> Result<(Graph, Vec<(TensorId, TensorId)>), QuantError> {
    let context = Context { source, groups, observations, options, activation_bits };
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
    let nodes = &converter.context.source.nodes;
    let mut converted = ops::convert(converter, (g, group), |converter| target(converter, group))?;
    let own = || nodes[group.head].inputs.iter().map(|id| converter.ids[id]).collect();
    let inputs = converted.operands.take().unwrap_or_else(own);
    let output = converter.add_tensor(group.output, converted.format);
    converter.push(&nodes[group.head], converted, inputs, output);
    Ok(())
}

/// What a group's accumulators are requantised to.
fn target(converter: &Converter<'_>, group: &Group) -> Result<Target, QuantError> {
    let format = bounded(converter.context.full_format(group.output, &converter.scales), group.clamp);
    let Some(function) = &group.function else {
        return Ok(Target { frac_bits: format.frac_bits, format, activation: None });
    };
    let argument = argument(converter, group, function, format)?;
    let activation = table::tabulate(function, argument, format);
    let (min, max) = activation.values.iter().fold((i64::MAX, i64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
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
        return Ok(converter.format(node.inputs[0]));
    }
    let Context { observations, options, .. } = *converter.context;
    let activation_bits = converter.context.bits(group.output);
    let spread = observations.spread(group.argument).widened(options.headroom);
    let limit = limit(node, |id| converter.format(id).frac_bits, options.shift)?;
    if limit < -FRAC_BITS_LIMIT {
        return Err(QuantError::Scale { node: node.name.clone(), what: "weights, biases or factors" });
    }
    Ok(table::argument(function, spread, result, activation_bits, limit))
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
