//! Evaluates single nodes again, from values that may be false: what follows from a lie.

use std::collections::HashSet;

use zkml_gpu_graph::{
    ExecuteError, Execution, Graph, Linear, Node, Op, TensorId, Visibilities, Visibility, requantise,
};

/// Accumulators and output of one node, from the values of all tensors.
///
/// # Errors
/// As [`Graph::run`]: values outside the range of an operand.
pub fn evaluate(graph: &Graph, node: &Node, values: &[Vec<i64>]) -> Result<(Vec<i64>, Vec<i64>), ExecuteError> {
    let mut operands: Vec<TensorId> = node.inputs.clone();
    operands.sort_unstable();
    operands.dedup();
    let place = |tensor: &TensorId| operands.binary_search(tensor).expect("an operand of the node");
    let tensors = operands.iter().chain([&node.output]).map(|tensor| graph.tensors[*tensor].clone()).collect();
    let alone = Node { inputs: node.inputs.iter().map(place).collect(), output: operands.len(), ..node.clone() };
    let mut visibility = Visibilities::default();
    if matches!(node.op, Op::Enter) {
        visibility.set_input(0, Visibility::Private);
    }
    let cut = Graph {
        name: graph.name.clone(),
        shift: graph.shift,
        tensors,
        activations: graph.activations.clone(),
        nodes: vec![alone],
        inputs: (0..operands.len()).collect(),
        outputs: vec![operands.len()],
        visibility,
    };
    let inputs: Vec<Vec<i64>> = operands.iter().map(|tensor| values[*tensor].clone()).collect();
    let mut run = cut.run(&inputs)?;
    Ok((run.accumulators.swap_remove(0), run.values.swap_remove(operands.len())))
}

/// A false value of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The tensor.
    pub tensor: TensorId,
    /// Its element.
    pub element: usize,
    /// The value that it takes.
    pub value: i64,
    /// Where it is written.
    pub written: Written,
}

/// Where a false value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// In the cells of the result, with some accumulator that gives it.
    Result,
    /// In the cells of the result, with this accumulator.
    Accumulator(i64),
    /// In copies alone: the cells of the result stay honest.
    Copies,
}

/// An execution with these changes, and all that follows from them; `None` where a change cannot be: no accumulator
/// gives the value, or what follows is out of range.
pub fn carried(graph: &Graph, honest: &Execution, changes: &[Change]) -> Option<Execution> {
    let mut execution = honest.clone();
    let of = |tensor: TensorId| changes.iter().filter(move |change| change.tensor == tensor);
    let change_values = |execution: &mut Execution, tensor: TensorId| {
        of(tensor).for_each(|change| execution.values[tensor][change.element] = change.value);
    };
    let produced: HashSet<TensorId> = graph.nodes.iter().map(|node| node.output).collect();
    let given = (0..graph.tensors.len()).filter(|tensor| !produced.contains(tensor));
    given.for_each(|tensor| change_values(&mut execution, tensor));
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.inputs.iter().any(|input| execution.values[*input] != honest.values[*input]) {
            let (accumulators, output) = evaluate(graph, node, &execution.values).ok()?;
            execution.accumulators[index] = accumulators;
            execution.values[node.output] = output;
        }
        for change in of(node.output) {
            match change.written {
                Written::Copies => {}
                Written::Accumulator(accumulator) => execution.accumulators[index][change.element] = accumulator,
                Written::Result => set_accumulator((graph, node), &mut execution.accumulators[index], change)?,
            }
        }
        change_values(&mut execution, node.output);
    }
    Some(execution)
}

/// Changes a node's accumulators so that an element of its output takes a value; `None` where no accumulator gives it.
fn set_accumulator((graph, node): (&Graph, &Node), accumulators: &mut [i64], change: &Change) -> Option<()> {
    if let Op::Linear(Linear { raw: true, .. }) = &node.op {
        accumulators[change.element] = change.value;
        return Some(());
    }
    if !node.op.requantises() {
        return Some(());
    }
    let shift = graph.shift * node.op.limbs();
    let members = members(graph, node, change.element);
    let greatest = members.iter().map(|member| accumulators[*member]).max()?;
    let function = graph.function(node)?;
    let arguments = (function.min()..=function.max()).filter(|q| function.apply(*q) == change.value);
    let argument = arguments.min_by_key(|q| q.abs_diff(requantise(greatest, shift)))?;
    let wanted = argument << shift;
    for member in members {
        let accumulator = &mut accumulators[member];
        *accumulator = if *accumulator == greatest { wanted } else { wanted.min(*accumulator) };
    }
    Some(())
}

/// Accumulators of which an element is the requantised maximum.
fn members(graph: &Graph, node: &Node, element: usize) -> Vec<usize> {
    let Op::Linear(linear) = &node.op else { return vec![element] };
    if linear.pool == [1, 1] {
        return vec![element];
    }
    let [height, width] = linear.output(graph.tensors[node.inputs[0]].shape).expect("the window fits");
    let (channel, i, j) = graph.tensors[node.output].shape.position(element);
    // Columns of several images alternate.
    let images = linear.window.images;
    let column = |b: usize| (j / images * linear.pool[1] + b) * images + j % images;
    let member = |a: usize, b: usize| (channel * height + i * linear.pool[0] + a) * width + column(b);
    (0..linear.pool[0]).flat_map(|a| (0..linear.pool[1]).map(move |b| member(a, b))).collect()
}
