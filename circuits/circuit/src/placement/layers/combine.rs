//! Linear combinations of tensors: `Σ_i m_i·D(x_i) + B = Σ r^e·acc`, where `D` are the digests that the operands have
//! already and `B = Σ r^e·b` that of learned summands, by Horner's rule over one column of the weight bank. Nothing is
//! copied: the digests of operands and result share their exponents, which are distinct per element, so equality at a
//! random `r` is equality element by element. `|acc| < 2^60`, as for products.

use crate::placement::cells::BankValues;
use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{Accumulator, Factor, Multiplicand, Power, RowKind, kind};

/// Counts a combination with so many learned summands.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, offset: usize) -> Rows {
    let node = counter.node(index);
    let read: usize = node.inputs.iter().map(|input| counter.digest(*input)).sum();
    let (groups, lanes) = counter.groups(node.output);
    counter.requantises(lanes);
    counter.adds(&[Accumulator::ResultTotal]);
    [read + offset, groups, 0]
}

/// Places a combination and its requantisation.
pub(super) fn place(
    planner: &mut Planner<'_>,
    index: usize,
    multipliers: &[i64],
    offset: &[i64],
) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let identity = planner.identity();
    for (input, multiplier) in node.inputs.iter().zip(multipliers) {
        planner.digest_term(identity, *input, *multiplier)?;
    }
    let geometry = planner.geometry(node.output);
    if !offset.is_empty() {
        let list: Vec<BankValues> = (0..offset.len() as u32).map(BankValues::Offset).collect();
        let distance = |i: usize| Power::r(geometry.exponent(i - 1) - geometry.exponent(i));
        let distances: Vec<Power> = (1..offset.len()).map(distance).collect();
        let end = planner.operand_row + list.len() - 1;
        planner.operand_row += list.len();
        planner.place_weights(index, end, &list, &distances, 1);
        planner.term(identity, Multiplicand::Accumulator(Accumulator::Weights), end, Factor::default(), 1);
    }
    let entry = |(element, count): (usize, usize)| {
        let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::r(1), limbs: 1 });
        ResultEntry { kind, element, count, exponent: geometry.exponent(element + count - 1), channel: 0 }
    };
    let entries: Vec<ResultEntry> =
        planner.lane_groups(node.output, 0..geometry.len()).into_iter().map(entry).collect();
    planner.place_results(index, &entries, Order::Positions, Some((identity, 0)))
}
