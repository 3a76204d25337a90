//! Linear combinations of tensors: `Σ_i m_i·D(x_i) = Σ r^e·acc`, where `D` are the digests that the operands have
//! already. Nothing is copied: the digests of operands and result share their exponents, which are distinct per
//! element, so equality at a random `r` is equality element by element. `|acc| < 2^60`, as for products.

use crate::layout::{LayoutError, Order, Planner, Power, ResultEntry, RowKind};

/// Places a combination and its requantisation.
pub(super) fn place(
    planner: &mut Planner<'_>,
    index: usize,
    multipliers: &[i64],
    _offset: &[i64],
) -> Result<(), LayoutError> {
    let node = &planner.graph.nodes[index];
    let identity = planner.identity();
    for (input, multiplier) in node.inputs.iter().zip(multipliers) {
        planner.digest_term(identity, *input, *multiplier)?;
    }
    let geometry = planner.geometry(node.output);
    let entry = |(element, count): (usize, usize)| {
        let kind = RowKind::Requantise { lanes: count, spacing: Power::r(1) };
        ResultEntry { kind, element, count, exponent: geometry.exponent(element + count - 1), channel: 0 }
    };
    let entries: Vec<ResultEntry> =
        planner.lane_groups(node.output, 0..geometry.len()).into_iter().map(entry).collect();
    planner.place_results(index, &entries, Order::Positions, Some((identity, 0)))
}
