//! Proofs for contracts: the same protocol with the challenges of Keccak-256
//! ([`zkml_gpu_engine::transcript`]) in place of Blake2b's.
//!
//! [`verify_claim`] is to a contract what [`crate::verify::verify_claim`] is to other proofs: it accepts what a
//! contract accepts. Beside what the transcript refuses (coordinates and scalars that are not reduced, points off the
//! curve), that is without the identity: the stock transcripts refuse it, and so do contracts. An honest proof has it
//! where a circuit's quotient has a piece that is zero, which no network's has.

use std::io;

use group::prime::PrimeCurveAffine;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead, TranscriptReadBuffer};
use halo2curves::bn256::{Fr, G1Affine};
use serde::{Deserialize, Serialize};
use zkml_gpu_engine::transcript::{EvmChallenge, EvmRead};

use crate::keys::VerifyingKeys;
use crate::verify::{Claim, Recorded, VerifyError, verify_by};

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
    first: Option<(Fr, usize)>,
}

impl Recorded for Reader<'_> {
    fn points(&self) -> &[G1Affine] {
        &self.points
    }

    fn first(&self) -> Option<(Fr, usize)> {
        self.first
    }
}

impl Transcript<G1Affine, EvmChallenge> for Reader<'_> {
    fn squeeze_challenge(&mut self) -> EvmChallenge {
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
    let mut reader = Reader { inner: EvmRead::init(proof), unread: proof.len(), points: Vec::new(), first: None };
    verify_by(keys, claim, &mut reader)?;
    match reader.unread {
        0 => Ok(()),
        rest => Err(VerifyError::TrailingBytes(rest as u64)),
    }
}
