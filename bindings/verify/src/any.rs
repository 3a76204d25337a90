//! Keys and proofs of whichever kind: of a model in one piece, or in segments.

use std::path::Path;

use crate::files::read_bounded;
use crate::segmented::MAX_KEY_BYTES;
use crate::{
    Error, Expected, ModelKey, ProofBundle, SEGMENTED_KEY, SegmentedKey, SegmentedProof, Verdict, bundle, key,
};

/// A verifying key of either kind.
#[derive(Clone, Debug)]
pub enum AnyKey {
    /// Of a model in one piece.
    Whole(Box<ModelKey>),
    /// Of a model in segments.
    Segmented(Box<SegmentedKey>),
}

/// A proof of either kind.
#[derive(Clone, Debug)]
pub enum AnyProof {
    /// Of a model in one piece.
    Whole(Box<ProofBundle>),
    /// Of a model in segments.
    Segmented(Box<SegmentedProof>),
}

impl AnyKey {
    /// Reads `model.vk`.
    ///
    /// # Errors
    /// As [`ModelKey::read`] and [`SegmentedKey::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_bytes(&read_bounded(path, MAX_KEY_BYTES)?, &path.display().to_string())
    }

    /// As [`read`](Self::read), from memory; `file` stands for them in messages.
    ///
    /// # Errors
    /// As [`ModelKey::from_bytes`] and [`SegmentedKey::from_bytes`], [`Error::FileSize`] for more bytes than any key has.
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let is_segmented = bytes.starts_with(&SEGMENTED_KEY.magic);
        bounded(bytes, if is_segmented { MAX_KEY_BYTES } else { key::MAX_BYTES }, file)?;
        Ok(if is_segmented {
            Self::Segmented(Box::new(SegmentedKey::from_bytes(bytes, file)?))
        } else {
            Self::Whole(Box::new(ModelKey::from_bytes(bytes, file)?))
        })
    }
}

impl AnyProof {
    /// Reads `proof.json`.
    ///
    /// # Errors
    /// As [`ProofBundle::read`] and [`SegmentedProof::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_json(&read_bounded(path, bundle::MAX_PROOF_BYTES)?, &path.display().to_string())
    }

    /// As [`read`](Self::read), from memory; `file` stands for them in messages.
    ///
    /// # Errors
    /// As [`ProofBundle::from_json`] and [`SegmentedProof::from_json`], [`Error::FileSize`] for more bytes than any proof
    /// has.
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self, Error> {
        bounded(bytes, bundle::MAX_PROOF_BYTES, file)?;
        Ok(if SegmentedProof::is_one(bytes) {
            Self::Segmented(Box::new(SegmentedProof::from_json(bytes, file)?))
        } else {
            Self::Whole(Box::new(ProofBundle::from_json(bytes, file)?))
        })
    }
}

/// Refuses more bytes than any of a kind has.
fn bounded(bytes: &[u8], limit: u64, file: &str) -> Result<(), Error> {
    let len = bytes.len() as u64;
    if len > limit { Err(Error::FileSize { path: file.into(), len, limit }) } else { Ok(()) }
}

impl<'a> Verdict<'a> {
    /// Checks a proof of either kind under a key of the same, and that tensors have these commitments and hashes; `file` is
    /// the proof's, for messages.
    ///
    /// # Errors
    /// [`Error::Artifact`] where key and proof are of different kinds: no such proof can be one under the key.
    pub fn of_any(key: &'a AnyKey, proof: &AnyProof, expected: &Expected, file: &Path) -> Result<Self, Error> {
        let other = |problem: &str| Error::Artifact {
            file: file.display().to_string(),
            problem: problem.into(),
            hint: "a proof is verified with the key that was published for it",
        };
        match (key, proof) {
            (AnyKey::Whole(key), AnyProof::Whole(proof)) => Ok(Self::expecting(key, proof, expected)),
            (AnyKey::Segmented(key), AnyProof::Segmented(proof)) => Ok(Self::of_segments(key, proof, expected)),
            (AnyKey::Whole(_), AnyProof::Segmented(_)) => {
                Err(other("it is a proof in segments, the key is of a model in one piece"))
            }
            (AnyKey::Segmented(_), AnyProof::Whole(_)) => {
                Err(other("it is a proof of a model in one piece, the key is of segments"))
            }
        }
    }
}
