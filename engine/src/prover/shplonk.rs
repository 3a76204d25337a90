//! The SHPLONK opening: all polynomials at all their points in two commitments.
//!
//! Polynomials are grouped by their set of points S_i. With P_i = Σ_j y^j·p_ij, R_i the interpolation of P_i on S_i and
//! Z_i = Π_{a in S_i} (X - a), the first commitment is to H = Σ_i v^i·(P_i - R_i)/Z_i; the second shows that
//! `L = Σ_i v^i·Z_{T \ S_i}(u)·(P_i - R_i(u)) - Z_T(u)·H` vanishes at u, where T is the set of all points.
//! [BDFG20](https://eprint.iacr.org/2020/081), section 4. Like halo2, everything is divided by `Z_{T \ S_0}(u)`.
//!
//! No remainder is ever computed: R_i has a lower degree than Z_i, and R_i(u) is a constant, so the quotients of P_i by Z_i
//! and of L by X - u are the same with and without them.

use super::poly::{Poly, resolve};
use super::{Proof, ProverError, TRACING_TARGET};
use crate::backend::Backend;
use ff::Field;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use std::collections::BTreeSet;
use tracing::info_span;

impl<B, E, R, T> Proof<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    /// Opens all evaluated polynomials.
    pub(super) fn open(&mut self) -> Result<(), ProverError> {
        let prover = self.prover;
        let (backend, sets) = (&prover.backend, prover.schedule.rotation_sets());
        let (rows, bytes) = (prover.shape.n, prover.shape.bytes(sets.len() + 2));
        let _span = info_span!(target: TRACING_TARGET, "open", sets = sets.len(), rows, bytes).entered();
        let y = self.squeeze();
        let v = self.squeeze();
        let combined = sets.iter().map(|set| self.combine(&set.polys, y)).collect::<Result<Vec<_>, _>>()?;
        let quotient = self.opening_quotient(&combined, v)?;
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

    /// `Σ_j y^j·p_j`.
    fn combine(&self, names: &[Poly], y: Fr) -> Result<B::Scalars, ProverError> {
        let polys = resolve(&[&self.polys, &self.prover.polys], names)?;
        Ok(self.prover.backend.linear_combination(&powers(y).zip(polys).collect::<Vec<_>>())?)
    }

    /// `Σ_i v^i·(P_i - R_i)/Z_i`.
    fn opening_quotient(&self, combined: &[B::Scalars], v: Fr) -> Result<B::Scalars, ProverError> {
        let backend = &self.prover.backend;
        let mut quotients = Vec::with_capacity(combined.len());
        for (set, polynomial) in self.prover.schedule.rotation_sets().iter().zip(combined) {
            let mut points = set.rotations.iter().map(|&rotation| self.point(rotation));
            let first = points.next().map(|point| backend.divide_by_linear(polynomial, point)).transpose()?;
            if let Some(first) = first {
                quotients.push(points.try_fold(first, |quotient, point| backend.divide_by_linear(&quotient, point))?);
            }
        }
        Ok(backend.linear_combination(&powers(v).zip(&quotients).collect::<Vec<_>>())?)
    }

    /// `x·omega^rotation`.
    fn point(&self, rotation: u64) -> Fr {
        self.challenges.x * self.prover.shape.omega.pow_vartime([rotation])
    }

    /// `Π (u - point)` over the given rotations of x.
    fn vanishing(&self, rotations: impl Iterator<Item = u64>, u: Fr) -> Fr {
        rotations.fold(Fr::ONE, |product, rotation| product * (u - self.point(rotation)))
    }
}

/// 1, base, base², ..
fn powers(base: Fr) -> impl Iterator<Item = Fr> {
    std::iter::successors(Some(Fr::ONE), move |power| Some(power * base))
}
