//! Rows of gathered copies: copies of a maximum, the requantisation of a sum, copies as they are, candidates of a maximum.
//!
//! A sum's accumulator is bounded by `multiplier · 2^16 · window < 2^60` (graph validation): equality modulo p is
//! equality.
//!
//! The index of a maximum is a value `y` that every candidate's row accepts. Row `k` gathers `x_k` and `y` at fixed indices
//! and `x_y` at the index `y`, and says
//!
//! ```text
//! count·(x_y - x_k) + k - y >= 0        (y - k, where the last of equal maxima is preferred)
//! ```
//!
//! by limbs that hold it exactly: `x_k <= x_y`, and `x_k < x_y` for a preferred `k`. `y` is in its table `[0, count)`, so
//! the index of `x_y` is that of a candidate. As integers both sides are below `count·2^17 + count < 2^58`.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use super::{NetworkConfig, Row, columns, constant, total};
use crate::layout::{FixedRole, RowKind};

pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let a = &config.architecture;
    for (index, role) in a.fixed.iter().enumerate() {
        let FixedRole::Kind(kind) = role else { continue };
        let name = match kind {
            RowKind::GatheredMaximum { .. } => "copies of a maximum",
            RowKind::GatheredSum => "sum of copies",
            RowKind::Copies { .. } => "copies",
            RowKind::Candidate { .. } => "candidate of a maximum",
            _ => continue,
        };
        meta.create_gate(name, |cells| {
            let mut row = Row::new(cells, config);
            let selector = row.fixed_at(index);
            gates(&mut row, &selector, *kind)
        });
    }
    if a.gather_by_index {
        meta.create_gate("gather index", |cells| {
            let mut row = Row::new(cells, config);
            // The stride is 0 outside the candidates' rows, where copy 1 has its fixed index.
            let stride = row.role(&FixedRole::CandidateStride).unwrap_or(constant(0));
            vec![row.usable() * row.advice(a.gather_offset()) - stride * row.advice(a.copy(2))]
        });
    }
}

fn gates(row: &mut Row<'_, '_>, selector: &Expression<Fr>, kind: RowKind) -> Vec<Expression<Fr>> {
    let a = row.architecture();
    match kind {
        RowKind::GatheredMaximum { window } => {
            let maximum = row.advice(a.activated(0));
            let mut gate = |k| {
                let spread = columns::spread(a, kind, k, &mut |i| row.advice(i));
                selector.clone() * (row.advice(a.copy(k)) + spread - maximum.clone())
            };
            (0..window).map(&mut gate).collect()
        }
        RowKind::GatheredSum => {
            let factor = row.role(&FixedRole::SumFactor).unwrap_or(constant(0));
            let sum = total((0..a.gather_columns).map(|k| row.advice(a.copy(k))));
            let accumulator = columns::requantised(a, 0, kind.remainder_limbs(), &mut |i| row.advice(i));
            // The factor is 0 outside the kind's rows.
            vec![factor * sum - selector.clone() * accumulator]
        }
        RowKind::Copies { lanes } => {
            let gate = |lane| selector.clone() * (row.advice(a.copy(lane)) - row.advice(a.activated(lane)));
            (0..lanes).map(gate).collect()
        }
        RowKind::Candidate { count, last } => {
            let [own, best, index] = [0, 1, 2].map(|k| row.advice(a.copy(k)));
            let number = row.role(&FixedRole::CandidateNumber).unwrap_or(constant(0));
            let preference = if last { index - number } else { number - index };
            let lead = constant(count as i64) * (best - own) + preference;
            vec![selector.clone() * (lead - columns::spread(a, kind, 0, &mut |i| row.advice(i)))]
        }
        _ => Vec::new(),
    }
}
