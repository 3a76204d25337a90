//! A group's reciprocal: `R·Σe + ρ = 2^c` with `R`, `ρ` and `Σe - 1 - ρ` in limbs, so that `R = floor(2^c / Σe)`
//! (`docs/protocol.md`, section 6).
//!
//! By graph validation the dividend `2^c` has at most 40 bits and a sum of exponentials is below `2^40`; a quotient in
//! whole limbs of at most 20 bits is below `2^60`. So `R·Σe + ρ < 2^(60 + 40) + 2^60`, far below p/2. For `R`, `ρ` and
//! `Σe - 1 - ρ` that are not negative, `R` is the quotient and `ρ` the remainder.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::{MAX_DIVIDEND_BITS, Op};

use super::{Computed, Copied, Degree, Facts, Intermediate, Kind, Pinned, RowWitness, quotient_cells};
use crate::system::formulas::{Cell, quotient};
use crate::system::kind::Reciprocal;
use crate::system::{Architecture, Ring, RowCells, constant};

impl Kind for Reciprocal {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("reciprocal of a group"),
            lanes: None,
            auxiliary: 3,
            pinned: Pinned::Gates,
            shifts: 1,
            requantised: 0,
            differences: 0,
            attained: false,
            quotient_limbs: quotient_cells(self.limbs),
            copies: Copied::First(0),
            exponents: 0,
            result_degree: Some(Degree { s: 1, r: 0 }),
            auxiliary_power: 3,
        }
    }

    fn fits(&self, _a: &Architecture) -> bool {
        self.bits <= MAX_DIVIDEND_BITS
    }

    fn result<T: Cell>(
        &self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
        _raw: impl FnOnce() -> T,
    ) -> Option<T> {
        // The sum, and a 1 for the member that attains the maximum.
        Some(advice(a.auxiliary(0, 0)) + ring.s.clone())
    }

    fn auxiliary<T: Cell>(&self, a: &Architecture, ring: &Ring<T>, advice: &mut impl FnMut(usize) -> T) -> Option<T> {
        let mut sort = |group: usize| advice(a.auxiliary(group, 0));
        Some(ring.s.clone() * sort(1) + ring.pow(&ring.s, 3) * sort(2))
    }

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        let a = row.architecture();
        let [sum, reciprocal] = [0, 2].map(|group| row.advice(a.auxiliary(group, 0)));
        let [quotient, remainder, complement] = quotient(a, self.limbs, &mut |i| row.advice(i));
        let gates = [
            reciprocal.clone() - quotient,
            reciprocal * sum.clone() + remainder.clone() - constant(1 << self.bits),
            sum - constant(1) - remainder - complement,
        ];
        gates.into_iter().map(|gate| selector.clone() * gate).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        let (Op::Softmax(softmax), Intermediate::Softmax { values, .. }) = (&computed.node.op, computed.intermediate)
        else {
            return;
        };
        let p = computed.element % softmax.groups;
        let (sum, reciprocal) = (values.sums[p], values.reciprocals[p]);
        row.set_auxiliary(0, &[sum, values.maxima[p], reciprocal]);
        let remainder = (1i64 << self.bits) - reciprocal * sum;
        row.set_quotient(self.limbs, [reciprocal, remainder, sum - 1 - remainder].map(i128::from));
    }
}
