//! The maximum of gathered copies: `copy_k = max - d_k`, and the product of the differences `d_k` is zero
//! ([`attained`](super::attained); `docs/protocol.md`, section 6).
//!
//! Copies and maximum are elements below `2^29`, differences sums of limbs that hold the range of two: nothing wraps.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Facts, Kind, Pinned, RowWitness, spread};
use crate::system::formulas::Cell;
use crate::system::kind::GatheredMaximum;
use crate::system::{Architecture, Ring, RowCells};

impl Kind for GatheredMaximum {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("copies of a maximum"),
            lanes: Some(1),
            auxiliary: 0,
            pinned: Pinned::Gates,
            shifts: 1,
            requantised: 0,
            differences: self.window,
            attained: true,
            quotient_limbs: 0,
            copies: Copied::First(self.window),
            exponents: self.window,
            result_degree: None,
            auxiliary_power: 0,
        }
    }

    fn fits(&self, _a: &Architecture) -> bool {
        self.window > 0
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

    fn auxiliary<T: Cell>(
        &self,
        _a: &Architecture,
        _ring: &Ring<T>,
        _advice: &mut impl FnMut(usize) -> T,
    ) -> Option<T> {
        None
    }

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        let a = row.architecture();
        let maximum = row.advice(a.activated(0));
        let facts = self.facts();
        let mut gate = |k| {
            let spread = spread(&facts, a, k, &mut |i| row.advice(i));
            selector.clone() * (row.advice(a.copy(k)) + spread - maximum.clone())
        };
        (0..self.window).map(&mut gate).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        let (maximum, facts) = (computed.values[computed.element], self.facts());
        row.set_result(0, maximum);
        for k in 0..self.window {
            let copy = row.copy(k);
            row.set_spread(&facts, k, maximum.abs_diff(copy));
        }
    }
}
