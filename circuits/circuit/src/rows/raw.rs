//! One accumulator that is a public output as it is: the raw-output instance column gives it (`docs/protocol.md`,
//! section 4).
//!
//! The statement holds an integer below `2^60`, and so does the identity that defines it: equality modulo p is
//! equality.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Degree, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::Cell;
use crate::system::{Architecture, Ring, RowCells};

/// See the module's documentation.
pub(super) struct Raw;

impl Kind for Raw {
    fn facts(&self) -> Facts {
        Facts {
            gate: None,
            lanes: None,
            auxiliary: 0,
            pinned: Pinned::Gates,
            shifts: 1,
            requantised: 0,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: 0,
            result_degree: Some(Degree::default()),
            auxiliary_power: 0,
        }
    }

    fn fits(&self, a: &Architecture) -> bool {
        a.raw_output
    }

    fn result<T: Cell>(
        &self,
        _a: &Architecture,
        _ring: &Ring<T>,
        _advice: &mut impl FnMut(usize) -> T,
        raw: impl FnOnce() -> T,
    ) -> Option<T> {
        Some(raw())
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

    fn fill(&self, _row: &mut RowWitness<'_>, _computed: &Computed<'_>) {
        // The row has an instance, and no cell.
    }
}
