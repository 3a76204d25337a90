//! Verifying an inference: the stock Halo2 verifier, then the links of weights and tensors that are committed. Where
//! nothing is, the stock verifier is all: the circuit's key holds the weights.
//!
//! Trusted are the keys alone. The claimed tensors and the proof are not: the instance columns are built here.

use std::io::{self, Cursor};

use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use group::{Curve, GroupEncoding};
use halo2_proofs::plonk::{Error, VerifyingKey, verify_proof};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{
    Blake2bRead, Challenge255, EncodedChallenge, Transcript, TranscriptRead, TranscriptReadBuffer,
};
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use thiserror::Error;

use crate::commit::{LinkError, LinkStatement, batch_powers, verify_link};
use crate::hash::TensorHash;
use crate::keys::VerifyingKeys;
use crate::system::StatementError;

/// Why a proof is rejected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The claimed tensors are no instance of the statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The Halo2 proof does not hold for the claimed tensors.
    #[error("the proof does not hold for the claimed input and output ({0:?})")]
    Proof(Error),
    /// The link to the model commitment fails.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Bytes follow the proof.
    #[error("{0} bytes follow the proof")]
    TrailingBytes(u64),
    /// The proof ends early.
    #[error("the proof cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A point has flags set that the curve library ignores: the same proof in other bytes.
    #[error("the proof is not in its canonical encoding")]
    Encoding,
}

type Challenge = Challenge255<G1Affine>;
pub(crate) type ReadTranscript<'c, 'p> = Canonical<Blake2bRead<&'c mut Cursor<&'p [u8]>, G1Affine, Challenge>>;

/// A transcript that writes down again what it reads, so that a proof can be compared with its only encoding, and keeps
/// the points, which are dear to decompress.
pub(crate) struct Canonical<T> {
    inner: T,
    bytes: Vec<u8>,
    points: Vec<G1Affine>,
    /// The first challenge, and how many points were read before it.
    first: Option<(Fr, usize)>,
}

impl<T> Canonical<T> {
    /// What was read, in its only encoding.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A transcript that keeps what links are about.
pub(crate) trait Recorded {
    /// The points that were read, in their order.
    fn points(&self) -> &[G1Affine];

    /// The first challenge, and how many points were read before it.
    fn first(&self) -> Option<(Fr, usize)>;
}

impl<T> Recorded for Canonical<T> {
    fn points(&self) -> &[G1Affine] {
        &self.points
    }

    fn first(&self) -> Option<(Fr, usize)> {
        self.first
    }
}

impl<T: Transcript<G1Affine, Challenge>> Transcript<G1Affine, Challenge> for Canonical<T> {
    fn squeeze_challenge(&mut self) -> Challenge {
        let challenge = self.inner.squeeze_challenge();
        self.first.get_or_insert_with(|| (challenge.get_scalar(), self.points.len()));
        challenge
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.inner.common_point(point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl<T: TranscriptRead<G1Affine, Challenge>> TranscriptRead<G1Affine, Challenge> for Canonical<T> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        let point = self.inner.read_point()?;
        self.bytes.extend(point.to_bytes().as_ref());
        self.points.push(point);
        Ok(point)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        let scalar = self.inner.read_scalar()?;
        self.bytes.extend(scalar.to_repr().as_ref());
        Ok(scalar)
    }
}

pub(crate) fn transcript<'c, 'p>(cursor: &'c mut Cursor<&'p [u8]>) -> ReadTranscript<'c, 'p> {
    Canonical { inner: Blake2bRead::init(cursor), bytes: Vec::new(), points: Vec::new(), first: None }
}

/// What is claimed of an inference. Whoever claims may claim anything.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'c> {
    /// Inputs, in storage order; hidden ones are empty.
    pub inputs: &'c [Vec<i64>],
    /// Outputs, in storage order; hidden ones are empty.
    pub outputs: &'c [Vec<i64>],
    /// Commitments to the committed tensors, inputs first, one for each column.
    pub tensors: &'c [G1Affine],
    /// Hashes of the hashed tensors, inputs first.
    pub hashes: &'c [TensorHash],
}

/// Verifies that the keys' model maps `inputs` to `outputs` (storage order), where no tensor is committed.
///
/// # Errors
/// [`VerifyError`] where anything does not hold.
pub fn verify(
    keys: &VerifyingKeys,
    inputs: &[Vec<i64>],
    outputs: &[Vec<i64>],
    proof: &[u8],
) -> Result<(), VerifyError> {
    verify_claim(keys, Claim { inputs, outputs, tensors: &[], hashes: &[] }, proof)
}

/// Verifies that the keys' model maps the claim's inputs to its outputs, for hidden inputs in range that the prover
/// knows, and openings of the commitments that it knows.
///
/// # Errors
/// [`VerifyError`] where anything does not hold.
pub fn verify_claim(keys: &VerifyingKeys, claim: Claim<'_>, proof: &[u8]) -> Result<(), VerifyError> {
    let mut cursor = Cursor::new(proof);
    let mut transcript = transcript(&mut cursor);
    verify_by(keys, claim, &mut transcript)?;
    let is_canonical = transcript.bytes == proof;
    match proof.len() as u64 - cursor.position() {
        0 if is_canonical => Ok(()),
        0 => Err(VerifyError::Encoding),
        rest => Err(VerifyError::TrailingBytes(rest)),
    }
}

/// What [`verify_claim`] does with any transcript, but for what is left of the proof behind it.
pub(crate) fn verify_by<E, T>(keys: &VerifyingKeys, claim: Claim<'_>, transcript: &mut T) -> Result<(), VerifyError>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptRead<G1Affine, E> + Recorded,
{
    let instances = keys.statement.instances_with(claim.inputs, claim.outputs, claim.hashes)?;
    let (got, expected) = (claim.tensors.len(), keys.architecture.committed_columns);
    if got != expected {
        return Err(StatementError::Commitments { got, expected }.into());
    }
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let Some(digest) = keys.digest(claim.tensors) else {
        return verify_halo2(keys, &keys.vk, &columns, transcript).map_err(VerifyError::Proof);
    };
    let blinding_rows = keys.vk.cs().blinding_factors() + 1;
    let has_weights = keys.architecture.folded_weights().is_some();
    let model = if has_weights { keys.architecture.weight_columns } else { 0 };
    if keys.blinding_points.len() != blinding_rows || keys.model.len() != model {
        return Err(VerifyError::Link(LinkError::Rejected));
    }
    transcript.common_scalar(digest)?;
    verify_halo2(keys, &keys.vk, &columns, transcript).map_err(VerifyError::Proof)?;
    verify_links(keys, claim.tensors, transcript)
}

/// The links to the model commitment and to those of tensors.
fn verify_links<E, T>(keys: &VerifyingKeys, tensors: &[G1Affine], transcript: &mut T) -> Result<(), VerifyError>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptRead<G1Affine, E> + Recorded,
{
    let Outside { committed, folded, s } = outside(keys, transcript).ok_or(LinkError::Rejected)?;
    let weights = folded.map(|folded| {
        let powers: Vec<Fr> =
            std::iter::successors(Some(Fr::ONE), |power| Some(power * s)).take(keys.model.len()).collect();
        folded.to_curve() - halo2_proofs::arithmetic::best_multiexp(&powers, &keys.model)
    });
    let tensors = committed.iter().zip(tensors).map(|(own, outside)| own.to_curve() - outside);
    let differences: Vec<G1> = weights.into_iter().chain(tensors).collect();
    let powers = batch_powers::<E, _>(differences.len(), transcript);
    let difference: G1 = differences.iter().zip(powers).map(|(link, power)| link * power).sum();
    let statement = LinkStatement { difference: difference.to_affine(), blinding_points: &keys.blinding_points };
    Ok(verify_link(statement, transcript)?)
}

/// Parameters of the stock verifier that hold no more of `keys` than it uses.
pub(crate) fn params(keys: &VerifyingKeys) -> ParamsKZG<Bn256> {
    // `from_parts` is a method: the parameters it is called on are not used.
    ParamsKZG::<Bn256>::new(1).from_parts(keys.k, vec![keys.g], Some(Vec::new()), keys.g2, keys.s_g2)
}

/// The stock verifier with some circuit's key.
pub(crate) fn verify_halo2<E, T>(
    keys: &VerifyingKeys,
    vk: &VerifyingKey<G1Affine>,
    columns: &[&[Fr]],
    transcript: &mut T,
) -> Result<(), Error>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptRead<G1Affine, E>,
{
    let params = params(keys);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        &params,
        vk,
        SingleStrategy::new(&params),
        &[columns],
        transcript,
    )
}

/// The proof's own commitments to what is committed outside.
struct Outside {
    /// The columns of committed tensors.
    committed: Vec<G1Affine>,
    /// The folded weights; none where they are embedded.
    folded: Option<G1Affine>,
    /// The challenge by which they are folded.
    s: Fr,
}

/// What the stock verifier read first: the columns of phase 1, then the challenge s, then those of phase 2, of which the
/// folded weights are the first. `None` where it read something else.
fn outside(keys: &VerifyingKeys, transcript: &impl Recorded) -> Option<Outside> {
    let a = &keys.architecture;
    let (s, _) = transcript.first().filter(|(_, before)| *before == a.first_phase())?;
    let (first, later) = transcript.points().split_at_checked(a.first_phase())?;
    let folded = match a.folded_weights() {
        Some(_) => Some(*later.first()?),
        None => None,
    };
    Some(Outside { committed: first.get(a.committed(0)..a.committed(a.committed_columns))?.to_vec(), folded, s })
}
