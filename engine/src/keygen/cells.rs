//! Synthesis without a witness: collects the fixed columns, the selectors and the copy constraints.

use std::collections::HashMap;

use ff::{BatchInvert, Field};
use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed, FloorPlanner,
    Instance, Selector,
};
use halo2curves::bn256::Fr;

use super::KeygenError;
use super::copies::Copies;

/// What a circuit's run leaves in its columns. Implements [`Assignment`], ignoring advice.
pub(super) struct Cells {
    k: u32,
    usable_rows: usize,
    fixed: Vec<Vec<Fr>>,
    /// Numerator and denominator of cells (column, row) whose last assignment is a fraction: inverted all together.
    fractions: HashMap<(usize, usize), [Fr; 2]>,
    selectors: Vec<Vec<bool>>,
    copies: Copies,
    /// The first failure of a method that cannot return it.
    failure: Option<KeygenError>,
}

impl Cells {
    /// Empty columns of `2^k` rows.
    pub(super) fn new(cs: &ConstraintSystem<Fr>, k: u32) -> Result<Self, KeygenError> {
        let (n, needed) = (1usize << k, cs.minimum_rows());
        if n < needed {
            return Err(KeygenError::TooFewRows { k, needed });
        }
        Ok(Cells {
            k,
            usable_rows: n - (cs.blinding_factors() + 1),
            fixed: vec![vec![Fr::ZERO; n]; cs.num_fixed_columns()],
            fractions: HashMap::new(),
            selectors: vec![vec![false; n]; cs.num_selectors()],
            copies: Copies::new(cs.permutation().get_columns(), n),
            failure: None,
        })
    }

    /// Runs the circuit.
    pub(super) fn run<C: Circuit<Fr>>(
        &mut self,
        circuit: &C,
        config: C::Config,
        cs: &ConstraintSystem<Fr>,
    ) -> Result<(), KeygenError> {
        let outcome = C::FloorPlanner::synthesize(self, circuit, config, cs.constants().clone());
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(outcome?),
        }
    }

    /// The fixed columns, the selectors, and the copy constraints. A denominator of zero makes a zero.
    pub(super) fn finish(mut self) -> (Vec<Vec<Fr>>, Vec<Vec<bool>>, Copies) {
        let (cells, fractions): (Vec<_>, Vec<[Fr; 2]>) = self.fractions.into_iter().unzip();
        let mut inverses: Vec<Fr> = fractions.iter().map(|[_, denominator]| *denominator).collect();
        inverses.iter_mut().batch_invert();
        for ((column, row), ([numerator, _], inverse)) in cells.into_iter().zip(fractions.into_iter().zip(inverses)) {
            self.fixed[column][row] = numerator * inverse;
        }
        (self.fixed, self.selectors, self.copies)
    }

    /// Assigns a cell; false where there is none.
    fn store(&mut self, column: usize, row: usize, value: Assigned<Fr>) -> bool {
        let usable = row < self.usable_rows;
        let Some(cell) = self.fixed.get_mut(column).and_then(|cells| cells.get_mut(row)).filter(|_| usable) else {
            return false;
        };
        if !self.fractions.is_empty() {
            self.fractions.remove(&(column, row));
        }
        match value {
            Assigned::Zero => *cell = Fr::ZERO,
            Assigned::Trivial(value) => *cell = value,
            Assigned::Rational(numerator, denominator) => {
                self.fractions.insert((column, row), [numerator, denominator]);
            }
        }
        true
    }

    fn out_of_range(&self, column: usize, row: usize) -> KeygenError {
        KeygenError::CellOutOfRange { column, row, usable_rows: self.usable_rows }
    }

    fn fail(&mut self, failure: KeygenError) {
        self.failure.get_or_insert(failure);
    }

    /// The number of a cell under a copy constraint.
    fn copied(&self, column: Column<Any>, row: usize) -> Result<usize, KeygenError> {
        if row >= self.usable_rows {
            return Err(self.out_of_range(column.index(), row));
        }
        self.copies.cell(column, row).ok_or_else(|| KeygenError::NotEnabled { column: format!("{column:?}") })
    }

    fn too_few_rows(&self) -> Error {
        Error::NotEnoughRowsAvailable { current_k: self.k }
    }
}

impl Assignment<Fr> for Cells {
    fn enable_selector<A: FnOnce() -> AR, AR: Into<String>>(
        &mut self,
        _: A,
        selector: &Selector,
        row: usize,
    ) -> Result<(), Error> {
        if row >= self.usable_rows {
            return Err(self.too_few_rows());
        }
        let cell = self.selectors.get_mut(selector.index()).and_then(|rows| rows.get_mut(row));
        *cell.ok_or(Error::BoundsFailure)? = true;
        Ok(())
    }

    fn query_instance(&self, _: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        if row < self.usable_rows { Ok(Value::unknown()) } else { Err(self.too_few_rows()) }
    }

    fn assign_advice<'v>(&mut self, _: Column<Advice>, _: usize, _: Value<Assigned<Fr>>) -> Value<&'v Assigned<Fr>> {
        Value::unknown()
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, to: Assigned<Fr>) {
        if !self.store(column.index(), row, to) {
            let failure = self.out_of_range(column.index(), row);
            self.fail(failure);
        }
    }

    fn copy(&mut self, left: Column<Any>, left_row: usize, right: Column<Any>, right_row: usize) {
        match (self.copied(left, left_row), self.copied(right, right_row)) {
            (Ok(left), Ok(right)) => self.copies.join(left, right),
            (Err(failure), _) | (_, Err(failure)) => self.fail(failure),
        }
    }

    fn fill_from_row(&mut self, column: Column<Fixed>, from: usize, to: Value<Assigned<Fr>>) -> Result<(), Error> {
        if from >= self.usable_rows {
            return Err(self.too_few_rows());
        }
        let mut known = None;
        to.map(|value| known = Some(value));
        let value = known.ok_or(Error::Synthesis)?;
        let stored = (from..self.usable_rows).all(|row| self.store(column.index(), row, value));
        if stored { Ok(()) } else { Err(Error::BoundsFailure) }
    }

    fn get_challenge(&self, _: Challenge) -> Value<Fr> {
        Value::unknown()
    }

    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn exit_region(&mut self) {}

    fn annotate_column<A: FnOnce() -> AR, AR: Into<String>>(&mut self, _: A, _: Column<Any>) {}

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn pop_namespace(&mut self, _: Option<String>) {}
}
