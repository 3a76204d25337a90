//! The link proof: knowledge of `d_i` with `P = Σ_{i in B} d_i·[L_i]`, where `P = [F] - Σ_c s^c·[W_c]`.
//!
//! Okamoto's protocol, made non-interactive by the transcript of the proof that it continues:
//! `R = Σ k_i·[L_i]`, `e` squeezed, `z_i = k_i + e·d_i`; accepted when `Σ z_i·[L_i] = R + e·P`. The `d_i` are never
//! revealed: the blinding rows of `F` are uniform and fresh, and so hide the fold of the weights' own.
//!
//! Several links `P_j` are one, for `P = Σ η^j·P_j`, where `η` is squeezed after all commitments: if some `P_j` is no
//! combination of the blinding rows' points, `P` is one for fewer `η` than there are links.

use ff::{Field, FromUniformBytes, PrimeField};
use group::{Curve, GroupEncoding};
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead, TranscriptWrite};
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;

/// What both sides know.
#[derive(Debug, Clone, Copy)]
pub struct LinkStatement<'a> {
    /// `[F] - Σ_c s^c·[W_c]`.
    pub difference: G1Affine,
    /// `[L_i]` for the blinding rows, in row order.
    pub blinding_points: &'a [G1Affine],
}

impl<'a> LinkStatement<'a> {
    /// The statement of a prover who knows the difference's rows.
    pub(crate) fn of_secrets(secrets: &[Fr], blinding_points: &'a [G1Affine]) -> Self {
        Self { difference: combine(secrets, blinding_points).to_affine(), blinding_points }
    }
}

/// Why a link is rejected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The proof ends early or holds something that is no point or scalar.
    #[error("the link proof cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The equation fails: the folded weights are not the fold of the model commitment, or a committed tensor is another.
    #[error("the weights, or a committed tensor, are not those of their commitments")]
    Rejected,
}

/// The factors of so many links in their combination: powers of a challenge, which is squeezed where there are several.
pub fn batch_powers<E, T>(links: usize, transcript: &mut T) -> Vec<Fr>
where
    E: EncodedChallenge<G1Affine>,
    T: Transcript<G1Affine, E>,
{
    if links < 2 {
        return vec![Fr::ONE; links];
    }
    let eta: Fr = *transcript.squeeze_challenge_scalar::<()>();
    std::iter::successors(Some(Fr::ONE), |power| Some(power * eta)).take(links).collect()
}

/// Proves a link, appending to the transcript.
///
/// Nonces come from `rng` and are hedged with the secret and the statement, so that a repeated state of the generator
/// does not repeat a nonce under another challenge.
///
/// # Errors
/// Failures to write.
pub fn prove_link<E, T>(
    statement: LinkStatement<'_>,
    secrets: &[Fr],
    context: Fr,
    mut rng: impl RngCore + CryptoRng,
    transcript: &mut T,
) -> std::io::Result<()>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptWrite<G1Affine, E>,
{
    let mut seed = [0; 64];
    rng.fill_bytes(&mut seed);
    let nonces: Vec<Fr> = (0..secrets.len()).map(|i| nonce(&seed, i, statement.difference, context, secrets)).collect();
    transcript.write_point(combine(&nonces, statement.blinding_points).to_affine())?;
    let challenge: Fr = *transcript.squeeze_challenge_scalar::<()>();
    for (nonce, secret) in nonces.iter().zip(secrets) {
        transcript.write_scalar(nonce + challenge * secret)?;
    }
    Ok(())
}

/// Verifies a link at the transcript's position.
///
/// # Errors
/// [`LinkError`] where the proof cannot be read or the equation fails.
pub fn verify_link<E, T>(statement: LinkStatement<'_>, transcript: &mut T) -> Result<(), LinkError>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptRead<G1Affine, E>,
{
    let commitment = transcript.read_point()?;
    let challenge: Fr = *transcript.squeeze_challenge_scalar::<()>();
    let responses: Vec<Fr> =
        statement.blinding_points.iter().map(|_| transcript.read_scalar()).collect::<std::io::Result<_>>()?;
    let left = combine(&responses, statement.blinding_points);
    if left == statement.difference * challenge + commitment { Ok(()) } else { Err(LinkError::Rejected) }
}

fn combine(scalars: &[Fr], points: &[G1Affine]) -> G1 {
    scalars.iter().zip(points).map(|(scalar, point)| point * scalar).sum()
}

fn nonce(seed: &[u8; 64], index: usize, difference: G1Affine, context: Fr, secrets: &[Fr]) -> Fr {
    let mut hasher = blake2b_simd::Params::new().hash_length(64).personal(b"zkml-gpu-nonce-1").to_state();
    hasher.update(seed).update(&(index as u64).to_le_bytes());
    hasher.update(difference.to_bytes().as_ref()).update(context.to_repr().as_ref());
    secrets.iter().for_each(|secret| {
        hasher.update(secret.to_repr().as_ref());
    });
    Fr::from_uniform_bytes(hasher.finalize().as_array())
}
