//! The greatest exponent of `r` in any identity: the degree in the statistical error of the identities.
//!
//! Every cell that a gate reads counts, also one that an honest prover leaves zero. It follows from the finished fixed columns alone: no
//! layer declares it, so none can forget to.

use crate::system::{Accumulator, Architecture, Factor, FixedRole, Multiplicand, Power, RowKind, Variable};

/// Nonzero cells of the fixed columns, by role.
type Columns = [(FixedRole, Vec<(u32, i64)>)];
/// Degrees of the accumulators by row.
type Degrees = [Vec<Option<usize>>; Accumulator::ALL.len()];

/// The degree in `r` of all identities over `usable` rows.
pub(super) fn max_degree(architecture: &Architecture, fixed: &Columns, usable: usize) -> usize {
    let mut degrees = Degrees::default();
    for accumulator in architecture.accumulators() {
        degrees[accumulator as usize] = column(architecture, fixed, usable, accumulator, &degrees);
    }
    let mut most = 0;
    for (role, cells) in fixed {
        let FixedRole::Term { multiplicand, factor, .. } = role else { continue };
        let operands: &[Accumulator] = match multiplicand {
            Multiplicand::Dot => &[Accumulator::Operand, Accumulator::Weights],
            Multiplicand::Accumulator(accumulator) => &[*accumulator],
        };
        for (row, _) in cells {
            let sum: Option<usize> = operands.iter().map(|operand| degrees[*operand as usize][*row as usize]).sum();
            most = most.max(sum.unwrap_or(0) + degree(factor));
        }
    }
    most
}

/// Degree of a factor.
fn degree(factor: &Factor) -> usize {
    factor.shift + factor.runs.iter().map(|(step, count)| step * count.saturating_sub(1)).sum::<usize>()
}

/// The degree of an accumulator by row, none where it is zero; `before` has those that it may add up.
fn column(
    architecture: &Architecture,
    fixed: &Columns,
    usable: usize,
    accumulator: Accumulator,
    before: &Degrees,
) -> Vec<Option<usize>> {
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
        | Accumulator::CrossTerms => None,
    };
    // Whatever a committed bank holds: one value for each power of s.
    let everywhere = (accumulator == Accumulator::Weights).then_some(0);
    let (mut degrees, mut steps) = (vec![everywhere; usable], vec![None; usable]);
    for (role, cells) in fixed {
        let rows = cells.iter().map(|(row, _)| *row as usize);
        match (role, &inner) {
            (FixedRole::Step(of, Power { variable, exponent }), _) if *of == accumulator => {
                let step = if *variable == Variable::R { *exponent } else { 0 };
                rows.for_each(|row| steps[row] = Some(step));
            }
            (role, Some((of, take))) if role == take => {
                rows.for_each(|row| degrees[row] = degrees[row].max(before[*of as usize][row]));
            }
            (role, _) => {
                let Some(added) = added(architecture, role, accumulator) else { continue };
                rows.for_each(|row| degrees[row] = degrees[row].max(Some(added)));
            }
        }
    }
    for row in 1..usable {
        let carried = degrees[row - 1].zip(steps[row]).map(|(before, step)| before + step);
        degrees[row] = degrees[row].max(carried);
    }
    degrees
}

/// The degree of what a row with this role adds to an accumulator that is no total.
fn added(a: &Architecture, role: &FixedRole, accumulator: Accumulator) -> Option<usize> {
    let operand = matches!(accumulator, Accumulator::Operand | Accumulator::OperandDigest);
    match role {
        FixedRole::OperandPacked | FixedRole::InstancePacked if operand => Some(a.operand_lanes - 1),
        FixedRole::OperandSingle | FixedRole::InstanceSingle if operand => Some(0),
        FixedRole::LeftPacked(_) if accumulator == Accumulator::LeftDigest => Some(a.left_lanes - 1),
        FixedRole::LeftSingle if accumulator == Accumulator::LeftDigest => Some(0),
        FixedRole::CrossTermMask(lane) if accumulator == Accumulator::CrossTerms => Some(a.cross_term_lanes - 1 - lane),
        FixedRole::Kind(kind) => of_kind(*kind, accumulator),
        FixedRole::Epsilon if accumulator == Accumulator::Result => Some(0),
        FixedRole::Usable
        | FixedRole::SumStep
        | FixedRole::SumEnd
        | FixedRole::Table(_)
        | FixedRole::ActivationTag
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
        | FixedRole::Term { .. } => None,
    }
}

/// The degree of what a row of this kind adds.
fn of_kind(kind: RowKind, accumulator: Accumulator) -> Option<usize> {
    let facts = kind.facts();
    let lanes = facts.lanes.map(|lanes| lanes - 1);
    match accumulator {
        Accumulator::Result => facts.result_degree,
        Accumulator::ResultDigest => lanes,
        Accumulator::Auxiliary => match facts.auxiliary {
            0 => None,
            _ => lanes.or(Some(0)),
        },
        Accumulator::Weights
        | Accumulator::Operand
        | Accumulator::OperandDigest
        | Accumulator::ResultTotal
        | Accumulator::LeftDigest
        | Accumulator::CrossTerms
        | Accumulator::CrossTermsTotal => None,
    }
}
