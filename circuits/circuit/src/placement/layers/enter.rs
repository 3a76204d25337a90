//! Hidden inputs: rows that hold their elements, each inside its range. Of indices in one-hot form, elements of
//! one channel share rows, and one identity says `Σ_channels element - one = 0` at a power of `r` for each index.

use zkml_gpu_graph::{Shape, Storage};

use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{Accumulator, Factor, Multiplicand, RowKind, kind};

/// Counts the rows of a hidden input.
pub(super) fn count(counter: &mut Counter<'_>, index: usize) -> Rows {
    let output = counter.node(index).output;
    let tensor = &counter.graph.tensors[output];
    let (rows, lanes) = match tensor.storage {
        Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => counter.groups(output, 1),
        Storage::OneHot => {
            counter.adds(&[Accumulator::ResultTotal]);
            let Shape { channels, height, width } = tensor.shape;
            let area = height * width;
            let of_channel = |channel: usize| counter.groups_in(output, channel * area..(channel + 1) * area, 1);
            (0..channels).map(of_channel).fold((0, 0), |(rows, most), (more, lanes)| (rows + more, most.max(lanes)))
        }
    };
    match tensor.storage {
        Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => counter.requantises(index, lanes, 1),
        Storage::OneHot => {
            counter.count.activation_lanes = counter.count.activation_lanes.max(lanes);
            counter.looks_up(lanes);
        }
    }
    [0, rows, 0]
}

/// Places the rows of a hidden input.
pub(super) fn place(planner: &mut Planner<'_>, index: usize) -> Result<(), LayoutError> {
    let output = planner.graph.nodes[index].output;
    let tensor = &planner.graph.tensors[output];
    match tensor.storage {
        Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => {
            let kind = |lanes| RowKind::Entry(kind::Entry { lanes });
            let groups = planner.lane_groups(output, 0..tensor.shape.len(), planner.lanes_of(output, 1)).into_iter();
            let entry = |(element, count)| ResultEntry { kind: kind(count), element, count, exponent: 0, channel: 0 };
            let entries: Vec<ResultEntry> = groups.map(entry).collect();
            planner.place_results(index, &entries, Order::Unread, None)
        }
        Storage::OneHot => place_one_hot(planner, index, tensor.shape, tensor.format.max),
    }
}

fn place_one_hot(planner: &mut Planner<'_>, index: usize, shape: Shape, one: i64) -> Result<(), LayoutError> {
    let output = planner.graph.nodes[index].output;
    let area = shape.height * shape.width;
    let mut entries = Vec::new();
    let mut ends = Vec::new();
    for channel in 0..shape.channels {
        let less = if channel == 0 { one } else { 0 };
        for (element, count) in
            planner.lane_groups(output, channel * area..(channel + 1) * area, planner.lanes_of(output, 1))
        {
            let kind = RowKind::OneHot(kind::OneHot { lanes: count, less });
            // The power of r of an index is its own, whatever padding is between them in the tensor's digest.
            let exponent = area - 1 - (element + count - 1) % area;
            entries.push(ResultEntry { kind, element, count, exponent, channel });
        }
        ends.push(planner.result_row + entries.len() - 1);
    }
    let sums = planner.identity();
    planner.note_index_sums(output, sums, ends);
    planner.place_results(index, &entries, Order::Sums, None)?;
    let total = Multiplicand::Accumulator(Accumulator::ResultTotal);
    planner.term(sums, total, planner.result_row - 1, Factor::default(), 1);
    Ok(())
}
