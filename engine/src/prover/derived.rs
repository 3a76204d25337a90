//! Advice columns that follow from others, computed by the back end.
//!
//! A gate may leave a column no choice: an accumulator is its own row before times a step plus an input, a helper is a
//! fraction. Such columns need no witness. Their expressions are evaluated on whole columns where these are, on the
//! device; scans and inversions do the rest, and nothing but blinding is copied. A fold of integers, which are
//! resident, needs no column at all.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use super::poly::{Poly, Polynomials};
use super::program::{RowProgram, RowProgramBuilder};
use super::{Challenges, ProverError};
use crate::backend::program::ProgramBuilder;
use crate::backend::{Backend, IntegerRow};

/// An advice column, and how it follows from columns and challenges before it, in the usable rows.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Index of the advice column.
    pub column: usize,
    /// How it follows.
    pub rule: Rule,
}

/// How a column follows from others. Expressions read columns of earlier phases and derived ones before this in the
/// list, and challenges known before the column's phase.
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
    /// `cell = Σ_j challenge^j·value_j`
    Fold(Fold),
}

impl Rule {
    fn expressions(&self) -> Vec<&Expression<Fr>> {
        match self {
            Rule::Recurrence { step, input } => vec![step, input],
            Rule::Quotient { numerator, denominator } => vec![denominator, numerator],
            Rule::Fold(_) => vec![],
        }
    }
}

/// Rows of integers, folded by the powers of a challenge. Its `Debug` form shows sizes only: integers may be secret.
#[derive(Clone)]
pub struct Fold {
    challenge: usize,
    width: usize,
    rows: BTreeMap<usize, Digits>,
}

/// The values of a row from one on, in digits: a back end folds integers of 16 bits. Digit d of value j meets the
/// factor `2^(DIGIT_BITS·d)·challenge^j`, which is number `d·width + j`.
#[derive(Clone)]
struct Digits {
    first: usize,
    integers: Vec<i16>,
}

impl Digits {
    fn row(&self) -> IntegerRow<'_> {
        IntegerRow { first: self.first, integers: &self.integers }
    }
}

/// Bits of a digit, which is between `-2^(DIGIT_BITS - 1)` and `2^(DIGIT_BITS - 1)`, of a value of more than 16.
const DIGIT_BITS: u32 = 15;

impl fmt::Debug for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fold({} rows of {})", self.rows.len(), self.width)
    }
}

impl Fold {
    /// No rows yet, of `width` values each, to be folded by the powers of the circuit's challenge of this index.
    pub fn new(challenge: usize, width: usize) -> Self {
        Self { challenge, width, rows: BTreeMap::new() }
    }

    /// The values of a row from `first` on, fewer than `width` in all; the others, and all of rows that are never set,
    /// are zero.
    pub fn set(&mut self, row: usize, first: usize, values: impl IntoIterator<Item = i64>) {
        let mut rest: Vec<i64> = values.into_iter().collect();
        if let Ok(integers) = rest.iter().map(|value| i16::try_from(*value)).collect() {
            self.rows.insert(row, Digits { first, integers });
            return;
        }
        let mut integers = Vec::new();
        for digit in 0.. {
            if rest.iter().all(|value| *value == 0) {
                break;
            }
            integers.resize(digit * self.width, 0);
            integers.extend(rest.iter_mut().map(take_digit));
        }
        self.rows.insert(row, Digits { first, integers });
    }

    /// One past the last row that is set.
    fn end(&self) -> usize {
        self.rows.last_key_value().map_or(0, |(row, _)| row + 1)
    }
}

/// The lowest digit, which is taken off the value; what is left is divided by `2^DIGIT_BITS`.
fn take_digit(value: &mut i64) -> i16 {
    let half = 1 << (DIGIT_BITS - 1);
    let digit = ((*value & ((1 << DIGIT_BITS) - 1)) ^ half) - half;
    *value = (*value >> DIGIT_BITS) + i64::from(digit < 0);
    digit as i16
}

/// A fold whose integers are resident.
#[derive(Debug)]
struct ResidentFold<B: Backend> {
    column: usize,
    phase: u8,
    challenge: usize,
    width: usize,
    /// Digits of the widest value.
    digits: usize,
    integers: B::Integers,
}

impl<B: Backend> ResidentFold<B> {
    fn new(backend: &B, column: usize, phase: u8, n: usize, fold: &Fold) -> Result<Self, ProverError> {
        if fold.end() > n {
            return Err(ProverError::CellOutOfRange {
                column,
                row: fold.end() - 1,
                columns: column + 1,
                usable_rows: n,
            });
        }
        let empty = IntegerRow { first: 0, integers: &[] };
        let rows: Vec<_> = (0..n).map(|number| fold.rows.get(&number).map_or(empty, Digits::row)).collect();
        let factors = rows.iter().map(IntegerRow::end).max().unwrap_or(0);
        let (challenge, width) = (fold.challenge, fold.width);
        let digits = factors.div_ceil(width.max(1));
        Ok(Self { column, phase, challenge, width, digits, integers: backend.load_integers(&rows)? })
    }

    fn run(&self, backend: &B, challenges: &Challenges) -> Result<B::Scalars, ProverError> {
        let challenge = challenges.circuit.get(self.challenge).copied().unwrap_or_default();
        let radix = Fr::from(1 << DIGIT_BITS);
        let scales = std::iter::successors(Some(Fr::ONE), |scale| Some(scale * radix)).take(self.digits);
        let factors = scales
            .flat_map(|scale| std::iter::successors(Some(scale), |power| Some(power * challenge)).take(self.width));
        Ok(backend.fold_integers(&self.integers, &factors.collect::<Vec<_>>())?)
    }
}

/// The derived columns of a circuit, compiled.
#[derive(Debug)]
pub(super) struct DerivedColumns<B: Backend> {
    folds: Vec<ResidentFold<B>>,
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
    pub(super) fn new(
        backend: &B,
        cs: &ConstraintSystem<Fr>,
        n: usize,
        derived: &[Derived],
    ) -> Result<Self, ProverError> {
        let phases = cs.advice_column_phase();
        let columns = derived.iter().map(|derived| derived.column).collect();
        let (mut folds, mut others) = (Vec::new(), Vec::new());
        for derived in derived {
            match &derived.rule {
                Rule::Fold(fold) => {
                    let phase = phase_of(&phases, derived)?;
                    folds.push(ResidentFold::new(backend, derived.column, phase, n, fold)?);
                }
                _ => others.push(derived),
            }
        }
        let mut stages = Vec::new();
        let mut rest = &others[..];
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
        Ok(Self { folds, stages, columns })
    }

    /// Whether an advice column is derived.
    pub(super) fn contains(&self, column: usize) -> bool {
        self.columns.contains(&column)
    }

    /// Adds a phase's derived columns, as values on H, to the columns of a circuit, and gives their indices. Blinding
    /// rows are arbitrary.
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
        for fold in self.folds.iter().filter(|fold| fold.phase == phase) {
            columns.insert(Poly::Advice(fold.column), fold.run(backend, challenges)?);
            made.push(fold.column);
        }
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
    fn new(backend: &B, phase: u8, derived: &[&Derived]) -> Result<Self, ProverError> {
        let is_recurrence = |derived: &&Derived| matches!(derived.rule, Rule::Recurrence { .. });
        let (recurrences, quotients): (Vec<_>, Vec<_>) = derived.iter().copied().partition(is_recurrence);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Cpu, MemoryOps};

    fn element(value: i64) -> Fr {
        if value < 0 { -Fr::from(value.unsigned_abs()) } else { Fr::from(value as u64) }
    }

    #[test]
    fn integers_of_every_width_are_folded() {
        let edges = [i64::MIN, i64::MAX, 1 << 39, -(1 << 39), (1 << 14) - 1, -(1 << 14), 1 << 15, -32769, 32768, 0];
        let rows = [
            (0, 1, vec![i64::from(i16::MIN), i64::from(i16::MAX), 0, -1]),
            (3, 0, edges.to_vec()),
            (4, 4, vec![1 << 15, 5, 1 << 30]),
            (6, 9, vec![-7]),
        ];
        let mut fold = Fold::new(1, edges.len());
        for (row, first, values) in &rows {
            fold.set(*row, *first, values.iter().copied());
        }
        let (cpu, challenge) = (Cpu::new(), Fr::from(0x1234_5678_9abc));
        let challenges = Challenges { circuit: vec![Fr::ONE, challenge], ..Challenges::default() };
        let folded =
            ResidentFold::new(&cpu, 5, 0, 8, &fold).and_then(|fold| fold.run(&cpu, &challenges)).expect("folds");
        let mut expected = vec![Fr::ZERO; 8];
        for (row, first, values) in rows {
            let terms = (first as u64..).zip(values).map(|(j, value)| challenge.pow([j]) * element(value));
            expected[row] = terms.sum();
        }
        assert_eq!(cpu.download(&folded).expect("downloads"), expected);
        let refused = ResidentFold::new(&cpu, 5, 0, 6, &fold).expect_err("row 6 of 6");
        assert!(matches!(refused, ProverError::CellOutOfRange { row: 6, .. }), "{refused}");
    }
}
