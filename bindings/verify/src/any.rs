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
        let file = path.display().to_string();
        let bytes = read_bounded(path, MAX_KEY_BYTES)?;
        Ok(if bytes.starts_with(&SEGMENTED_KEY.magic) {
            Self::Segmented(Box::new(SegmentedKey::from_bytes(&bytes, &file)?))
        } else if bytes.len() as u64 > key::MAX_BYTES {
            return Err(Error::FileSize { path: path.into(), len: bytes.len() as u64, limit: key::MAX_BYTES });
        } else {
            Self::Whole(Box::new(ModelKey::from_bytes(&bytes, &file)?))
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
        let file = path.display().to_string();
        let bytes = read_bounded(path, bundle::MAX_PROOF_BYTES)?;
        Ok(if SegmentedProof::is_one(&bytes) {
            Self::Segmented(Box::new(SegmentedProof::from_json(&bytes, &file)?))
        } else {
            Self::Whole(Box::new(ProofBundle::from_json(&bytes, &file)?))
        })
    }
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
