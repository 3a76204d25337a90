//! The greatest exponents of `s` and `r` in any identity: the degrees in the statistical error of the identities
//! (Schwartz–Zippel; `docs/protocol.md`, section 9).
//!
//! Every cell that a gate reads counts, also one that an honest prover leaves zero. It follows from the finished fixed
//! columns alone: no layer declares it, so none can forget to.

use crate::rows::Degree;
use crate::system::{Accumulator, Architecture, Factor, FixedRole, Multiplicand, Power, RowKind, Variable};

/// Nonzero cells of the fixed columns, by role.
type Columns = [(FixedRole, Vec<(u32, i64)>)];
/// Degrees of the accumulators by row.
type Degrees = Vec<Vec<Option<Degree>>>;

impl Degree {
    const fn of_power(power: Power) -> Self {
        match power.variable {
            Variable::S => Self { s: power.exponent, r: 0 },
            Variable::R => Self { s: 0, r: power.exponent },
        }
    }

    fn of_factor(factor: &Factor) -> Self {
        let runs = factor.runs.iter().map(|(step, count)| step * count.saturating_sub(1));
        Self { s: factor.channels, r: factor.shift + runs.sum::<usize>() }
    }
}

/// Of a sum, where either may be zero.
fn greatest(one: Option<Degree>, other: Option<Degree>) -> Option<Degree> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

/// The degrees in both challenges of all identities over `usable` rows.
pub(super) fn max_degree(architecture: &Architecture, fixed: &Columns, usable: usize) -> Degree {
    let all = Accumulator::SINGLE.len() + architecture.committed_columns;
    let mut degrees: Degrees = vec![Vec::new(); all];
    for accumulator in architecture.accumulators() {
        degrees[accumulator.number()] = column(architecture, fixed, usable, accumulator, &degrees);
    }
    let mut most = Degree::default();
    for (role, cells) in fixed {
        let FixedRole::Term { multiplicand, factor, .. } = role else { continue };
        let operands: &[Accumulator] = match multiplicand {
            Multiplicand::Dot => &[Accumulator::Operand, Accumulator::Weights],
            Multiplicand::Accumulator(accumulator) => &[*accumulator],
        };
        let factor = Degree::of_factor(factor);
        for (row, _) in cells {
            let mut of_row = operands.iter().map(|operand| degrees[operand.number()][*row as usize]);
            let product = of_row.try_fold(Degree::default(), |product, degree| Some(product.plus(degree?)));
            most = most.max(product.unwrap_or_default().plus(factor));
        }
    }
    most
}

/// The degree of an accumulator by row, none where it is zero; `before` has those that it may add up.
fn column(
    architecture: &Architecture,
    fixed: &Columns,
    usable: usize,
    accumulator: Accumulator,
    before: &[Vec<Option<Degree>>],
) -> Vec<Option<Degree>> {
    let inner = match accumulator {
        Accumulator::ResultTotal => Some((Accumulator::Result, FixedRole::Accumulate)),
        Accumulator::CrossTermsTotal => Some((Accumulator::CrossTerms, FixedRole::AccumulateCrossTerms)),
        Accumulator::Weights
        | Accumulator::Operand
        | Accumulator::OperandDigest
        | Accumulator::Result
        | Accumulator::ResultDigest
        | Accumulator::LeftDigest
        | Accumulator::Auxiliary
        | Accumulator::CrossTerms
        | Accumulator::Committed(_)
        | Accumulator::Hashed => None,
    };
    // Whatever a committed bank holds: one value for each power of s, so many as it has columns.
    let bank = Degree { s: architecture.weight_columns.saturating_sub(1), r: 0 };
    let everywhere = match accumulator {
        Accumulator::Weights => Some(bank),
        // Whatever stands beyond the tensor.
        Accumulator::Committed(_) => Some(Degree::default()),
        Accumulator::Operand
        | Accumulator::OperandDigest
        | Accumulator::Result
        | Accumulator::ResultTotal
        | Accumulator::ResultDigest
        | Accumulator::LeftDigest
        | Accumulator::Auxiliary
        | Accumulator::CrossTerms
        | Accumulator::CrossTermsTotal
        | Accumulator::Hashed => None,
    };
    let (mut degrees, mut steps) = (vec![everywhere; usable], vec![None; usable]);
    for (role, cells) in fixed {
        let rows = cells.iter().map(|(row, _)| *row as usize);
        match (role, &inner) {
            (FixedRole::Step(of, power), _) if *of == accumulator => {
                let step = Degree::of_power(*power);
                rows.for_each(|row| steps[row] = Some(step));
            }
            (role, Some((of, take))) if role == take => {
                rows.for_each(|row| degrees[row] = greatest(degrees[row], before[of.number()][row]));
            }
            (role, _) => {
                let Some(added) = added(architecture, role, accumulator) else { continue };
                rows.for_each(|row| degrees[row] = greatest(degrees[row], Some(added)));
            }
        }
    }
    for row in 1..usable {
        let carried = degrees[row - 1].zip(steps[row]).map(|(before, step)| before.plus(step));
        degrees[row] = greatest(degrees[row], carried);
    }
    degrees
}

/// The degree of what a row with this role adds to an accumulator that is no total.
fn added(a: &Architecture, role: &FixedRole, accumulator: Accumulator) -> Option<Degree> {
    let operand = matches!(accumulator, Accumulator::Operand | Accumulator::OperandDigest);
    let along = |r: usize| Some(Degree { s: 0, r });
    match role {
        FixedRole::OperandPacked | FixedRole::InstancePacked if operand => along(a.operand_lanes - 1),
        FixedRole::OperandSingle | FixedRole::InstanceSingle if operand => along(0),
        FixedRole::LeftPacked(_) if accumulator == Accumulator::LeftDigest => along(a.left_lanes - 1),
        FixedRole::LeftPacked(stride) if accumulator == Accumulator::Weights => {
            Some(Degree { s: (a.left_lanes - 1) * stride, r: 0 })
        }
        FixedRole::LeftSingle if accumulator == Accumulator::LeftDigest => along(0),
        FixedRole::CrossTermMask(lane) if accumulator == Accumulator::CrossTerms => {
            along(a.cross_term_lanes - 1 - lane)
        }
        FixedRole::Kind(kind) => of_kind(*kind, accumulator),
        FixedRole::Hash(role) if accumulator == Accumulator::Hashed && role.has_value() => along(0),
        FixedRole::Epsilon if accumulator == Accumulator::Result => Some(Degree { s: 1, r: 0 }),
        FixedRole::Usable
        | FixedRole::SumStep
        | FixedRole::SumEnd
        | FixedRole::Table { .. }
        | FixedRole::LooksUp
        | FixedRole::ActivationTag
        | FixedRole::Clamp(_)
        | FixedRole::Lines(_)
        | FixedRole::ClampLeast
        | FixedRole::OperandPacked
        | FixedRole::OperandSingle
        | FixedRole::LeftPacked(_)
        | FixedRole::LeftSingle
        | FixedRole::InstancePacked
        | FixedRole::InstanceSingle
        | FixedRole::Accumulate
        | FixedRole::AccumulateCrossTerms
        | FixedRole::CrossTermMask(_)
        | FixedRole::GatherIndex(_)
        | FixedRole::SourceIndex
        | FixedRole::SourceCount(_)
        | FixedRole::SourceByIndex(_)
        | FixedRole::Masked(_)
        | FixedRole::Epsilon
        | FixedRole::SumFactor
        | FixedRole::CandidateStride
        | FixedRole::CandidateNumber
        | FixedRole::Step(..)
        | FixedRole::Identity(_)
        | FixedRole::Term { .. }
        | FixedRole::Hash(_) => None,
    }
}

/// The degree of what a row of this kind adds.
fn of_kind(kind: RowKind, accumulator: Accumulator) -> Option<Degree> {
    let facts = kind.facts();
    let lanes = |s: usize, count: usize| Degree { s, r: count - 1 };
    match accumulator {
        Accumulator::Result => facts.result_degree,
        Accumulator::ResultDigest => facts.lanes.map(|count| lanes(0, count)),
        Accumulator::Auxiliary => (facts.auxiliary > 0).then(|| lanes(facts.auxiliary_power, facts.lanes.unwrap_or(1))),
        Accumulator::Weights
        | Accumulator::Operand
        | Accumulator::OperandDigest
        | Accumulator::ResultTotal
        | Accumulator::LeftDigest
        | Accumulator::CrossTerms
        | Accumulator::CrossTermsTotal
        | Accumulator::Committed(_)
        | Accumulator::Hashed => None,
    }
}
