//! Normalisation: a row for each group, then its members.
//!
//! The identity of the sums tells `Σ x`, by `s^0`, from `n·Σ x²`, by `s^1`; without a mean the first is 0 on both sides. That of the
//! copies holds the elements by `s^0`, the groups' sums by `s^1` and their roots by `s^2`. All sums are exact: `Σ x² < 2^61 / n`, and a
//! group's `V`, its sum and its root are in phase 1, before the challenges.

use super::groups::Groups;
use crate::layout::{Accumulator, Factor, FixedRole, LayoutError, Order, Planner, RowKind, Source};
use zkml_gpu_graph::Normalise;

/// Places a normalisation and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, normalise: &Normalise) -> Result<(), LayoutError> {
    let Normalise { groups, len, centred, epsilon, bits, rescale } = *normalise;
    let node = &planner.graph.nodes[index];
    let magnitude = planner.graph.tensors[node.inputs[0]].format.magnitude();
    let limbs = limbs(normalise, magnitude, planner.graph.shift);
    let groups = Groups::new(planner, index, groups, len)?;
    let first_row = planner.result_row;
    let roots = groups.place(planner, RowKind::Root { bits, limbs })?;
    (first_row..=roots).for_each(|row| planner.set(FixedRole::Epsilon, row, epsilon));
    let rows = groups.members(planner, |lanes| RowKind::Normalise {
        lanes,
        limbs: rescale.limbs,
        multiplier: rescale.multiplier,
        len,
        centred,
    });
    planner.place_results(index, &rows, Order::Sums, None)?;
    let members = planner.result_row - 1;

    Groups::equate_sums(planner, members, roots);
    let copies = planner.identity();
    let factors = Source::Accumulator(Accumulator::Factors);
    planner.term(copies, factors, members, Factor::default(), 1);
    planner.term(copies, factors, roots, groups.broadcast(), -1);
    planner.digest_term(copies, node.inputs[0], -1)
}

/// Limbs of a group's root, and of the two differences that pin it, for elements up to `magnitude`.
pub(crate) fn limbs(normalise: &Normalise, magnitude: i64, shift: u32) -> [usize; 2] {
    [normalise.inverse_root_bits(), normalise.window_bits(magnitude)].map(|bits| bits.div_ceil(shift) as usize)
}
