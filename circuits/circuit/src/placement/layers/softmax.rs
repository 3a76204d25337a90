//! Softmax: a row for each group, exponentials of all members, and their products with the group's reciprocal.
//!
//! Sums over the members are one identity: exponentials by `s^0`, marks of who attains the maximum by `s^1`, both by
//! the groups' powers of `r`. On a group's row stands its sum, and 1 for the marks. All that is copied is one more
//! identity, by powers of `s`:
//!
//! | power | copies | of |
//! |---|---|---|
//! | 0 | beside the exponentials | elements |
//! | 1 | beside the exponentials | the groups' maxima |
//! | 2 | beside the products | exponentials |
//! | 3 | beside the products | the groups' reciprocals |
//!
//! Sums are exact: below `2^40` (graph validation). Maxima, sums and reciprocals are in phase 1, before the challenges.

use zkml_gpu_graph::Softmax;

use super::groups::Groups;
use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, Segment};
use crate::system::{Accumulator, Factor, FixedRole, Multiplicand, RowKind, kind};

/// Counts a softmax: a row for each group, two for each run of members.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, softmax: &Softmax) -> Rows {
    let node = counter.node(index);
    let read = counter.digest(node.inputs[0]);
    let (rows, lanes) = counter.groups_in(node.output, 0..softmax.groups, softmax.rescale.limbs);
    counter.computes(index, softmax.rescale, lanes, 3);
    // Exponentials are not requantised.
    let most = counter.exponential_lanes(node.output);
    let (exponentials, lanes) = counter.groups_of(node.output, 0..softmax.groups, most);
    counter.count.groups.insert(bits(softmax));
    counter.exponentials(index, lanes);
    counter.adds(&[Accumulator::ResultTotal, Accumulator::Auxiliary, Accumulator::ResultDigest]);
    [read, softmax.groups + softmax.len * (exponentials + rows), 0]
}

/// Places a softmax and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, softmax: &Softmax) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let groups = Groups::new(planner, index, softmax.groups, softmax.len)?;
    let limbs = bits(softmax).map(|bits| bits.div_ceil(planner.widths.limb_bits) as usize);
    let reciprocals = groups.place(planner, RowKind::Reciprocal(kind::Reciprocal { bits: softmax.bits, limbs }))?;
    let pins = planner.exponential_pins(index, softmax)?;
    let lanes = planner.exponential_lanes(node.output);
    let rows = groups.members(planner, lanes, |lanes| RowKind::Exponential(kind::Exponential { lanes }));
    let first_row = planner.result_row;
    let exponentials =
        planner.place_segment(Segment { node: index, entries: &rows, order: Order::Sums, pins, output: false })?;
    for (row, entry) in (first_row..).zip(&rows) {
        let masked = (0..entry.count).filter(|lane| softmax.is_masked(entry.element + lane));
        masked.for_each(|lane| planner.set(FixedRole::Masked(lane), row, 1));
    }
    let rescale = softmax.rescale;
    let rows = groups.members(planner, planner.lanes_of(node.output, rescale.limbs), |lanes| {
        RowKind::Multiply(kind::Multiply { lanes, limbs: rescale.limbs, multiplier: rescale.multiplier })
    });
    planner.place_results(index, &rows, Order::Unread, None)?;
    let products = planner.result_row - 1;

    Groups::equate_sums(planner, exponentials, reciprocals);
    let copies = planner.identity();
    let auxiliary = Multiplicand::Accumulator(Accumulator::Auxiliary);
    planner.term(copies, auxiliary, exponentials, Factor::default(), 1);
    planner.term(copies, auxiliary, products, Factor::s(2), 1);
    planner.term(copies, auxiliary, reciprocals, groups.broadcast(), -1);
    planner.term(copies, Multiplicand::Accumulator(Accumulator::ResultDigest), exponentials, Factor::s(2), -1);
    planner.digest_term(copies, node.inputs[0], -1)
}

/// Bits of a group's reciprocal, and of its sum.
fn bits(softmax: &Softmax) -> [u32; 2] {
    let bits = |value: i64| i64::BITS - value.leading_zeros();
    let most = softmax.exp.apply(0);
    // The member that attains the maximum alone gives a sum of at least `most`.
    [bits((1 << softmax.bits) / most), bits(most * softmax.len as i64)]
}
