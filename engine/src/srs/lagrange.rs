//! Lagrange points from powers, by an inverse Fourier transform over the group.

use group::prime::PrimeCurveAffine;
use halo2_proofs::arithmetic::g_to_lagrange;
use halo2curves::bn256::G1Affine;

/// `[L_i(s)]G` in natural order from `[s^i]G`: `L_i(X) = 1/n Σ_j ω^(-ij)·X^j`, so the points are the inverse
/// transform of the powers. It takes `n/2·log n` scalar multiplications; prepared `.ptau` files save it.
pub(super) fn from_powers(g: &[G1Affine], k: u32) -> Vec<G1Affine> {
    g_to_lagrange(g.iter().map(PrimeCurveAffine::to_curve).collect(), k)
}
