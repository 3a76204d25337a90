//! The greatest exponents of `s` and `r` in any identity: the degrees in the statistical error of the identities
//! (Schwartz–Zippel; `docs/protocol.md`, section 9).
//!
//! Every cell that a gate reads counts, also one that an honest prover leaves zero. It follows from the finished fixed
//! columns alone: no layer declares it, so none can forget to.

use crate::system::{Accumulator, Architecture, Factor, FixedRole, Multiplicand, RowKind, Variable};

/// Nonzero cells of the fixed columns, by role.
type Columns = [(FixedRole, Vec<(u32, i64)>)];
/// Degrees of the accumulators by row.
type Degrees = [Vec<Option<usize>>; Accumulator::ALL.len()];

/// The degree in a challenge of all identities over `usable` rows.
pub(super) fn max_degree(architecture: &Architecture, fixed: &Columns, usable: usize, variable: Variable) -> usize {
    let rows = Rows { architecture, fixed, usable, variable };
    let mut degrees = Degrees::default();
    for accumulator in architecture.accumulators() {
        degrees[accumulator as usize] = rows.column(accumulator, &degrees);
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
            most = most.max(sum.unwrap_or(0) + degree(factor, variable));
        }
    }
    most
}

/// Degree of a factor.
fn degree(factor: &Factor, variable: Variable) -> usize {
    match variable {
        Variable::S => factor.channels,
        Variable::R => {
            factor.shift + factor.runs.iter().map(|(step, count)| step * count.saturating_sub(1)).sum::<usize>()
        }
    }
}

/// The fixed columns over the usable rows, and the challenge whose exponents are wanted.
#[derive(Clone, Copy)]
struct Rows<'f> {
    architecture: &'f Architecture,
    fixed: &'f Columns,
    usable: usize,
    variable: Variable,
}

impl Rows<'_> {
    /// The degree of an accumulator by row, none where it is zero; `before` has those that it may add up.
    fn column(self, accumulator: Accumulator, before: &Degrees) -> Vec<Option<usize>> {
        let Self { architecture, fixed, usable, variable } = self;
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
        // Whatever a committed bank holds: one value for each power of s, so many as it has columns.
        let columns = architecture.weight_columns.saturating_sub(1);
        let everywhere = match variable {
            Variable::S => columns,
            Variable::R => 0,
        };
        let everywhere = (accumulator == Accumulator::Weights).then_some(everywhere);
        let (mut degrees, mut steps) = (vec![everywhere; usable], vec![None; usable]);
        for (role, cells) in fixed {
            let rows = cells.iter().map(|(row, _)| *row as usize);
            match (role, &inner) {
                (FixedRole::Step(of, power), _) if *of == accumulator => {
                    let step = if power.variable == variable { power.exponent } else { 0 };
                    rows.for_each(|row| steps[row] = Some(step));
                }
                (role, Some((of, take))) if role == take => {
                    rows.for_each(|row| degrees[row] = degrees[row].max(before[*of as usize][row]));
                }
                (role, _) => {
                    let Some(added) = self.added(role, accumulator) else { continue };
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
    fn added(self, role: &FixedRole, accumulator: Accumulator) -> Option<usize> {
        let a = self.architecture;
        let along = |degree: usize| if self.variable == Variable::R { degree } else { 0 };
        let operand = matches!(accumulator, Accumulator::Operand | Accumulator::OperandDigest);
        match role {
            FixedRole::OperandPacked | FixedRole::InstancePacked if operand => Some(along(a.operand_lanes - 1)),
            FixedRole::OperandSingle | FixedRole::InstanceSingle if operand => Some(0),
            FixedRole::LeftPacked(_) if accumulator == Accumulator::LeftDigest => Some(along(a.left_lanes - 1)),
            FixedRole::LeftPacked(stride) if accumulator == Accumulator::Weights && self.variable == Variable::S => {
                Some((a.left_lanes - 1) * stride)
            }
            FixedRole::LeftSingle if accumulator == Accumulator::LeftDigest => Some(0),
            FixedRole::CrossTermMask(lane) if accumulator == Accumulator::CrossTerms => {
                Some(along(a.cross_term_lanes - 1 - lane))
            }
            FixedRole::Kind(kind) => self.of_kind(*kind, accumulator),
            FixedRole::Epsilon if accumulator == Accumulator::Result => Some(1 - along(1)),
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
    fn of_kind(self, kind: RowKind, accumulator: Accumulator) -> Option<usize> {
        let facts = kind.facts();
        let lanes = facts.lanes.map(|lanes| if self.variable == Variable::R { lanes - 1 } else { 0 });
        match accumulator {
            Accumulator::Result => facts.result_degree.map(|degree| match self.variable {
                Variable::S => degree.s,
                Variable::R => degree.r,
            }),
            Accumulator::ResultDigest => lanes,
            Accumulator::Auxiliary => match facts.auxiliary {
                0 => None,
                _ if self.variable == Variable::S => Some(facts.auxiliary_power),
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
}
