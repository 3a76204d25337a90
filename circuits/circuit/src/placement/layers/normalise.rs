//! Normalisation: a row for each group, then its members.
//!
//! The identity of the sums tells `Σ x`, by `s^0`, from `n·Σ x²`, by `s^1`; without a mean the first is 0 on both
//! sides. That of the copies holds the elements by `s^0`, the groups' sums by `s^1` and their roots by `s^2`. All sums
//! are exact: `Σ x² < 2^61 / n`, and a group's `V`, its sum and its root are in phase 1, before the challenges.

use zkml_gpu_graph::Normalise;

use super::groups::Groups;
use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner};
use crate::system::{Accumulator, Factor, FixedRole, Multiplicand, RowKind, kind};

/// Counts a normalisation: a row for each group, one for each run of members.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, normalise: &Normalise) -> Rows {
    let node = counter.node(index);
    let read = counter.digest(node.inputs[0]);
    let (rows, lanes) = counter.groups_in(node.output, 0..normalise.groups, normalise.rescale.limbs);
    counter.computes(index, normalise.rescale, lanes, 3);
    let magnitude = counter.graph.tensors[node.inputs[0]].format.magnitude();
    counter.count.groups.insert(group_bits(normalise, magnitude));
    counter.count.inverse_roots = true;
    counter.adds(&[Accumulator::ResultTotal, Accumulator::Auxiliary]);
    [read, normalise.groups + normalise.len * rows, 0]
}

/// Places a normalisation and its requantisation.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, normalise: &Normalise) -> Result<(), LayoutError> {
    let Normalise { groups, len, centred, epsilon, bits, rescale } = *normalise;
    let node = &planner.graph.nodes[index];
    let magnitude = planner.graph.tensors[node.inputs[0]].format.magnitude();
    let limbs = group_bits(normalise, magnitude).map(|bits| bits.div_ceil(planner.widths.limb_bits) as usize);
    let groups = Groups::new(planner, index, groups, len)?;
    let first_row = planner.result_row;
    let roots = groups.place(planner, RowKind::InverseRoot(kind::InverseRoot { bits, limbs }))?;
    (first_row..=roots).for_each(|row| planner.set(FixedRole::Epsilon, row, epsilon));
    let rows = groups.members(planner, planner.lanes_of(node.output, rescale.limbs), |lanes| {
        RowKind::Normalise(kind::Normalise {
            lanes,
            limbs: rescale.limbs,
            multiplier: rescale.multiplier,
            len,
            centred,
        })
    });
    planner.place_results(index, &rows, Order::Sums, None)?;
    let members = planner.result_row - 1;

    Groups::equate_sums(planner, members, roots);
    let copies = planner.identity();
    let auxiliary = Multiplicand::Accumulator(Accumulator::Auxiliary);
    planner.term(copies, auxiliary, members, Factor::default(), 1);
    planner.term(copies, auxiliary, roots, groups.broadcast(), -1);
    planner.digest_term(copies, node.inputs[0], -1)
}

/// Bits of a group's root, and of the two differences that pin it, for elements up to `magnitude`.
const fn group_bits(normalise: &Normalise, magnitude: i64) -> [u32; 2] {
    [normalise.inverse_root_bits(), normalise.window_bits(magnitude)]
}
