//! Advice columns that follow from others, computed by the back end.
//!
//! A gate may leave a column no choice: an accumulator is its own row before times a step plus an input, a helper is a fraction. Such columns
//! need no witness. Their expressions are evaluated on whole columns where these are, on the device; scans and inversions do the rest, and
//! nothing but blinding is copied.

use super::poly::{Poly, Polynomials};
use super::program::{RowProgram, RowProgramBuilder};
use super::{Challenges, ProverError};
use crate::backend::Backend;
use crate::backend::program::ProgramBuilder;
use ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use std::collections::HashSet;

/// An advice column, and how it follows from columns and challenges before it, in the usable rows.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Index of the advice column.
    pub column: usize,
    /// How it follows.
    pub rule: Rule,
}

/// How a column follows from others. Expressions read columns of earlier phases and derived ones before this in the list, and challenges
/// known before the column's phase.
#[derive(Debug, Clone)]
pub enum Rule {
    /// `cell = step·(the cell before) + input`. In row 0 the step is zero.
    Recurrence {
        /// What the cell before is multiplied by.
        step: Expression<Fr>,
        /// What is added.
        input: Expression<Fr>,
    },
    /// `cell = numerator/denominator`, and 0 where the denominator is 0.
    Quotient {
        /// Above the line.
        numerator: Expression<Fr>,
        /// Below it.
        denominator: Expression<Fr>,
    },
}

impl Rule {
    fn expressions(&self) -> [&Expression<Fr>; 2] {
        match self {
            Rule::Recurrence { step, input } => [step, input],
            Rule::Quotient { numerator, denominator } => [denominator, numerator],
        }
    }
}

/// The derived columns of a circuit, compiled.
#[derive(Debug)]
pub(super) struct DerivedColumns<B: Backend> {
    stages: Vec<Stage<B>>,
    columns: HashSet<usize>,
}

/// Columns of one phase that do not read each other.
#[derive(Debug)]
struct Stage<B: Backend> {
    phase: u8,
    /// Step and input of every recurrence; then denominator and numerator of every quotient.
    program: RowProgram<B>,
    recurrences: Vec<usize>,
    quotients: Vec<usize>,
    /// Every row's successor, of as many columns as there are recurrences.
    successors: B::Compiled,
}

impl<B: Backend> DerivedColumns<B> {
    pub(super) fn new(backend: &B, cs: &ConstraintSystem<Fr>, derived: &[Derived]) -> Result<Self, ProverError> {
        let phases = cs.advice_column_phase();
        let columns = derived.iter().map(|derived| derived.column).collect();
        let mut stages = Vec::new();
        let mut rest = derived;
        while let Some(first) = rest.first() {
            let phase = phase_of(&phases, first)?;
            let mut defined = HashSet::new();
            let mut taken = 0;
            for derived in rest {
                let reads_stage = derived.rule.expressions().into_iter().any(|expression| reads(expression, &defined));
                if reads_stage || phase_of(&phases, derived)? != phase {
                    break;
                }
                defined.insert(derived.column);
                taken += 1;
            }
            let (stage, after) = rest.split_at(taken);
            stages.push(Stage::new(backend, phase, stage)?);
            rest = after;
        }
        Ok(Self { stages, columns })
    }

    /// Whether an advice column is derived.
    pub(super) fn contains(&self, column: usize) -> bool {
        self.columns.contains(&column)
    }

    /// Adds a phase's derived columns, as values on H, to the columns of a circuit, and gives their indices. Blinding rows are arbitrary.
    pub(super) fn run(
        &self,
        backend: &B,
        n: usize,
        phase: u8,
        columns: &mut Polynomials<B::Scalars>,
        key: &Polynomials<B::Scalars>,
        challenges: &Challenges,
    ) -> Result<Vec<usize>, ProverError> {
        let mut made = Vec::new();
        for stage in self.stages.iter().filter(|stage| stage.phase == phase) {
            let mut operands = stage.program.run(backend, n, &[columns, key], challenges)?.into_iter();
            let mut scans = Vec::with_capacity(stage.recurrences.len());
            for _ in &stage.recurrences {
                if let (Some(step), Some(input)) = (operands.next(), operands.next()) {
                    scans.push(backend.affine_scan(&step, &input, Fr::ZERO)?);
                }
            }
            // A scan excludes the current row, which an accumulator includes: it is the scan of the row after.
            let resident: Vec<_> = scans.iter().collect();
            let accumulators = backend.evaluate(&stage.successors, n, &resident, &[])?;
            columns.extend(stage.recurrences.iter().copied().map(Poly::Advice), accumulators);
            for column in &stage.quotients {
                if let (Some(mut quotient), Some(numerator)) = (operands.next(), operands.next()) {
                    backend.batch_invert(&mut quotient)?;
                    backend.mul_assign(&mut quotient, &numerator)?;
                    columns.insert(Poly::Advice(*column), quotient);
                }
            }
            made.extend(stage.recurrences.iter().chain(&stage.quotients));
        }
        Ok(made)
    }
}

impl<B: Backend> Stage<B> {
    fn new(backend: &B, phase: u8, derived: &[Derived]) -> Result<Self, ProverError> {
        let is_recurrence = |derived: &&Derived| matches!(derived.rule, Rule::Recurrence { .. });
        let (recurrences, quotients): (Vec<_>, Vec<_>) = derived.iter().partition(is_recurrence);
        let mut builder = RowProgramBuilder::default();
        let mut outputs = Vec::new();
        for expression in recurrences.iter().chain(&quotients).flat_map(|derived| derived.rule.expressions()) {
            outputs.push(builder.expression(expression)?);
        }
        let mut successors = ProgramBuilder::new();
        let next: Vec<_> = (0..recurrences.len()).map(|scan| successors.column(scan, 1)).collect();
        let indices = |all: &[&Derived]| all.iter().map(|derived| derived.column).collect();
        Ok(Self {
            phase,
            program: builder.finish(backend, &outputs)?,
            recurrences: indices(&recurrences),
            quotients: indices(&quotients),
            successors: backend.compile(&successors.finish(&next))?,
        })
    }
}

fn phase_of(phases: &[u8], derived: &Derived) -> Result<u8, ProverError> {
    let missing = || ProverError::MissingPolynomial { polynomial: format!("{:?}", Poly::Advice(derived.column)) };
    phases.get(derived.column).copied().ok_or_else(missing)
}

/// Whether an expression reads one of these advice columns.
fn reads(expression: &Expression<Fr>, columns: &HashSet<usize>) -> bool {
    expression.evaluate(
        &|_| false,
        &|_| false,
        &|_| false,
        &|query| columns.contains(&query.column_index()),
        &|_| false,
        &|_| false,
        &|inner| inner,
        &|left, right| left || right,
        &|left, right| left || right,
        &|inner, _| inner,
    )
}
