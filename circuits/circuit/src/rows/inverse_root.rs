//! A group's inverse root: `2^(2c) - y²·V` and `(y + 1)²·V - 1 - 2^(2c)`, and `y`, in limbs, so that
//! `y = floor(2^c / sqrt(V))` (`docs/protocol.md`, section 6). `V = n·Σx² - (Σx)² + ε` by the identity of the sums.
//!
//! By graph validation the dividend `2^c` has at most 40 bits, and `V` is below `2^61`; a quotient in whole limbs is
//! below `2^60`. So `(y + 1)²·V < 2^(2·60 + 61 + 1)`, and the differences, of at most 92 bits in whole limbs, are below
//! `2^112`, all far below p/2. `y²·V` is increasing in `y >= 0` for `V >= 1`, so both differences are not negative for
//! one `y` only.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::{MAX_DIVIDEND_BITS, Op};

use super::{Computed, Copied, Degree, Facts, Intermediate, Kind, Pinned, RowWitness, quotient_cells};
use crate::scalar;
use crate::system::formulas::{Cell, quotient};
use crate::system::kind::InverseRoot;
use crate::system::{Architecture, Ring, RowCells, constant};

impl Kind for InverseRoot {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("inverse root of a group"),
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
            auxiliary_power: 2,
        }
    }

    fn fits(&self, a: &Architecture) -> bool {
        a.inverse_roots && self.bits <= MAX_DIVIDEND_BITS
    }

    fn result<T: Cell>(
        &self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
        _raw: impl FnOnce() -> T,
    ) -> Option<T> {
        // V + S² = n·Q + epsilon, the last of which is taken off by the gate of the accumulator.
        let [v, sum] = [0, 1].map(|group| advice(a.auxiliary(group, 0)));
        Some(sum.clone() + ring.s.clone() * (v + sum.clone() * sum))
    }

    fn auxiliary<T: Cell>(&self, a: &Architecture, ring: &Ring<T>, advice: &mut impl FnMut(usize) -> T) -> Option<T> {
        let mut sort = |group: usize| advice(a.auxiliary(group, 0));
        Some(ring.s.clone() * sort(1) + ring.pow(&ring.s, 2) * sort(2))
    }

    fn gates(&self, row: &mut RowCells<'_, '_>, selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        // Degree 4: the selector, y twice, and V.
        let a = row.architecture();
        let [v, root] = [0, 2].map(|group| row.advice(a.auxiliary(group, 0)));
        let [quotient, below, above] = quotient(a, self.limbs, &mut |i| row.advice(i));
        let dividend = || Expression::Constant(scalar::power_of_two(2 * self.bits));
        let next = root.clone() + constant(1);
        let gates = [
            root.clone() - quotient,
            dividend() - root.clone() * root * v.clone() - below,
            next.clone() * next * v - constant(1) - dividend() - above,
        ];
        gates.into_iter().map(|gate| selector.clone() * gate).collect()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        let (Op::Normalise(normalise), Intermediate::Normalise(values)) = (&computed.node.op, computed.intermediate)
        else {
            return;
        };
        let p = computed.element % normalise.groups;
        let (v, root) = (normalise.variance(values.sums[p], values.squares[p]), i128::from(values.inverse_roots[p]));
        row.set_auxiliary(0, &[v as i64, values.sums[p], values.inverse_roots[p]]);
        let dividend = 1i128 << (2 * self.bits);
        let above = (root + 1) * (root + 1) * v - 1 - dividend;
        row.set_quotient(self.limbs, [root, dividend - root * root * v, above]);
    }
}
