//! Exponentials of the distances between a group's maximum and its members: `q = max - x`, or [`MASKED`] where masked;
//! the table gives `e` and whether this member is the one that is shown to attain the maximum (`docs/protocol.md`,
//! section 6).
//!
//! A table of exponentials, or that of their lines ([`lines`](super::lines)), has a row for every distance from 0 to the greatest of two elements, and one for masked
//! members, which no distance is: so `max >= x` for every member that is kept. A second row for the distance 0 has a
//! mark, and the identity of the sums says that the marks of a group add up to 1: so the maximum is attained. Distances
//! are those of the table, and members below `2^29`: nothing wraps.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::Op;

use super::{Computed, Copied, Degree, Facts, Intermediate, Kind, Pinned, RowWitness};
use crate::system::formulas::{Cell, horner};
use crate::system::kind::Exponential;
use crate::system::{Architecture, FixedRole, MASKED, Ring, RowCells, constant};

impl Kind for Exponential {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("exponential"),
            lanes: Some(self.lanes),
            auxiliary: 2,
            pinned: Pinned::Table,
            shifts: 1,
            requantised: 0,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: 0,
            result_degree: Some(Degree { s: 1, r: self.lanes.saturating_sub(1) }),
            auxiliary_power: 1,
        }
    }

    fn fits(&self, _a: &Architecture) -> bool {
        true
    }

    fn result<T: Cell>(
        &self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
        _raw: impl FnOnce() -> T,
    ) -> Option<T> {
        // Sums over groups: s^0 and s^1 tell two of them apart.
        let exponentials = horner(ring, self.lanes, |lane| advice(a.activated(lane)));
        Some(exponentials + ring.s.clone() * horner(ring, self.lanes, |lane| advice(a.saturation(lane))))
    }

    fn auxiliary<T: Cell>(&self, a: &Architecture, ring: &Ring<T>, advice: &mut impl FnMut(usize) -> T) -> Option<T> {
        let mut sort = |group: usize| horner(ring, self.lanes, |lane| advice(a.auxiliary(group, lane)));
        Some(sort(0) + ring.s.clone() * sort(1))
    }

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        (0..self.lanes).map(|lane| selector.clone() * distance(row, lane)).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        let (Op::Softmax(softmax), Intermediate::Softmax { values, first }) =
            (&computed.node.op, computed.intermediate)
        else {
            return;
        };
        let x = computed.operand(0);
        for lane in 0..self.lanes {
            let (e, p) = (computed.element + lane, (computed.element + lane) % softmax.groups);
            let distance = if softmax.is_masked(e) { MASKED } else { values.maxima[p] - x[e] };
            row.set_auxiliary(lane, &[x[e], values.maxima[p]]);
            row.activate(lane, [distance, values.exponentials[e], i64::from(first[p] == e)]);
            if let (Some(of), Some(segments)) = (row.lines, &softmax.exp.segments) {
                row.follow_exponential(lane, &of, segments, distance);
            }
        }
        if row.looks_up {
            row.idle(self.lanes, [0, softmax.exp.apply(0), 0]);
        }
    }
}

/// The distance of a member from its maximum, less the argument of the table.
fn distance(row: &mut RowCells<'_, '_>, lane: usize) -> Expression<Fr> {
    let a = row.architecture();
    let [x, maximum] = [0, 1].map(|group| row.advice(a.auxiliary(group, lane)));
    let (distance, rounded) = (maximum - x, row.advice(a.rounded(lane)));
    match row.role(&FixedRole::Masked(lane)) {
        Some(masked) => distance.clone() + masked * (constant(MASKED) - distance) - rounded,
        None => distance - rounded,
    }
}
