//! Rearranged tensors that need cells of their own: rows of gathered copies. Others are placed nowhere
//! ([`crate::layout`], `tensors.rs`).

use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{RowKind, kind};

/// Counts a rearrangement; nothing is placed for one that is read in pieces.
pub(super) fn count(counter: &mut Counter<'_>, index: usize) -> Rows {
    let output = counter.node(index).output;
    if !counter.tensors.is_placed(output) {
        return [0; 3];
    }
    let (groups, lanes) = counter.groups(output, 1);
    counter.count.activation_lanes = counter.count.activation_lanes.max(lanes);
    counter.count.copies = counter.count.copies.max(lanes);
    [0, groups, 0]
}

/// Places a rearrangement, if it needs cells.
pub(super) fn place(planner: &mut Planner<'_>, index: usize) -> Result<(), LayoutError> {
    let output = planner.graph.nodes[index].output;
    if !planner.tensors.is_placed(output) {
        return Ok(());
    }
    let len = planner.graph.tensors[output].shape.len();
    let entry = |(element, count)| {
        let kind = RowKind::Copies(kind::Copies { lanes: count });
        ResultEntry { kind, element, count, exponent: 0, channel: 0 }
    };
    let entries: Vec<ResultEntry> =
        planner.lane_groups(output, 0..len, planner.lanes_of(output, 1)).into_iter().map(entry).collect();
    let first_row = planner.result_row;
    for (i, entry) in entries.iter().enumerate() {
        for lane in 0..entry.count {
            planner.gather(first_row + i, lane, output, entry.element + lane)?;
        }
    }
    planner.place_results(index, &entries, Order::Unread, None)
}
