//! Members of a group, less their mean and divided by their deviation: `acc = m·(n·x - S)·y` (`docs/protocol.md`,
//! section 6).
//!
//! `|m·(n·x - S)·y| <= 2^61`, since `y` is the inverse root that belongs to the group's variance (graph validation):
//! far below p/2.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::Op;

use super::{Computed, Copied, Degree, Facts, Intermediate, Kind, Pinned, RowWitness};
use crate::system::formulas::{Cell, horner, requantised};
use crate::system::kind::Normalise;
use crate::system::{Architecture, Ring, RowCells, constant};

impl Kind for Normalise {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("normalised member"),
            lanes: Some(self.lanes),
            auxiliary: 3,
            pinned: Pinned::Function,
            shifts: self.limbs as usize,
            requantised: self.lanes,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: 0,
            result_degree: Some(Degree { s: 1, r: self.lanes.saturating_sub(1) }),
            auxiliary_power: 2,
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
        let squares = horner(ring, self.lanes, |lane| {
            let x = advice(a.auxiliary(0, lane));
            x.clone() * x
        });
        let squares = ring.s.clone() * T::integer(self.len as i64) * squares;
        Some(match self.centred {
            true => squares + horner(ring, self.lanes, |lane| advice(a.auxiliary(0, lane))),
            false => squares,
        })
    }

    fn auxiliary<T: Cell>(&self, a: &Architecture, ring: &Ring<T>, advice: &mut impl FnMut(usize) -> T) -> Option<T> {
        let mut sort = |group: usize| horner(ring, self.lanes, |lane| advice(a.auxiliary(group, lane)));
        Some(sort(0) + ring.s.clone() * sort(1) + ring.pow(&ring.s, 2) * sort(2))
    }

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        let a = row.architecture();
        let gate = |lane: usize| {
            let [x, sum, root] = [0, 1, 2].map(|group| row.advice(a.auxiliary(group, lane)));
            let acc = requantised(a, lane, self.limbs as usize, &mut |i| row.advice(i));
            selector.clone() * (constant(self.multiplier) * (constant(self.len as i64) * x - sum) * root - acc)
        };
        (0..self.lanes).map(gate).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        row.requantise_lanes(self.lanes, self.limbs as usize, computed);
        let (Op::Normalise(normalise), Intermediate::Normalise(values)) = (&computed.node.op, computed.intermediate)
        else {
            return;
        };
        let x = computed.operand(0);
        for lane in 0..self.lanes {
            let (e, p) = (computed.element + lane, (computed.element + lane) % normalise.groups);
            row.set_auxiliary(lane, &[x[e], values.sums[p], values.inverse_roots[p]]);
        }
    }
}
