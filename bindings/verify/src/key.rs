//! `model.vk`: everything that a verifier trusts about a model, in one file.
//!
//! A [container](zkml_gpu_files::container) of four sections: `about`, what the key's owner says of the model;
//! `circuit`, the circuit's key with the statement and the verifier's part of the reference string; `model`, the model
//! commitment; `weights`, the proof that the commitment opens to integers, empty where there is none. The container's
//! digest is the key's, by which a proof names it. A retrained model has other `model` and `weights` sections beside the
//! same `circuit` section, which their digests show.
//!
//! Digests guard against damage, not against fraud: get `model.vk` from someone you trust.

use std::io::Cursor;
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::keys::VerifyingKeys;
use zkml_gpu_circuit::system::{Statement, WeightMode};
use zkml_gpu_circuit::weights::{WeightsProof, verify_weights};
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName, Writer};

use crate::files::read_bounded;
use crate::text::{is_printable, printable};
use crate::{Error, ProofBundle, Rejection, bundle};

/// The kind of file that `model.vk` is.
pub const VERIFYING_KEY: Kind = Kind { magic: *b"zkmlgpuV", version: 9, what: "a model.vk" };
/// Its sections, in their order.
const SECTIONS: [SectionName; 4] = [*b"about\0\0\0", *b"circuit\0", *b"model\0\0\0", *b"weights\0"];
/// The last version whose keys may belong to a circuit that proves something else than its model (`SECURITY.md`).
const LAST_UNCHECKED: u32 = 3;
/// Longest name of a model in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;
/// Largest `model.vk` that is read.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
const HINT: &str =
    "model.vk is written by `zkml-gpu setup` and `prove`; fetch it again from whoever published the model";

/// What a key's owner says of the model. None of it is proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The model's name, one of [`model_name`]'s.
    pub model: String,
    /// Inferences in each proof: the first axis of every public tensor counts them, where they are several. This alone
    /// follows from the statement.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub inferences: u64,
    /// Whether the committed weights are public: the commitment hides nothing then, and whoever has them checks that it is
    /// theirs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public_weights: bool,
    /// How far the integers that are proved are from the float model.
    pub accuracy: Accuracy,
    /// Digest of the architecture, lower-case hexadecimal: the quantised network without its learned values
    /// (`docs/protocol.md`, section 14). An audit computes it.
    pub architecture: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
pub(crate) const fn is_false(value: &bool) -> bool {
    !*value
}

pub(crate) const fn one() -> u64 {
    1
}

/// Whether a file is of one inference, which needs no word.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
pub(crate) const fn is_one(inferences: &u64) -> bool {
    *inferences == 1
}

/// The error of a quantised model against the float model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// Largest error of an output's element, as a part of that output's range over the samples.
    pub max_error: f64,
    /// The bound that was asked for.
    pub bound: f64,
    /// Number of samples that it was measured on.
    pub samples: u64,
}

impl Accuracy {
    /// Whether the error is within the bound that was asked for.
    pub fn is_kept(&self) -> bool {
        self.max_error <= self.bound
    }

    /// Whether these can be what was measured: a number that is not negative, a bound, and samples.
    pub fn is_sound(&self) -> bool {
        self.max_error >= 0.0 && self.max_error.is_finite() && self.bound >= 0.0 && self.bound.is_finite()
    }
}

/// A model's verifying key: circuit key, reference string's verifier part, public statement, and the model commitment
/// where the circuit key does not hold the weights.
#[derive(Clone, Debug)]
pub struct ModelKey {
    about: About,
    keys: VerifyingKeys,
    weights: Option<WeightsProof>,
    /// Whether the weights' proof holds, once it was looked at.
    weights_hold: OnceLock<Result<(), String>>,
    bytes: Vec<u8>,
    digest: String,
    circuit_digest: String,
    model_digest: String,
}

impl ModelKey {
    /// The key of a model, for whoever makes keys; with the proof that its weights are integers, where there is one.
    ///
    /// # Errors
    /// [`Error::Internal`], should a key that fits into memory not be written there.
    pub fn new(about: About, keys: VerifyingKeys, weights: Option<WeightsProof>) -> Result<Self, Error> {
        let proof = weights.as_ref().map(WeightsProof::to_bytes).unwrap_or_default();
        let [circuit, model] = keys.to_parts();
        let bytes = encode(&about, &[circuit, model, proof])?;
        let internal = |error: ContainerError| Error::Internal(format!("model.vk: {error}"));
        Self::with_digests(about, keys, weights, bytes).map_err(internal)
    }

    /// Reads `model.vk`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`]: nothing in the file is believed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_bytes(&read_bounded(path, MAX_BYTES)?, &path.display().to_string())
    }

    /// As [`ModelKey::read`], from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`ModelKey::read`].
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem: String| Error::Artifact { file: file.into(), problem, hint: HINT };
        let [about, circuit, model, weights] = decode(bytes).map_err(|error| fail(refusal(&error)))?;
        let about: About = serde_json::from_slice(&about).map_err(|error| fail(error.to_string()))?;
        if !is_printable(&about.model) || about.model.len() > MAX_NAME_BYTES {
            return Err(fail("the model's name is not printable text".into()));
        }
        if !bundle::is_hex(&about.architecture) {
            return Err(fail("the architecture's digest is none".into()));
        }
        if !about.accuracy.is_sound() {
            return Err(fail("the error that it tells is no number".into()));
        }
        let keys = VerifyingKeys::from_parts(&circuit, &model).map_err(|error| fail(error.to_string()))?;
        if !are_inferences(about.inferences, keys.statement()) {
            return Err(fail("its public tensors are not of as many inferences as it tells".into()));
        }
        if about.public_weights && keys.weights() == WeightMode::Embedded {
            return Err(fail("embedded weights are public without a word".into()));
        }
        let proof = match &weights[..] {
            [] => None,
            _ if keys.weights() == WeightMode::Embedded => {
                return Err(fail("embedded weights have no proof of their own".into()));
            }
            bytes => Some(WeightsProof::from_bytes(bytes).map_err(|error| fail(error.to_string()))?),
        };
        // One key, one file: JSON has several texts for one value.
        if encode(&about, &[circuit, model, weights])? != bytes {
            return Err(fail("the key is not in its canonical form".into()));
        }
        Self::with_digests(about, keys, proof, bytes.to_vec()).map_err(|error| fail(error.to_string()))
    }

    fn with_digests(
        about: About,
        keys: VerifyingKeys,
        weights: Option<WeightsProof>,
        bytes: Vec<u8>,
    ) -> Result<Self, ContainerError> {
        let container = Container::open(Cursor::new(&bytes), VERIFYING_KEY)?;
        let [digest, circuit_digest, model_digest] =
            [container.digest(), container.section_digest(SECTIONS[1])?, container.section_digest(SECTIONS[2])?]
                .map(hex::encode);
        let weights_hold = OnceLock::new();
        Ok(Self { about, keys, weights, weights_hold, bytes, digest, circuit_digest, model_digest })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks every field of a proof and the proof itself. All trusted values come from this key.
    ///
    /// # Errors
    /// [`Rejection`] says what is wrong with the proof.
    pub fn verify(&self, proof: &ProofBundle) -> Result<(), Rejection> {
        proof.check(self)
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.about.model
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> usize {
        usize::try_from(self.about.inferences).unwrap_or(usize::MAX)
    }

    /// Digest of the architecture, as the key's owner says: an audit compares it.
    pub fn architecture_digest(&self) -> &str {
        &self.about.architecture
    }

    /// What the key's owner says of the model's error.
    pub fn accuracy(&self) -> &Accuracy {
        &self.about.accuracy
    }

    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub fn is_insecure(&self) -> bool {
        self.keys.insecure_srs()
    }

    /// Where the learned values stand. Embedded ones are public: the key holds commitments to them without blinding, by
    /// which a guess is checked, and each proof reveals one evaluation of every weight column.
    pub fn weight_mode(&self) -> WeightMode {
        self.keys.weights()
    }

    /// Whether committed weights are said to be public: `NAME.public.zkml` tells how they follow from the model's file.
    pub fn has_public_weights(&self) -> bool {
        self.about.public_weights
    }

    /// How the weights are bound: `committed, hiding`, `committed, public` or `embedded, public`.
    pub fn weights(&self) -> &'static str {
        bundle::weights(self.weight_mode(), self.about.public_weights)
    }

    /// What a proof says of the weights: `exact integers, proven of the model commitment` of committed ones with a proof,
    /// without which they are `field-valued, architecture not proven`; `exact integers, fixed by the verifying key` of
    /// embedded ones.
    pub fn note(&self) -> &'static str {
        bundle::note(self.weight_mode(), self.weights.is_some())
    }

    /// The proof that the model commitment opens to integers, 0 where the architecture has no weight; none where the
    /// weights are embedded, or were not proved.
    pub fn weights_proof(&self) -> Option<&WeightsProof> {
        self.weights.as_ref()
    }

    /// Verifies the weights' proof, once: every proof of an inference relies on it. There is nothing to verify where the
    /// key has none.
    ///
    /// # Errors
    /// [`Rejection::Weights`] where it does not hold.
    pub fn verify_weights(&self) -> Result<(), Rejection> {
        let Some(proof) = &self.weights else { return Ok(()) };
        let holds =
            self.weights_hold.get_or_init(|| verify_weights(&self.keys, proof).map_err(|error| error.to_string()));
        holds.clone().map_err(Rejection::Weights)
    }

    /// Takes the weights' proof to hold, for whoever made it and has kept it to itself ever since.
    #[must_use]
    pub fn with_own_weights_proof(self) -> Self {
        Self { weights_hold: Ok(()).into(), ..self }
    }

    /// Digest of the whole key, lower-case hexadecimal like all digests: proofs name their key by it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Digest of the circuit's part: the same for all models of one architecture, setup and reference string whose
    /// weights are committed.
    pub fn circuit_digest(&self) -> &str {
        &self.circuit_digest
    }

    /// Digest of the model commitment; that of no bytes where the weights are embedded.
    pub fn model_digest(&self) -> &str {
        &self.model_digest
    }

    /// The keys inside.
    pub fn keys(&self) -> &VerifyingKeys {
        &self.keys
    }
}

/// Whether the first axis of every public tensor counts so many inferences; one needs no axis.
fn are_inferences(inferences: u64, statement: &Statement) -> bool {
    let mut ports = statement.inputs.iter().chain(&statement.outputs);
    inferences == 1 || ports.all(|port| port.logical_shape.first().is_some_and(|axis| *axis as u64 == inferences))
}

/// A name that `model.vk` takes, of any text: printable, and not too long.
pub fn model_name(text: &str) -> String {
    let mut name = printable(text);
    while name.len() > MAX_NAME_BYTES {
        name.pop();
    }
    if name.is_empty() { "model".into() } else { name }
}

fn encode(about: &About, [circuit, model, weights]: &[Vec<u8>; 3]) -> Result<Vec<u8>, Error> {
    let internal = |error: ContainerError| Error::Internal(format!("model.vk: {error}"));
    let about = serde_json::to_vec(about).map_err(|error| Error::Internal(format!("model.vk: {error}")))?;
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, VERIFYING_KEY, &SECTIONS).map_err(internal)?;
    for section in [&about, circuit, model, weights] {
        writer.section(&section[..]).map_err(internal)?;
    }
    writer.finish().map_err(internal)?;
    Ok(file.into_inner())
}

/// The sections; every length is checked against the file's.
fn decode(bytes: &[u8]) -> Result<[Vec<u8>; 4], ContainerError> {
    let mut container = Container::open(Cursor::new(bytes), VERIFYING_KEY)?;
    let mut section = |name| container.section(name, MAX_BYTES);
    Ok([section(SECTIONS[0])?, section(SECTIONS[1])?, section(SECTIONS[2])?, section(SECTIONS[3])?])
}

fn refusal(error: &ContainerError) -> String {
    match error {
        ContainerError::Version { found, .. } if *found <= LAST_UNCHECKED => format!(
            "version {found} of model.vk was made without a check of the circuit's layout, so false outputs may have proofs under it \
             (SECURITY.md): the model's owner must make a new key, this program makes version {}",
            VERIFYING_KEY.version
        ),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_from_before_layouts_were_checked_are_refused_by_name() {
        for version in 0..=LAST_UNCHECKED + 2 {
            let mut bytes = b"zkmlgpuV".to_vec();
            bytes.extend(version.to_le_bytes());
            bytes.extend([0; 100]);
            let problem = ModelKey::from_bytes(&bytes, "old.vk").unwrap_err().to_string();
            let own = format!("version {}", VERIFYING_KEY.version);
            assert!(problem.contains(&format!("version {version} ")) && problem.contains(&own), "{problem}");
            assert_eq!(problem.contains("SECURITY.md"), version <= LAST_UNCHECKED, "{problem}");
        }
    }

    #[test]
    fn names_that_could_move_the_cursor_are_refused() {
        let accuracy = Accuracy { max_error: 0.0, bound: 0.0, samples: 1 };
        for name in ["", "a\x1b[2J", "a\nb", &"n".repeat(256)] {
            let about = About {
                model: name.into(),
                inferences: 1,
                public_weights: false,
                accuracy,
                architecture: "0".repeat(64),
            };
            let bytes = encode(&about, &[Vec::new(), Vec::new(), Vec::new()]).unwrap();
            let problem = ModelKey::from_bytes(&bytes, "model.vk").unwrap_err().to_string();
            assert!(problem.contains("not printable"), "{name:?}: {problem}");
        }
    }

    #[test]
    fn an_error_that_is_no_number_is_refused() {
        for [max_error, bound] in [[-1.0, 0.0], [0.0, -1.0]] {
            let about = About {
                model: "a".into(),
                inferences: 1,
                public_weights: false,
                accuracy: Accuracy { max_error, bound, samples: 1 },
                architecture: "0".repeat(64),
            };
            let bytes = encode(&about, &[Vec::new(), Vec::new(), Vec::new()]).unwrap();
            let problem = ModelKey::from_bytes(&bytes, "model.vk").unwrap_err().to_string();
            assert!(problem.contains("no number"), "{problem}");
        }
    }
}
