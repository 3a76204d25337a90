//! Products element by element: copies of both operands stand beside each result, tied by one digest in which the
//! second one has the factor `s`: `Factors = D(a) + s·D(b)`, whose coefficients are compared power by power. The row's
//! gate does the rest (`chips::attention`).

use zkml_gpu_graph::Rescale;

use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{Accumulator, Factor, Multiplicand, RowKind, kind};

/// Counts a product.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, rescale: Rescale) -> Rows {
    let node = counter.node(index);
    let read: usize = node.inputs.iter().map(|input| counter.digest(*input)).sum();
    let (groups, lanes) = counter.groups(node.output, rescale.limbs);
    counter.computes(index, rescale, lanes, 2);
    counter.adds(&[Accumulator::Auxiliary]);
    [read, groups, 0]
}

/// Places a product and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, rescale: Rescale) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let (a, b, output) = (node.inputs[0], node.inputs[1], node.output);
    let len = planner.graph.tensors[output].shape.len();
    let entry = |(element, lanes)| {
        let kind = RowKind::Multiply(kind::Multiply { lanes, limbs: rescale.limbs, multiplier: rescale.multiplier });
        ResultEntry { kind, element, count: lanes, exponent: 0, channel: 0 }
    };
    let entries: Vec<ResultEntry> =
        planner.lane_groups(output, 0..len, planner.lanes_of(output, rescale.limbs)).into_iter().map(entry).collect();
    planner.place_results(index, &entries, Order::Unread, None)?;
    let identity = planner.identity();
    let last = planner.result_row - 1;
    planner.term(identity, Multiplicand::Accumulator(Accumulator::Auxiliary), last, Factor::default(), 1);
    planner.digest_term(identity, a, -1)?;
    planner.scaled_digest_term(identity, b, 1, -1)
}
