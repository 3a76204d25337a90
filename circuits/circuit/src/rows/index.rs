//! The index of a maximum: any value of its table that all candidates' rows accept ([`candidate`](super::candidate)).

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::Cell;
use crate::system::{Architecture, Ring, RowCells};

/// See the module's documentation.
pub(super) struct Index;

impl Kind for Index {
    fn facts(&self) -> Facts {
        Facts {
            gate: None,
            lanes: Some(1),
            auxiliary: 0,
            pinned: Pinned::Table,
            shifts: 1,
            requantised: 0,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: 0,
            result_degree: None,
            auxiliary_power: 0,
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
        row.saturate(0, computed.values[computed.element], computed.function);
    }
}
