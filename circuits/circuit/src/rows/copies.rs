//! Gathered copies as they are: rearranged tensors that need cells of their own (`docs/protocol.md`, section 6). An
//! equation of elements.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::{Computed, Copied, Facts, Kind, Pinned, RowWitness};
use crate::system::formulas::Cell;
use crate::system::kind::Copies;
use crate::system::{Architecture, Ring, RowCells};

impl Kind for Copies {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("copies"),
            lanes: Some(self.lanes),
            auxiliary: 0,
            pinned: Pinned::Gates,
            shifts: 1,
            requantised: 0,
            differences: 0,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(self.lanes),
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

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        let a = row.architecture();
        let gate = |lane| selector.clone() * (row.advice(a.copy(lane)) - row.advice(a.activated(lane)));
        (0..self.lanes).map(gate).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        for lane in 0..self.lanes {
            row.set_result(lane, computed.values[computed.element + lane]);
        }
    }
}
