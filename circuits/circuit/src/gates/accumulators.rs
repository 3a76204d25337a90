//! Horner accumulators: `acc = step·acc_prev + input` on every usable row (`docs/protocol.md`, section 4). Two digests
//! that are equal at a random point are of equal tensors, by Schwartz–Zippel; products are Freivalds' check (section
//! 5).
//!
//! | accumulator | input | degree |
//! |---|---|---|
//! | Weights | folded weights: their column, or the fold of the embedded ones; or left operand lanes | 2 |
//! | Operand, OperandDigest | operand lanes or instance lanes, under the selectors that say which are read | 2 |
//! | Result | accumulators of the row's values, under the row's kind | 3 |
//! | ResultTotal | Result, where taken | 2 |
//! | ResultDigest | activation lanes, under the row's kind | 2 |
//! | LeftDigest | left operand lanes | 2 |
//! | Auxiliary | auxiliary operands, under the row's kind | 2 |
//! | CrossTerms | cross terms, under their masks | 2 |
//! | CrossTermsTotal | CrossTerms, where taken | 2 |
//! | Committed | a column of a committed tensor | 2 |
//! | Hashed | the values of hashed tensors, on their rows | 2 |

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::{Derived, Rule};

use super::hashes;
use crate::rows::kinds;
use crate::system::formulas::horner;
use crate::system::{Accumulator, FixedRole, Lanes, NetworkConfig, Read, Ring, RowCells, RowKind, constant, total};

/// Creates the gates, and tells how the accumulators follow from them.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) -> Vec<Derived> {
    let a = &config.architecture;
    let mut derived = Vec::new();
    for accumulator in a.accumulators() {
        meta.create_gate(name(accumulator), |cells| {
            let mut row = RowCells::new(cells, config);
            let input = match accumulator {
                Accumulator::Weights => weights(&mut row),
                Accumulator::Operand | Accumulator::OperandDigest => operand(&mut row),
                Accumulator::Result => result(&mut row),
                Accumulator::ResultTotal => taken(&mut row, &FixedRole::Accumulate, Accumulator::Result),
                Accumulator::ResultDigest => digest(&mut row),
                Accumulator::LeftDigest => left(&mut row),
                Accumulator::Auxiliary => auxiliary(&mut row),
                Accumulator::CrossTerms => cross_terms(&mut row),
                Accumulator::CrossTermsTotal => {
                    taken(&mut row, &FixedRole::AccumulateCrossTerms, Accumulator::CrossTerms)
                }
                // Rows beyond the tensor add up behind its last row, where nothing is read.
                Accumulator::Committed(column) => row.usable() * row.advice(a.committed(column as usize)),
                Accumulator::Hashed => hashes::value(&mut row),
            };
            let step = step(&mut row, accumulator);
            let index = a.accumulator(accumulator);
            let rule = Rule::Recurrence { step: step.clone(), input: input.clone() };
            derived.push(Derived { column: index, rule });
            vec![row.usable() * row.advice(index) - step * row.previous(index) - input]
        });
    }
    derived
}

const fn name(accumulator: Accumulator) -> &'static str {
    match accumulator {
        Accumulator::Weights => "weights",
        Accumulator::Operand => "operand",
        Accumulator::OperandDigest => "operand digest",
        Accumulator::Result => "result",
        Accumulator::ResultTotal => "result total",
        Accumulator::ResultDigest => "result digest",
        Accumulator::LeftDigest => "left digest",
        Accumulator::Auxiliary => "auxiliary operands",
        Accumulator::CrossTerms => "cross terms",
        Accumulator::CrossTermsTotal => "total of cross terms",
        Accumulator::Committed(_) => "committed tensor",
        Accumulator::Hashed => "hashed tensor",
    }
}

/// An accumulator on the rows where it is taken.
fn taken(row: &mut RowCells<'_, '_>, role: &FixedRole, accumulator: Accumulator) -> Expression<Fr> {
    row.role(role).map_or(constant(0), |take| take * row.accumulator(accumulator))
}

/// `Σ selector · power` over the accumulator's steps; at most one selector is 1 on a row.
fn step(row: &mut RowCells<'_, '_>, accumulator: Accumulator) -> Expression<Fr> {
    let ring = row.ring();
    let roles = &row.architecture().fixed;
    let mut terms = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        let FixedRole::Step(of, power) = role else { continue };
        if *of == accumulator {
            terms.push(row.fixed_at(index) * ring.power(*power));
        }
    }
    total(terms)
}

/// `Σ_c s^c·W_c`; or the left operand lanes of the row, which then has no weights.
fn weights(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let a = row.architecture();
    let weights = match a.folded_weights() {
        // The link proof fixes the folded weights on every row outside the blinding rows. A committed bank may hold
        // anything on the rows of a left operand: it is not read there.
        Some(folded) => row.advice(folded) * selectors(row).into_iter().fold(row.usable(), |rows, left| rows - left),
        // Fixed cells: 0 where the bank has no value, the blinding rows among them.
        None => fold(row, 0, a.embedded_columns()),
    };
    if a.left_lanes > 0 { weights + spread_left(row) } else { weights }
}

/// Fixed columns that say that left lanes are read.
fn selectors(row: &mut RowCells<'_, '_>) -> Vec<Expression<Fr>> {
    let roles = row.architecture().fixed.iter().enumerate();
    let left = |role: &FixedRole| matches!(role.read(), Some(Read::Left(..)));
    let columns: Vec<usize> = roles.filter(|(_, role)| left(role)).map(|(index, _)| index).collect();
    columns.into_iter().map(|index| row.fixed_at(index)).collect()
}

/// Left operand lanes by powers of `s`.
fn spread_left(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    left_lanes(row, |row, stride| {
        let spaced = Ring { r: ring.pow(&ring.s, stride), ..ring.clone() };
        horner(&spaced, a.left_lanes, |lane| row.advice(a.left(lane)))
    })
}

/// Left operand lanes by powers of `r`.
fn left(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    left_lanes(row, |row, _| horner(&ring, a.left_lanes, |lane| row.advice(a.left(lane))))
}

/// What full rows of left lanes hold, given their spacing, or the first lane alone.
fn left_lanes(
    row: &mut RowCells<'_, '_>,
    packed: impl Fn(&mut RowCells<'_, '_>, usize) -> Expression<Fr>,
) -> Expression<Fr> {
    let a = row.architecture();
    let mut terms = Vec::new();
    for (index, role) in a.fixed.iter().enumerate() {
        let Some(Read::Left(lanes, stride)) = role.read() else { continue };
        let value = match lanes {
            Lanes::Packed => packed(row, stride),
            Lanes::Single => row.advice(a.left(0)),
        };
        terms.push(row.fixed_at(index) * value);
    }
    total(terms)
}

/// `Σ_{c < count} s^c·W_{first + c}`, by halves: an expression is evaluated recursively, and its depth must not grow
/// with the number of columns.
fn fold(row: &mut RowCells<'_, '_>, first: usize, count: usize) -> Expression<Fr> {
    match count {
        0 => constant(0),
        1 => row.weight(first),
        _ => {
            let (ring, half) = (row.ring(), count / 2);
            let low = fold(row, first, half);
            low + ring.pow(&ring.s, half) * fold(row, first + half, count - half)
        }
    }
}

/// Operand lanes of the row: all, the first, or the instance's. Unread lanes do not count.
fn operand(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    if let Some(selector) = row.role(&FixedRole::OperandPacked) {
        terms.push(selector * horner(&ring, a.operand_lanes, |lane| row.advice(a.operand(lane))));
    }
    if let Some(selector) = row.role(&FixedRole::OperandSingle) {
        terms.push(selector * row.advice(a.operand(0)));
    }
    if let Some(selector) = row.role(&FixedRole::InstancePacked) {
        terms.push(selector * horner(&ring, a.operand_lanes, |lane| row.instance(lane)));
    }
    if let Some(selector) = row.role(&FixedRole::InstanceSingle) {
        terms.push(selector * row.instance(0));
    }
    total(terms)
}

fn result(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, kind) in kinds(&a.fixed) {
        let selector = row.fixed_at(index);
        let raw = (kind == RowKind::Raw).then(|| row.instance(a.operand_lanes));
        let raw = || raw.unwrap_or(constant(0));
        if let Some(input) = kind.result(a, &ring, &mut |i| row.advice(i), raw) {
            terms.push(selector * input);
        }
    }
    let epsilon = row.role(&FixedRole::Epsilon);
    terms.extend(epsilon.map(|epsilon| constant(0) - epsilon * ring.s.clone()));
    total(terms)
}

/// Auxiliary operands.
fn auxiliary(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, kind) in kinds(&a.fixed) {
        if let Some(input) = kind.auxiliary(a, &ring, &mut |i| row.advice(i)) {
            terms.push(row.fixed_at(index) * input);
        }
    }
    total(terms)
}

fn digest(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, kind) in kinds(&a.fixed) {
        let lanes = kind.digest_lanes();
        if lanes > 0 {
            terms.push(row.fixed_at(index) * horner(&ring, lanes, |lane| row.advice(a.activated(lane))));
        }
    }
    total(terms)
}

fn cross_terms(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    horner(&ring, a.cross_term_lanes, |lane| {
        let coefficient = row.advice(a.cross_term(lane));
        row.role(&FixedRole::CrossTermMask(lane)).map_or(constant(0), |mask| mask * coefficient)
    })
}
