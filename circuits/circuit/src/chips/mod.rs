//! The gates: the constraint system of every network, from its [`Architecture`] alone.
//!
//! All accumulators, helpers and the grand sum are constrained on every usable row, so no cell of phase 2 or 3 that
//! enters the sum is free. Rotations are 0 and -1 only; row 0 never reads its predecessor, because step columns are 0
//! there, so no gate with a nonzero coefficient reads a blinding row.

mod accumulators;
mod attention;
pub(crate) mod columns;
mod gather;
mod lookup;
pub(crate) mod pool;
mod sum;

use halo2_proofs::{
    plonk::{
        Advice, Challenge, Column, ConstraintSystem, Expression, FirstPhase, Fixed, Instance, SecondPhase, ThirdPhase,
        VirtualCells,
    },
    poly::Rotation,
};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::Derived;

use crate::{
    layout::{Accumulator, Architecture, FixedRole, Ring},
    scalar,
};

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

/// The challenges of a proof.
#[derive(Clone, Copy, Debug)]
pub struct Challenges<T> {
    /// Tells output channels apart; squeezed after phase 1.
    pub s: T,
    /// Tells positions apart; squeezed, like the rest, after phase 2, or together with `s` where nothing stands between.
    pub r: T,
    /// Tells identities apart.
    pub t: T,
    /// Offset of lookup keys.
    pub alpha: T,
    /// Compresses lookup keys.
    pub theta: T,
}

impl<T> Challenges<T> {
    /// Applies a function to each challenge.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Challenges<U> {
        Challenges { s: f(self.s), r: f(self.r), t: f(self.t), alpha: f(self.alpha), theta: f(self.theta) }
    }
}

/// Rows at the end that no gate may use: the blinding rows and the last one before them.
pub(crate) fn unusable_rows(architecture: &Architecture) -> usize {
    let mut meta = ConstraintSystem::default();
    configure(&mut meta, architecture.clone());
    meta.blinding_factors() + 1
}

/// Creates all columns and gates.
pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, architecture: Architecture) -> NetworkConfig {
    let a = &architecture;
    let fixed = a.fixed.iter().map(|_| meta.fixed_column()).collect();
    let weights = (0..a.embedded_columns()).map(|_| meta.fixed_column()).collect();
    let instance = (0..a.instance_columns()).map(|_| meta.instance_column()).collect();
    let mut advice: Vec<Column<Advice>> = (0..a.first_phase()).map(|_| meta.advice_column_in(FirstPhase)).collect();
    let s = meta.challenge_usable_after(FirstPhase);
    advice.extend((0..a.second_phase()).map(|_| meta.advice_column_in(SecondPhase)));
    // Halo2 has no phase without columns. Where nothing is committed between s and r, all that the identities hold is in
    // phase 1, before both, and each identity is one polynomial in s and r, zero at a point that is drawn after it.
    let between = a.second_phase() > 0;
    let [r, t, alpha, theta] = [(); 4].map(|()| match between {
        true => meta.challenge_usable_after(SecondPhase),
        false => meta.challenge_usable_after(FirstPhase),
    });
    advice.extend((0..a.third_phase()).map(|_| match between {
        true => meta.advice_column_in(ThirdPhase),
        false => meta.advice_column_in(SecondPhase),
    }));
    let challenges = Challenges { s, r, t, alpha, theta };
    let mut config = NetworkConfig { architecture, advice, fixed, weights, instance, challenges, derived: Vec::new() };
    let accumulators = accumulators::configure(meta, &config);
    attention::configure(meta, &config);
    pool::configure(meta, &config);
    gather::configure(meta, &config);
    let helpers = lookup::configure(meta, &config);
    let [weighted, sum] = sum::configure(meta, &config);
    config.derived = [accumulators, weighted, helpers, sum].concat();
    config
}

/// The cells of one row as expressions, under the columns' names.
pub(crate) struct Row<'r, 'm> {
    cells: &'r mut VirtualCells<'m, Fr>,
    config: &'r NetworkConfig,
}

impl<'r, 'm> Row<'r, 'm> {
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

/// Sum of expressions; 0 for none. By halves: an expression is evaluated recursively, and its depth must not grow with their number.
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
