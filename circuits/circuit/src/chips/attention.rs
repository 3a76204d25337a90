//! Rows that compute with copies beside them: products of activations, softmax, normalisation.
//!
//! Copies are tied to what they copy by digests (`layers/`), so they are integers in their tensors' ranges, and a group's sums,
//! which identities define, are exact integers. On all rows together:
//!
//! | row | gates |
//! |---|---|
//! | product | `acc = m·a·b` |
//! | exponential | `q = max - x`, or [`MASKED`] where masked; the table gives `e` and whether `q = 0` |
//! | share of a group | `R·Σe + ρ = 2^c` with `R`, `ρ` and `Σe - 1 - ρ` in limbs: `R = floor(2^c / Σe)` |
//! | normalised member | `acc = m·(n·x - S)·y` |
//! | root of a group | `2^(2c) - y²·V` and `(y + 1)²·V - 1 - 2^(2c)`, and `y`, in limbs: `y = floor(2^c / sqrt(V))` |
//!
//! A table of exponentials has a row for every distance from 0 to the greatest of two elements, and one for masked members, which no
//! distance is: so `max >= x` for every member that is kept. A second row for the distance 0 has a mark, and the identity of the sums
//! says that the marks of a group add up to 1: so the maximum is attained.
//!
//! No wrap. By graph validation a limb has `S <= 20` bits, a dividend `2^c` at most 40, an exponential 20, a sum of them and a `V` below
//! `2^40` and `2^61`. So a quotient, of at most 41 bits in whole limbs, is below `2^60`, and the two differences, of at most 92, below `2^112`.
//! Each gate states its own bound; all are far below `p/2 > 2^252`, so that equality modulo p is equality of integers, and a
//! difference that is a sum of limbs is not negative.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use super::{NetworkConfig, Row, columns, constant};
use crate::layout::{FixedRole, MASKED, RowKind};
use crate::scalar;

pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let a = &config.architecture;
    for (index, role) in a.fixed.iter().enumerate() {
        let FixedRole::Kind(kind) = role else { continue };
        let name = match kind {
            RowKind::Multiply { .. } => "product of copies",
            RowKind::Exponential { .. } => "exponential",
            RowKind::Share { .. } => "share of a group",
            RowKind::Normalise { .. } => "normalised member",
            RowKind::Root { .. } => "root of a group",
            _ => continue,
        };
        meta.create_gate(name, |cells| {
            let mut row = Row::new(cells, config);
            let selector = row.fixed_at(index);
            gates(&mut row, *kind).into_iter().map(|gate| selector.clone() * gate).collect::<Vec<_>>()
        });
    }
}

/// What must be zero on a row of this kind.
fn gates(row: &mut Row<'_, '_>, kind: RowKind) -> Vec<Expression<Fr>> {
    let a = row.architecture();
    match kind {
        // |m·a·b| <= 2^61, and what is requantised is below 2^(61 + 20 + 1): whole limbs hold its excess.
        RowKind::Multiply { lanes, multiplier, .. } => {
            let gate = |lane: usize| {
                let [left, right] = [0, 1].map(|group| row.advice(a.factor(group, lane)));
                let acc = columns::requantised(a, lane, kind.remainder_limbs(), &mut |i| row.advice(i));
                constant(multiplier) * left * right - acc
            };
            (0..lanes).map(gate).collect()
        }
        RowKind::Exponential { lanes } => (0..lanes).map(|lane| exponential(row, lane)).collect(),
        // R·Σe + ρ < 2^(60 + 40) + 2^60. For R, ρ and Σe - 1 - ρ that are not negative, R is the quotient and ρ the remainder.
        RowKind::Share { bits, limbs } => {
            let [sum, reciprocal] = [0, 2].map(|group| row.advice(a.factor(group, 0)));
            let [quotient, remainder, complement] = columns::quotient(a, limbs, &mut |i| row.advice(i));
            vec![
                reciprocal.clone() - quotient,
                reciprocal * sum.clone() + remainder.clone() - constant(1 << bits),
                sum - constant(1) - remainder - complement,
            ]
        }
        // |m·(n·x - S)·y| <= 2^61, since y is the root that belongs to this V.
        RowKind::Normalise { lanes, multiplier, len, .. } => {
            let gate = |lane: usize| {
                let [x, sum, root] = [0, 1, 2].map(|group| row.advice(a.factor(group, lane)));
                let acc = columns::requantised(a, lane, kind.remainder_limbs(), &mut |i| row.advice(i));
                constant(multiplier) * (constant(len as i64) * x - sum) * root - acc
            };
            (0..lanes).map(gate).collect()
        }
        // (y + 1)²·V < 2^(2·60 + 61 + 1). y²·V is increasing in y >= 0 for V >= 1, so both differences are not negative for one y only.
        // Degree 4: the selector, y twice, and V.
        RowKind::Root { bits, limbs } => {
            let [v, root] = [0, 2].map(|group| row.advice(a.factor(group, 0)));
            let [quotient, below, above] = columns::quotient(a, limbs, &mut |i| row.advice(i));
            let dividend = || Expression::Constant(scalar::power_of_two(2 * bits));
            let next = root.clone() + constant(1);
            vec![
                root.clone() - quotient,
                dividend() - root.clone() * root * v.clone() - below,
                next.clone() * next * v - constant(1) - dividend() - above,
            ]
        }
        _ => Vec::new(),
    }
}

fn exponential(row: &mut Row<'_, '_>, lane: usize) -> Expression<Fr> {
    let a = row.architecture();
    let [x, maximum] = [0, 1].map(|group| row.advice(a.factor(group, lane)));
    let (distance, rounded) = (maximum - x, row.advice(a.rounded(lane)));
    match row.role(&FixedRole::Masked(lane)) {
        Some(masked) => distance.clone() + masked * (constant(MASKED) - distance) - rounded,
        None => distance - rounded,
    }
}
