//! A candidate of a maximum whose index is given (`docs/protocol.md`, section 6).
//!
//! The index of a maximum is a value `y` that every candidate's row accepts. Row `k` gathers `x_k` and `y` at fixed
//! indices and `x_y` at the index `y`, and says
//!
//! ```text
//! count·(x_y - x_k) + k - y >= 0        (y - k, where the last of equal maxima is preferred)
//! ```
//!
//! by limbs that hold it exactly: `x_k <= x_y`, and `x_k < x_y` for a preferred `k`. `y` is in its table `[0, count)`,
//! so the index of `x_y` is that of a candidate. As integers both sides are below `count·2^29 + count < 2^70`.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use zkml_gpu_graph::Op;

use super::{Computed, Copied, Facts, Kind, Pinned, RowWitness, spread};
use crate::system::formulas::Cell;
use crate::system::kind::Candidate;
use crate::system::{Architecture, FixedRole, NetworkConfig, Ring, RowCells, constant};

impl Kind for Candidate {
    fn facts(&self) -> Facts {
        Facts {
            gate: Some("candidate of a maximum"),
            lanes: None,
            auxiliary: 0,
            pinned: Pinned::Gates,
            shifts: 1,
            requantised: 0,
            differences: 1,
            attained: false,
            quotient_limbs: 0,
            copies: Copied::First(3),
            exponents: 0,
            result_degree: None,
            auxiliary_power: 0,
        }
    }

    fn fits(&self, a: &Architecture) -> bool {
        a.gather_by_index
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
        let [own, best, index] = [0, 1, 2].map(|k| row.advice(a.copy(k)));
        let number = row.role(&FixedRole::CandidateNumber).unwrap_or(constant(0));
        let preference = if self.last { index - number } else { number - index };
        let lead = constant(self.count as i64) * (best - own) + preference;
        vec![selector.clone() * (lead - spread(&self.facts(), a, 0, &mut |i| row.advice(i)))]
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        let Op::ArgMax { starts, stride, count, last } = &computed.node.op else { return };
        let (output, number) = (computed.element / count, computed.element % count);
        let [own, index] = [0, 2].map(|k| row.copy(k));
        let place = usize::try_from(index).expect("the index of a candidate is one of those counted");
        let best = computed.operand(0)[starts[output] as usize + place * stride];
        row.set_offset(index * *stride as i64);
        row.set_copy(1, best);
        let preference = if *last { index - number as i64 } else { number as i64 - index };
        let lead = *count as i64 * (best - own) + preference;
        row.set_spread(&self.facts(), 0, lead.unsigned_abs());
    }
}

/// Creates the gate of the index by which copy 1 is gathered: the fixed index of the first candidate, and what the
/// index of the maximum adds.
pub(super) fn configure_index(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let a = &config.architecture;
    meta.create_gate("gather index", |cells| {
        let mut row = RowCells::new(cells, config);
        // The stride is 0 outside the candidates' rows, where copy 1 has its fixed index.
        let stride = row.role(&FixedRole::CandidateStride).unwrap_or(constant(0));
        vec![row.usable() * row.advice(a.gather_offset()) - stride * row.advice(a.copy(2))]
    });
}
