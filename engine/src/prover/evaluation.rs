//! Which polynomials are evaluated and opened where.
//!
//! Both lists depend on the circuit alone. They differ in order: evaluations are written in the order in which the verifier reads
//! them, openings are grouped in the order in which the verifier names the commitments.

use super::poly::{Poly, resolve};
use super::shape::Shape;
use super::{Proof, ProverError, TRACING_TARGET};
use crate::backend::Backend;
use halo2_proofs::plonk::ConstraintSystem;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use std::collections::{BTreeSet, HashMap};
use tracing::info_span;

/// A polynomial at `x·omega^rotation`.
type Query = (Poly, i32);

/// Polynomials that are opened at the same points.
#[derive(Debug)]
pub(super) struct RotationSet {
    /// The points, as exponents of omega in `0..n`.
    pub(super) rotations: BTreeSet<u64>,
    /// The polynomials, in the order of the protocol.
    pub(super) polys: Vec<Poly>,
}

/// The evaluations and openings of every proof of a circuit.
#[derive(Debug)]
pub(super) struct OpeningSchedule {
    evaluations: Vec<Query>,
    rotation_sets: Vec<RotationSet>,
    interpolated: Vec<Poly>,
}

impl OpeningSchedule {
    pub(super) fn new(cs: &ConstraintSystem<Fr>, shape: &Shape) -> Self {
        let advice: Vec<Query> =
            cs.advice_queries().iter().map(|(column, at)| (Poly::Advice(column.index()), at.0)).collect();
        let fixed: Vec<Query> =
            cs.fixed_queries().iter().map(|(column, at)| (Poly::Fixed(column.index()), at.0)).collect();
        let columns = cs.permutation().get_columns().len();
        let sigma: Vec<Query> = (0..columns).map(|index| (Poly::Sigma(index), 0)).collect();
        let products = permutation_queries(shape, columns);
        let lookups: Vec<Query> = (0..cs.lookups().len()).flat_map(lookup_queries).collect();

        let evaluations = [&advice, &fixed, &vec![(Poly::Random, 0)], &sigma, &products, &lookups];
        let openings = [&advice, &products, &lookups, &fixed, &sigma, &vec![(Poly::Quotient, 0), (Poly::Random, 0)]];
        let openings: Vec<Query> = openings.into_iter().flatten().copied().collect();
        OpeningSchedule {
            evaluations: evaluations.into_iter().flatten().copied().collect(),
            interpolated: interpolated(cs, &openings),
            rotation_sets: group(shape, &openings),
        }
    }

    /// The columns made by a proof as values that are needed as coefficients.
    pub(super) fn interpolated(&self) -> &[Poly] {
        &self.interpolated
    }

    pub(super) fn rotation_sets(&self) -> &[RotationSet] {
        &self.rotation_sets
    }

    /// Number of values that are written at x.
    pub(super) fn evaluations(&self) -> usize {
        self.evaluations.len()
    }
}

/// Each product at x and at the next row; all but the last also where they end, to chain them.
fn permutation_queries(shape: &Shape, columns: usize) -> Vec<Query> {
    let sets = shape.permutation_sets(columns);
    (0..sets)
        .flat_map(|set| {
            let rotations = [Some(0), Some(1), (set + 1 < sets).then(|| shape.last_rotation())];
            rotations.into_iter().flatten().map(move |rotation| (Poly::PermutationProduct(set), rotation))
        })
        .collect()
}

fn lookup_queries(lookup: usize) -> [Query; 5] {
    [
        (Poly::LookupProduct(lookup), 0),
        (Poly::LookupProduct(lookup), 1),
        (Poly::PermutedInput(lookup), 0),
        (Poly::PermutedInput(lookup), -1),
        (Poly::PermutedTable(lookup), 0),
    ]
}

/// Opened columns that start as values; and the instance columns that constraints read, which are not opened.
fn interpolated(cs: &ConstraintSystem<Fr>, openings: &[Query]) -> Vec<Poly> {
    let made = |poly: &Poly| !poly.is_resident() && !matches!(poly, Poly::Quotient | Poly::Random);
    let opened = openings.iter().map(|(poly, _)| *poly).filter(made);
    let instances = cs.instance_queries().iter().map(|(column, _)| Poly::Instance(column.index()));
    let mut names: Vec<Poly> = Vec::new();
    for name in opened.chain(instances) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Groups polynomials by the set of their points: sets in the order of their first polynomial, polynomials in the order of
/// their first query. This is the order in which the verifier assigns powers of SHPLONK's challenges.
fn group(shape: &Shape, openings: &[Query]) -> Vec<RotationSet> {
    let mut order: Vec<Poly> = Vec::new();
    let mut rotations: HashMap<Poly, BTreeSet<u64>> = HashMap::new();
    for &(poly, rotation) in openings {
        let points = rotations.entry(poly).or_insert_with(|| {
            order.push(poly);
            BTreeSet::new()
        });
        points.insert(shape.normalize(rotation));
    }
    let mut sets: Vec<RotationSet> = Vec::new();
    for poly in order {
        let points = rotations.remove(&poly).unwrap_or_default();
        match sets.iter_mut().find(|set| set.rotations == points) {
            Some(set) => set.polys.push(poly),
            None => sets.push(RotationSet { rotations: points, polys: vec![poly] }),
        }
    }
    sets
}

impl<B, E, R, T> Proof<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    /// Evaluates everything that the verifier reads at x, in one pass, and writes it.
    pub(super) fn write_evaluations(&mut self) -> Result<(), ProverError> {
        let prover = self.prover;
        let queries = &prover.schedule.evaluations;
        let span = info_span!(target: TRACING_TARGET, "evaluate", evaluations = queries.len(), rows = prover.shape.n);
        let _span = span.entered();
        let names: Vec<Poly> = queries.iter().map(|(poly, _)| *poly).collect();
        let polys = resolve(&[&self.polys, &prover.polys], &names)?;
        let points = queries.iter().map(|&(_, rotation)| prover.shape.rotate(self.challenges.x, rotation));
        let evaluations = prover.backend.eval_polynomials(&polys.into_iter().zip(points).collect::<Vec<_>>())?;
        evaluations.into_iter().try_for_each(|value| Ok(self.transcript.write_scalar(value)?))
    }
}
