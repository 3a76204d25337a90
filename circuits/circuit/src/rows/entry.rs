//! Elements of a hidden input (`docs/protocol.md`, section 6). Nothing computes them: they are what the prover says, and
//! the clamp to the input's range ([`clamp`](super::clamp)), or the lookup among `(v, v, c)` for `v` in it, says no more
//! than that they are in range.
//!
//! Integers below `2^29` (graph validation), far below p/2.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::Cell;
use crate::system::kind::Entry;
use crate::system::{Architecture, Ring, RowCells};

impl Kind for Entry {
    fn facts(&self) -> Facts {
        Facts {
            gate: None,
            lanes: Some(self.lanes),
            auxiliary: 0,
            pinned: Pinned::Function,
            shifts: 1,
            requantised: self.lanes,
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
        for lane in 0..self.lanes {
            row.pin(lane, computed.values[computed.element + lane], computed.function);
        }
    }
}
