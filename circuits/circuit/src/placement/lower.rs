//! Rewrites a graph into the forms that the layout places, without changing what it computes.

use std::collections::HashMap;

use zkml_gpu_graph::{
    Format, Graph, Interleaving, Linear, Node, Op, Origin, Shape, Storage, Tensor, TensorId, Visibility, Window,
};

use super::tensors::{conflict, is_rearranged, roots};

/// Largest pooling window that is gathered at once: each element takes a column for its copy and one for its
/// difference.
const MAX_WINDOW: usize = 9;
/// Most channels of a product by groups, each of which takes a column of weights: as many as there may be.
const MAX_GROUPED: usize = 1024;
/// Most values of a sum on the way to a mean: its table has a row for each.
const MAX_SUMS: i64 = 1 << 13;

/// Rewrites what the layout cannot place, or only at a price:
///
/// - a maximum over a large window becomes maxima over rows, then columns, then over parts of them;
/// - a mean over a large window becomes sums over rows, then columns, then parts of them, all of them exact, and the
///   mean of the last. Never a product with constant weights: committed weights are the owner's, and the pool would be
///   any linear map;
/// - a transposed convolution over several images side by side gets the zeros between their columns as elements, since
///   columns of an image that alternate with others' have no equal distances;
/// - a product by groups of more channels than there are columns of weights becomes several, over parts of the channels;
/// - a tensor that is read in two ways that its cells cannot serve at once is copied: a public input whose elements are
///   gathered, and a tensor that products read under two shapes. A copy requantises `x · 2^S`, which is `x`;
/// - a hashed tensor that is stored in another order than the model's is rearranged to it: the hash is of that order, and
///   depends on no circuit;
/// - a hidden input gets cells, which all that read it read instead.
pub fn lower(mut graph: Graph) -> Graph {
    order_hashed(&mut graph);
    enter_hidden(&mut graph);
    let mut index = 0;
    while index < graph.nodes.len() {
        // A part of a split window may be split again.
        let is_split = split_maximum(&mut graph, index)
            || split_sum(&mut graph, index)
            || spread_columns(&mut graph, index)
            || split_groups(&mut graph, index);
        if !is_split {
            index += 1;
        }
    }
    copy_conflicts(&mut graph);
    copy_gathered(&mut graph);
    graph
}

/// Gives hashed tensors the model's order. Indices, which are stored as ones and zeros, are hashed themselves.
fn order_hashed(graph: &mut Graph) {
    for index in 0..graph.inputs.len() {
        let input = graph.inputs[index];
        let is_hashed = graph.visibility.input(index) == Visibility::Hashed;
        let Some((ordered, places)) = in_order(&graph.tensors[input]).filter(|_| is_hashed) else { continue };
        let name = format!("{} (stored)", ordered.name);
        let stored = std::mem::replace(&mut graph.tensors[input], ordered);
        let cells = add_tensor(graph, stored);
        replace(graph, input, cells);
        let op = rearrange(&places);
        graph.nodes.insert(0, Node { name, op, inputs: vec![input], output: cells, activation: None });
    }
    for index in 0..graph.outputs.len() {
        let output = graph.outputs[index];
        let is_hashed = graph.visibility.output(index) == Visibility::Hashed;
        let Some((ordered, places)) = in_order(&graph.tensors[output]).filter(|_| is_hashed) else { continue };
        let mut stored_at = vec![0; places.len()];
        places.iter().enumerate().for_each(|(stored, place)| stored_at[*place] = stored);
        let name = format!("{} (in order)", ordered.name);
        let claimed = add_tensor(graph, ordered);
        let op = rearrange(&stored_at);
        graph.nodes.push(Node { name, op, inputs: vec![output], output: claimed, activation: None });
        graph.outputs[index] = claimed;
    }
}

/// A tensor in the model's order, and the place there of each element in stored order; none where that is the same.
fn in_order(tensor: &Tensor) -> Option<(Tensor, Vec<usize>)> {
    let places = tensor.storage.places(tensor.shape).filter(|_| tensor.storage != Storage::Plain)?;
    let shape = Shape::vector(tensor.shape.len());
    Some((Tensor { shape, storage: Storage::Plain, ..tensor.clone() }, places))
}

/// Takes these elements of one operand.
fn rearrange(elements: &[usize]) -> Op {
    let origins = elements.iter().map(|element| Origin::Element { operand: 0, element: *element as u32 });
    Op::Rearrange { origins: origins.collect() }
}

/// All that reads a tensor reads another one instead.
fn replace(graph: &mut Graph, tensor: TensorId, other: TensorId) {
    let readers = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut graph.outputs);
    readers.filter(|reader| **reader == tensor).for_each(|reader| *reader = other);
}

/// Gives hidden inputs cells. A graph that has them already is left as it is.
fn enter_hidden(graph: &mut Graph) {
    for index in (0..graph.inputs.len()).rev() {
        let input = graph.inputs[index];
        let entered = graph.nodes.iter().any(|node| matches!(node.op, Op::Enter) && node.inputs == [input]);
        if entered || !graph.visibility.input(index).is_hidden() {
            continue;
        }
        let tensor = graph.tensors[input].clone();
        let cells = add_tensor(graph, tensor);
        replace(graph, input, cells);
        let name = format!("{} ({})", graph.tensors[input].name, graph.visibility.input(index).name());
        graph.nodes.insert(0, Node { name, op: Op::Enter, inputs: vec![input], output: cells, activation: None });
    }
}

fn copy_conflicts(graph: &mut Graph) {
    // Each copy takes one reader from a class, so there are at most as many copies as nodes.
    for _ in 0..graph.nodes.len() {
        let Some((node, operand)) = conflict(graph) else { break };
        let multipliers = vec![0, 1 << graph.shift];
        let source = graph.nodes[node].inputs[operand];
        let copy = insert_copy(graph, node, source, Op::AveragePool { window: Window::UNIT, multipliers });
        graph.nodes[node + 1].inputs[operand] = copy;
    }
}

/// Copies public inputs that are gathered or multiplied with activations, and rearranged tensors of which an element at
/// a position that depends on the witness is gathered.
fn copy_gathered(graph: &mut Graph) {
    let mut copies: HashMap<TensorId, TensorId> = HashMap::new();
    let mut index = 0;
    while index < graph.nodes.len() {
        let op = &graph.nodes[index].op;
        let gathers = matches!(
            op,
            Op::MaxPool(_) | Op::AveragePool { .. } | Op::Rearrange { .. } | Op::ArgMax { .. } | Op::MatMul(_)
        );
        let by_position = matches!(op, Op::ArgMax { .. });
        for operand in 0..graph.nodes[index].inputs.len() {
            let source = graph.nodes[index].inputs[operand];
            let public = graph.inputs.contains(&roots(graph)[source]);
            if !gathers || !(public || by_position && is_rearranged(graph, source)) {
                continue;
            }
            let copy = match copies.get(&source) {
                Some(copy) => *copy,
                None => {
                    let (multipliers, shared) = (vec![1 << graph.shift], Interleaving::NONE);
                    let op = Op::Combine { multipliers, offset: Vec::new(), shared, width: None };
                    let copy = insert_copy(graph, index, source, op);
                    copies.insert(source, copy);
                    index += 1;
                    copy
                }
            };
            graph.nodes[index].inputs[operand] = copy;
        }
        index += 1;
    }
}

/// Inserts a copy of `source` before a node; returns the copy.
fn insert_copy(graph: &mut Graph, node: usize, source: TensorId, op: Op) -> TensorId {
    let name = format!("{} (copy)", graph.tensors[source].name);
    let copy = add_tensor(graph, Tensor { name, ..graph.tensors[source].clone() });
    let name = format!("{} (operand)", graph.nodes[node].name);
    graph.nodes.insert(node, Node { name, op, inputs: vec![source], output: copy, activation: None });
    copy
}

fn add_tensor(graph: &mut Graph, tensor: Tensor) -> TensorId {
    graph.tensors.push(tensor);
    graph.tensors.len() - 1
}

/// Splits a product by groups that has more channels than columns of weights; tells whether it did. Accumulators that are
/// claimed as they are stay: nothing joins them.
fn split_groups(graph: &mut Graph, index: usize) -> bool {
    let node = graph.nodes[index].clone();
    let Op::Linear(linear) = &node.op else { return false };
    let of_group = linear.out_channels / linear.groups.max(1);
    let fits = linear.groups == 1 || linear.out_channels <= MAX_GROUPED;
    if fits || linear.raw || linear.transposed || of_group > MAX_GROUPED {
        return false;
    }
    let parts = linear.groups.div_ceil(MAX_GROUPED / of_group);
    let size = linear.groups.div_ceil(parts);
    let (input, output) = (graph.tensors[node.inputs[0]].clone(), graph.tensors[node.output].clone());
    let (inputs, weights) = (input.shape.channels / linear.groups, linear.weights.len() / linear.out_channels);
    let part = |of: &Tensor, channels: usize, name: String| {
        let shape = Shape { channels, ..of.shape };
        let logical_shape = vec![shape.channels, shape.height, shape.width];
        Tensor { name, shape, logical_shape, storage: Storage::Plain, format: of.format }
    };
    let mut nodes = Vec::new();
    let (mut joined, mut origins) = (Vec::new(), Vec::new());
    for first in (0..linear.groups).step_by(size) {
        let groups = size.min(linear.groups - first);
        let name = format!("{} (channels from {})", node.name, first * of_group);
        let read = part(&input, groups * inputs, name.clone());
        let start = first * inputs * input.shape.height * input.shape.width;
        let elements: Vec<usize> = (start..start + read.shape.len()).collect();
        let read = add_tensor(graph, read);
        let (op, own) = (rearrange(&elements), vec![node.inputs[0]]);
        nodes.push(Node { name: name.clone(), op, inputs: own, output: read, activation: None });
        let channels = first * of_group..(first + groups) * of_group;
        let own = Linear {
            groups,
            out_channels: channels.len(),
            // A graph of shapes alone has no weights.
            weights: slice(&linear.weights, channels.start * weights..channels.end * weights),
            bias: slice(&linear.bias, channels.clone()),
            ..linear.clone()
        };
        let result = part(&output, channels.len(), name.clone());
        let operand = joined.len() as u32;
        origins.extend((0..result.shape.len() as u32).map(|element| Origin::Element { operand, element }));
        let result = add_tensor(graph, result);
        let activation = node.activation;
        nodes.push(Node { name, op: Op::Linear(own), inputs: vec![read], output: result, activation });
        joined.push(result);
    }
    let op = Op::Rearrange { origins };
    nodes.push(Node { name: node.name, op, inputs: joined, output: node.output, activation: None });
    graph.nodes.splice(index..=index, nodes);
    true
}

/// A part of a list; nothing of one that is shorter.
fn slice<T: Clone>(list: &[T], part: std::ops::Range<usize>) -> Vec<T> {
    list.get(part).map(<[T]>::to_vec).unwrap_or_default()
}

/// Makes elements of the zeros between the columns of several images; tells whether it did.
fn spread_columns(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Op::Linear(linear) = &node.op else { return false };
    let (images, by) = (linear.window.images, linear.input_dilation[1]);
    if images == 1 || by == 1 {
        return false;
    }
    let (mut linear, input) = (linear.clone(), &graph.tensors[node.inputs[0]]);
    let shape = Shape { width: linear.grid(input.shape).width, ..input.shape };
    let Format { min, max, .. } = input.format;
    let format = Format { min: min.min(0), max: max.max(0), ..input.format };
    let origin = |place: usize| {
        let (c, i, j) = shape.position(place);
        let (column, image) = (j / images, j % images);
        match column.is_multiple_of(by) {
            true => {
                let element = input.shape.index(c, i, column / by * images + image) as u32;
                Origin::Element { operand: 0, element }
            }
            false => Origin::Constant(0),
        }
    };
    let origins = (0..shape.len()).map(origin).collect();
    linear.input_dilation[1] = 1;
    insert_stage(graph, index, [Op::Rearrange { origins }, Op::Linear(linear)], shape, format);
    true
}

/// Splits a large window of a maximum in two stages; tells whether it did.
fn split_maximum(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Op::MaxPool(window) = node.op else { return false };
    let input = &graph.tensors[node.inputs[0]];
    let Some([first, second]) = stages(&window, input.shape) else { return false };
    let Some([height, width]) = first.output(input.shape.height, input.shape.width) else { return false };
    let shape = Shape { height, width, ..input.shape };
    let format = input.format;
    insert_stage(graph, index, [Op::MaxPool(first), Op::MaxPool(second)], shape, format);
    true
}

/// Puts the first of two operations before a node, which becomes the second and reads the first one's result.
fn insert_stage(graph: &mut Graph, index: usize, [first, second]: [Op; 2], shape: Shape, format: Format) {
    let node = &graph.nodes[index];
    let (name, inputs) = (format!("{} (part)", node.name), node.inputs.clone());
    let logical_shape = vec![shape.channels, shape.height, shape.width];
    let part = add_tensor(graph, Tensor { name: name.clone(), shape, format, logical_shape, storage: Storage::Plain });
    graph.nodes[index].op = second;
    graph.nodes[index].inputs = vec![part];
    graph.nodes.insert(index, Node { name, op: first, inputs, output: part, activation: None });
}

/// The two windows whose maxima, or sums, one after the other, are those of `window`; `None` where it is small, or long
/// and overlapping. Padding never wins, so it may be split like the image.
fn stages(window: &Window, shape: Shape) -> Option<[Window; 2]> {
    if window.taps() <= MAX_WINDOW {
        return None;
    }
    let Window { kernel, stride, dilation, pad_before, pad_after, images } = *window;
    let unit = Window { images, ..Window::UNIT };
    if kernel[0] > 1 && kernel[1] > 1 {
        let along = |axis: usize| {
            let mut only = unit;
            (only.kernel[axis], only.stride[axis], only.dilation[axis]) = (kernel[axis], stride[axis], dilation[axis]);
            (only.pad_before[axis], only.pad_after[axis]) = (pad_before[axis], pad_after[axis]);
            only
        };
        return Some([along(1), along(0)]);
    }
    let axis = usize::from(kernel[1] > 1);
    let extent = [shape.height, shape.width / images][axis];
    let covers_all = kernel[axis] == extent && !window.is_padded() && dilation[axis] == 1;
    if !covers_all {
        return None;
    }
    // Parts of a whole row or column; the last one reaches into padding.
    let part = kernel[axis].isqrt().min(MAX_WINDOW);
    let parts = kernel[axis].div_ceil(part);
    let (mut first, mut second) = (unit, unit);
    (first.kernel[axis], first.stride[axis], first.pad_after[axis]) = (part, part, parts * part - kernel[axis]);
    (second.kernel[axis], second.stride[axis]) = (parts, parts);
    Some([first, second])
}

/// Splits a mean over a large window in two stages, exact sums and a mean of them; tells whether it did. Only where
/// every window has one factor, and the sums are few: other large windows are gathered at once.
fn split_sum(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Op::AveragePool { window, multipliers } = &node.op else { return false };
    let input = &graph.tensors[node.inputs[0]];
    let Some(&factor) = multipliers.get(window.taps()) else { return false };
    let uniform = !window.is_padded() || multipliers[1..].iter().all(|m| *m == factor);
    let Some([first, second]) = stages(window, input.shape).filter(|_| uniform) else { return false };
    let Some([height, width]) = first.output(input.shape.height, input.shape.width) else { return false };
    let Format { min, max, .. } = input.format;
    // Padding is a summand of 0.
    let ends = [min.min(0), max.max(0)].map(|end| end * first.taps() as i64);
    if ends[1] - ends[0] >= MAX_SUMS {
        return false;
    }
    let shape = Shape { height, width, ..input.shape };
    let format = Format { min: ends[0], max: ends[1], ..input.format };
    // x · 2^S is requantised to x.
    let sum = Op::AveragePool { window: first, multipliers: vec![1 << graph.shift; first.taps() + 1] };
    let mean = Op::AveragePool { window: second, multipliers: vec![factor; second.taps() + 1] };
    insert_stage(graph, index, [sum, mean], shape, format);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkml_gpu_graph::Visibilities;

    fn pooled(shape: Shape, op: impl Fn(Window) -> Op, window: Window) -> Graph {
        let [height, width] = window.output(shape.height, shape.width).unwrap();
        let tensor = |shape: Shape| Tensor {
            name: "t".into(),
            shape,
            format: Format::new(0, -99, 99),
            logical_shape: vec![shape.len()],
            storage: Storage::Plain,
        };
        Graph {
            name: "test".into(),
            shift: 4,
            tensors: vec![tensor(shape), tensor(Shape { height, width, ..shape })],
            activations: Vec::new(),
            nodes: vec![Node { name: "pool".into(), op: op(window), inputs: vec![0], output: 1, activation: None }],
            inputs: vec![0],
            outputs: vec![1],
            visibility: Visibilities::default(),
        }
    }

    /// Lowers, and checks that every output is as before and no window is large.
    fn same(graph: Graph) -> Graph {
        let input = (0..graph.tensors[0].shape.len() as i64).map(|i| (i * 73 + i / 7) % 199 - 99).collect::<Vec<_>>();
        let before = graph.run(std::slice::from_ref(&input)).unwrap().values[1].clone();
        let lowered = lower(graph);
        assert_eq!(lowered.run(&[input]).unwrap().values[1], before);
        for node in &lowered.nodes {
            if let Op::MaxPool(window) | Op::AveragePool { window, .. } = &node.op {
                assert!(window.taps() <= MAX_WINDOW, "{window:?}");
            }
        }
        lowered
    }

    #[test]
    fn large_maxima_are_taken_in_stages() {
        for (height, width) in [(14, 14), (7, 7), (1, 50), (23, 1)] {
            let shape = Shape { channels: 2, height, width };
            same(pooled(shape, Op::MaxPool, Window { kernel: [height, width], ..Window::UNIT }));
        }
        let window = Window { kernel: [5, 4], stride: [2, 3], pad_before: [2, 1], pad_after: [1, 2], ..Window::UNIT };
        same(pooled(Shape { channels: 2, height: 9, width: 8 }, Op::MaxPool, window));
        let window = Window { kernel: [4, 3], dilation: [2, 3], ..Window::UNIT };
        same(pooled(Shape { channels: 1, height: 9, width: 8 }, Op::MaxPool, window));
        // Each of several images.
        let window = Window { kernel: [5, 6], images: 3, ..Window::UNIT };
        same(pooled(Shape { channels: 2, height: 5, width: 18 }, Op::MaxPool, window));
        let window = Window { kernel: [4, 3], dilation: [2, 3], pad_before: [1, 2], images: 2, ..Window::UNIT };
        same(pooled(Shape { channels: 1, height: 9, width: 16 }, Op::MaxPool, window));
    }

    #[test]
    fn large_means_are_means_of_exact_sums() {
        let average = |window: Window| Op::AveragePool { window, multipliers: vec![3; window.taps() + 1] };
        for (height, width) in [(5, 6), (7, 7), (1, 23), (31, 1)] {
            let window = Window { kernel: [height, width], ..Window::UNIT };
            let graph = same(pooled(Shape { channels: 3, height, width }, average, window));
            assert!(graph.nodes.len() > 1 && graph.parameters() == 0, "{:?}", graph.nodes);
        }
        let window = Window { kernel: [5, 6], images: 3, ..Window::UNIT };
        same(pooled(Shape { channels: 2, height: 5, width: 18 }, average, window));
        // Padding counts as zeros, and windows overlap.
        let window = Window { kernel: [5, 4], stride: [2, 3], pad_before: [2, 1], pad_after: [1, 2], ..Window::UNIT };
        same(pooled(Shape { channels: 2, height: 9, width: 8 }, average, window));
    }

    #[test]
    fn zeros_between_the_columns_of_several_images_become_elements() {
        let window = Window { kernel: [2, 3], pad_before: [1, 2], images: 2, ..Window::UNIT };
        let linear = |shape: Shape| {
            let linear =
                Linear { window, input_dilation: [2, 3], ..Linear::dense(1, vec![1, -2, 3, 4, -5, 6], vec![7]) };
            (linear.output(shape).unwrap(), Op::Linear(linear))
        };
        let shape = Shape { channels: 1, height: 3, width: 8 };
        let ([height, width], op) = linear(shape);
        let mut graph = pooled(shape, |_| op.clone(), Window::UNIT);
        graph.tensors[1].shape = Shape { channels: 1, height, width };
        graph.tensors[1].logical_shape = vec![height * width];
        let lowered = same(graph);
        let dilation = |node: &Node| if let Op::Linear(linear) = &node.op { Some(linear.input_dilation) } else { None };
        let dilations = lowered.nodes.iter().filter_map(dilation);
        assert_eq!(dilations.collect::<Vec<_>>(), [[2, 1]]);
    }

    #[test]
    fn products_by_groups_have_no_more_channels_than_columns_of_weights() {
        let shape = Shape { channels: 2100, height: 1, width: 2 };
        let weights = (0..2 * 2100).map(|i| i % 7 - 3).collect();
        let bias = (0..2100).map(|i| i % 5).collect();
        let linear = Linear { groups: 1050, ..Linear::dense(2100, weights, bias) };
        let lowered = same(pooled(shape, |_| Op::Linear(linear.clone()), Window::UNIT));
        let channels = lowered.nodes.iter().filter_map(|node| {
            let Op::Linear(linear) = &node.op else { return None };
            Some(linear.out_channels)
        });
        assert_eq!(channels.collect::<Vec<_>>(), [700, 700, 700]);
    }

    #[test]
    fn means_over_many_large_numbers_are_gathered_at_once() {
        let average = |window: Window| Op::AveragePool { window, multipliers: vec![3; window.taps() + 1] };
        let window = Window { kernel: [7, 7], ..Window::UNIT };
        let mut graph = pooled(Shape { channels: 1, height: 7, width: 7 }, average, window);
        graph.tensors[0].format = Format::new(0, -65_535, 65_535);
        let lowered = lower(graph);
        // After the copy that a public input needs.
        let [Node { op: Op::Combine { .. }, .. }, Node { op: Op::AveragePool { window: kept, .. }, .. }] =
            &lowered.nodes[..]
        else {
            panic!("{:?}", lowered.nodes)
        };
        assert_eq!(*kept, window);
    }

    #[test]
    fn means_that_differ_at_the_border_stay() {
        let multipliers = |window: Window| (0..=window.taps() as i64).collect();
        let window = Window { kernel: [4, 4], pad_before: [1, 1], ..Window::UNIT };
        let average = |window| Op::AveragePool { window, multipliers: multipliers(window) };
        let graph = lower(pooled(Shape { channels: 1, height: 6, width: 6 }, average, window));
        assert!(graph.nodes.iter().any(|node| matches!(node.op, Op::AveragePool { .. })));
    }
}
