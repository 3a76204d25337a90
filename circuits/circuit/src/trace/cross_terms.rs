//! Cross terms: the coefficients of a convolution's product polynomial that are no outputs.

use zkml_gpu_graph::{Execution, Graph, Op};

use crate::placement::{CrossTermRun, Product};
use crate::system::Geometry;

/// A weight that an operand's element is multiplied by: the run's position that the product adds to, and the weight's
/// index in `[in][kernel height][kernel width]`.
pub(super) type Tap = (usize, usize);

/// Calls `visit` with every nonzero element of the node's operand, and with its products that add to free coefficients.
pub(super) fn for_each_element(
    graph: &Graph,
    execution: &Execution,
    run: &CrossTermRun,
    mut visit: impl FnMut(i64, &[Tap]),
) {
    let node = &graph.nodes[run.node as usize];
    let Op::Linear(linear) = &node.op else { return };
    let shape = graph.tensors[node.inputs[0]].shape;
    let geometry = Geometry::Image {
        channels: shape.channels,
        height: shape.height,
        width: shape.width,
        row_pitch: run.row_pitch * linear.input_dilation[0],
        column_pitch: linear.input_dilation[1],
        channel_pitch: 0,
    };
    let Some(product) = Product::new(linear, shape, geometry) else { return };
    let x = &execution.values[node.inputs[0]];
    let [height, width] = linear.window.kernel;
    let degree = run.free.len() - 1;
    let mut taps: Vec<Tap> = Vec::with_capacity(height * width);
    for (c, i, j) in
        (0..shape.channels).flat_map(|c| (0..shape.height).flat_map(move |i| (0..shape.width).map(move |j| (c, i, j))))
    {
        let value = x[shape.index(c, i, j)];
        if value == 0 {
            continue;
        }
        let base = product.operand(i, j);
        let all = (0..height).flat_map(|a| (0..width).map(move |b| (a, b)));
        let tap = |(a, b)| (degree - (base + product.kernel(a, b) + product.lead), (c * height + a) * width + b);
        taps.clear();
        taps.extend(all.map(tap).filter(|(position, _)| run.free[*position]));
        visit(value, &taps);
    }
}

/// One output channel's coefficients by position; 0 where none is free. `|x| < 2^28` and `|w| <= 2^15` (graph
/// validation), so that no sum of fewer than 2^20 products overflows.
pub(super) fn of_channel(graph: &Graph, execution: &Execution, run: &CrossTermRun, channel: usize) -> Vec<i64> {
    let mut coefficients = vec![0; run.free.len()];
    let node = &graph.nodes[run.node as usize];
    let Op::Linear(linear) = &node.op else { return coefficients };
    let (input, size) = (graph.tensors[node.inputs[0]].shape, linear.window.taps());
    for_each_element(graph, execution, run, |value, taps| {
        for (position, tap) in taps {
            let weight = linear.weight_index(input, channel, tap / size, tap % size);
            coefficients[*position] += value * weight.map_or(0, |index| i64::from(linear.weights[index]));
        }
    });
    coefficients
}
