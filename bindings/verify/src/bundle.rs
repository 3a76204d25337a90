//! `proof.json`: a proof with the public values that it proves.
//!
//! Every field is checked on verification against the verifying key; unknown, missing and duplicate fields are refused.
//! Byte strings are lower-case hexadecimal. Real numbers are the integers times `2^-frac_bits`, exactly, for people and
//! programs that do not want to dequantise.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::system::{Port, WeightMode};
use zkml_gpu_circuit::verify::{VerifyError, verify};
use zkml_gpu_graph::Format;

use crate::backend_name::is_backend;
use crate::files::read_bounded;
use crate::order::{logical_format, to_logical, to_stored};
use crate::{Error, ModelKey};

/// Value of [`ProofBundle::format`].
const FORMAT: &str = "zkml-gpu proof";
/// Value of [`ProofBundle::version`].
const VERSION: u32 = 1;
/// Largest `proof.json` that is read: millions of public values.
const MAX_BYTES: u64 = 512 << 20;
/// Most characters of a value that a message shows.
const SHOWN_CHARS: usize = 100;
const HINT: &str = "proof.json is written by `zkml-gpu prove`; fetch it again from whoever made the proof";

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
    /// The back end that proved; for the record only, since all make the same proofs.
    pub backend: String,
    /// How the weights are bound: [`ModelKey::weights`].
    pub weights: String,
    /// What the verifier knows of them: [`ModelKey::note`].
    pub note: String,
    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub insecure_srs: bool,
    /// The model's inputs.
    pub inputs: Vec<PublicTensor>,
    /// The proved outputs.
    pub outputs: Vec<PublicTensor>,
    /// The proof's bytes, lower-case hexadecimal.
    pub proof: String,
    /// Blake2b digest of all other fields: finds damage, not fraud.
    pub checksum: String,
}

/// How the weights are bound.
pub(crate) const fn weights(mode: WeightMode) -> &'static str {
    match mode {
        WeightMode::Committed => "committed, hiding",
        WeightMode::Embedded => "embedded, public",
    }
}

/// What the verifier knows of the weights. There is no range proof of committed ones yet, so they are field elements to
/// the verifier, and weights outside the layout's mask are not ruled out. Embedded ones are fixed cells.
pub(crate) const fn note(mode: WeightMode) -> &'static str {
    match mode {
        WeightMode::Committed => "field-valued, architecture not proven",
        WeightMode::Embedded => "exact integers, fixed by the verifying key",
    }
}

/// A public tensor: integers, their meaning, and the real numbers that they stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTensor {
    /// Name in the model.
    pub name: String,
    /// Shape in the model.
    pub shape: Vec<usize>,
    /// Fractional bits: `real = value · 2^-frac_bits`.
    pub frac_bits: i32,
    /// Least value that the model allows.
    pub min: i64,
    /// Greatest value that the model allows.
    pub max: i64,
    /// The integers that are proved, flat, in the order of the model's axes.
    pub values: Vec<i64>,
    /// What they stand for.
    pub reals: Vec<f64>,
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
    /// A tensor has the wrong number of values.
    #[error("{tensor}: {got} {what}, expected {expected}")]
    Length {
        /// The tensor.
        tensor: String,
        /// `values` or `reals`.
        what: &'static str,
        /// Number found.
        got: usize,
        /// Number declared.
        expected: usize,
    },
    /// A real number does not belong to its integer.
    #[error("{tensor}: reals[{index}] is {got}, but values[{index}] stands for {expected}")]
    Real {
        /// The tensor.
        tensor: String,
        /// Position.
        index: usize,
        /// The number found.
        got: f64,
        /// The number that belongs there.
        expected: f64,
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
        let tensors = |ports: &[Port], values: &[Vec<i64>]| -> Vec<PublicTensor> {
            ports.iter().zip(values).map(|(port, values)| PublicTensor::new(port, values)).collect()
        };
        let mut bundle = Self {
            format: FORMAT.into(),
            version: VERSION,
            model: key.model().into(),
            verifying_key: key.digest(),
            backend: backend.into(),
            weights: key.weights().into(),
            note: key.note().into(),
            insecure_srs: key.is_insecure(),
            inputs: tensors(&statement.inputs, inputs),
            outputs: tensors(&statement.outputs, outputs),
            proof: hex::encode(proof),
            checksum: String::new(),
        };
        bundle.seal();
        bundle
    }

    /// Reads `proof.json`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`] where the file is no bundle; whether the proof
    /// holds is for [`ModelKey::verify`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_json(&read_bounded(path, MAX_BYTES)?, &path.display().to_string())
    }

    /// As [`ProofBundle::read`], from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`ProofBundle::read`].
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem| Error::Artifact { file: file.into(), problem, hint: HINT };
        let bundle: Self = serde_json::from_slice(bytes).map_err(|error| fail(format!("not a proof: {error}")))?;
        if bundle.format != FORMAT || bundle.version != VERSION {
            let found = format!("format {:?} version {}", bundle.format, bundle.version);
            return Err(fail(format!("{found}, this program reads {FORMAT:?} version {VERSION}")));
        }
        for (field, text) in
            [("verifying_key", &bundle.verifying_key), ("proof", &bundle.proof), ("checksum", &bundle.checksum)]
        {
            if decode_hex(text).is_none() {
                return Err(fail(format!("field '{field}' is not lower-case hexadecimal")));
            }
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

    /// The proof's bytes; none where the field is not hexadecimal.
    pub fn proof_bytes(&self) -> Vec<u8> {
        decode_hex(&self.proof).unwrap_or_default()
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
        if self.digest() != self.checksum {
            return Err(Rejection::Checksum);
        }
        expect("format", &self.format, FORMAT)?;
        expect("version", self.version, VERSION)?;
        expect("model", &self.model, key.model())?;
        expect("verifying_key", &self.verifying_key, &key.digest())?;
        expect("weights", &self.weights, key.weights())?;
        expect("note", &self.note, key.note())?;
        expect("insecure_srs", self.insecure_srs, key.is_insecure())?;
        if !is_backend(&self.backend) {
            let (field, got) = ("backend".into(), shown(&self.backend));
            return Err(Rejection::Field { field, got, expected: "a back end's name".into() });
        }
        let statement = key.keys().statement();
        let inputs = stored("inputs", &self.inputs, &statement.inputs)?;
        let outputs = stored("outputs", &self.outputs, &statement.outputs)?;
        Ok(verify(key.keys(), &inputs, &outputs, &self.proof_bytes())?)
    }
}

impl PublicTensor {
    fn new(port: &Port, stored: &[i64]) -> Self {
        let (values, Format { frac_bits, min, max }) = (to_logical(port, stored), logical_format(port));
        let reals = values.iter().map(|value| real(*value, frac_bits)).collect();
        Self { name: port.name.clone(), shape: port.logical_shape.clone(), frac_bits, min, max, reals, values }
    }

    /// Values in stored order, once every field is the port's.
    fn check(&self, place: &str, port: &Port) -> Result<Vec<i64>, Rejection> {
        let field = |name: &str| format!("{place}.{name}");
        expect(&field("name"), &self.name, &port.name)?;
        expect(&field("shape"), Debugged(&self.shape), Debugged(&port.logical_shape))?;
        let format = logical_format(port);
        expect(&field("frac_bits"), self.frac_bits, format.frac_bits)?;
        expect(&field("min"), self.min, format.min)?;
        expect(&field("max"), self.max, format.max)?;
        for (what, got) in [("values", self.values.len()), ("reals", self.reals.len())] {
            let expected = port.logical_len();
            if got != expected {
                return Err(Rejection::Length { tensor: place.into(), what, got, expected });
            }
        }
        for (index, (value, got)) in self.values.iter().zip(&self.reals).enumerate() {
            let expected = real(*value, self.frac_bits);
            // Bits, because 0 and -0 print differently.
            if got.to_bits() != expected.to_bits() {
                return Err(Rejection::Real { tensor: place.into(), index, got: *got, expected });
            }
        }
        Ok(to_stored(port, &self.values).map_err(VerifyError::from)?)
    }
}

fn stored(place: &str, tensors: &[PublicTensor], ports: &[Port]) -> Result<Vec<Vec<i64>>, Rejection> {
    expect(&format!("{place}.length"), tensors.len(), ports.len())?;
    tensors
        .iter()
        .zip(ports)
        .enumerate()
        .map(|(i, (tensor, port))| tensor.check(&format!("{place}[{i}]"), port))
        .collect()
}

/// What an integer stands for.
fn real(value: i64, frac_bits: i32) -> f64 {
    value as f64 * 2f64.powi(-frac_bits)
}

fn expect<A: PartialEq<B> + ToString, B: ToString>(field: &str, got: A, expected: B) -> Result<(), Rejection> {
    if got == expected {
        return Ok(());
    }
    let text = |value: String| shown(&value);
    Err(Rejection::Field { field: field.into(), got: text(got.to_string()), expected: text(expected.to_string()) })
}

/// A value from a file in a message: its beginning, escaped.
fn shown(value: &str) -> String {
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

/// Bytes of lower-case hexadecimal; upper case would be a second text for the same bytes.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { hex::decode(text).ok() }
}
