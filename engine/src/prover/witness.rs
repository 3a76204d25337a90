//! Synthesis: runs the circuit and collects its advice columns, phase by phase.
//!
//! Circuits come in two styles, and both work. In the first, `synthesize` runs once and calls `next_phase` where a phase ends;
//! in the second it never does, and `synthesize` runs once per phase, with the challenges so far known. In either,
//! a cell of a later phase may be left unknown, and cells of committed phases are ignored when assigned again.

use super::ProverError;
use ff::{BatchInvert, Field};
use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed, FloorPlanner,
    Instance, Selector,
};
use halo2curves::bn256::Fr;

/// What happens when a phase's advice columns are complete.
pub(super) trait PhaseCommitter {
    /// Blinds and commits the columns of `phase` (`columns` holds all advice columns, by index) and returns the challenges
    /// that follow, with their indices.
    fn commit_phase(&mut self, phase: u8, columns: &mut [Vec<Fr>]) -> Result<Vec<(usize, Fr)>, ProverError>;
}

/// Sizes that the synthesis is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    /// The key's constraint system.
    pub(super) cs: &'a ConstraintSystem<Fr>,
    /// log2 of the number of rows.
    pub(super) k: u32,
    /// Rows that the circuit may assign.
    pub(super) usable_rows: usize,
    /// The public inputs.
    pub(super) instances: &'a [&'a [Fr]],
}

/// Runs a circuit's synthesis and commits all its phases; returns the circuit's challenges.
pub(super) fn synthesize<C: Circuit<Fr>>(
    circuit: &C,
    layout: Layout<'_>,
    committer: &mut impl PhaseCommitter,
) -> Result<Vec<Fr>, ProverError> {
    let mut cs = ConstraintSystem::default();
    let config = C::configure_with_params(&mut cs, circuit.params());
    check_configuration(&cs, layout.cs)?;
    let mut witness = Witness::new(layout, committer);
    while witness.phase < witness.phases {
        let phase = witness.phase;
        C::FloorPlanner::synthesize(&mut witness, circuit, config.clone(), layout.cs.constants().clone())
            .map_err(|error| witness.failure.take().unwrap_or(ProverError::Synthesis(error)))?;
        if witness.phase < witness.phases {
            witness.next_phase();
        }
        if let Some(failure) = witness.failure.take() {
            return Err(failure);
        }
        debug_assert!(witness.phase > phase, "each pass commits a phase");
    }
    Ok(witness.challenges.into_iter().map(|challenge| challenge.unwrap_or(Fr::ZERO)).collect())
}

/// The columns that the circuit configures must be those of the key: indices mean the same in both.
fn check_configuration(circuit: &ConstraintSystem<Fr>, key: &ConstraintSystem<Fr>) -> Result<(), ProverError> {
    let counts = [
        ("advice columns", key.num_advice_columns(), circuit.num_advice_columns()),
        ("instance columns", key.num_instance_columns(), circuit.num_instance_columns()),
        ("challenges", key.num_challenges(), circuit.num_challenges()),
    ];
    match counts.into_iter().find(|(_, expected, got)| expected != got) {
        Some((kind, expected, got)) => Err(ProverError::CircuitMismatch { kind, expected, got }),
        None => Ok(()),
    }
}

/// A fraction assigned to a cell, inverted together with the others of its phase.
#[derive(Debug, Clone, Copy)]
struct Fraction {
    column: usize,
    row: usize,
    numerator: Fr,
    denominator: Fr,
}

/// Collects advice columns. Implements [`Assignment`], ignoring everything that the key already holds.
struct Witness<'a, C> {
    layout: Layout<'a>,
    committer: &'a mut C,
    /// The phase being assigned; equal to `phases` when all are committed.
    phase: u8,
    phases: u8,
    column_phases: Vec<u8>,
    columns: Vec<Vec<Fr>>,
    fractions: Vec<Fraction>,
    /// Whether a column has fractions, whose order among its other assignments then matters.
    has_fractions: Vec<bool>,
    challenges: Vec<Option<Fr>>,
    cells: CellArena,
    /// The first failure; the trait's methods cannot return it.
    failure: Option<ProverError>,
}

impl<'a, C: PhaseCommitter> Witness<'a, C> {
    fn new(layout: Layout<'a>, committer: &'a mut C) -> Self {
        let column_phases = layout.cs.advice_column_phase();
        let columns = column_phases.len();
        Witness {
            phase: 0,
            phases: column_phases.iter().max().map_or(1, |&last| last + 1),
            column_phases,
            columns: vec![vec![Fr::ZERO; 1 << layout.k]; columns],
            fractions: Vec::new(),
            has_fractions: vec![false; columns],
            challenges: vec![None; layout.cs.num_challenges()],
            cells: CellArena::default(),
            failure: None,
            layout,
            committer,
        }
    }

    fn fail(&mut self, failure: ProverError) {
        self.failure.get_or_insert(failure);
    }

    /// Whether an assignment to this cell counts; out of range is a failure, a committed phase is not.
    fn admits(&mut self, column: usize, row: usize) -> bool {
        match self.column_phases.get(column) {
            Some(&phase) if row < self.layout.usable_rows => phase >= self.phase,
            _ => {
                let (columns, usable_rows) = (self.columns.len(), self.layout.usable_rows);
                self.fail(ProverError::CellOutOfRange { column, row, columns, usable_rows });
                false
            }
        }
    }

    fn store(&mut self, column: usize, row: usize, value: &Assigned<Fr>) {
        let value = match *value {
            Assigned::Zero => Fr::ZERO,
            Assigned::Trivial(value) => value,
            Assigned::Rational(numerator, denominator) => {
                self.has_fractions[column] = true;
                self.fractions.push(Fraction { column, row, numerator, denominator });
                return;
            }
        };
        self.columns[column][row] = value;
        if self.has_fractions[column] {
            self.fractions.push(Fraction { column, row, numerator: value, denominator: Fr::ONE });
        }
    }

    /// Writes all pending fractions into their cells, in the order of assignment. A zero denominator gives zero.
    fn settle_fractions(&mut self) {
        let mut denominators: Vec<Fr> = self.fractions.iter().map(|fraction| fraction.denominator).collect();
        denominators.iter_mut().batch_invert();
        for (fraction, inverse) in self.fractions.drain(..).zip(denominators) {
            self.columns[fraction.column][fraction.row] = fraction.numerator * inverse;
        }
    }
}

impl<C: PhaseCommitter> Assignment<Fr> for Witness<'_, C> {
    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        let column = column.index();
        let admitted = self.admits(column, row);
        let mut known = false;
        let stored = to.map(|value| {
            known = true;
            if admitted {
                self.store(column, row, &value);
            }
            self.cells.keep(value)
        });
        if admitted && !known && self.column_phases[column] == self.phase {
            self.fail(ProverError::MissingWitness { column, row, phase: self.phase });
        }
        stored
    }

    fn query_instance(&self, column: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        if row >= self.layout.usable_rows {
            return Err(Error::NotEnoughRowsAvailable { current_k: self.layout.k });
        }
        let value = self.layout.instances.get(column.index()).and_then(|column| column.get(row));
        value.copied().map(Value::known).ok_or(Error::BoundsFailure)
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<Fr> {
        match self.challenges.get(challenge.index()) {
            Some(Some(value)) => Value::known(*value),
            _ => Value::unknown(),
        }
    }

    fn next_phase(&mut self) {
        if self.phase >= self.phases || self.failure.is_some() {
            return;
        }
        self.settle_fractions();
        match self.committer.commit_phase(self.phase, &mut self.columns) {
            Ok(challenges) => {
                for (index, value) in challenges {
                    self.challenges[index] = Some(value);
                }
            }
            Err(failure) => self.fail(failure),
        }
        self.phase += 1;
    }

    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn annotate_column<A: FnOnce() -> AR, AR: Into<String>>(&mut self, _: A, _: Column<Any>) {}

    fn exit_region(&mut self) {}

    fn enable_selector<A: FnOnce() -> AR, AR: Into<String>>(
        &mut self,
        _: A,
        _: &Selector,
        _: usize,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn assign_fixed(&mut self, _: Column<Fixed>, _: usize, _: Assigned<Fr>) {}

    fn copy(&mut self, _: Column<Any>, _: usize, _: Column<Any>, _: usize) {}

    fn fill_from_row(&mut self, _: Column<Fixed>, _: usize, _: Value<Assigned<Fr>>) -> Result<(), Error> {
        Ok(())
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn pop_namespace(&mut self, _: Option<String>) {}
}

/// Keeps assigned values where they do not move, because the circuit gets references to them.
#[derive(Debug, Default)]
struct CellArena {
    chunks: Vec<Vec<Assigned<Fr>>>,
}

impl CellArena {
    const CHUNK: usize = 4096;

    /// Stores a value and lends it for a lifetime of the caller's choice.
    ///
    /// The signature is [`Assignment::assign_advice`]'s: the trait promises the circuit a reference that it may hold
    /// across later assignments, with no lifetime that ties it to the assignment.
    #[allow(unsafe_code)]
    fn keep<'v>(&mut self, value: Assigned<Fr>) -> &'v Assigned<Fr> {
        let full = self.chunks.last().is_none_or(|chunk| chunk.len() == Self::CHUNK);
        if full {
            self.chunks.push(Vec::with_capacity(Self::CHUNK));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        chunk.push(value);
        let cell: *const Assigned<Fr> = &chunk[chunk.len() - 1];
        // SAFETY: the pointer is aligned and initialised. The value never moves, for a chunk is never pushed beyond its
        // capacity, and is never written again. It lives as long as the arena, which outlives the circuit's `synthesize`;
        // a circuit that kept the reference beyond that call would break the contract of `Assignment`, under
        // which the stock prover lends the same way.
        unsafe { &*cell }
    }
}
