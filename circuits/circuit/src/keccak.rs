//! Proofs for contracts: the same protocol with the challenges of Keccak-256
//! ([`zkml_gpu_engine::transcript`]) in place of Blake2b's.
//!
//! [`verify_claim`] is to a contract what [`crate::verify::verify_claim`] is to other proofs: it accepts what a
//! contract accepts. Beside what the transcript refuses (coordinates and scalars that are not reduced, points off the
//! curve), that is without the identity: the stock transcripts refuse it, and so do contracts. An honest proof has it
//! where a circuit's quotient has a piece that is zero, which no network's has.

use std::io;

use ff::Field;
use group::Curve;
use group::prime::PrimeCurveAffine;
use halo2_proofs::plonk::verify_proof;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Transcript, TranscriptRead, TranscriptReadBuffer};
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use serde::{Deserialize, Serialize};
use zkml_gpu_engine::transcript::{EvmChallenge, EvmRead};

use crate::commit::{LinkError, LinkStatement, batch_powers, verify_link};
use crate::keys::VerifyingKeys;
use crate::system::StatementError;
use crate::verify::{Claim, VerifyError};

/// What the challenges of a proof are hashed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hasher {
    /// Halo2's own transcript: the shorter proofs, points being compressed.
    #[default]
    Blake2b,
    /// Keccak-256, which contracts compute cheaply.
    Keccak,
}

impl Hasher {
    /// Its name, as on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake2b => "blake2b",
            Self::Keccak => "keccak",
        }
    }
}

/// A reader that keeps what links are about, and refuses the identity.
struct Reader<'p> {
    inner: EvmRead<&'p [u8]>,
    unread: usize,
    points: Vec<G1Affine>,
    challenges: Vec<Fr>,
}

impl Transcript<G1Affine, EvmChallenge> for Reader<'_> {
    fn squeeze_challenge(&mut self) -> EvmChallenge {
        let challenge = self.inner.squeeze_challenge();
        self.challenges.push(halo2_proofs::transcript::EncodedChallenge::get_scalar(&challenge));
        challenge
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.inner.common_point(point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl TranscriptRead<G1Affine, EvmChallenge> for Reader<'_> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        let point = self.inner.read_point()?;
        if bool::from(point.is_identity()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a point of the proof is the identity"));
        }
        self.unread = self.unread.saturating_sub(64);
        self.points.push(point);
        Ok(point)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        let scalar = self.inner.read_scalar()?;
        self.unread = self.unread.saturating_sub(32);
        Ok(scalar)
    }
}

/// As [`crate::verify::verify_claim`], for a proof whose challenges are Keccak's.
///
/// # Errors
/// [`VerifyError`] where anything does not hold.
pub fn verify_claim(keys: &VerifyingKeys, claim: Claim<'_>, proof: &[u8]) -> Result<(), VerifyError> {
    let instances = keys.statement.instances_with(claim.inputs, claim.outputs, claim.hashes)?;
    let (got, expected) = (claim.tensors.len(), keys.architecture.committed_columns);
    if got != expected {
        return Err(StatementError::Commitments { got, expected }.into());
    }
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let (points, challenges) = (Vec::new(), Vec::new());
    let mut reader = Reader { inner: EvmRead::init(proof), unread: proof.len(), points, challenges };
    let digest = keys.digest(claim.tensors);
    if let Some(digest) = digest {
        reader.common_scalar(digest)?;
    }
    // `from_parts` is a method: the parameters it is called on are not used.
    let params = ParamsKZG::<Bn256>::new(1).from_parts(keys.k, vec![keys.g], Some(Vec::new()), keys.g2, keys.s_g2);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        &params,
        &keys.vk,
        SingleStrategy::new(&params),
        &[&columns],
        &mut reader,
    )
    .map_err(VerifyError::Proof)?;
    if digest.is_some() {
        verify_links(keys, claim.tensors, &mut reader)?;
    }
    match reader.unread {
        0 => Ok(()),
        rest => Err(VerifyError::TrailingBytes(rest as u64)),
    }
}

/// The links to the model commitment and to those of tensors.
fn verify_links(keys: &VerifyingKeys, tensors: &[G1Affine], reader: &mut Reader<'_>) -> Result<(), VerifyError> {
    let a = &keys.architecture;
    let model = if a.folded_weights().is_some() { a.weight_columns } else { 0 };
    let rows = keys.vk.cs().blinding_factors() + 1;
    if keys.blinding_points.len() != rows || keys.model.len() != model {
        return Err(LinkError::Rejected.into());
    }
    // Points and challenges in the order of reading: the first phase, s, then the folded weights.
    let point = |index: usize| reader.points.get(index).copied().ok_or(LinkError::Rejected);
    let s = reader.challenges.first().copied().ok_or(LinkError::Rejected)?;
    let mut differences: Vec<G1> = Vec::new();
    if a.folded_weights().is_some() {
        let powers: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |power| Some(power * s)).take(model).collect();
        let fold = halo2_proofs::arithmetic::best_multiexp(&powers, &keys.model);
        differences.push(point(a.first_phase())?.to_curve() - fold);
    }
    for (index, outside) in tensors.iter().enumerate() {
        differences.push(point(a.committed(index))?.to_curve() - outside);
    }
    let powers = batch_powers::<EvmChallenge, _>(differences.len(), reader);
    let difference: G1 = differences.iter().zip(powers).map(|(link, power)| link * power).sum();
    let statement = LinkStatement { difference: difference.to_affine(), blinding_points: &keys.blinding_points };
    Ok(verify_link(statement, reader)?)
}
