//! The SHPLONK opening: all polynomials at all their points in two commitments.
//!
//! Polynomials are grouped by their set of points S_i. With P_i = Σ_j y^j·p_ij, R_i the interpolation of P_i on S_i and
//! Z_i = Π_{a in S_i} (X - a), the first commitment is to H = Σ_i v^i·(P_i - R_i)/Z_i; the second shows that
//! `L = Σ_i v^i·Z_{T \ S_i}(u)·(P_i - R_i(u)) - Z_T(u)·H` vanishes at u, where T is the set of all points. Boneh,
//! Drake, Fisch, Gabizon ([BDFG20](https://eprint.iacr.org/2020/081)), section 4. Like halo2, everything is divided by
//! `Z_{T \ S_0}(u)`.
//!
//! No remainder is ever computed: R_i has a lower degree than Z_i, and R_i(u) is a constant, so the quotients of P_i by
//! Z_i and of L by X - u are the same with and without them.

use std::collections::{BTreeSet, HashMap};

use ff::Field;
use halo2curves::bn256::Fr;
use tracing::info_span;

use super::evaluation::Query;
use super::opening::powers;
use super::poly::ProofPoly;
use super::shape::Shape;
use super::{Proof, ProverError};
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

/// Polynomials that are opened at the same points.
#[derive(Debug)]
pub(super) struct RotationSet {
    /// The points, as exponents of omega in `0..n`.
    pub(super) rotations: BTreeSet<u64>,
    /// The polynomials, in the order of the protocol.
    polys: Vec<ProofPoly>,
}

/// Groups polynomials by the set of their points: sets in the order of their first polynomial, polynomials in the order
/// of their first query. This is the order in which the verifier assigns powers of the challenges.
pub(super) fn group(shape: &Shape, openings: &[Query]) -> Vec<RotationSet> {
    let mut order: Vec<ProofPoly> = Vec::new();
    let mut rotations: HashMap<ProofPoly, BTreeSet<u64>> = HashMap::new();
    for &Query { poly, rotation } in openings {
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

impl<B: Backend> Proof<'_, B> {
    pub(super) fn open_shplonk(&mut self) -> Result<(), ProverError> {
        let prover = self.prover;
        let backend = &prover.backend;
        let sets = group(&prover.shape, self.schedule.openings());
        let (rows, bytes) = (prover.shape.n, prover.shape.bytes(sets.len() + 2));
        let _span = info_span!(target: TRACING_TARGET, "open", sets = sets.len(), rows, bytes).entered();
        let y = self.squeeze();
        let v = self.squeeze();
        let combined = sets.iter().map(|set| self.combine(&set.polys, y)).collect::<Result<Vec<_>, _>>()?;
        let quotient = self.opening_quotient(&sets, &combined, v)?;
        let commitment = backend.msm(&prover.monomial, &[&quotient])?;
        self.write_points(&commitment)?;

        let u = self.squeeze();
        let everywhere: BTreeSet<u64> = sets.iter().flat_map(|set| set.rotations.iter().copied()).collect();
        let outside: Vec<Fr> =
            sets.iter().map(|set| self.vanishing(everywhere.difference(&set.rotations).copied(), u)).collect();
        // u meets a point of T with probability |T|/p.
        let scale = outside.first().and_then(|first| first.invert().into()).unwrap_or(Fr::ZERO);
        let weights = powers(v).zip(&outside).map(|(power, outside)| power * outside * scale);
        let mut terms: Vec<(Fr, &B::Scalars)> = weights.zip(&combined).collect();
        terms.push((-self.vanishing(everywhere.iter().copied(), u) * scale, &quotient));
        let linearised = backend.linear_combination(&terms)?;
        let witness = backend.divide_by_linear(&linearised, u)?;
        let commitment = backend.msm(&prover.monomial, &[&witness])?;
        self.write_points(&commitment)
    }

    /// `Σ_i v^i·(P_i - R_i)/Z_i`.
    fn opening_quotient(
        &self,
        sets: &[RotationSet],
        combined: &[B::Scalars],
        v: Fr,
    ) -> Result<B::Scalars, ProverError> {
        let backend = &self.prover.backend;
        let mut quotients = Vec::with_capacity(combined.len());
        for (set, polynomial) in sets.iter().zip(combined) {
            let mut points = set.rotations.iter().map(|&rotation| self.point(rotation));
            let first = points.next().map(|point| backend.divide_by_linear(polynomial, point)).transpose()?;
            if let Some(first) = first {
                quotients.push(points.try_fold(first, |quotient, point| backend.divide_by_linear(&quotient, point))?);
            }
        }
        Ok(backend.linear_combination(&powers(v).zip(&quotients).collect::<Vec<_>>())?)
    }

    /// `Π (u - point)` over the given rotations of x.
    fn vanishing(&self, rotations: impl Iterator<Item = u64>, u: Fr) -> Fr {
        rotations.fold(Fr::ONE, |product, rotation| product * (u - self.point(rotation)))
    }
}
