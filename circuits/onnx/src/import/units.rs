//! Units: a quantised model's file says which integers some tensors hold, and what 1 stands for among them. Here numbers
//! come to be counted in those units, so that the integers of the circuit are the file's: weights, factors and functions
//! take in what lies between the units of operands and results.
//!
//! A result has the unit of the rounding that follows it, where nothing stands between but a clamp; what only moves
//! elements keeps its operand's; all others have the unit 1.

use std::sync::Arc;

use zkml_gpu_graph::{Storage, TensorId};

use super::float::{FloatGraph, FloatNode, FloatOp, FloatOrigin, FloatTensor};
use super::function::{Composed, Function};

/// How far from a whole number of units a constant may be that is moved among integers.
const WHOLE: f32 = 1e-3;

/// Gives every tensor its unit. Nothing changes in a graph without roundings.
pub(super) fn settle(graph: &mut FloatGraph) {
    if !graph.nodes.iter().any(|node| matches!(node.op, FloatOp::Round { .. })) {
        return;
    }
    (0..graph.inputs.len()).for_each(|index| round_input(graph, graph.inputs[index]));
    let mut index = 0;
    while index < graph.nodes.len() {
        index = settle_node(graph, index) + 1;
    }
}

/// An input that is rounded before anything else reads it holds integers itself.
fn round_input(graph: &mut FloatGraph, input: TensorId) {
    let roundings: Vec<usize> = graph.readers(input).collect();
    let Some(&first) = roundings.first() else { return };
    let FloatOp::Round { step, min, max } = graph.nodes[first].op else { return };
    let alike = |index: &usize| {
        let node = &graph.nodes[*index];
        node.op == graph.nodes[first].op && !graph.outputs.contains(&node.output)
    };
    let is_number = graph.tensors[input].storage != Storage::OneHot;
    if !is_number || graph.outputs.contains(&input) || !roundings.iter().all(alike) {
        return;
    }
    for &index in roundings.iter().rev() {
        let rounded = graph.nodes.remove(index).output;
        graph
            .nodes
            .iter_mut()
            .flat_map(|node| &mut node.inputs)
            .filter(|id| **id == rounded)
            .for_each(|id| *id = input);
    }
    (graph.tensors[input].unit, graph.tensors[input].integers) = (step, Some([min, max]));
}

/// Settles a node's result; returns the node's index, behind what was put before it.
fn settle_node(graph: &mut FloatGraph, index: usize) -> usize {
    let FloatNode { inputs, output, .. } = graph.nodes[index].clone();
    let units: Vec<f32> = inputs.iter().map(|id| graph.tensors[*id].unit).collect();
    let wanted = wanted(graph, output);
    let ratio = |i: usize| f64::from(units[i]) / f64::from(wanted);
    let scaled = |value: &mut f32, factor: f64| *value = (f64::from(*value) * factor) as f32;
    let inverse = 1.0 / f64::from(wanted);
    let mut unit = wanted;
    match &mut graph.nodes[index].op {
        FloatOp::Linear(linear) => {
            linear.weights.iter_mut().for_each(|weight| scaled(weight, ratio(0)));
            linear.bias.iter_mut().for_each(|bias| scaled(bias, inverse));
        }
        FloatOp::Affine { scale, shift, .. } => {
            scale.iter_mut().for_each(|scale| scaled(scale, ratio(0)));
            shift.iter_mut().for_each(|shift| scaled(shift, inverse));
        }
        FloatOp::Combine { factors, offset } => {
            factors.iter_mut().enumerate().for_each(|(i, factor)| scaled(factor, ratio(i)));
            offset.iter_mut().for_each(|summand| scaled(summand, inverse));
        }
        FloatOp::MatMul(product) => {
            scaled(&mut product.scale, ratio(0) * f64::from(units[1]));
            product.offset.iter_mut().for_each(|summand| scaled(summand, inverse));
        }
        FloatOp::Multiply { scale } => scaled(scale, ratio(0) * f64::from(units[1])),
        FloatOp::AveragePool { scale, .. } => scaled(scale, ratio(0)),
        FloatOp::Activation(function) => *function = in_units(function, units[0], wanted),
        FloatOp::Normalise(normalise) => {
            scaled(&mut normalise.epsilon, f64::from(units[0]).powi(-2));
            unit = 1.0;
        }
        FloatOp::Softmax(_) | FloatOp::ArgMax { .. } => unit = 1.0,
        FloatOp::MaxPool(_) | FloatOp::Reshape => {
            // Padding never wins, so that the integers are the operand's.
            graph.tensors[output].integers = graph.tensors[inputs[0]].integers;
            unit = units[0];
        }
        FloatOp::Clamp { min, max } => {
            (*min, *max) = (*min / units[0], *max / units[0]);
            unit = units[0];
        }
        FloatOp::Rearrange { .. } => return settle_rearrangement(graph, index, &units),
        FloatOp::Round { step, min, max } => {
            let (own, integers) = (std::mem::replace(step, 1.0), [*min, *max]);
            (graph.tensors[output].unit, graph.tensors[output].integers) = (own, Some(integers));
            return if units[0] == own { index } else { rescale(graph, index, 0, own) };
        }
    }
    graph.tensors[output].unit = unit;
    index
}

/// The unit of the rounding that takes a tensor, perhaps clamped; 1 without one.
fn wanted(graph: &FloatGraph, mut tensor: TensorId) -> f32 {
    while let Some(reader) = graph.sole_reader(tensor) {
        match &graph.nodes[reader].op {
            FloatOp::Clamp { .. } => tensor = graph.nodes[reader].output,
            FloatOp::Round { step, .. } => return *step,
            FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::Activation(_)
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. }
            | FloatOp::Reshape
            | FloatOp::Rearrange { .. }
            | FloatOp::ArgMax { .. } => break,
        }
    }
    1.0
}

/// A function of numbers in one unit, for results in another.
fn in_units(function: &Function, from: f32, to: f32) -> Function {
    if (from, to) == (1.0, 1.0) {
        return function.clone();
    }
    let argument = Arc::new(Composed::Affine(Arc::new(Composed::Argument), from, 0.0));
    let result = Arc::new(Composed::Apply(function.clone(), argument));
    Function::Composed(Arc::new(Composed::Affine(result, (1.0 / f64::from(to)) as f32, 0.0)))
}

/// Elements that are moved together have one unit: the operands', where it is the same and constants are whole in it.
fn settle_rearrangement(graph: &mut FloatGraph, index: usize, units: &[f32]) -> usize {
    let FloatNode { op: FloatOp::Rearrange { origins }, output, .. } = &mut graph.nodes[index] else { return index };
    let (output, unit) = (*output, units[0]);
    let is_whole = |origin: &FloatOrigin| match *origin {
        FloatOrigin::Constant(constant) => (constant / unit - (constant / unit).round()).abs() <= WHOLE,
        FloatOrigin::Element { .. } => true,
    };
    if unit == 1.0 && units.iter().all(|other| *other == 1.0) {
        return index;
    }
    if units.iter().all(|other| *other == unit) && origins.iter().all(is_whole) {
        for origin in origins {
            if let FloatOrigin::Constant(constant) = origin {
                *constant /= unit;
            }
        }
        graph.tensors[output].unit = unit;
        return index;
    }
    (0..units.len()).fold(index, |index, i| if units[i] == 1.0 { index } else { rescale(graph, index, i, 1.0) })
}

/// Brings operand `i` of a node to another unit before it; returns the node's index then.
fn rescale(graph: &mut FloatGraph, index: usize, i: usize, unit: f32) -> usize {
    let operand = graph.nodes[index].inputs[i];
    let factor = f64::from(graph.tensors[operand].unit) / f64::from(unit);
    let tensor = FloatTensor { unit, integers: None, ..graph.tensors[operand].clone() };
    let (name, scaled) = (format!("{} (scaled)", tensor.name), graph.tensors.len());
    graph.tensors.push(FloatTensor { name: name.clone(), ..tensor });
    let op = FloatOp::sum(vec![factor as f32]);
    graph.nodes[index].inputs[i] = scaled;
    graph.nodes.insert(index, FloatNode { name, op, inputs: vec![operand], output: scaled });
    index + 1
}

#[cfg(test)]
mod tests {
    use zkml_gpu_graph::Shape;

    use super::super::float::FloatLinear;
    use super::*;

    fn round(step: f32) -> FloatOp {
        FloatOp::Round { step, min: -128, max: 127 }
    }

    fn graph(nodes: Vec<(FloatOp, Vec<TensorId>)>) -> FloatGraph {
        let tensor = |i: usize| FloatTensor::new(format!("t{i}"), Shape::vector(2), vec![2], Storage::Plain);
        let tensors = (0..=nodes.len()).map(tensor).collect();
        let node = |(i, (op, inputs))| FloatNode { name: format!("n{i}"), op, inputs, output: i + 1 };
        let outputs = vec![nodes.len()];
        let nodes = nodes.into_iter().enumerate().map(node).collect();
        FloatGraph { name: String::new(), tensors, nodes, inputs: vec![0], outputs }
    }

    /// Units change what is between tensors, and not what a graph computes.
    #[test]
    fn what_a_graph_computes_stays() {
        let dense = || FloatOp::Linear(FloatLinear::dense(2, vec![0.5, -1.5, 2.0, 0.25], vec![0.125, -0.5]));
        let relu = || FloatOp::Clamp { min: 0.0, max: f32::INFINITY };
        let swap = || FloatOp::Rearrange {
            origins: vec![FloatOrigin::Element { operand: 0, element: 1 }, FloatOrigin::Constant(0.5)],
        };
        let join = FloatOp::Rearrange {
            origins: vec![
                FloatOrigin::Element { operand: 0, element: 1 },
                FloatOrigin::Element { operand: 1, element: 0 },
            ],
        };
        let cases = [
            vec![(round(0.25), vec![0]), (dense(), vec![1]), (relu(), vec![2]), (round(0.5), vec![3])],
            vec![(round(0.25), vec![0]), (FloatOp::Activation(Function::Square), vec![1]), (round(0.125), vec![2])],
            vec![(round(0.25), vec![0]), (FloatOp::Multiply { scale: 3.0 }, vec![1, 1]), (round(2.0), vec![2])],
            vec![(dense(), vec![0]), (round(0.25), vec![1]), (swap(), vec![2]), (dense(), vec![3])],
            vec![(dense(), vec![0]), (round(0.75), vec![1]), (swap(), vec![2]), (dense(), vec![3])],
            vec![(dense(), vec![0]), (round(0.25), vec![1]), (round(0.5), vec![0]), (join, vec![2, 3])],
            vec![(dense(), vec![0]), (round(0.25), vec![1]), (round(1.5), vec![2])],
        ];
        for (case, nodes) in cases.into_iter().enumerate() {
            let before = graph(nodes);
            let mut after = before.clone();
            settle(&mut after);
            for input in [[0.7, -0.3], [2.1, 0.9], [-31.0, 40.0]] {
                let run = |graph: &FloatGraph| graph.run(&[input.to_vec()]).unwrap();
                assert_eq!(run(&after), run(&before), "case {case}, {input:?}");
            }
            assert!(after.tensors.iter().any(|tensor| tensor.unit != 1.0), "case {case}");
        }
    }

    #[test]
    fn an_input_that_is_rounded_at_once_holds_integers() {
        let nodes = vec![(round(0.25), vec![0]), (FloatOp::Activation(Function::Square), vec![1])];
        let mut result = graph(nodes);
        settle(&mut result);
        assert_eq!((result.tensors[0].unit, result.tensors[0].integers), (0.25, Some([-128, 127])));
        assert_eq!((result.nodes.len(), result.nodes[0].inputs[0]), (1, 0));
    }
}
