//! Whether points are what they claim to be, by random linear combinations.
//!
//! A linear relation that holds for a combination with random coefficients holds for every term, except with
//! probability 1/p (the Schwartz–Zippel lemma for degree 1); the coefficients are drawn after the points are fixed.

use std::path::Path;

use ff::Field;
use group::Curve;
use group::cofactor::CofactorGroup;
use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::poly::EvaluationDomain;
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2, G2Affine};
use pairing::Engine;
use rand_core::RngCore;

use super::{Points, SrsError};

const DAMAGED: &str = "the file is damaged or was tampered with; fetch it again and compare its hash";

/// The powers start at the standard generators and have one ratio, which is that of `[s]G2` to `G2`:
/// `e(Σ ρ_i·[s^(i+1)]G1, G2) = e(Σ ρ_i·[s^i]G1, [s]G2)`.
pub(super) fn powers(path: &Path, points: &Points, rng: impl RngCore) -> Result<(), SrsError> {
    let fail = |problem, hint| Err(SrsError::Inconsistent { path: path.into(), problem, hint });
    let Points { g, g2, s_g2, .. } = points;
    if g.first() != Some(&G1Affine::generator()) || *g2 != G2Affine::generator() {
        return fail("the first points are not the standard generators of BN254", "is this a file of another curve?");
    }
    if *s_g2 == *g2 {
        return fail("the secret is 1: nobody has contributed", "run `snarkjs powersoftau contribute` first");
    }
    // The curve of G2 has points outside the group, for which the pairing proves nothing.
    if !bool::from(G2::from(*s_g2).is_torsion_free()) {
        return Err(SrsError::Point { path: path.into(), place: "powers of G2", index: 1 });
    }
    let n = g.len();
    let coefficients = random_scalars(n - 1, rng);
    let lower = best_multiexp(&coefficients, &g[..n - 1]).to_affine();
    let upper = best_multiexp(&coefficients, &g[1..]).to_affine();
    if Bn256::pairing(&upper, g2) != Bn256::pairing(&lower, s_g2) {
        return fail("the points are not consecutive powers of one secret", DAMAGED);
    }
    Ok(())
}

/// The commitment to a random polynomial is the same by its values and by its coefficients.
pub(super) fn lagrange(
    path: &Path,
    params: &ParamsKZG<Bn256>,
    points: &[G1Affine],
    rng: impl RngCore,
) -> Result<(), SrsError> {
    let domain = EvaluationDomain::<Fr>::new(1, params.k());
    let values = domain.lagrange_from_vec(random_scalars(points.len(), rng));
    let by_values = best_multiexp(&values, points);
    let by_coefficients = best_multiexp(&domain.lagrange_to_coeff(values), params.get_g());
    if by_values != by_coefficients {
        let problem = "the Lagrange points do not belong to the powers";
        return Err(SrsError::Inconsistent { path: path.into(), problem, hint: DAMAGED });
    }
    Ok(())
}

fn random_scalars(n: usize, mut rng: impl RngCore) -> Vec<Fr> {
    (0..n).map(|_| Fr::random(&mut rng)).collect()
}
