//! `proof.json`: a proof with the public values that it proves.
//!
//! Every field is checked on verification against the verifying key; unknown, missing and duplicate fields are refused.
//! Digests are lower-case hexadecimal, the proof is base64. Real numbers are not in the file: they are the integers
//! times their scale, exactly ([`PublicTensor::reals`]).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use halo2curves::bn256::G1Affine;
use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::hash::{HashError, Poseidon, Salt, TensorHash, hash_tensor};
use zkml_gpu_circuit::keccak::{self, Hasher};
use zkml_gpu_circuit::keys::point_to_hex;
use zkml_gpu_circuit::system::{Port, WeightMode};
use zkml_gpu_circuit::verify::{Claim, VerifyError, verify_claim};
use zkml_gpu_graph::{Format, Visibility};

use crate::backend_name::is_backend;
use crate::commitment::{TensorCommitment, points, port};
use crate::files::read_bounded;
use crate::key::{is_one, one};
use crate::order::{to_logical, to_stored};
use crate::{Error, ModelKey};

/// Value of [`ProofBundle::format`].
const FORMAT: &str = "zkml-gpu proof";
/// Value of [`ProofBundle::version`].
const VERSION: u32 = 3;
/// Largest `proof.json` that is read: millions of public values.
pub(crate) const MAX_PROOF_BYTES: u64 = 512 << 20;
/// Most characters of a value that a message shows.
const SHOWN_CHARS: usize = 100;
pub(crate) const PROOF_HINT: &str =
    "proof.json is written by `zkml-gpu prove`; fetch it again from whoever made the proof";

/// A proof and what it proves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofBundle {
    /// Always `zkml-gpu proof`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// Name of the model, as in the verifying key.
    pub model: String,
    /// Digest of `model.vk`.
    pub verifying_key: String,
    /// Digest of its circuit key: models of one architecture may share it.
    pub circuit_key: String,
    /// Digest of the model commitment: a retrained model has another one under the same circuit key.
    pub model_commitment: String,
    /// Digest of the architecture, as the key's owner says.
    pub architecture: String,
    /// The back end that proved; for the record only, since all make the same proofs.
    pub backend: String,
    /// How the weights are bound: [`ModelKey::weights`].
    pub weights: String,
    /// What the verifier knows of them: [`ModelKey::note`].
    pub note: String,
    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub insecure_srs: bool,
    /// What the key's owner says of the model's error against the float model: [`Accuracy::max_error`](crate::Accuracy::max_error).
    pub max_error: f64,
    /// Inferences that the proof is of: each public tensor holds one after the other, the first axis counts them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub inferences: u64,
    /// The model's inputs.
    pub inputs: Vec<PublicTensor>,
    /// The proved outputs.
    pub outputs: Vec<PublicTensor>,
    /// What the proof's challenges are hashed with; Blake2b where it is not written.
    #[serde(default, skip_serializing_if = "is_blake2b")]
    pub transcript: Hasher,
    /// The proof's bytes, in base64 with padding.
    pub proof: String,
    /// Blake2b digest of all other fields: finds damage, not fraud.
    pub checksum: String,
}

/// How the weights are bound.
pub(crate) const fn weights(mode: WeightMode, are_public: bool) -> &'static str {
    match mode {
        WeightMode::Committed if are_public => "committed, public",
        WeightMode::Committed => "committed, hiding",
        WeightMode::Embedded => "embedded, public",
    }
}

/// What a proof says of the weights. Without a proof of the model commitment they are field elements to the verifier,
/// and weights outside the layout's mask are not ruled out. Embedded ones are fixed cells.
pub(crate) const fn note(mode: WeightMode, is_proven: bool) -> &'static str {
    match mode {
        WeightMode::Committed if is_proven => "exact integers, proven of the model commitment",
        WeightMode::Committed => "field-valued, architecture not proven",
        WeightMode::Embedded => "exact integers, fixed by the verifying key",
    }
}

/// A public tensor: integers and their meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTensor {
    /// Name in the model.
    pub name: String,
    /// Shape in the model.
    pub shape: Vec<usize>,
    /// Fractional bits: `real = value · mantissa · 2^-frac_bits`.
    pub frac_bits: i32,
    /// What the scale is beside a power of two; 1 where it is not written.
    #[serde(default = "power_of_two", skip_serializing_if = "is_power_of_two")]
    pub mantissa: u32,
    /// Least value that the model allows.
    pub min: i64,
    /// Greatest value that the model allows.
    pub max: i64,
    /// The integers that are proved, flat, in the order of the model's axes; none where they are hidden.
    pub values: Vec<i64>,
    /// Who sees the values.
    #[serde(default, skip_serializing_if = "is_public")]
    pub visibility: Visibility,
    /// Commitments to the values, one a column: compressed points in lower-case hexadecimal, where they are committed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commitments: Vec<String>,
    /// The Poseidon hash of the values, where they are hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<TensorHash>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_blake2b(hasher: &Hasher) -> bool {
    matches!(hasher, Hasher::Blake2b)
}

/// The mantissa of a power of two.
pub(crate) const fn power_of_two() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) const fn is_power_of_two(mantissa: &u32) -> bool {
    *mantissa == 1
}

/// A proof's public tensors are written as they were before tensors could be hidden.
fn is_public(visibility: &Visibility) -> bool {
    !visibility.is_hidden()
}

/// An inference: what went in and what came out, as real numbers, one list for each tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pair {
    /// Inputs.
    pub input: Vec<Vec<f64>>,
    /// Outputs.
    pub output: Vec<Vec<f64>>,
}

/// Why a proof was rejected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The checksum is another.
    #[error("the checksum does not match: proof.json was damaged or edited")]
    Checksum,
    /// A field is not what the verifying key says.
    #[error("field '{field}' is '{got}', but the verifying key says '{expected}'")]
    Field {
        /// The field.
        field: String,
        /// Its value.
        got: String,
        /// What it must be.
        expected: String,
    },
    /// The proof is for other keys of the same circuit: the model was retrained, or its commitment was made anew.
    #[error(
        "the proof is for the verifying key '{got}', not '{expected}': the circuit is the same, the model's commitment or what is said of it is another"
    )]
    OtherModel {
        /// The key that the proof names.
        got: String,
        /// The key it was checked against.
        expected: String,
    },
    /// A tensor has the wrong number of values.
    #[error("{tensor}: {got} values, expected {expected}")]
    Length {
        /// The tensor.
        tensor: String,
        /// Number found.
        got: usize,
        /// Number declared.
        expected: usize,
    },
    /// The key's own proof about the weights does not hold: no proof under this key says anything.
    #[error("{0}: the verifying key is not to be trusted")]
    Weights(String),
    /// Commitments that are no points in their canonical encoding.
    #[error("{tensor}: a commitment is no point in its canonical encoding")]
    Points {
        /// The tensor.
        tensor: String,
    },
    /// A tensor is not the one that a commitment is to.
    #[error("'{tensor}' is not the tensor of the commitment given: {reason}")]
    OtherCommitment {
        /// Name of the input or output.
        tensor: String,
        /// What is another.
        reason: String,
    },
    /// A tensor's hash is not the one given.
    #[error("'{tensor}' has not the hash given: {reason}")]
    OtherHash {
        /// Name of the input or output.
        tensor: String,
        /// What it has.
        reason: String,
    },
    /// The proof of a segment does not hold.
    #[error("segment {segment}: {reason}")]
    Segment {
        /// The segment, counted from 1.
        segment: usize,
        /// Why not.
        reason: Box<Rejection>,
    },
    /// The proof itself does not hold.
    #[error(transparent)]
    Proof(#[from] VerifyError),
}

impl ProofBundle {
    /// The bundle of a proof for this key, for whoever proves: one flat list of integers for each tensor of the
    /// statement, in the order in which the circuit stores them. Whether the proof holds is for [`ModelKey::verify`].
    pub fn new(key: &ModelKey, backend: &str, inputs: &[Vec<i64>], outputs: &[Vec<i64>], proof: &[u8]) -> Self {
        let statement = key.keys().statement();
        let mut bundle = Self {
            format: FORMAT.into(),
            version: VERSION,
            model: key.model().into(),
            verifying_key: key.digest().into(),
            circuit_key: key.circuit_digest().into(),
            model_commitment: key.model_digest().into(),
            architecture: key.architecture_digest().into(),
            backend: backend.into(),
            weights: key.weights().into(),
            note: key.note().into(),
            insecure_srs: key.is_insecure(),
            max_error: key.accuracy().max_error,
            inferences: key.inferences() as u64,
            inputs: tensors(&statement.inputs, inputs),
            outputs: tensors(&statement.outputs, outputs),
            transcript: Hasher::default(),
            proof: STANDARD.encode(proof),
            checksum: String::new(),
        };
        bundle.seal();
        bundle
    }

    /// The bundle with the commitments to its committed tensors, one for each column, inputs first.
    #[must_use]
    pub fn with_commitments(mut self, key: &ModelKey, points: &[G1Affine]) -> Self {
        let mut points = points.iter().map(point_to_hex);
        for (tensor, port) in self.inputs.iter_mut().chain(&mut self.outputs).zip(key.keys().statement().ports()) {
            tensor.commitments = points.by_ref().take(port.committed_columns()).collect();
        }
        self.seal();
        self
    }

    /// The bundle with the hashes of its hashed tensors, inputs first.
    #[must_use]
    pub fn with_hashes(mut self, key: &ModelKey, hashes: &[TensorHash]) -> Self {
        let mut hashes = hashes.iter().copied();
        for (tensor, port) in self.inputs.iter_mut().chain(&mut self.outputs).zip(key.keys().statement().ports()) {
            tensor.hash = port.hashed().and_then(|_| hashes.next());
        }
        self.seal();
        self
    }

    /// The bundle of a proof whose challenges are hashed like this.
    #[must_use]
    pub fn with_transcript(mut self, hasher: Hasher) -> Self {
        self.transcript = hasher;
        self.seal();
        self
    }

    /// The commitment to a tensor of this bundle; none where it has none of that name.
    pub fn commitment(&self, key: &ModelKey, name: &str) -> Option<TensorCommitment> {
        let tensor = self.inputs.iter().chain(&self.outputs).find(|tensor| tensor.name == name)?;
        let points = points(&tensor.commitments).filter(|points| !points.is_empty())?;
        Some(TensorCommitment::new(key.keys(), port(key.keys(), name)?, &points))
    }

    /// Whether tensors are those of these commitments, by name: for a proof that [holds](ModelKey::verify).
    ///
    /// # Errors
    /// [`Rejection::OtherCommitment`] with the first that is not.
    pub fn expect_commitments(
        &self,
        key: &ModelKey,
        commitments: &[(String, TensorCommitment)],
    ) -> Result<(), Rejection> {
        for (name, expected) in commitments {
            let port = port(key.keys(), name).ok_or_else(|| other_commitment(name, NO_SUCH.into()))?;
            expect_commitment((key, port), self.named(name), (name, expected))?;
        }
        Ok(())
    }

    /// Whether tensors have these hashes, by name: for a proof that [holds](ModelKey::verify).
    ///
    /// # Errors
    /// [`Rejection::OtherHash`] with the first that has not.
    pub fn expect_hashes(&self, key: &ModelKey, hashes: &[(String, TensorHash)]) -> Result<(), Rejection> {
        for (name, expected) in hashes {
            let port = port(key.keys(), name).ok_or_else(|| other_hash(name, NO_SUCH.into()))?;
            expect_hash(port, self.named(name), (name, expected))?;
        }
        Ok(())
    }

    /// A claimed tensor by its name.
    fn named(&self, name: &str) -> Option<&PublicTensor> {
        self.inputs.iter().chain(&self.outputs).find(|tensor| tensor.name == name)
    }

    /// The inputs of a bundle for this key, as [`new`](Self::new) has them.
    pub fn inputs(key: &ModelKey, inputs: &[Vec<i64>]) -> Vec<PublicTensor> {
        tensors(&key.keys().statement().inputs, inputs)
    }

    /// The outputs of a bundle for this key, as [`new`](Self::new) has them.
    pub fn outputs(key: &ModelKey, outputs: &[Vec<i64>]) -> Vec<PublicTensor> {
        tensors(&key.keys().statement().outputs, outputs)
    }

    /// Reads `proof.json`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`] where the file is no bundle; whether the proof
    /// holds is for [`ModelKey::verify`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_json(&read_bounded(path, MAX_PROOF_BYTES)?, &path.display().to_string())
    }

    /// As [`ProofBundle::read`], from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`ProofBundle::read`].
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem| Error::Artifact { file: file.into(), problem, hint: PROOF_HINT };
        let bundle: Self = serde_json::from_slice(bytes).map_err(|error| fail(format!("not a proof: {error}")))?;
        if bundle.format != FORMAT || bundle.version != VERSION {
            let found = format!("format {:?} version {}", bundle.format, bundle.version);
            return Err(fail(format!("{found}, this program reads {FORMAT:?} version {VERSION}")));
        }
        for (field, text) in [
            ("verifying_key", &bundle.verifying_key),
            ("circuit_key", &bundle.circuit_key),
            ("model_commitment", &bundle.model_commitment),
            ("architecture", &bundle.architecture),
            ("checksum", &bundle.checksum),
        ] {
            if !is_hex(text) {
                return Err(fail(format!("field '{field}' is not lower-case hexadecimal")));
            }
        }
        if STANDARD.decode(&bundle.proof).is_err() {
            return Err(fail("field 'proof' is not base64".into()));
        }
        Ok(bundle)
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`Error::Internal`] where a real number is not finite, which no tensor's format allows.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec(self).map_err(|error| Error::Internal(format!("proof.json: {error}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// The proof's bytes; none where the field is not base64.
    pub fn proof_bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.proof).unwrap_or_default()
    }

    /// The pairs that are proved: inputs and outputs of each inference as real numbers, one list for each tensor, which
    /// is empty where the tensor is hidden. None where all are hidden, or where they are not those of as many inferences
    /// as it tells, which no accepted proof's are.
    pub fn pairs(&self) -> Vec<Pair> {
        pairs(self.inferences, &self.inputs, &self.outputs)
    }

    /// Recomputes the checksum, after a change of another field.
    pub fn seal(&mut self) {
        self.checksum = self.digest();
    }

    fn digest(&self) -> String {
        let content = Self { checksum: String::new(), ..self.clone() };
        // A number that is not finite has no JSON, so no such bundle is equal to one that was read.
        let text = serde_json::to_vec(&content).unwrap_or_default();
        let hash = blake2b_simd::Params::new().hash_length(32).personal(b"zkml-gpu proof").hash(&text);
        hash.to_hex().to_string()
    }

    /// Checks every field against the key, then the proof.
    pub(crate) fn check(&self, key: &ModelKey) -> Result<(), Rejection> {
        let claimed = self.claimed(key)?;
        let verify = match self.transcript {
            Hasher::Blake2b => verify_claim,
            Hasher::Keccak => keccak::verify_claim,
        };
        Ok(verify(key.keys(), claimed.claim(), &self.proof_bytes())?)
    }

    /// What is claimed, once every field is what the key says.
    pub(crate) fn claimed(&self, key: &ModelKey) -> Result<Claimed, Rejection> {
        // Before anything that takes memory by the lengths.
        let statement = key.keys().statement();
        for (place, tensors, ports) in
            [("inputs", &self.inputs, &statement.inputs), ("outputs", &self.outputs, &statement.outputs)]
        {
            expect(&format!("{place}.length"), tensors.len(), ports.len())?;
            for (i, (tensor, port)) in tensors.iter().zip(ports).enumerate() {
                let hidden = port.visibility().is_hidden();
                let (got, expected) = (tensor.values.len(), if hidden { 0 } else { port.logical_len() });
                if got != expected {
                    return Err(Rejection::Length { tensor: format!("{place}[{i}]"), got, expected });
                }
            }
        }
        if self.digest() != self.checksum {
            return Err(Rejection::Checksum);
        }
        expect("format", &self.format, FORMAT)?;
        expect("version", self.version, VERSION)?;
        expect("model", &self.model, key.model())?;
        expect("circuit_key", &self.circuit_key, key.circuit_digest())?;
        if self.verifying_key != key.digest() {
            return Err(Rejection::OtherModel { got: shown(&self.verifying_key), expected: key.digest().into() });
        }
        expect("model_commitment", &self.model_commitment, key.model_digest())?;
        expect("architecture", &self.architecture, key.architecture_digest())?;
        expect("weights", &self.weights, key.weights())?;
        expect("note", &self.note, key.note())?;
        expect("insecure_srs", self.insecure_srs, key.is_insecure())?;
        expect("max_error", self.max_error, key.accuracy().max_error)?;
        expect("inferences", self.inferences, key.inferences() as u64)?;
        if !is_backend(&self.backend) {
            let (field, got) = ("backend".into(), shown(&self.backend));
            return Err(Rejection::Field { field, got, expected: "a back end's name".into() });
        }
        key.verify_weights()?;
        let inputs = stored("inputs", &self.inputs, &statement.inputs)?;
        let outputs = stored("outputs", &self.outputs, &statement.outputs)?;
        let tensors = committed(self.inputs.iter().chain(&self.outputs), statement.ports())?;
        let hashes: Vec<_> = self.inputs.iter().chain(&self.outputs).filter_map(|tensor| tensor.hash).collect();
        Ok(Claimed { inputs, outputs, tensors, hashes })
    }
}

/// What a bundle claims, as the circuit has it.
pub(crate) struct Claimed {
    inputs: Vec<Vec<i64>>,
    outputs: Vec<Vec<i64>>,
    tensors: Vec<G1Affine>,
    hashes: Vec<TensorHash>,
}

impl Claimed {
    pub(crate) fn claim(&self) -> Claim<'_> {
        let Self { inputs, outputs, tensors, hashes } = self;
        Claim { inputs, outputs, tensors, hashes }
    }
}

impl PublicTensor {
    fn new(port: &Port, stored: &[i64]) -> Self {
        let values = if port.visibility().is_hidden() { Vec::new() } else { to_logical(port, stored) };
        Self { values, ..Self::without_values(port) }
    }

    /// A tensor of which nothing is told.
    pub(crate) fn without_values(port: &Port) -> Self {
        let Format { frac_bits, mantissa, min, max } = port.logical_format();
        let (visibility, values) = (port.visibility(), Vec::new());
        let (name, shape) = (port.name.clone(), port.logical_shape.clone());
        Self { name, shape, frac_bits, mantissa, min, max, values, visibility, commitments: Vec::new(), hash: None }
    }

    /// How the integers stand for real numbers.
    pub const fn format(&self) -> Format {
        Format { frac_bits: self.frac_bits, mantissa: self.mantissa, min: self.min, max: self.max }
    }

    /// The real numbers that the integers stand for, without rounding: integers of a scale with a mantissa have less than
    /// 29 bits.
    pub fn reals(&self) -> Vec<f64> {
        let step = self.format().step();
        self.values.iter().map(|value| *value as f64 * step).collect()
    }

    /// The numbers of one of so many inferences.
    fn part(&self, inference: usize, count: usize) -> Vec<f64> {
        // A file may have numbers of what it calls hidden.
        let reals = if self.visibility.is_hidden() { Vec::new() } else { self.reals() };
        let len = reals.len() / count.max(1);
        reals.into_iter().skip(inference.saturating_mul(len)).take(len).collect()
    }

    /// The hash of the values, which whoever has them can compare: [`hash_tensor`].
    ///
    /// # Errors
    /// [`HashError`] where there are no values, as of a hidden tensor, or one is outside `min..=max`.
    pub fn hash_values(&self, poseidon: &Poseidon, salt: Option<&Salt>) -> Result<TensorHash, HashError> {
        hash_tensor(poseidon, self.format(), &self.values, salt)
    }

    /// Values in stored order, once every field is the port's.
    fn check(&self, place: &str, port: &Port) -> Result<Vec<i64>, Rejection> {
        let field = |name: &str| format!("{place}.{name}");
        expect(&field("name"), &self.name, &port.name)?;
        expect(&field("shape"), Debugged(&self.shape), Debugged(&port.logical_shape))?;
        let format = port.logical_format();
        expect(&field("frac_bits"), self.frac_bits, format.frac_bits)?;
        expect(&field("mantissa"), self.mantissa, format.mantissa)?;
        expect(&field("min"), self.min, format.min)?;
        expect(&field("max"), self.max, format.max)?;
        expect(&field("visibility"), self.visibility.name(), port.visibility().name())?;
        expect(&field("commitments.length"), self.commitments.len(), port.committed_columns())?;
        let hash = |is_there: bool| if is_there { "a hash" } else { "none" };
        expect(&field("hash"), hash(self.hash.is_some()), hash(port.hashed().is_some()))?;
        if port.visibility().is_hidden() {
            return Ok(Vec::new());
        }
        Ok(to_stored(port, &self.values).map_err(VerifyError::from)?)
    }
}

/// What [`ProofBundle::pairs`] gives of these tensors.
pub(crate) fn pairs(inferences: u64, inputs: &[PublicTensor], outputs: &[PublicTensor]) -> Vec<Pair> {
    let count = usize::try_from(inferences).unwrap_or(usize::MAX).max(1);
    // Whoever wrote the file may tell any number: what is there bounds it.
    let whole = |tensor: &PublicTensor| tensor.values.len() >= count && tensor.values.len().is_multiple_of(count);
    let mut shown = inputs.iter().chain(outputs).filter(|tensor| !tensor.visibility.is_hidden()).peekable();
    if shown.peek().is_none() || !shown.all(whole) {
        return Vec::new();
    }
    let part = |tensors: &[PublicTensor], at: usize| tensors.iter().map(|tensor| tensor.part(at, count)).collect();
    (0..count).map(|at| Pair { input: part(inputs, at), output: part(outputs, at) }).collect()
}

/// What no model has.
pub(crate) const NO_SUCH: &str = "the model has no input or output of this name, or several";

pub(crate) fn other_commitment(name: &str, reason: String) -> Rejection {
    Rejection::OtherCommitment { tensor: shown(name), reason }
}

pub(crate) fn other_hash(name: &str, reason: String) -> Rejection {
    Rejection::OtherHash { tensor: shown(name), reason }
}

/// Whether a claimed tensor of a port has this commitment.
pub(crate) fn expect_commitment(
    (key, port): (&ModelKey, &Port),
    claimed: Option<&PublicTensor>,
    (name, expected): (&str, &TensorCommitment),
) -> Result<(), Rejection> {
    expected.fits(key.keys(), port).map_err(|reason| other_commitment(name, reason))?;
    if claimed.is_some_and(|own| own.commitments == expected.points) {
        Ok(())
    } else {
        Err(other_commitment(name, "its points are others".into()))
    }
}

/// Whether a claimed tensor of a port has this hash.
pub(crate) fn expect_hash(
    port: &Port,
    claimed: Option<&PublicTensor>,
    (name, expected): (&str, &TensorHash),
) -> Result<(), Rejection> {
    if port.hashed().is_none() {
        return Err(other_hash(name, format!("it is {}, not hashed", port.visibility().name())));
    }
    match claimed.and_then(|tensor| tensor.hash) {
        Some(own) if own == *expected => Ok(()),
        Some(own) => Err(other_hash(name, format!("its own is {own}"))),
        None => Err(other_hash(name, "it has none".into())),
    }
}

fn tensors(ports: &[Port], values: &[Vec<i64>]) -> Vec<PublicTensor> {
    ports.iter().zip(values).map(|(port, values)| PublicTensor::new(port, values)).collect()
}

/// The points of all commitments, whose numbers are checked.
fn committed<'t>(
    tensors: impl Iterator<Item = &'t PublicTensor>,
    ports: impl Iterator<Item = &'t Port>,
) -> Result<Vec<G1Affine>, Rejection> {
    let mut all = Vec::new();
    for (tensor, port) in tensors.zip(ports) {
        let own = points(&tensor.commitments).ok_or_else(|| Rejection::Points { tensor: shown(&port.name) })?;
        all.extend(own);
    }
    Ok(all)
}

fn stored(place: &str, tensors: &[PublicTensor], ports: &[Port]) -> Result<Vec<Vec<i64>>, Rejection> {
    tensors
        .iter()
        .zip(ports)
        .enumerate()
        .map(|(i, (tensor, port))| tensor.check(&format!("{place}[{i}]"), port))
        .collect()
}

pub(crate) fn expect<A: PartialEq<B> + ToString, B: ToString>(
    field: &str,
    got: A,
    expected: B,
) -> Result<(), Rejection> {
    if got == expected {
        return Ok(());
    }
    let text = |value: String| shown(&value);
    Err(Rejection::Field { field: field.into(), got: text(got.to_string()), expected: text(expected.to_string()) })
}

/// A value from a file in a message: its beginning, escaped.
pub(crate) fn shown(value: &str) -> String {
    let start: String = value.chars().take(SHOWN_CHARS).collect();
    let dots = if start.len() < value.len() { "..." } else { "" };
    format!("{}{dots}", start.escape_debug())
}

/// Shows a list in a message.
#[derive(PartialEq)]
struct Debugged<'a>(&'a [usize]);

impl std::fmt::Display for Debugged<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Whether a text is lower-case hexadecimal; upper case would be a second text for the same bytes.
pub(crate) fn is_hex(text: &str) -> bool {
    hex::decode(text).is_ok() && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}
