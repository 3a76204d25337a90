//! Indices of maxima: a row that holds the index, and a row for each candidate that compares it with the element at the
//! index (`chips::gather`).

use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{FixedRole, RowKind, kind};

/// Counts indices of maxima, each with so many candidates.
pub(super) fn count(counter: &mut Counter<'_>, indices: usize, candidates: usize) -> Rows {
    counter.count.activation_lanes = counter.count.activation_lanes.max(1);
    counter.looks_up(1);
    counter.count.indices = true;
    [0, indices * (candidates + 1), 0]
}

/// Candidates of every index of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates<'g> {
    /// First candidate of each index.
    pub(super) starts: &'g [u32],
    /// Distance.
    pub(super) stride: usize,
    /// Number.
    pub(super) count: usize,
    /// Which of equal ones is preferred.
    pub(super) last: bool,
}

/// Places indices of maxima.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, candidates: Candidates<'_>) -> Result<(), LayoutError> {
    let Candidates { starts, stride, count, last } = candidates;
    let node = &planner.graph.nodes[index];
    let (operand, output) = (planner.tensors.root(node.inputs[0]), node.output);
    let entry = |element| ResultEntry { kind: RowKind::Index, element, count: 1, exponent: 0, channel: 0 };
    let entries: Vec<ResultEntry> = (0..starts.len()).map(entry).collect();
    planner.place_results(index, &entries, Order::Unread, None)?;
    for (element, start) in starts.iter().map(|start| *start as usize).enumerate() {
        let first_row = planner.result_row;
        let kind = RowKind::Candidate(kind::Candidate { count, last });
        planner.place_constraints(index, kind, element * count..(element + 1) * count);
        for k in 0..count {
            let row = first_row + k;
            planner.gather(row, 0, operand, start + k * stride)?;
            planner.gather(row, 2, output, element)?;
            planner.gather_by_index(row, operand, start)?;
            planner.set(FixedRole::CandidateStride, row, stride as i64);
            planner.set(FixedRole::CandidateNumber, row, k as i64);
        }
    }
    Ok(())
}
