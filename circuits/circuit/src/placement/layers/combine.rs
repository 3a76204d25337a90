//! Linear combinations of tensors: `Σ_i m_i·D(x_i) + B = Σ r^e·acc`, where `D` are the digests that the operands have
//! already and `B = Σ r^e·b` that of learned summands, by Horner's rule over one column of the weight bank. Nothing is
//! copied: the digests of operands and result share their exponents, which are distinct per element, so equality at a
//! random `r` is equality element by element. `|acc| < 2^60`, as for products.
//!
//! Inferences that share the summands stand at one distance `d` from each other for every summand, so that their part
//! is `B·Σ_b r^(d·b)`, with each summand once.

use zkml_gpu_graph::Interleaving;

use crate::placement::cells::BankValues;
use crate::placement::counter::{Counter, Rows};
use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Planner, ResultEntry};
use crate::system::{Accumulator, Factor, Geometry, Multiplicand, Power, RowKind, kind};

/// Counts a combination with so many learned summands.
pub(super) fn count(counter: &mut Counter<'_>, index: usize, offset: usize) -> Rows {
    let node = counter.node(index);
    let read: usize = node.inputs.iter().map(|input| counter.digest(*input)).sum();
    let (groups, lanes) = counter.groups(node.output, 1);
    counter.requantises(index, lanes, 1);
    counter.adds(&[Accumulator::ResultTotal]);
    [read + offset, groups, 0]
}

/// The learned summands of a combination, and the inferences that share them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summands<'g> {
    pub(super) offset: &'g [i64],
    pub(super) shared: Interleaving,
}

impl Summands<'_> {
    /// The exponent between the elements that take one summand; `None` where it differs.
    fn distance(&self, geometry: &Geometry) -> Option<usize> {
        let Interleaving { inferences, .. } = self.shared;
        let exponent = |element: usize, inference: usize| geometry.exponent(self.shared.place(element, inference));
        if inferences == 1 {
            return Some(0);
        }
        let distance = exponent(0, 0).checked_sub(exponent(0, 1))?;
        let is_even = |element: usize| {
            (1..inferences).all(|b| exponent(element, b - 1).checked_sub(exponent(element, b)) == Some(distance))
        };
        (0..self.offset.len()).all(is_even).then_some(distance)
    }
}

/// Places a combination and its requantisation.
pub(super) fn place(
    planner: &mut Planner<'_>,
    index: usize,
    multipliers: &[i64],
    summands: Summands<'_>,
) -> Result<(), LayoutError> {
    let Summands { offset, shared } = summands;
    let node = &planner.graph.nodes[index];
    let identity = planner.identity();
    for (input, multiplier) in node.inputs.iter().zip(multipliers) {
        planner.digest_term(identity, *input, *multiplier)?;
    }
    let geometry = planner.geometry(node.output);
    if !offset.is_empty() {
        let list: Vec<BankValues> = (0..offset.len() as u32).map(BankValues::Offset).collect();
        let uneven = || LayoutError::Unsupported {
            node: node.name.clone(),
            reason: "inferences that share summands at uneven distances".into(),
        };
        let distance = summands.distance(&geometry).ok_or_else(uneven)?;
        // Of the last inference, whose exponents are the least: its last element has exponent 0.
        let exponent = |i: usize| geometry.exponent(shared.place(i, shared.inferences - 1));
        let distances: Vec<Power> = (1..offset.len()).map(|i| Power::r(exponent(i - 1) - exponent(i))).collect();
        let end = planner.operand_row + list.len() - 1;
        planner.operand_row += list.len();
        planner.place_weights(index, end, &list, &distances, 0..1);
        let runs = if shared.inferences == 1 { Vec::new() } else { vec![(distance, shared.inferences)] };
        let factor = Factor { runs, ..Factor::default() };
        planner.term(identity, Multiplicand::Accumulator(Accumulator::Weights), end, factor, 1);
    }
    let entry = |(element, count): (usize, usize)| {
        let kind = RowKind::Requantise(kind::Requantise { lanes: count, spacing: Power::r(1), limbs: 1 });
        ResultEntry { kind, element, count, exponent: geometry.exponent(element + count - 1), channel: 0 }
    };
    let entries: Vec<ResultEntry> = planner
        .lane_groups(node.output, 0..geometry.len(), planner.lanes_of(node.output, 1))
        .into_iter()
        .map(entry)
        .collect();
    planner.place_results(index, &entries, Order::Positions, Some((identity, 0)))
}
