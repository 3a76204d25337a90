//! The grand sum: one column that starts at 0, adds up all lookups (weight `t^0`) and all identities (weights
//! `t^(l+1)`), and ends at 0. As a polynomial in the challenge `t` it vanishes only if every identity holds.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::{Derived, Rule};

use super::{NetworkConfig, Row, constant, total};
use crate::layout::{Accumulator, FixedRole, Ring, Source};

/// Creates the gate, and tells how the sum follows from it.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) -> Vec<Derived> {
    let a = &config.architecture;
    let mut derived = Vec::new();
    meta.create_gate("grand sum", |cells| {
        let mut row = Row::new(cells, config);
        let sum = row.advice(a.sum());
        let helpers = total((0..a.helpers()).map(|group| row.advice(a.helper(group))));
        let sources = total((0..a.source_lanes()).map(|lane| row.advice(a.source_helper(lane))));
        let lookups = helpers - row.advice(a.table_helper()) - sources;
        let step = row.role(&FixedRole::SumStep).unwrap_or(constant(0));
        let end = row.role(&FixedRole::SumEnd).unwrap_or(constant(0));
        let identities = identities(&mut row);
        let rule = Rule::Recurrence { step: step.clone(), input: lookups.clone() + identities.clone() };
        derived.push(Derived { column: a.sum(), rule });
        let recurrence = row.usable() * (sum.clone() - lookups) - step * row.previous(a.sum()) - identities;
        vec![recurrence, end * sum]
    });
    derived
}

/// `Σ_l t^(l+1) · Σ terms`: each identity's terms are a polynomial in `s` and `r` with fixed coefficients that are 0 on
/// unusable rows.
fn identities(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let t = row.challenges().t;
    let count = a.fixed.iter().filter_map(|role| match role {
        FixedRole::Term { identity, .. } => Some(identity + 1),
        _ => None,
    });
    let identities: Vec<Expression<Fr>> = (0..count.max().unwrap_or(0))
        .map(|l| {
            total(a.fixed.iter().enumerate().filter_map(|(index, role)| match role {
                FixedRole::Term { identity, source, factor } if *identity == l => {
                    let value = match source {
                        Source::Dot => row.accumulator(Accumulator::Operand) * row.accumulator(Accumulator::Weights),
                        Source::Accumulator(accumulator) => row.accumulator(*accumulator),
                    };
                    Some(row.fixed_at(index) * ring.factor(factor) * value)
                }
                _ => None,
            }))
        })
        .collect();
    weighted(&identities, &ring, &t) * t
}

/// `Σ_l t^l · I_l` by halves, so that the depth of the expression does not grow with the number of identities.
fn weighted(identities: &[Expression<Fr>], ring: &Ring<Expression<Fr>>, t: &Expression<Fr>) -> Expression<Fr> {
    match identities {
        [] => constant(0),
        [identity] => identity.clone(),
        _ => {
            let (low, high) = identities.split_at(identities.len() / 2);
            weighted(low, ring, t) + ring.pow(t, low.len()) * weighted(high, ring, t)
        }
    }
}
