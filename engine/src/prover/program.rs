//! Expressions of the constraint system as back end programs over named polynomials.

use std::collections::HashMap;

use halo2_proofs::plonk::{Any, Column, Expression};
use halo2curves::bn256::Fr;

use super::poly::{Poly, Polynomials, resolve};
use super::{Challenges, ProverError};
use crate::backend::Backend;
use crate::backend::program::{NodeId, Program, ProgramBuilder, Term};

/// A scalar that a program reads at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    Theta,
    Beta,
    Gamma,
    Y,
    /// Challenge of the circuit's own, by index.
    Circuit(usize),
}

impl Challenge {
    fn index(self) -> usize {
        match self {
            Challenge::Theta => 0,
            Challenge::Beta => 1,
            Challenge::Gamma => 2,
            Challenge::Y => 3,
            Challenge::Circuit(index) => 4 + index,
        }
    }
}

impl Challenges {
    /// The scalar list that programs index with [`Challenge::index`].
    fn scalars(&self) -> Vec<Fr> {
        [self.theta, self.beta, self.gamma, self.y].into_iter().chain(self.circuit.iter().copied()).collect()
    }
}

/// Builds a [`RowProgram`].
#[derive(Debug, Default)]
pub(super) struct RowProgramBuilder {
    pub(super) nodes: ProgramBuilder,
    polys: Vec<Poly>,
    indices: HashMap<Poly, usize>,
}

impl RowProgramBuilder {
    /// The polynomial's value `rotation` rows further.
    pub(super) fn query(&mut self, poly: Poly, rotation: i32) -> NodeId {
        let polys = &mut self.polys;
        let index = *self.indices.entry(poly).or_insert_with(|| {
            polys.push(poly);
            polys.len() - 1
        });
        self.nodes.column(index, rotation)
    }

    pub(super) fn challenge(&mut self, challenge: Challenge) -> NodeId {
        self.nodes.scalar(challenge.index())
    }

    /// An expression of the constraint system.
    pub(super) fn expression(&mut self, expression: &Expression<Fr>) -> Result<NodeId, ProverError> {
        Ok(match expression {
            Expression::Constant(value) => self.nodes.constant(*value),
            Expression::Selector(_) => return Err(ProverError::VirtualSelector),
            Expression::Fixed(query) => self.query(Poly::Fixed(query.column_index()), query.rotation().0),
            Expression::Advice(query) => self.query(Poly::Advice(query.column_index()), query.rotation().0),
            Expression::Instance(query) => self.query(Poly::Instance(query.column_index()), query.rotation().0),
            Expression::Challenge(challenge) => self.challenge(Challenge::Circuit(challenge.index())),
            Expression::Negated(inner) => {
                let inner = self.expression(inner)?;
                self.nodes.negate(inner)
            }
            Expression::Sum(left, right) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.nodes.add(left, right)
            }
            Expression::Product(left, right) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.nodes.mul(left, right)
            }
            Expression::Scaled(inner, factor) => {
                let (inner, factor) = (self.expression(inner)?, self.nodes.constant(*factor));
                self.nodes.mul(inner, factor)
            }
        })
    }

    /// `Σ_i theta^{m-1-i}·expression_i`, the compression of a lookup's m expressions.
    pub(super) fn compress(&mut self, expressions: &[Expression<Fr>]) -> Result<NodeId, ProverError> {
        let terms = expressions.iter().map(|expression| self.expression(expression)).collect::<Result<Vec<_>, _>>()?;
        let theta = self.challenge(Challenge::Theta);
        Ok(self.nodes.horner(&terms, theta))
    }

    /// The polynomials that a term reads.
    pub(super) fn polys_of(&self, term: &Term) -> Vec<Poly> {
        let mut columns = self.nodes.columns(term.atom);
        columns.extend(term.cofactor.into_iter().flat_map(|cofactor| self.nodes.columns(cofactor)));
        columns.sort_unstable();
        columns.dedup();
        columns.into_iter().map(|column| self.polys[column]).collect()
    }

    /// The program with these outputs, over the polynomials that they need.
    pub(super) fn schedule(&self, outputs: &[NodeId]) -> NamedProgram {
        let (program, columns) = self.nodes.finish(outputs).compact();
        NamedProgram { program, polys: columns.into_iter().map(|column| self.polys[column]).collect() }
    }

    /// Compiles the program with these outputs.
    pub(super) fn finish<B: Backend>(self, backend: &B, outputs: &[NodeId]) -> Result<RowProgram<B>, ProverError> {
        self.schedule(outputs).compile(backend)
    }
}

/// The name of a circuit's column.
pub(super) fn column_poly(column: Column<Any>) -> Poly {
    match column.column_type() {
        Any::Advice(_) => Poly::Advice(column.index()),
        Any::Fixed => Poly::Fixed(column.index()),
        Any::Instance => Poly::Instance(column.index()),
    }
}

/// A program together with the names of its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedProgram {
    pub(super) program: Program,
    pub(super) polys: Vec<Poly>,
}

impl NamedProgram {
    /// The cells that the program reads, as polynomials and rotations.
    pub(super) fn cells(&self) -> impl Iterator<Item = (Poly, i32)> {
        self.program.queries().iter().map(|query| (self.polys[query.column], query.rotation))
    }

    /// The outputs on one row with these [`cells`](Self::cells).
    pub(super) fn run_row(&self, cells: &[Fr], challenges: &Challenges) -> Result<Vec<Fr>, ProverError> {
        Ok(self.program.evaluate_row(cells, &challenges.scalars())?)
    }

    pub(super) fn compile<B: Backend>(self, backend: &B) -> Result<RowProgram<B>, ProverError> {
        Ok(RowProgram { compiled: backend.compile(&self.program)?, polys: self.polys })
    }
}

/// A compiled program together with the names of the polynomials it reads.
#[derive(Debug)]
pub(super) struct RowProgram<B: Backend> {
    compiled: B::Compiled,
    polys: Vec<Poly>,
}

impl<B: Backend> RowProgram<B> {
    /// Runs the program over n rows, with each polynomial from the first of the `stores` that has it.
    pub(super) fn run(
        &self,
        backend: &B,
        n: usize,
        stores: &[&Polynomials<B::Scalars>],
        challenges: &Challenges,
    ) -> Result<Vec<B::Scalars>, ProverError> {
        let columns = resolve(stores, &self.polys)?;
        Ok(backend.evaluate(&self.compiled, n, &columns, &challenges.scalars())?)
    }
}
