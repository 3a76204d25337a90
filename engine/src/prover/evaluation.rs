//! Which polynomials are evaluated and opened where.
//!
//! Both lists depend on the circuit alone, and on how many there are. They hold the same queries in different orders:
//! evaluations are written in the order in which the verifier reads them, openings go by the order in which it names
//! the commitments.

use ff::Field;
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use tracing::info_span;

use super::poly::{Form, Poly, ProofPoly};
use super::shape::Shape;
use super::{Proof, ProverError};
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

/// A polynomial at `x·omega^rotation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Query {
    pub(super) poly: ProofPoly,
    pub(super) rotation: i32,
}

/// The evaluations and openings of every proof of so many circuits.
#[derive(Debug)]
pub(super) struct OpeningSchedule {
    evaluations: Vec<Query>,
    openings: Vec<Query>,
    interpolated: Vec<Poly>,
}

/// A polynomial of one circuit, or of all, at a rotation.
type Rotated = (Poly, i32);

impl OpeningSchedule {
    pub(super) fn new(cs: &ConstraintSystem<Fr>, shape: &Shape, circuits: usize) -> Self {
        let advice: Vec<Rotated> =
            cs.advice_queries().iter().map(|(column, at)| (Poly::Advice(column.index()), at.0)).collect();
        let fixed: Vec<Rotated> =
            cs.fixed_queries().iter().map(|(column, at)| (Poly::Fixed(column.index()), at.0)).collect();
        let columns = cs.permutation().get_columns().len();
        let sigma: Vec<Rotated> = (0..columns).map(|index| (Poly::Sigma(index), 0)).collect();
        let lookups = 0..cs.lookups().len();
        let evaluations = [
            of_circuits(circuits, &advice),
            shared(&fixed),
            shared(&[(Poly::Random, 0)]),
            shared(&sigma),
            of_circuits(circuits, &product_evaluations(shape, columns)),
            of_circuits(circuits, &lookups.clone().flat_map(lookup_evaluations).collect::<Vec<_>>()),
        ];
        let own = [advice, product_openings(shape, columns), lookups.flat_map(lookup_openings).collect()].concat();
        let openings = [
            of_circuits(circuits, &own),
            shared(&fixed),
            shared(&sigma),
            shared(&[(Poly::Quotient, 0), (Poly::Random, 0)]),
        ];
        OpeningSchedule {
            evaluations: evaluations.concat(),
            openings: openings.concat(),
            interpolated: interpolated(cs, &own),
        }
    }

    /// Number of values that are written at x.
    pub(super) fn written(&self) -> usize {
        self.evaluations.len()
    }

    /// The values that are written at x, in order.
    pub(super) fn evaluations(&self) -> &[Query] {
        &self.evaluations
    }

    /// Every opening, in the verifier's order. No polynomial occurs twice at the same point.
    pub(super) fn openings(&self) -> &[Query] {
        &self.openings
    }

    /// The columns that a proof makes for each circuit as values, and needs as coefficients.
    pub(super) fn interpolated(&self) -> &[Poly] {
        &self.interpolated
    }
}

/// Circuit after circuit, its own polynomials.
fn of_circuits(circuits: usize, own: &[Rotated]) -> Vec<Query> {
    (0..circuits)
        .flat_map(|circuit| own.iter().map(move |&(poly, at)| (ProofPoly::Circuit(circuit, poly), at)))
        .map(|(poly, rotation)| Query { poly, rotation })
        .collect()
}

fn shared(polys: &[Rotated]) -> Vec<Query> {
    polys.iter().map(|&(poly, rotation)| Query { poly: ProofPoly::Shared(poly), rotation }).collect()
}

/// Each product at x and at the next row; all but the last also where they end, to chain them.
fn product_evaluations(shape: &Shape, columns: usize) -> Vec<Rotated> {
    let sets = shape.permutation_sets(columns);
    (0..sets)
        .flat_map(|set| {
            let rotations = [Some(0), Some(1), (set + 1 < sets).then(|| shape.last_rotation())];
            rotations.into_iter().flatten().map(move |rotation| (Poly::PermutationProduct(set), rotation))
        })
        .collect()
}

/// As [`product_evaluations`], but the ends come last, and backwards.
fn product_openings(shape: &Shape, columns: usize) -> Vec<Rotated> {
    let sets = shape.permutation_sets(columns);
    let rows = (0..sets).flat_map(|set| [(Poly::PermutationProduct(set), 0), (Poly::PermutationProduct(set), 1)]);
    let ends = (0..sets).rev().skip(1).map(|set| (Poly::PermutationProduct(set), shape.last_rotation()));
    rows.chain(ends).collect()
}

fn lookup_evaluations(lookup: usize) -> [Rotated; 5] {
    [
        (Poly::LookupProduct(lookup), 0),
        (Poly::LookupProduct(lookup), 1),
        (Poly::PermutedInput(lookup), 0),
        (Poly::PermutedInput(lookup), -1),
        (Poly::PermutedTable(lookup), 0),
    ]
}

fn lookup_openings(lookup: usize) -> [Rotated; 5] {
    [
        (Poly::LookupProduct(lookup), 0),
        (Poly::PermutedInput(lookup), 0),
        (Poly::PermutedTable(lookup), 0),
        (Poly::PermutedInput(lookup), -1),
        (Poly::LookupProduct(lookup), 1),
    ]
}

/// A circuit's opened columns; and the instance columns that constraints read, which are not opened.
fn interpolated(cs: &ConstraintSystem<Fr>, own: &[Rotated]) -> Vec<Poly> {
    let instances = cs.instance_queries().iter().map(|(column, _)| Poly::Instance(column.index()));
    let mut names: Vec<Poly> = Vec::new();
    for name in own.iter().map(|(poly, _)| *poly).chain(instances) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl<B: Backend> Proof<'_, B> {
    /// Evaluates everything that the verifier reads at x, in one pass, and writes it.
    pub(super) fn write_evaluations(&mut self) -> Result<(), ProverError> {
        let prover = self.prover;
        let queries = &self.schedule.evaluations;
        let span = info_span!(target: TRACING_TARGET, "evaluate", evaluations = queries.len(), rows = prover.shape.n);
        let _span = span.entered();
        let evaluations = self.evaluate(queries)?;
        if prover.check_witness {
            self.check_constraints(&evaluations)?;
        }
        evaluations.into_iter().try_for_each(|value| Ok(self.transcript.write_scalar(value)?))
    }

    /// The values of the queries.
    pub(super) fn evaluate(&self, queries: &[Query]) -> Result<Vec<Fr>, ProverError> {
        let (shape, x, backend) = (&self.prover.shape, self.challenges.x, &self.prover.backend);
        let (mut coefficients, mut values) = (Vec::new(), Vec::new());
        for (place, query) in queries.iter().enumerate() {
            let point = shape.rotate(x, query.rotation);
            match self.poly(query.poly)? {
                Form::Coefficients(vector) => coefficients.push((place, (vector, point))),
                Form::Values(vector) => values.push((place, (vector, point))),
            }
        }
        let (places, coefficients): (Vec<usize>, Vec<_>) = coefficients.into_iter().unzip();
        let mut evaluations = vec![Fr::ZERO; queries.len()];
        for (place, value) in places.into_iter().zip(backend.eval_polynomials(&coefficients)?) {
            evaluations[place] = value;
        }
        while let Some((_, (_, point))) = values.first() {
            let lagrange = self.lagrange(*point)?;
            let (here, others) = values.iter().partition::<Vec<_>, _>(|(_, (_, other))| other == point);
            for (place, (vector, _)) in here {
                evaluations[place] = backend.inner_product(vector, &lagrange)?;
            }
            values = others;
        }
        Ok(evaluations)
    }

    /// The values of the Lagrange polynomials at a point z, `l_i(z) = (z^n - 1)/n · ω^i/(z - ω^i)`: what a polynomial's
    /// values on H are multiplied by and added up. z lies on H with probability n/p; then the check of the constraints
    /// refuses the proof.
    fn lagrange(&self, point: Fr) -> Result<B::Scalars, ProverError> {
        let (shape, backend) = (&self.prover.shape, &self.prover.backend);
        let n = shape.n as u64;
        let mut numerators = backend.powers(Fr::ONE, shape.omega, shape.n)?;
        let ones = backend.powers(Fr::ONE, Fr::ONE, shape.n)?;
        let mut lagrange = backend.linear_combination(&[(point, &ones), (-Fr::ONE, &numerators)])?;
        backend.batch_invert(&mut lagrange)?;
        let scale = (point.pow_vartime([n]) - Fr::ONE) * Fr::from(n).invert().unwrap_or(Fr::ZERO);
        backend.scale(&mut numerators, scale)?;
        backend.mul_assign(&mut lagrange, &numerators)?;
        Ok(lagrange)
    }
}
