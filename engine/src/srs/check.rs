//! Whether points are what they claim to be, by random linear combinations that are summed piece by piece.
//!
//! The coefficients are the powers of one random `z`, drawn anew for each reading, which no maker of a file knows. A
//! linear relation that is wrong for some point is then a polynomial in `z` that is not zero, of a degree below 2^29,
//! and holds for at most as many of the 2^254 values of `z` (the Schwartz–Zippel lemma): an error of 2^-225.
//!
//! With `A_n = Σ_{i<n} z^i·[s^i]G1`:
//!
//! - powers have the ratio `s` where `e(A_n - G1, G2) = e(z·(A_n - z^(n-1)·[s^(n-1)]G1), [s]G2)`;
//! - the values of `Σ_{i<n} z^i·X^i` on the domain of size n are `(z^n - 1)/(z·ω^j - 1)`, so Lagrange points belong to
//!   the powers where their combination with these is `A_n`. The values are the Lagrange basis scaled in a variable of
//!   their own, hence independent: no two wrong points hide each other.

use std::path::Path;

use ff::{BatchInvert, Field};
use group::cofactor::CofactorGroup;
use group::{Curve, Group};
use halo2_proofs::arithmetic::best_multiexp;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine, G2, G2Affine};
use pairing::Engine;
use rand_core::RngCore;

use super::SrsError;

const DAMAGED: &str = "the file is damaged or was tampered with; fetch it again and compare its hash";

fn inconsistent(path: &Path, problem: &'static str, hint: &'static str) -> SrsError {
    SrsError::Inconsistent { path: path.into(), problem, hint }
}

/// The points of G2 are the standard generator and another of its multiples.
pub(super) fn secret(path: &Path, [g2, s_g2]: [G2Affine; 2]) -> Result<(), SrsError> {
    if g2 != G2Affine::generator() {
        return Err(not_generators(path));
    }
    if s_g2 == g2 {
        let hint = "run `snarkjs powersoftau contribute` first";
        return Err(inconsistent(path, "the secret is 1: nobody has contributed", hint));
    }
    // The curve of G2 has points outside the group, for which the pairing proves nothing.
    if !bool::from(G2::from(s_g2).is_torsion_free()) {
        return Err(SrsError::Point { path: path.into(), place: "powers of G2", index: 1 });
    }
    Ok(())
}

fn not_generators(path: &Path) -> SrsError {
    let problem = "the first points are not the standard generators of BN254";
    inconsistent(path, problem, "is this a file of another curve?")
}

/// A `z` whose multiples of roots of unity are never 1.
pub(super) fn challenge(mut rng: impl RngCore) -> Fr {
    loop {
        let z = Fr::random(&mut rng);
        if !bool::from(z.is_zero()) && z.pow_vartime([1u64 << super::MAX_K]) != Fr::ONE {
            return z;
        }
    }
}

/// The powers of G1 that came by.
pub(super) struct Powers {
    z: Fr,
    count: u64,
    /// z^count
    next: Fr,
    sum: G1,
    /// `A_n` for n = 2^0, 2^1, …
    sums: Vec<G1>,
    first: Option<G1Affine>,
    /// The last power with its coefficient.
    last: G1,
}

impl Powers {
    pub(super) fn new(z: Fr) -> Self {
        let identity = G1::identity();
        Self { z, count: 0, next: Fr::ONE, sum: identity, sums: Vec::new(), first: None, last: identity }
    }

    pub(super) fn add(&mut self, points: &[G1Affine]) {
        let mut rest = points;
        while !rest.is_empty() {
            // There is a sum for every domain, so pieces end at powers of two.
            let border = (self.count + 1).next_power_of_two() - self.count;
            let (piece, later) = rest.split_at(rest.len().min(usize::try_from(border).unwrap_or(usize::MAX)));
            let coefficients: Vec<Fr> =
                std::iter::successors(Some(self.next), |power| Some(power * self.z)).take(piece.len()).collect();
            self.sum += best_multiexp(&coefficients, piece);
            if let (Some(point), Some(coefficient)) = (piece.last(), coefficients.last()) {
                self.last = point * coefficient;
                self.next = coefficient * self.z;
            }
            self.first = self.first.or(piece.first().copied());
            self.count += piece.len() as u64;
            if self.count.is_power_of_two() {
                self.sums.push(self.sum);
            }
            rest = later;
        }
    }

    /// The powers begin at the generator and have one ratio, which is that of `[s]G2` to `G2`.
    pub(super) fn check(&self, path: &Path, [g2, s_g2]: [G2Affine; 2]) -> Result<(), SrsError> {
        if self.first != Some(G1Affine::generator()) {
            return Err(not_generators(path));
        }
        let upper = (self.sum - G1::generator()).to_affine();
        let lower = ((self.sum - self.last) * self.z).to_affine();
        if Bn256::pairing(&upper, &g2) != Bn256::pairing(&lower, &s_g2) {
            return Err(inconsistent(path, "the points are not consecutive powers of one secret", DAMAGED));
        }
        Ok(())
    }

    /// `A_n` for the domain of size 2^k. Powers that lack one of a domain's number count as if it were 0: snarkjs makes
    /// the Lagrange points of the largest domain so.
    fn combination(&self, k: u32) -> Option<G1> {
        let whole = self.sums.get(k as usize).copied();
        whole.or_else(|| (self.count + 1 == 1 << k).then_some(self.sum))
    }
}

/// The Lagrange points of one domain that came by.
pub(super) struct LagrangePoints {
    z: Fr,
    k: u32,
    root: Fr,
    /// z·ω^j
    next: Fr,
    sum: G1,
}

impl LagrangePoints {
    /// For the domain of size 2^k that this root generates.
    pub(super) fn new(z: Fr, k: u32, root: Fr) -> Self {
        Self { z, k, root, next: z, sum: G1::identity() }
    }

    pub(super) fn add(&mut self, points: &[G1Affine]) {
        let mut scalars: Vec<Fr> =
            std::iter::successors(Some(self.next), |next| Some(next * self.root)).take(points.len()).collect();
        if let Some(last) = scalars.last() {
            self.next = last * self.root;
            scalars.iter_mut().for_each(|scalar| *scalar -= Fr::ONE);
            scalars.iter_mut().batch_invert();
            self.sum += best_multiexp(&scalars, points);
        }
    }

    /// The points are those of the powers.
    pub(super) fn check(&self, path: &Path, powers: &Powers) -> Result<(), SrsError> {
        let sum = self.sum * (self.z.pow_vartime([1u64 << self.k]) - Fr::ONE);
        match powers.combination(self.k) {
            Some(combination) if combination == sum => Ok(()),
            _ => Err(inconsistent(path, "the Lagrange points do not belong to the powers", DAMAGED)),
        }
    }
}
