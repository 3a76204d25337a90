//! Elements of a hidden input of indices, as ones and zeros (`docs/protocol.md`, section 6). Each is looked up among
//! `(0, 0, -1)` and `(1, one, 1)`, where `one` is the integer that stands for 1; and an identity says that for each
//! index the elements of all channels add up to `one`, so that exactly one of them is `one`.
//!
//! Where the indices are hashed, the identity has another power of `s`: the elements times their channels' numbers, less
//! `one` times the hashed cell. Since one of them is `one` and the others are 0, that cell is the number of its channel.
//!
//! The sum of so many elements is below `2^40·2^29` (graph validation), far below p/2.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Degree, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::{Cell, horner};
use crate::system::kind::OneHot;
use crate::system::{Architecture, Ring, RowCells};

impl Kind for OneHot {
    fn facts(&self) -> Facts {
        Facts {
            gate: None,
            lanes: Some(self.lanes),
            auxiliary: 0,
            pinned: Pinned::Table,
            shifts: 1,
            requantised: 0,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: 0,
            result_degree: Some(Degree { s: 0, r: self.lanes.saturating_sub(1) }),
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
        let less = T::integer(self.less);
        Some(horner(ring, self.lanes, |lane| match self.less {
            0 => advice(a.activated(lane)),
            _ => advice(a.activated(lane)) - less.clone(),
        }))
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
            row.saturate(lane, computed.values[computed.element + lane], computed.function);
        }
    }
}
