//! The requantised sum of gathered copies times the row's factor: means over windows (`docs/protocol.md`, section 6).
//!
//! A sum's accumulator is bounded by `multiplier · |x| · window < 2^61` (graph validation): equality modulo p is
//! equality.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::{Cell, requantised};
use crate::system::{Architecture, FixedRole, Ring, RowCells, constant, total};

/// See the module's documentation.
pub(super) struct GatheredSum;

impl Kind for GatheredSum {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("sum of copies"),
            lanes: Some(1),
            auxiliary: 0,
            pinned: Pinned::Function,
            shifts: 1,
            requantised: 1,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::All,
            exponents: 0,
            result_degree: None,
            auxiliary_power: 0,
        }
    }

    fn fits(&self, a: &Architecture) -> bool {
        a.gather_columns > 0
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
        let factor = row.role(&FixedRole::SumFactor).unwrap_or(constant(0));
        let sum = total((0..a.gather_columns).map(|k| row.advice(a.copy(k))));
        let accumulator = requantised(a, 0, 1, &mut |i| row.advice(i));
        // The factor is 0 outside the kind's rows.
        vec![factor * sum - selector.clone() * accumulator]
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        row.requantise(0, 1, computed.accumulators[computed.element], computed.function);
    }
}
