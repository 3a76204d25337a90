//! Synthesis: runs the circuits and collects their advice columns, phase by phase.
//!
//! Circuits come in two styles, and both work. In the first, `synthesize` runs once and calls `next_phase` where a
//! phase ends; in the second it never does, and `synthesize` runs once per phase, with the challenges so far known. In
//! either, a cell of a later phase may be left unknown, and cells of committed phases are ignored when assigned again.
//!
//! The challenges after a phase depend on the phase's columns in all circuits of the proof. Among several, a circuit
//! therefore waits where its phase ends: the rest of its run counts for nothing, and it runs again, as in the second
//! style, when its turn comes with the challenges known. A circuit of the first style has to stand being run again,
//! with unknown challenges in the runs before.

use std::borrow::Cow;
use std::mem;

use ff::{BatchInvert, Field};
use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed, FloorPlanner,
    Instance, Selector,
};
use halo2curves::bn256::Fr;

use super::ProverError;
use super::columns::AdviceColumn;
use super::phases::{PhaseCommitter, draw_challenges};

/// What the synthesis is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    /// The key's constraint system.
    pub(super) cs: &'a ConstraintSystem<Fr>,
    /// log2 of the number of rows.
    pub(super) k: u32,
    /// Rows that the circuit may assign.
    pub(super) usable_rows: usize,
    /// The public inputs, per circuit.
    pub(super) instances: &'a [&'a [&'a [Fr]]],
}

/// Runs the circuits' synthesis and commits all their phases; returns the challenges of the circuits' own.
pub(super) fn synthesize<C: Circuit<Fr>>(
    circuits: &[C],
    layout: Layout<'_>,
    committer: &mut impl PhaseCommitter,
) -> Result<Vec<Fr>, ProverError> {
    let count = circuits.len();
    let configs: Vec<C::Config> = circuits
        .iter()
        .enumerate()
        .map(|(index, circuit)| configure(circuit, layout.cs).map_err(|error| error.in_circuit(index, count)))
        .collect::<Result<_, _>>()?;
    let mut phases = Phases::new(layout, committer, count);
    let mut columns: Vec<Columns> = circuits.iter().map(|_| Columns::new(layout)).collect();
    // Each round takes every circuit by at least one phase: by one where several wait for each other.
    while columns.iter().any(|columns| columns.phase < phases.count) {
        for (index, circuit) in circuits.iter().enumerate() {
            let witness = Witness::new(layout, index, &mut columns[index], &mut phases);
            witness.run(circuit, configs[index].clone()).map_err(|error| error.in_circuit(index, count))?;
        }
    }
    Ok(phases.challenges.into_iter().map(|challenge| challenge.unwrap_or(Fr::ZERO)).collect())
}

/// The circuit's columns, which must be those of the key: indices mean the same in both.
fn configure<C: Circuit<Fr>>(circuit: &C, key: &ConstraintSystem<Fr>) -> Result<C::Config, ProverError> {
    let mut cs = ConstraintSystem::default();
    let config = C::configure_with_params(&mut cs, circuit.params());
    let counts = [
        ("advice columns", key.num_advice_columns(), cs.num_advice_columns()),
        ("instance columns", key.num_instance_columns(), cs.num_instance_columns()),
        ("challenges", key.num_challenges(), cs.num_challenges()),
    ];
    match counts.into_iter().find(|(_, expected, got)| expected != got) {
        Some((kind, expected, got)) => Err(ProverError::CircuitMismatch { kind, expected, got }),
        None => Ok(config),
    }
}

/// What the circuits of a proof share.
struct Phases<'a, P> {
    committer: &'a mut P,
    circuits: usize,
    /// Number of phases.
    count: u8,
    column_phases: Vec<u8>,
    challenge_phases: Vec<u8>,
    challenges: Vec<Option<Fr>>,
}

impl<'a, P: PhaseCommitter> Phases<'a, P> {
    fn new(layout: Layout<'_>, committer: &'a mut P, circuits: usize) -> Self {
        let column_phases = layout.cs.advice_column_phase();
        Phases {
            committer,
            circuits,
            count: column_phases.iter().max().map_or(1, |&last| last + 1),
            column_phases,
            challenge_phases: layout.cs.challenge_phase(),
            challenges: vec![None; layout.cs.num_challenges()],
        }
    }

    /// Commits the phase that the circuit's columns are at; after the last circuit's, the challenges are known.
    fn commit(&mut self, circuit: usize, columns: &mut Columns) -> Result<(), ProverError> {
        let phase = columns.phase;
        let complete = columns.complete_phase(&self.column_phases, |column| self.committer.derives(column));
        self.committer.commit_phase(circuit, phase, complete, &self.challenges)?;
        if circuit + 1 == self.circuits {
            draw_challenges(&mut self.challenges, &self.challenge_phases, phase, self.committer);
        }
        Ok(())
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

/// A circuit's advice columns. A column takes memory from its first assignment to its commitment.
struct Columns {
    rows: usize,
    /// The phase being assigned; equal to the number of phases when all are committed.
    phase: u8,
    /// The most phases that the circuit ended by itself in one run, with `next_phase`.
    paced: u8,
    values: Vec<Vec<Fr>>,
    fractions: Vec<Fraction>,
    /// Whether a column has fractions, whose order among its other assignments then matters.
    has_fractions: Vec<bool>,
}

impl Columns {
    fn new(layout: Layout<'_>) -> Self {
        let columns = layout.cs.num_advice_columns();
        Columns {
            rows: layout.usable_rows,
            phase: 0,
            paced: 0,
            values: vec![Vec::new(); columns],
            fractions: Vec::new(),
            has_fractions: vec![false; columns],
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
        self.allocated(column)[row] = value;
        if self.has_fractions[column] {
            self.fractions.push(Fraction { column, row, numerator: value, denominator: Fr::ONE });
        }
    }

    fn allocated(&mut self, column: usize) -> &mut Vec<Fr> {
        let values = &mut self.values[column];
        if values.is_empty() {
            values.resize(self.rows, Fr::ZERO);
        }
        values
    }

    /// Writes all pending fractions into their cells, in the order of assignment. A zero denominator gives zero.
    fn settle_fractions(&mut self) {
        let fractions = mem::take(&mut self.fractions);
        let mut denominators: Vec<Fr> = fractions.iter().map(|fraction| fraction.denominator).collect();
        denominators.iter_mut().batch_invert();
        for (fraction, inverse) in fractions.into_iter().zip(denominators) {
            self.allocated(fraction.column)[fraction.row] = fraction.numerator * inverse;
        }
    }

    /// Hands over the columns of the current phase that are not derived, with their indices, and goes on to the next
    /// one.
    fn complete_phase(
        &mut self,
        column_phases: &[u8],
        derives: impl Fn(usize) -> bool,
    ) -> Vec<(usize, AdviceColumn<'static>)> {
        self.settle_fractions();
        let phase = self.phase;
        self.phase += 1;
        let indices = (0..column_phases.len()).filter(|&index| column_phases[index] == phase && !derives(index));
        let mut values = |index| AdviceColumn::Elements(Cow::Owned(mem::take(&mut self.values[index])));
        indices.map(|index| (index, values(index))).collect()
    }
}

/// One run of a circuit's synthesis. Implements [`Assignment`], ignoring everything that the key already holds.
struct Witness<'a, 'p, P> {
    layout: Layout<'a>,
    circuit: usize,
    columns: &'a mut Columns,
    phases: &'a mut Phases<'p, P>,
    /// How many phases have ended in this run.
    ended: u8,
    /// Whether the rest of the run lacks challenges.
    waiting: bool,
    cells: CellArena,
    /// The first failure; the trait's methods cannot return it.
    failure: Option<ProverError>,
}

impl<'a, 'p, P: PhaseCommitter> Witness<'a, 'p, P> {
    fn new(layout: Layout<'a>, circuit: usize, columns: &'a mut Columns, phases: &'a mut Phases<'p, P>) -> Self {
        let (waiting, cells, failure) = (false, CellArena::default(), None);
        Witness { layout, circuit, columns, phases, ended: 0, waiting, cells, failure }
    }

    /// Runs the circuit. Its last phase, or the only one of a run in the second style, ends with the run.
    fn run<C: Circuit<Fr>>(mut self, circuit: &C, config: C::Config) -> Result<(), ProverError> {
        let constants = self.layout.cs.constants().clone();
        let outcome = C::FloorPlanner::synthesize(&mut self, circuit, config, constants);
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.waiting {
            // Whatever became of the rest of the run, it will be done again.
            return Ok(());
        }
        outcome?;
        self.commit_phase();
        self.failure.map_or(Ok(()), Err)
    }

    /// Commits the current phase, unless all are.
    fn commit_phase(&mut self) {
        if self.waiting || self.failure.is_some() || self.columns.phase >= self.phases.count {
            return;
        }
        if let Err(failure) = self.phases.commit(self.circuit, self.columns) {
            self.fail(failure);
        }
        self.waiting = self.phases.circuits > 1 && self.columns.phase < self.phases.count;
    }

    fn fail(&mut self, failure: ProverError) {
        self.failure.get_or_insert(failure);
    }

    /// Whether an assignment to this cell counts; out of range is a failure, a committed phase is not.
    fn admits(&mut self, column: usize, row: usize) -> bool {
        match self.phases.column_phases.get(column) {
            _ if self.waiting => false,
            Some(&phase) if row < self.layout.usable_rows => phase >= self.columns.phase,
            _ => {
                let (columns, usable_rows) = (self.phases.column_phases.len(), self.layout.usable_rows);
                self.fail(ProverError::CellOutOfRange { column, row, columns, usable_rows });
                false
            }
        }
    }
}

impl<P: PhaseCommitter> Assignment<Fr> for Witness<'_, '_, P> {
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
                self.columns.store(column, row, &value);
            }
            self.cells.keep(value)
        });
        let phase = self.columns.phase;
        // A circuit that ends its phases itself may be repeating those before.
        let due = self.ended >= phase.min(self.columns.paced);
        if admitted && !known && due && self.phases.column_phases[column] == phase {
            self.fail(ProverError::MissingWitness { column, row, phase });
        }
        stored
    }

    fn query_instance(&self, column: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        if row >= self.layout.usable_rows {
            return Err(Error::NotEnoughRowsAvailable { current_k: self.layout.k });
        }
        let value = self.layout.instances[self.circuit].get(column.index()).and_then(|column| column.get(row));
        value.copied().map(Value::known).ok_or(Error::BoundsFailure)
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<Fr> {
        match self.phases.challenges.get(challenge.index()) {
            Some(Some(value)) => Value::known(*value),
            _ => Value::unknown(),
        }
    }

    fn next_phase(&mut self) {
        self.ended = self.ended.saturating_add(1);
        self.columns.paced = self.columns.paced.max(self.ended);
        // What an earlier run committed is only replayed.
        if self.ended > self.columns.phase {
            self.commit_phase();
        }
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
        // capacity, and is never written again. It lives as long as the arena, which outlives the circuit's
        // `synthesize`; a circuit that kept the reference beyond that call would break the contract of `Assignment`,
        // under which the stock prover lends the same way.
        unsafe { &*cell }
    }
}
