//! The columns of a network's circuit, and the cells of one row as expressions.

use halo2_proofs::plonk::{Advice, Challenge, Column, Expression, Fixed, Instance, VirtualCells};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::Derived;

use super::architecture::Architecture;
use super::challenge::{Challenges, Ring};
use super::role::{Accumulator, FixedRole};
use crate::scalar;

/// The columns and challenges of a network's circuit.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    pub(crate) architecture: Architecture,
    pub(crate) advice: Vec<Column<Advice>>,
    pub(crate) fixed: Vec<Column<Fixed>>,
    /// The weight bank, where it is embedded.
    pub(crate) weights: Vec<Column<Fixed>>,
    pub(crate) instance: Vec<Column<Instance>>,
    pub(crate) challenges: Challenges<Challenge>,
    /// How the columns of the last phase follow from those before.
    pub(crate) derived: Vec<Derived>,
}

/// The cells of one row as expressions, under the columns' names.
pub(crate) struct RowCells<'r, 'm> {
    cells: &'r mut VirtualCells<'m, Fr>,
    config: &'r NetworkConfig,
}

impl<'r, 'm> RowCells<'r, 'm> {
    pub(crate) fn new(cells: &'r mut VirtualCells<'m, Fr>, config: &'r NetworkConfig) -> Self {
        Self { cells, config }
    }

    pub(crate) fn architecture(&self) -> &'r Architecture {
        &self.config.architecture
    }

    pub(crate) fn advice(&mut self, index: usize) -> Expression<Fr> {
        self.cells.query_advice(self.config.advice[index], Rotation::cur())
    }

    pub(crate) fn previous(&mut self, index: usize) -> Expression<Fr> {
        self.cells.query_advice(self.config.advice[index], Rotation::prev())
    }

    pub(crate) fn accumulator(&mut self, accumulator: Accumulator) -> Expression<Fr> {
        self.advice(self.architecture().accumulator(accumulator))
    }

    pub(crate) fn instance(&mut self, index: usize) -> Expression<Fr> {
        self.cells.query_instance(self.config.instance[index], Rotation::cur())
    }

    pub(crate) fn fixed_at(&mut self, index: usize) -> Expression<Fr> {
        self.cells.query_fixed(self.config.fixed[index], Rotation::cur())
    }

    /// A column of the embedded weight bank.
    pub(crate) fn weight(&mut self, column: usize) -> Expression<Fr> {
        self.cells.query_fixed(self.config.weights[column], Rotation::cur())
    }

    /// A fixed column by role; `None` where this circuit has none, and so no row with that role.
    pub(crate) fn role(&mut self, role: &FixedRole) -> Option<Expression<Fr>> {
        let index = self.architecture().fixed.iter().position(|r| r == role)?;
        Some(self.fixed_at(index))
    }

    pub(crate) fn usable(&mut self) -> Expression<Fr> {
        self.role(&FixedRole::Usable).unwrap_or(constant(0))
    }

    pub(crate) fn challenges(&mut self) -> Challenges<Expression<Fr>> {
        let cells = &mut *self.cells;
        self.config.challenges.map(|challenge| cells.query_challenge(challenge))
    }

    pub(crate) fn ring(&mut self) -> Ring<Expression<Fr>> {
        let Challenges { s, r, .. } = self.challenges();
        Ring { one: constant(1), s, r }
    }
}

/// A constant expression.
pub(crate) fn constant(v: i64) -> Expression<Fr> {
    Expression::Constant(scalar::from_i64(v))
}

/// Sum of expressions; 0 for none. By halves: an expression is evaluated recursively, and its depth must not grow with
/// their number.
pub(crate) fn total(terms: impl IntoIterator<Item = Expression<Fr>>) -> Expression<Fr> {
    let mut terms: Vec<Expression<Fr>> = terms.into_iter().collect();
    while terms.len() > 1 {
        let mut rest = terms.into_iter();
        terms = std::iter::from_fn(|| {
            let first = rest.next()?;
            Some(match rest.next() {
                Some(second) => first + second,
                None => first,
            })
        })
        .collect();
    }
    terms.pop().unwrap_or(constant(0))
}

/// Product of expressions; 1 for none.
pub(crate) fn product(factors: impl IntoIterator<Item = Expression<Fr>>) -> Expression<Fr> {
    factors.into_iter().reduce(|a, b| a * b).unwrap_or(constant(1))
}
