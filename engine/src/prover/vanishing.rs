//! The vanishing argument: all constraints hold on H exactly when X^n - 1 divides their fold by powers of y, but for
//! few y. Whether it divides is seen at one random point x: a polynomial of degree d that is not zero vanishes there
//! with probability at most d/p (the Schwartz–Zippel lemma). See the [halo2
//! book](https://zcash.github.io/halo2/design/proving-system/vanishing.html).
//!
//! The prover commits to a random polynomial first (it takes part in the opening at x), then squeezes y and commits to
//! the quotient in pieces of n coefficients.

use std::collections::HashMap;

use ff::Field;
use halo2curves::bn256::Fr;
use tracing::info_span;

use super::evaluation::Query;
use super::opening::powers;
use super::poly::{Poly, ProofPoly};
use super::proof::CircuitColumns;
use super::quotient::{Columns, Committed};
use super::{Proof, ProverError};
use crate::backend::Backend;
use crate::spans::TRACING_TARGET;

/// Coefficients of the random polynomial r.
///
/// Under KZG the opening proof is a function of the commitments and the claimed values: the quotient commitment is
/// `(Σ p(s) - Σ p(x)) / (s - x)`, so it reveals nothing further and nothing needs masking but what is revealed of r
/// itself, `r(s)` in the exponent and `r(x)`. Two uniform coefficients make that pair uniform and independent of
/// everything else (s ≠ x), which a simulator can sample; two more stand against r being evaluated at the opening's own
/// challenge. (Under the inner product argument, for which Halo2 was made, r has to mask a whole coefficient vector,
/// hence n coefficients.) The quotient's own pieces are not blinded, here as in the stock prover: the blinding rows of
/// the columns they are made of are all the randomness that they have.
const RANDOM_COEFFICIENTS: usize = 4;

impl<B: Backend> Proof<'_, B> {
    /// Commits to the random polynomial.
    pub(super) fn commit_random_polynomial(&mut self) -> Result<(), ProverError> {
        let _span = info_span!(target: TRACING_TARGET, "commit_random", rows = RANDOM_COEFFICIENTS).entered();
        let (backend, bases) = (&self.prover.backend, &self.prover.monomial);
        let coefficients = self.draw(RANDOM_COEFFICIENTS);
        let rows: Vec<usize> = (0..RANDOM_COEFFICIENTS).collect();
        let commitment = backend.msm_rows(bases, &rows, &coefficients)?;
        self.polys.insert(Poly::Random, backend.upload(&coefficients)?);
        self.write_points(&[commitment])
    }

    /// Squeezes y, commits to the quotient's pieces, and squeezes x.
    pub(super) fn commit_quotient(&mut self) -> Result<(), ProverError> {
        self.challenges.y = self.squeeze();
        let prover = self.prover;
        let (backend, pieces) = (&prover.backend, prover.shape.quotient_pieces);
        let (cosets, rows, bytes) = (prover.quotient.cosets(), prover.shape.n, prover.shape.bytes(pieces));
        let _span = info_span!(target: TRACING_TARGET, "quotient", cosets, rows, bytes).entered();
        let own = self.circuits.iter().map(|CircuitColumns { values, polys, .. }| Columns { values, polys });
        let (challenges, checked) = (&self.challenges, prover.check_witness);
        let key = Columns { values: &prover.values, polys: &prover.polys };
        let committed = Committed { circuits: own.collect(), key, challenges, checked };
        let pieces = prover.quotient.pieces(backend, &prover.shape, &committed)?;
        let commitments = backend.msm(&prover.monomial, &pieces.iter().collect::<Vec<_>>())?;
        self.write_points(&commitments)?;
        self.challenges.x = self.squeeze();
        let x_to_n = self.challenges.x.pow_vartime([prover.shape.n as u64]);
        let terms: Vec<(Fr, &B::Scalars)> = powers(x_to_n).zip(&pieces).collect();
        self.polys.insert(Poly::Quotient, backend.linear_combination(&terms)?);
        Ok(())
    }

    /// The verifier's own check, on what it will read at x: the fold of the constraints is h(x)·(x^n - 1). Where h is
    /// not their quotient, this holds for less than degree·n of all x. The degree of h shows nearly every violation
    /// sooner.
    pub(super) fn check_constraints(&self, evaluations: &[Fr]) -> Result<(), ProverError> {
        let (prover, challenges) = (self.prover, &self.challenges);
        let quotient = Query { poly: ProofPoly::Shared(Poly::Quotient), rotation: 0 };
        let circuits: Vec<Vec<Query>> =
            (0..self.circuits.len()).map(|circuit| self.constraint_queries(circuit)).collect();
        let values = self.complete(evaluations, circuits.iter().flatten().copied().chain([quotient]))?;
        let cells: Vec<Vec<Fr>> =
            circuits.iter().map(|queries| queries.iter().map(|query| values[query]).collect()).collect();
        let vanishing = challenges.x.pow_vartime([prover.shape.n as u64]) - Fr::ONE;
        match prover.quotient.fold_at(&cells, challenges)? == values[&quotient] * vanishing {
            true => Ok(()),
            false => Err(ProverError::GateConstraint),
        }
    }

    /// What a circuit's constraints read.
    fn constraint_queries(&self, circuit: usize) -> Vec<Query> {
        let named = |poly: Poly| match poly.is_resident() {
            true => ProofPoly::Shared(poly),
            false => ProofPoly::Circuit(circuit, poly),
        };
        self.prover.quotient.cells().map(|(poly, rotation)| Query { poly: named(poly), rotation }).collect()
    }

    /// The values of all queries: those that the schedule has evaluated, and those that it leaves to the verifier.
    fn complete(
        &self,
        evaluations: &[Fr],
        queries: impl Iterator<Item = Query>,
    ) -> Result<HashMap<Query, Fr>, ProverError> {
        let known = self.schedule.evaluations().iter().copied().zip(evaluations.iter().copied());
        let mut values: HashMap<Query, Fr> = known.collect();
        let mut missing = Vec::new();
        for query in queries {
            if query.poly == ProofPoly::Shared(Poly::Identity) {
                values.insert(query, self.prover.shape.rotate(self.challenges.x, query.rotation));
            } else if !values.contains_key(&query) && !missing.contains(&query) {
                missing.push(query);
            }
        }
        values.extend(missing.iter().copied().zip(self.evaluate(&missing)?));
        Ok(values)
    }
}
