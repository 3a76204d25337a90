//! Storage of matrices: products are stored in the order in which they are read, and one whose parts are read apart is
//! several.

use zkml_gpu_graph::{Shape, Storage, TensorId, Window};

use super::float::{FloatGraph, FloatLinear, FloatNode, FloatOp, FloatOrigin, FloatTensor};

/// A product with weights over single elements of a matrix: its weights, features and rows.
fn matrix(graph: &FloatGraph, i: usize) -> Option<(&FloatLinear, usize, usize)> {
    let FloatOp::Linear(linear) = &graph.nodes[i].op else { return None };
    let Shape { channels, height, width } = graph.tensors[graph.nodes[i].output].shape;
    let plain = linear.window == Window::UNIT && linear.groups == 1 && !linear.transposed && height == 1;
    (plain && width > 1).then_some((linear, channels, width))
}

/// The elements of its one operand that a rearrangement holds, in order; `None` for constants or several operands.
fn sources(node: &FloatNode) -> Option<Vec<usize>> {
    let FloatOp::Rearrange { origins } = &node.op else { return None };
    let source = |origin: &FloatOrigin| match origin {
        FloatOrigin::Element { element, .. } => Some(*element as usize),
        FloatOrigin::Constant(_) => None,
    };
    (node.inputs.len() == 1).then(|| origins.iter().map(source).collect())?
}

/// Stores products that are only read transposed as they are read.
pub(super) fn transpose(graph: &mut FloatGraph) {
    for i in 0..graph.nodes.len() {
        let Some((_, channels, width)) = matrix(graph, i) else { continue };
        let output = graph.nodes[i].output;
        if transpose_rows(graph, i, channels, width) {
            continue;
        }
        let Some(j) = graph.sole_reader(output) else { continue };
        let Some(sources) = sources(&graph.nodes[j]) else { continue };
        let transposed = |(place, source): (usize, usize)| source == place % channels * width + place / channels;
        if sources.len() != channels * width || !sources.into_iter().enumerate().all(transposed) {
            continue;
        }
        store_transposed(graph, i, channels, width);
        graph.nodes[j].op = FloatOp::Reshape;
    }
}

/// Stores a product row by row where all that read it take features of single rows, one after the other, as the steps of
/// a recurrent layer do; tells whether they do.
fn transpose_rows(graph: &mut FloatGraph, i: usize, channels: usize, width: usize) -> bool {
    let output = graph.nodes[i].output;
    let readers: Vec<usize> = graph.readers(output).collect();
    let is_of_row = |j: &usize| {
        sources(&graph.nodes[*j])
            .is_some_and(|sources| sources.len() > 1 && sources.windows(2).all(|pair| pair[0] + width == pair[1]))
    };
    if readers.len() < 2 || graph.outputs.contains(&output) || !readers.iter().all(is_of_row) {
        return false;
    }
    for j in readers {
        if let FloatOp::Rearrange { origins } = &mut graph.nodes[j].op {
            for origin in origins {
                if let FloatOrigin::Element { element, .. } = origin {
                    let place = *element as usize;
                    *element = (place % width * channels + place / width) as u32;
                }
            }
        }
    }
    store_transposed(graph, i, channels, width);
    true
}

fn store_transposed(graph: &mut FloatGraph, i: usize, channels: usize, width: usize) {
    if let FloatOp::Linear(linear) = &mut graph.nodes[i].op {
        linear.transposed = true;
    }
    let output = graph.nodes[i].output;
    graph.tensors[output].shape = Shape { channels: width, height: 1, width: channels };
    graph.tensors[output].logical_shape = vec![width, 1, channels];
}

/// Makes several products of one whose features are read in parts, each by rearrangements of its own: the parts may
/// then be stored differently. Tells whether the graph changed.
pub(super) fn split(graph: &mut FloatGraph, i: usize) -> bool {
    let Some((linear, channels, width)) = matrix(graph, i) else { return false };
    let output = graph.nodes[i].output;
    let readers: Vec<usize> = graph.readers(output).collect();
    if graph.outputs.contains(&output) || readers.len() < 2 {
        return false;
    }
    let Some(parts) = readers.iter().map(|j| part(&graph.nodes[*j], width)).collect::<Option<Vec<[usize; 2]>>>() else {
        return false;
    };
    if parts.iter().all(|part| *part == [0, channels]) {
        return false;
    }
    let (linear, node) = (linear.clone(), graph.nodes[i].clone());
    let row = linear.weights.len() / channels;
    for (j, [first, end]) in readers.iter().zip(&parts) {
        let own: TensorId = graph.tensors.len();
        let shape = Shape { channels: end - first, height: 1, width };
        let name = graph.tensors[output].name.clone();
        graph.tensors.push(FloatTensor::new(name, shape, vec![end - first, 1, width], Storage::Plain));
        graph.nodes[*j].inputs[0] = own;
        if let FloatOp::Rearrange { origins } = &mut graph.nodes[*j].op {
            origins.iter_mut().for_each(|origin| {
                if let FloatOrigin::Element { element, .. } = origin {
                    *element -= (first * width) as u32;
                }
            });
        }
        let weights = linear.weights[first * row..end * row].to_vec();
        let part = FloatLinear::dense(end - first, weights, linear.bias[*first..*end].to_vec());
        let node = FloatNode { op: FloatOp::Linear(part), output: own, ..node.clone() };
        graph.nodes.push(node);
    }
    // The new ones take the old one's place in the order of evaluation.
    graph.nodes[i..].rotate_right(readers.len());
    graph.nodes.remove(i + readers.len());
    true
}

/// The features that a rearrangement reads, all of their elements once.
fn part(node: &FloatNode, width: usize) -> Option<[usize; 2]> {
    let mut sources = sources(node)?;
    sources.sort_unstable();
    let first = *sources.first()?;
    let whole = first % width == 0 && sources.len().is_multiple_of(width);
    let once = sources.iter().enumerate().all(|(i, source)| *source == first + i);
    (whole && once).then_some([first / width, first / width + sources.len() / width])
}

/// Makes a change of shape of a rearrangement that moves nothing; tells whether the graph changed.
pub(super) fn settle(graph: &mut FloatGraph, i: usize) -> bool {
    let Some(sources) = sources(&graph.nodes[i]) else { return false };
    let still = sources.len() == graph.tensors[graph.nodes[i].inputs[0]].shape.len()
        && sources.iter().enumerate().all(|(place, source)| place == *source);
    if still {
        graph.nodes[i].op = FloatOp::Reshape;
    }
    still
}
