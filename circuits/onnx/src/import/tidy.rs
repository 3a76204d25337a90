//! Simplification of data movement: what is moved twice moves once, functions move to the operation whose output they
//! take, and a permutation before a dense layer goes into its weights.

use zkml_gpu_graph::{TensorId, Window};

use super::execute::rounded;
use super::float::{FloatGraph, FloatNode, FloatOp, FloatOrigin, FloatTensor};
use super::matrices;
use super::rewrite::{absorb, merge};

/// Tries to simplify the movement at node `i`; tells whether the graph changed.
pub(super) fn step(graph: &mut FloatGraph, i: usize) -> bool {
    drop_idle(graph, i)
        || tidy_operands(graph, i)
        || matrices::settle(graph, i)
        || join(graph, i)
        || matrices::split(graph, i)
}

/// Removes a change of shape that changes nothing.
fn drop_idle(graph: &mut FloatGraph, i: usize) -> bool {
    let node = &graph.nodes[i];
    let (x, y) = (node.inputs[0], node.output);
    let idle = matches!(node.op, FloatOp::Reshape) && graph.tensors[x].shape == graph.tensors[y].shape;
    if !idle || graph.outputs.contains(&y) {
        return false;
    }
    graph.nodes.remove(i);
    graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).filter(|id| **id == y).for_each(|id| *id = x);
    true
}

/// Removes operands of a rearrangement that occur twice, or of which nothing is left.
fn tidy_operands(graph: &mut FloatGraph, i: usize) -> bool {
    let FloatNode { op: FloatOp::Rearrange { origins }, inputs, .. } = &mut graph.nodes[i] else { return false };
    let mut read: Vec<TensorId> = Vec::new();
    for origin in origins.iter() {
        if let FloatOrigin::Element { operand, .. } = origin
            && !read.contains(&inputs[*operand as usize])
        {
            read.push(inputs[*operand as usize]);
        }
    }
    // A tensor of constants alone keeps an operand, because the operand places it in the order of evaluation.
    if read.is_empty() {
        read.push(inputs[0]);
    }
    if read.len() == inputs.len() {
        return false;
    }
    for origin in origins {
        if let FloatOrigin::Element { operand, .. } = origin {
            let place = read.iter().position(|id| *id == inputs[*operand as usize]);
            *operand = place.unwrap_or_default() as u32;
        }
    }
    *inputs = read;
    true
}

/// Tries to join node `i` with the only reader of its output.
fn join(graph: &mut FloatGraph, i: usize) -> bool {
    let Some(j) = graph.sole_reader(graph.nodes[i].output) else { return false };
    if apply(&graph.nodes[j].op, 0.0).is_some() && matches!(graph.nodes[i].op, FloatOp::Rearrange { .. }) {
        return distribute(graph, i, j);
    }
    let vector = graph.tensors[graph.nodes[i].output].shape;
    match (&graph.nodes[i].op, &graph.nodes[j].op) {
        (FloatOp::Reshape | FloatOp::Rearrange { .. }, FloatOp::Reshape) => merge(graph, i, j),
        (FloatOp::Reshape, FloatOp::Rearrange { .. }) => absorb(graph, i, j),
        (FloatOp::Rearrange { .. }, FloatOp::Rearrange { .. }) => compose(graph, i, j),
        (FloatOp::Rearrange { .. }, FloatOp::Linear(linear))
            if linear.window == Window::UNIT && linear.groups == 1 && vector.height * vector.width == 1 =>
        {
            permute_weights(graph, i, j)
        }
        (
            FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::Activation(_)
            | FloatOp::Clamp { .. }
            | FloatOp::Round { .. }
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. }
            | FloatOp::Reshape
            | FloatOp::Rearrange { .. }
            | FloatOp::ArgMax { .. },
            _,
        ) => false,
    }
}

/// Two rearrangements, one after the other, as one.
fn compose(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let first = graph.nodes[i].clone();
    let FloatOp::Rearrange { origins: before } = &first.op else { return false };
    let FloatNode { op: FloatOp::Rearrange { origins }, inputs, .. } = &mut graph.nodes[j] else { return false };
    let base = inputs.len() as u32;
    for origin in origins {
        if let FloatOrigin::Element { operand, element } = *origin
            && inputs[operand as usize] == first.output
        {
            *origin = match before[element as usize] {
                FloatOrigin::Element { operand, element } => FloatOrigin::Element { operand: base + operand, element },
                constant => constant,
            };
        }
    }
    // The old operand is not read any more, and is dropped with the next step.
    let old: Vec<TensorId> = first.inputs.iter().copied().take(1).collect();
    inputs.iter_mut().filter(|id| **id == first.output).for_each(|id| *id = old[0]);
    inputs.extend(&first.inputs);
    graph.nodes.remove(i);
    true
}

/// A clamp or an activation function of one number; `None` for other operations.
fn apply(op: &FloatOp, x: f32) -> Option<f32> {
    match op {
        FloatOp::Activation(function) => Some(function.apply(x)),
        FloatOp::Clamp { min, max } => Some(x.max(*min).min(*max)),
        FloatOp::Round { step, min, max } => Some(rounded(x, *step, [*min, *max]) * step),
        FloatOp::Linear(_)
        | FloatOp::Affine { .. }
        | FloatOp::Combine { .. }
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::MaxPool(_)
        | FloatOp::AveragePool { .. }
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => None,
    }
}

/// Whether a function that follows an operation becomes part of its requantisation.
const fn takes_function(op: &FloatOp) -> bool {
    match op {
        FloatOp::Linear(_)
        | FloatOp::Combine { .. }
        | FloatOp::AveragePool { .. }
        | FloatOp::MatMul(_)
        | FloatOp::Multiply { .. } => true,
        FloatOp::Affine { .. }
        | FloatOp::Softmax(_)
        | FloatOp::Normalise(_)
        | FloatOp::Activation(_)
        | FloatOp::Clamp { .. }
        | FloatOp::Round { .. }
        | FloatOp::MaxPool(_)
        | FloatOp::Reshape
        | FloatOp::Rearrange { .. }
        | FloatOp::ArgMax { .. } => false,
    }
}

/// Lets a pointwise function run before a rearrangement, where that puts it directly behind the operations whose
/// results are rearranged.
fn distribute(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let fuses = |&x: &TensorId| {
        let computes = |p: usize| takes_function(&graph.nodes[p].op);
        graph.sole_reader(x) == Some(i) && graph.producer(x).is_some_and(computes)
    };
    if !graph.nodes[i].inputs.iter().all(fuses) {
        return false;
    }
    let last = graph.nodes.remove(j);
    let function = |x: f32| apply(&last.op, x).unwrap_or(x);
    graph.nodes[i].output = last.output;
    if let FloatOp::Rearrange { origins } = &mut graph.nodes[i].op {
        for origin in origins {
            if let FloatOrigin::Constant(constant) = origin {
                *constant = function(*constant);
            }
        }
    }
    for k in 0..graph.nodes[i].inputs.len() {
        let (x, output) = (graph.nodes[i + k].inputs[k], graph.tensors.len());
        let tensor = FloatTensor { name: last.name.clone(), ..graph.tensors[x].clone() };
        graph.tensors.push(tensor);
        graph.nodes[i + k].inputs[k] = output;
        let node = FloatNode { name: last.name.clone(), op: last.op.clone(), inputs: vec![x], output };
        graph.nodes.insert(i + k, node);
    }
    true
}

/// A permutation of a vector before a dense layer as a permutation of the layer's weights.
fn permute_weights(graph: &mut FloatGraph, i: usize, j: usize) -> bool {
    let FloatNode { op: FloatOp::Rearrange { origins }, inputs, .. } = &graph.nodes[i] else { return false };
    let source = |origin: &FloatOrigin| match origin {
        FloatOrigin::Element { element, .. } => Some(*element as usize),
        FloatOrigin::Constant(_) => None,
    };
    let Some(sources) = origins.iter().map(source).collect::<Option<Vec<usize>>>() else { return false };
    let mut seen = vec![false; graph.tensors[inputs[0]].shape.len()];
    if inputs.len() != 1 || seen.len() != sources.len() {
        return false;
    }
    sources.iter().for_each(|&source| seen[source] = true);
    if !seen.into_iter().all(|s| s) {
        return false;
    }
    if let FloatOp::Linear(linear) = &mut graph.nodes[j].op {
        for row in linear.weights.chunks_mut(sources.len()) {
            let old = row.to_vec();
            sources.iter().zip(old).for_each(|(&source, weight)| row[source] = weight);
        }
    }
    graph.nodes[i].op = FloatOp::Reshape;
    true
}

#[cfg(test)]
mod tests {
    use zkml_gpu_graph::{Shape, Storage};

    use super::super::float::FloatLinear;
    use super::super::function::Function;
    use super::super::rewrite::prune;
    use super::*;

    fn element(operand: u32, element: u32) -> FloatOrigin {
        FloatOrigin::Element { operand, element }
    }

    fn rearrange(origins: &[FloatOrigin]) -> FloatOp {
        FloatOp::Rearrange { origins: origins.to_vec() }
    }

    /// A graph over vectors of these sizes, the first two of which are inputs; the last is the output.
    fn graph(sizes: &[usize], nodes: Vec<(FloatOp, Vec<TensorId>)>) -> FloatGraph {
        let tensor = |&n: &usize| FloatTensor::new(String::new(), Shape::vector(n), vec![n], Storage::Plain);
        let node = |(i, (op, inputs))| FloatNode { name: format!("n{i}"), op, inputs, output: i + 2 };
        FloatGraph {
            name: String::new(),
            tensors: sizes.iter().map(tensor).collect(),
            nodes: nodes.into_iter().enumerate().map(node).collect(),
            inputs: vec![0, 1],
            outputs: vec![sizes.len() - 1],
        }
    }

    /// Simplifies a graph, which must not change what it computes, and returns its operations.
    fn simplified(mut graph: FloatGraph) -> FloatGraph {
        let inputs: Vec<Vec<f32>> = graph
            .inputs
            .iter()
            .map(|&id| (0..graph.tensors[id].shape.len()).map(|i| (3 * id + i) as f32 - 2.0).collect())
            .collect();
        let expected = graph.run(&inputs).unwrap();
        prune(&mut graph);
        while (0..graph.nodes.len()).any(|i| step(&mut graph, i)) {}
        assert_eq!(graph.run(&inputs).unwrap(), expected);
        graph
    }

    #[test]
    fn moves_in_a_row_are_one() {
        let first = rearrange(&[element(1, 1), FloatOrigin::Constant(7.0), element(0, 0)]);
        let second = rearrange(&[element(0, 2), element(0, 1), element(1, 1), element(0, 0)]);
        let result = simplified(graph(&[2, 2, 3, 4], vec![(first, vec![0, 1]), (second, vec![2, 1])]));
        assert_eq!((result.nodes.len(), result.nodes[0].inputs.as_slice()), (1, &[0, 1][..]));
    }

    #[test]
    fn operands_that_nothing_takes_are_dropped() {
        let slice = rearrange(&[element(1, 1), element(2, 0)]);
        let result = simplified(graph(&[2, 2, 2], vec![(slice, vec![0, 1, 1])]));
        assert_eq!((result.nodes.len(), result.nodes[0].inputs.as_slice()), (1, &[1][..]));
    }

    #[test]
    fn a_function_moves_to_the_operations_whose_results_are_rearranged() {
        let double = || FloatOp::sum(vec![2.0]);
        let concat = rearrange(&[element(0, 0), element(0, 1), element(1, 0), FloatOrigin::Constant(-2.0)]);
        let leaky = FloatOp::Activation(Function::LeakyRelu { slope: 0.5 });
        let nodes = vec![(double(), vec![0]), (double(), vec![1]), (concat, vec![2, 3]), (leaky, vec![4])];
        let result = simplified(graph(&[2, 2, 2, 2, 4, 4], nodes));
        let functions = |node: &FloatNode| matches!(node.op, FloatOp::Activation(_));
        assert_eq!(result.nodes.iter().map(functions).collect::<Vec<_>>(), [false, false, true, true, false]);
    }

    #[test]
    fn a_function_of_an_input_that_is_rearranged_stays() {
        let nodes = vec![
            (rearrange(&[element(0, 1), element(0, 0)]), vec![0]),
            (FloatOp::Clamp { min: 0.0, max: 1.0 }, vec![2]),
        ];
        assert!(matches!(simplified(graph(&[2, 2, 2, 2], nodes)).nodes[0].op, FloatOp::Rearrange { .. }));
    }

    #[test]
    fn a_permutation_goes_into_the_weights_and_a_selection_does_not() {
        for (origins, moves) in [
            ([element(0, 2), element(0, 0), element(0, 1)], false),
            ([element(0, 2), element(0, 2), element(0, 1)], true),
            ([element(0, 2), FloatOrigin::Constant(1.0), element(0, 1)], true),
        ] {
            let dense = FloatLinear::dense(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.0, 1.0]);
            let nodes = vec![(rearrange(&origins), vec![0]), (FloatOp::Linear(dense), vec![2])];
            let result = simplified(graph(&[3, 1, 3, 2], nodes));
            let moved = result.nodes.iter().any(|node| matches!(node.op, FloatOp::Rearrange { .. }));
            assert_eq!(moved, moves, "{origins:?}");
        }
    }

    #[test]
    fn what_no_output_needs_is_removed() {
        let nodes = vec![(FloatOp::sum(vec![1.0]), vec![0]), (FloatOp::sum(vec![3.0]), vec![1])];
        let result = simplified(graph(&[2, 2, 2, 2], nodes));
        assert_eq!((result.nodes.len(), result.nodes[0].inputs.as_slice()), (1, &[1][..]));
    }
}
