//! Horner accumulators: `acc = step·acc_prev + input` on every usable row.
//!
//! | accumulator | input | degree |
//! |---|---|---|
//! | Weights | folded weights: their column, or the fold of the embedded ones; or left operand lanes | 2 |
//! | Operand, OperandDigest | operand lanes or instance lanes, under the selectors that say which are read | 2 |
//! | Result | accumulators of the row's values, under the row's kind | 3 |
//! | ResultTotal | Result, where taken | 2 |
//! | ResultDigest | activation lanes, under the row's kind | 2 |
//! | LeftDigest | left operand lanes | 2 |
//! | Factors | copies beside results, under the row's kind | 2 |
//! | Garbage | free coefficients, under their masks | 2 |
//! | GarbageTotal | Garbage, where taken | 2 |

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::{Derived, Rule};

use super::{NetworkConfig, Row, columns, total};
use crate::layout::{Accumulator, FixedRole, Ring, RowKind};

/// Creates the gates, and tells how the accumulators follow from them.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) -> Vec<Derived> {
    let a = &config.architecture;
    let mut derived = Vec::new();
    for accumulator in a.accumulators() {
        meta.create_gate(name(accumulator), |cells| {
            let mut row = Row::new(cells, config);
            let input = match accumulator {
                Accumulator::Weights => weights(&mut row),
                Accumulator::Operand | Accumulator::OperandDigest => operand(&mut row),
                Accumulator::Result => result(&mut row),
                Accumulator::ResultTotal => taken(&mut row, &FixedRole::Take, Accumulator::Result),
                Accumulator::ResultDigest => digest(&mut row),
                Accumulator::LeftDigest => left(&mut row),
                Accumulator::Factors => factors(&mut row),
                Accumulator::Garbage => garbage(&mut row),
                Accumulator::GarbageTotal => taken(&mut row, &FixedRole::GarbageTake, Accumulator::Garbage),
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
        Accumulator::Factors => "factors",
        Accumulator::Garbage => "garbage",
        Accumulator::GarbageTotal => "garbage total",
    }
}

/// An accumulator on the rows where it is taken.
fn taken(row: &mut Row<'_, '_>, role: &FixedRole, accumulator: Accumulator) -> Expression<Fr> {
    row.role(role).map_or(super::constant(0), |take| take * row.accumulator(accumulator))
}

/// `Σ selector · power` over the accumulator's steps; at most one selector is 1 on a row.
fn step(row: &mut Row<'_, '_>, accumulator: Accumulator) -> Expression<Fr> {
    let ring = row.ring();
    let roles = &row.architecture().fixed;
    total(roles.iter().enumerate().filter_map(|(index, role)| match role {
        FixedRole::Step(of, power) if *of == accumulator => Some(row.fixed_at(index) * ring.power(*power)),
        _ => None,
    }))
}

/// `Σ_c s^c·W_c`; or the left operand lanes of the row, which then has no weights.
fn weights(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let a = row.architecture();
    let weights = match a.folded_weights() {
        // The link proof fixes the folded weights on every row outside the blinding rows. A committed bank may hold anything
        // on the rows of a left operand: it is not read there.
        Some(folded) => row.advice(folded) * selectors(row).into_iter().fold(row.usable(), |rows, left| rows - left),
        // Fixed cells: 0 where the bank has no value, the blinding rows among them.
        None => fold(row, 0, a.embedded_columns()),
    };
    if a.left_lanes > 0 { weights + spread_left(row) } else { weights }
}

/// Fixed columns that say that left lanes are read.
fn selectors(row: &mut Row<'_, '_>) -> Vec<Expression<Fr>> {
    let roles = row.architecture().fixed.iter().enumerate();
    let left = |role: &FixedRole| matches!(role, FixedRole::LeftPacked(_) | FixedRole::LeftSingle);
    let columns: Vec<usize> = roles.filter(|(_, role)| left(role)).map(|(index, _)| index).collect();
    columns.into_iter().map(|index| row.fixed_at(index)).collect()
}

/// Left operand lanes by powers of `s`.
fn spread_left(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    left_lanes(row, |row, stride| {
        let spaced = Ring { r: ring.pow(&ring.s, stride), ..ring.clone() };
        columns::horner(&spaced, a.left_lanes, |lane| row.advice(a.left(lane)))
    })
}

/// Left operand lanes by powers of `r`.
fn left(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    left_lanes(row, |row, _| columns::horner(&ring, a.left_lanes, |lane| row.advice(a.left(lane))))
}

/// What full rows of left lanes hold, given their spacing, or the first lane alone.
fn left_lanes(row: &mut Row<'_, '_>, packed: impl Fn(&mut Row<'_, '_>, usize) -> Expression<Fr>) -> Expression<Fr> {
    let a = row.architecture();
    let mut terms = Vec::new();
    for (index, role) in a.fixed.iter().enumerate() {
        let value = match role {
            FixedRole::LeftPacked(stride) => packed(row, *stride),
            FixedRole::LeftSingle => row.advice(a.left(0)),
            _ => continue,
        };
        terms.push(row.fixed_at(index) * value);
    }
    total(terms)
}

/// `Σ_{c < count} s^c·W_{first + c}`, by halves: an expression is evaluated recursively, and its depth must not grow with
/// the number of columns.
fn fold(row: &mut Row<'_, '_>, first: usize, count: usize) -> Expression<Fr> {
    match count {
        0 => super::constant(0),
        1 => row.weight(first),
        _ => {
            let (ring, half) = (row.ring(), count / 2);
            let low = fold(row, first, half);
            low + ring.pow(&ring.s, half) * fold(row, first + half, count - half)
        }
    }
}

/// Operand lanes of the row: all, the first, or the instance's. Unread lanes do not count.
fn operand(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    if let Some(selector) = row.role(&FixedRole::OperandPacked) {
        terms.push(selector * columns::horner(&ring, a.operand_lanes, |lane| row.advice(a.operand(lane))));
    }
    if let Some(selector) = row.role(&FixedRole::OperandSingle) {
        terms.push(selector * row.advice(a.operand(0)));
    }
    if let Some(selector) = row.role(&FixedRole::InstancePacked) {
        terms.push(selector * columns::horner(&ring, a.operand_lanes, |lane| row.instance(lane)));
    }
    if let Some(selector) = row.role(&FixedRole::InstanceSingle) {
        terms.push(selector * row.instance(0));
    }
    total(terms)
}

fn kinds(row: &Row<'_, '_>) -> Vec<(usize, RowKind)> {
    let roles = row.architecture().fixed.iter().enumerate();
    roles.filter_map(|(i, role)| if let FixedRole::Kind(kind) = role { Some((i, *kind)) } else { None }).collect()
}

fn result(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, kind) in kinds(row) {
        let selector = row.fixed_at(index);
        let raw = (kind == RowKind::Raw).then(|| row.instance(a.operand_lanes));
        let raw = || raw.unwrap_or(super::constant(0));
        if let Some(input) = columns::result_input(a, kind, &ring, &mut |i| row.advice(i), raw) {
            terms.push(selector * input);
        }
    }
    let epsilon = row.role(&FixedRole::Epsilon);
    terms.extend(epsilon.map(|epsilon| super::constant(0) - epsilon * ring.s.clone()));
    total(terms)
}

/// Copies beside results.
fn factors(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, kind) in kinds(row) {
        if let Some(input) = columns::factor_input(a, kind, &ring, &mut |i| row.advice(i)) {
            terms.push(row.fixed_at(index) * input);
        }
    }
    total(terms)
}

fn digest(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, kind) in kinds(row) {
        let lanes = columns::digest_lanes(kind);
        if lanes > 0 {
            terms.push(row.fixed_at(index) * columns::horner(&ring, lanes, |lane| row.advice(a.activated(lane))));
        }
    }
    total(terms)
}

fn garbage(row: &mut Row<'_, '_>) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    columns::horner(&ring, a.garbage_lanes, |lane| {
        let coefficient = row.advice(a.garbage(lane));
        row.role(&FixedRole::GarbageMask(lane)).map_or(super::constant(0), |mask| mask * coefficient)
    })
}
