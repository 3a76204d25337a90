//! Rows of gathered copies: copies of a maximum, the requantisation of a sum.
//!
//! A sum's accumulator is bounded by `multiplier · 2^16 · window < 2^60` (graph validation): equality modulo p is
//! equality.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::{NetworkConfig, Row, columns, constant, total};
use crate::layout::{FixedRole, RowKind};

pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let a = &config.architecture;
    for (index, role) in a.fixed.iter().enumerate() {
        match role {
            FixedRole::Kind(RowKind::GatheredMaximum { window }) => meta.create_gate("copies of a maximum", |cells| {
                let mut row = Row::new(cells, config);
                let selector = row.fixed_at(index);
                let maximum = row.advice(a.activated(0));
                let gate = |k| selector.clone() * (row.advice(a.copy(k)) + row.advice(a.range(k)) - maximum.clone());
                (0..*window).map(gate).collect::<Vec<_>>()
            }),
            FixedRole::Kind(RowKind::GatheredSum) => meta.create_gate("sum of copies", |cells| {
                let mut row = Row::new(cells, config);
                let selector = row.fixed_at(index);
                let factor = row.role(&FixedRole::SumFactor).unwrap_or(constant(0));
                let sum = total((0..a.gather_columns).map(|k| row.advice(a.copy(k))));
                let accumulator = columns::requantised(a, 0, &mut |i| row.advice(i));
                // The factor is 0 outside the kind's rows.
                vec![factor * sum - selector * accumulator]
            }),
            _ => {}
        }
    }
}
