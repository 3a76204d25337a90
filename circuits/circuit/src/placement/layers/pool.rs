//! Pooling over windows that overlap, are padded, or do not follow a product: the window's elements are gathered by
//! lookup of (value, index), with fixed indices, into the row of the output.

use zkml_gpu_graph::window::covered;
use zkml_gpu_graph::{Shape, Window};

use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{FixedRole, RowKind, kind};

/// Counts a maximum.
pub(super) fn count_maximum(counter: &mut Counter<'_>, index: usize, window: &Window) -> Rows {
    counter.count.windows[1] = counter.count.windows[1].max(window.taps());
    [0, counter.graph.tensors[counter.node(index).output].shape.len(), 0]
}

/// Counts a sum.
pub(super) fn count_sum(counter: &mut Counter<'_>, index: usize, window: &Window) -> Rows {
    let node = counter.node(index);
    let input = counter.graph.tensors[node.inputs[0]].shape;
    counter.count.windows[2] = counter.count.windows[2].max(most_inside(window, input));
    counter.requantises(index, 1, 1);
    [0, counter.graph.tensors[node.output].shape.len(), 0]
}

/// Most elements inside the image that a window covers.
fn most_inside(window: &Window, input: Shape) -> usize {
    let Some(output) = window.output(input.height, input.width) else { return 0 };
    let inside =
        |axis: usize, size: usize| covered(window, axis, size, output[axis]).iter().map(Vec::len).max().unwrap_or(0);
    inside(0, input.height) * inside(1, input.width)
}

/// Indices of the elements inside the image that each window covers, in output order.
fn windows(input: Shape, window: &Window) -> Vec<Vec<usize>> {
    let Some([height, width]) = window.output(input.height, input.width) else { return Vec::new() };
    let (rows, columns) = (covered(window, 0, input.height, height), covered(window, 1, input.width, width));
    let mut all = Vec::with_capacity(input.channels * height * width);
    for c in 0..input.channels {
        for (rows, columns) in rows.iter().flat_map(|rows| columns.iter().map(move |columns| (rows, columns))) {
            let row = |i: usize| columns.iter().map(move |j| input.index(c, i, *j));
            all.push(rows.iter().flat_map(|i| row(*i)).collect());
        }
    }
    all
}

/// Places a maximum: `copy_k = max - d_k` with `d_k` in range limbs, and `Π d_k = 0`, so that the maximum is attained.
/// A padded position gathers an element of the window again, which changes no maximum.
pub(super) fn place_maximum(planner: &mut Planner<'_>, index: usize, window: &Window) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let input = &planner.graph.tensors[node.inputs[0]];
    let unsupported = |reason: String| LayoutError::Unsupported { node: node.name.clone(), reason };
    let size = window.taps();
    let first_row = planner.result_row;
    let windows = windows(input.shape, window);
    for (i, elements) in windows.iter().enumerate() {
        let first = *elements.first().ok_or_else(|| unsupported("a window lies in the padding alone".into()))?;
        for k in 0..size {
            let element = elements.get(k).copied().unwrap_or(first);
            planner.gather(first_row + i, k, node.inputs[0], element)?;
        }
    }
    place_rows(planner, index, RowKind::GatheredMaximum(kind::GatheredMaximum { window: size }), windows.len())
}

/// Places a sum: `factor·Σ copies + 2^(S-1) = round·2^S + rem`. A padded position gathers the constant 0.
pub(super) fn place_sum(
    planner: &mut Planner<'_>,
    index: usize,
    window: &Window,
    multipliers: &[i64],
) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let first_row = planner.result_row;
    let windows = windows(planner.graph.tensors[node.inputs[0]].shape, window);
    for (i, elements) in windows.iter().enumerate() {
        for (k, element) in elements.iter().enumerate() {
            planner.gather(first_row + i, k, node.inputs[0], *element)?;
        }
        planner.set(FixedRole::SumFactor, first_row + i, multipliers.get(elements.len()).copied().unwrap_or(0));
    }
    place_rows(planner, index, RowKind::GatheredSum, windows.len())
}

fn place_rows(planner: &mut Planner<'_>, index: usize, kind: RowKind, rows: usize) -> Result<(), LayoutError> {
    let entry = |element| ResultEntry { kind, element, count: 1, exponent: 0, channel: 0 };
    let entries: Vec<ResultEntry> = (0..rows).map(entry).collect();
    planner.place_results(index, &entries, Order::Unread, None)
}
