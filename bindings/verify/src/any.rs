//! Keys and proofs of whichever kind: of a model in one piece, or in segments.

use std::path::Path;

use zkml_gpu_circuit::system::Port;

use crate::files::read_bounded;
use crate::segmented::MAX_KEY_BYTES;
use crate::{
    Accuracy, Error, Expected, ModelKey, ProofBundle, PublicTensor, Rejection, SEGMENTED_KEY, SegmentedKey,
    SegmentedProof, Verdict, bundle, key,
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

/// What both kinds have alike.
macro_rules! of_either {
    ($self:expr, $own:ident => $value:expr) => {
        match $self {
            Self::Whole($own) => $value,
            Self::Segmented($own) => $value,
        }
    };
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

    /// The bytes of `model.vk`.
    pub fn to_bytes(&self) -> &[u8] {
        of_either!(self, key => key.to_bytes())
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        of_either!(self, key => key.model())
    }

    /// Digest of the key, by which proofs name it.
    pub fn digest(&self) -> &str {
        of_either!(self, key => key.digest())
    }

    /// log2 of the rows of each circuit.
    pub fn k(&self) -> u32 {
        match self {
            Self::Whole(key) => key.keys().k(),
            Self::Segmented(key) => key.k(),
        }
    }

    /// Number of segments; none of a model in one piece.
    pub fn segments(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Segmented(key) => Some(key.segments().len()),
        }
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> usize {
        of_either!(self, key => key.inferences())
    }

    /// What proofs say of each of the model's inputs.
    pub fn inputs(&self) -> Vec<&Port> {
        match self {
            Self::Whole(key) => key.keys().statement().inputs.iter().collect(),
            Self::Segmented(key) => key.inputs(),
        }
    }

    /// What they say of each of its outputs.
    pub fn outputs(&self) -> Vec<&Port> {
        match self {
            Self::Whole(key) => key.keys().statement().outputs.iter().collect(),
            Self::Segmented(key) => key.outputs(),
        }
    }

    /// How the weights are bound.
    pub fn weights(&self) -> &'static str {
        of_either!(self, key => key.weights())
    }

    /// What an accepted proof says of the weights.
    pub fn note(&self) -> &'static str {
        of_either!(self, key => key.note())
    }

    /// Whether the reference string was made on one machine.
    pub fn is_insecure(&self) -> bool {
        of_either!(self, key => key.is_insecure())
    }

    /// What the key's owner says of the error against the float model.
    pub fn accuracy(&self) -> &Accuracy {
        of_either!(self, key => key.accuracy())
    }

    /// The key that has an input or output of this name: that of the first segment that does, or of the model in one
    /// piece, whether it has or not.
    pub fn of_tensor(&self, name: &str) -> Option<&ModelKey> {
        match self {
            Self::Whole(key) => Some(key),
            Self::Segmented(key) => key.segment_of(name),
        }
    }

    /// Checks a proof, and that tensors have these commitments and hashes; `file` is the proof's, for messages.
    ///
    /// # Errors
    /// [`Error::Artifact`] where it is of the other kind; inside, the [`Rejection`].
    pub fn verify(&self, proof: &AnyProof, expected: &Expected, file: &str) -> Result<Result<(), Rejection>, Error> {
        match (self, proof) {
            (Self::Whole(key), AnyProof::Whole(proof)) => Ok(key
                .verify(proof)
                .and_then(|()| proof.expect_commitments(key, &expected.commitments))
                .and_then(|()| proof.expect_hashes(key, &expected.hashes))),
            (Self::Segmented(key), AnyProof::Segmented(proof)) => {
                Ok(key.verify(proof).and_then(|()| proof.expect(key, expected)))
            }
            (Self::Whole(_), AnyProof::Segmented(_)) => Err(other_kind(file, SEGMENTS_UNDER_WHOLE)),
            (Self::Segmented(_), AnyProof::Whole(_)) => Err(other_kind(file, WHOLE_UNDER_SEGMENTS)),
        }
    }
}

const SEGMENTS_UNDER_WHOLE: &str = "it is a proof in segments, the key is of a model in one piece";
const WHOLE_UNDER_SEGMENTS: &str = "it is a proof of a model in one piece, the key is of segments";

/// No such proof can be one under the key.
fn other_kind(file: &str, problem: &str) -> Error {
    let hint = "a proof is verified with the key that was published for it";
    Error::Artifact { file: file.into(), problem: problem.into(), hint }
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

    /// The bytes of `proof.json`.
    ///
    /// # Errors
    /// [`Error::Internal`], if it has no JSON after all.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        of_either!(self, proof => proof.to_json())
    }

    /// The model's name, as the proof says.
    pub fn model(&self) -> &str {
        of_either!(self, proof => &proof.model)
    }

    /// Digest of the verifying key that it is for.
    pub fn verifying_key(&self) -> &str {
        of_either!(self, proof => &proof.verifying_key)
    }

    /// The back end that proved, as the proof says.
    pub fn backend(&self) -> &str {
        of_either!(self, proof => &proof.backend)
    }

    /// Inferences that it is of.
    pub fn inferences(&self) -> u64 {
        of_either!(self, proof => proof.inferences)
    }

    /// How the weights are bound, as the proof says.
    pub fn weights(&self) -> &str {
        of_either!(self, proof => &proof.weights)
    }

    /// What the verifier knows of them, as the proof says.
    pub fn note(&self) -> &str {
        of_either!(self, proof => &proof.note)
    }

    /// Whether the reference string was made on one machine, as the proof says.
    pub fn is_insecure(&self) -> bool {
        of_either!(self, proof => proof.insecure_srs)
    }

    /// The model's error against the float model, as the proof says.
    pub fn max_error(&self) -> f64 {
        of_either!(self, proof => proof.max_error)
    }

    /// The model's inputs.
    pub fn inputs(&self) -> &[PublicTensor] {
        of_either!(self, proof => &proof.inputs)
    }

    /// The proved outputs.
    pub fn outputs(&self) -> &[PublicTensor] {
        of_either!(self, proof => &proof.outputs)
    }

    /// The proofs' bytes, without what is public: one list for each segment, or one in all; empty where a field is not
    /// base64.
    pub fn proof_bytes(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Whole(proof) => vec![proof.proof_bytes()],
            Self::Segmented(proof) => proof.segment_bytes(),
        }
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
        match (key, proof) {
            (AnyKey::Whole(key), AnyProof::Whole(proof)) => Ok(Self::expecting(key, proof, expected)),
            (AnyKey::Segmented(key), AnyProof::Segmented(proof)) => Ok(Self::of_segments(key, proof, expected)),
            (AnyKey::Whole(_), AnyProof::Segmented(_)) => {
                Err(other_kind(&file.display().to_string(), SEGMENTS_UNDER_WHOLE))
            }
            (AnyKey::Segmented(_), AnyProof::Whole(_)) => {
                Err(other_kind(&file.display().to_string(), WHOLE_UNDER_SEGMENTS))
            }
        }
    }
}
