//! Pooling over windows that overlap, are padded, or do not follow a product: the window's elements are gathered by
//! lookup of (value, index), with fixed indices, into the row of the output.

use crate::{
    graph::{Shape, Window},
    layout::{FixedRole, LayoutError, Order, Planner, ResultEntry, RowKind},
};

/// Indices of the elements inside the image that each window covers, in output order.
pub(crate) fn windows(input: Shape, window: &Window) -> Vec<Vec<usize>> {
    let Some([height, width]) = window.output(input.height, input.width) else { return Vec::new() };
    let mut all = Vec::with_capacity(input.channels * height * width);
    for (c, i, j) in (0..input.channels).flat_map(|c| (0..height).flat_map(move |i| (0..width).map(move |j| (c, i, j))))
    {
        let inside = |axis: usize, out: usize, tap: usize, size: usize| {
            (out * window.stride[axis] + tap).checked_sub(window.pad_before[axis]).filter(|at| *at < size)
        };
        let taps = (0..window.kernel[0]).flat_map(|a| (0..window.kernel[1]).map(move |b| (a, b)));
        all.push(
            taps.filter_map(|(a, b)| {
                Some(input.index(c, inside(0, i, a, input.height)?, inside(1, j, b, input.width)?))
            })
            .collect(),
        );
    }
    all
}

/// Places a maximum: `copy_k = max - d_k` with `d_k` in the range table, and `Π d_k = 0`, so that the maximum is
/// attained. A padded position gathers an element of the window again, which changes no maximum.
pub(super) fn place_maximum(planner: &mut Planner<'_>, index: usize, window: &Window) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let input = &planner.graph.tensors[node.inputs[0]];
    let unsupported = |reason: String| LayoutError::Unsupported { node: node.name.clone(), reason };
    if input.format.max - input.format.min >= 1 << planner.graph.shift {
        return Err(unsupported(format!("its operand's range exceeds {} bits", planner.graph.shift)));
    }
    let size = window.kernel[0] * window.kernel[1];
    let first_row = planner.result_row;
    let windows = windows(input.shape, window);
    for (i, elements) in windows.iter().enumerate() {
        let first = *elements.first().ok_or_else(|| unsupported("a window lies in the padding alone".into()))?;
        for k in 0..size {
            let element = elements.get(k).copied().unwrap_or(first);
            planner.gather(first_row + i, k, node.inputs[0], element)?;
        }
    }
    place_rows(planner, index, RowKind::GatheredMaximum { window: size }, windows.len())
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
