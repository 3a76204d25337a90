//! Requantised values of accumulators that an identity defines: products with weights, matrix products, linear
//! combinations (`docs/protocol.md`, section 4).
//!
//! `acc = (q + c·u)·2^(S·n) + rem - 2^(S·n-1)` is a formula, not a gate: the Result accumulator holds it, and the
//! identity compares it with its definition. `|acc| < 2^60` (graph validation) and the formula alike, far below p/2, so
//! equality modulo p is equality.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Degree, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::{Cell, requantised};
use crate::system::kind::Requantise;
use crate::system::{Architecture, Ring, RowCells, Variable};

impl Kind for Requantise {
    fn facts(&self) -> Facts {
        let span = self.lanes.saturating_sub(1).saturating_mul(self.spacing.exponent);
        Facts {
            gate: None,
            lanes: Some(self.lanes),
            auxiliary: 0,
            pinned: Pinned::Function,
            shifts: self.limbs as usize,
            requantised: self.lanes,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: self.lanes.saturating_mul(self.spacing.exponent),
            result_degree: Some(match self.spacing.variable {
                Variable::R => Degree { s: 0, r: span },
                Variable::S => Degree { s: span, r: 0 },
            }),
            auxiliary_power: 0,
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
        let x = ring.power(self.spacing);
        (0..self.lanes)
            .map(|lane| requantised(a, lane, self.limbs as usize, advice))
            .reduce(|sum, value| sum * x.clone() + value)
    }

    fn auxiliary<T: Cell>(
        &self,
        _a: &Architecture,
        _ring: &Ring<T>,
        _advice: &mut impl FnMut(usize) -> T,
    ) -> Option<T> {
        None
    }

    fn gates(&self, _row: &mut RowCells<'_, '_>, _selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        Vec::new()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        row.requantise_lanes(self.lanes, self.limbs as usize, computed);
    }
}
