//! Products of two auxiliary operands: `acc = m·a·b` (`docs/protocol.md`, section 6).
//!
//! Copies are tied to what they copy by digests, so they are integers in their tensors' ranges: `|m·a·b| <= 2^61` by
//! graph validation, and what is requantised, in limbs, below `2^250` (the check of the layout). Both are below
//! `p/2 > 2^252`.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::Op;

use super::{Computed, Copied, Facts, Intermediate, Kind, Pinned, RowWitness};
use crate::system::formulas::{Cell, horner, requantised};
use crate::system::kind::Multiply;
use crate::system::{Architecture, Ring, RowCells, constant};

impl Kind for Multiply {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("product of copies"),
            lanes: Some(self.lanes),
            auxiliary: 2,
            pinned: Pinned::Function,
            shifts: self.limbs as usize,
            requantised: self.lanes,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: 0,
            result_degree: None,
            auxiliary_power: 1,
        }
    }

    fn fits(&self, _a: &Architecture) -> bool {
        true
    }

    fn result<T: Cell>(
        &self,
        _a: &Architecture,
        _ring: &Ring<T>,
        _advice: &mut impl FnMut(usize) -> T,
        _raw: impl FnOnce() -> T,
    ) -> Option<T> {
        None
    }

    fn auxiliary<T: Cell>(&self, a: &Architecture, ring: &Ring<T>, advice: &mut impl FnMut(usize) -> T) -> Option<T> {
        let mut sort = |group: usize| horner(ring, self.lanes, |lane| advice(a.auxiliary(group, lane)));
        Some(sort(0) + ring.s.clone() * sort(1))
    }

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        let a = row.architecture();
        let gate = |lane: usize| {
            let [left, right] = [0, 1].map(|group| row.advice(a.auxiliary(group, lane)));
            let acc = requantised(a, lane, self.limbs as usize, &mut |i| row.advice(i));
            selector.clone() * (constant(self.multiplier) * left * right - acc)
        };
        (0..self.lanes).map(gate).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        row.requantise_lanes(self.lanes, self.limbs as usize, computed);
        let of = (&computed.node.op, computed.intermediate);
        for lane in 0..self.lanes {
            let element = computed.element + lane;
            let operands = if let (Op::Softmax(softmax), Intermediate::Softmax { values, .. }) = of {
                [values.exponentials[element], values.reciprocals[element % softmax.groups]]
            } else {
                [0, 1].map(|operand| computed.operand(operand)[element])
            };
            row.set_auxiliary(lane, &operands);
        }
    }
}
