//! Proofs, and what accepted ones show.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zkml_gpu::{AnyKey, AnyProof, AnyProved, Saturation, write_whole};

use crate::arrays::{integers, reals};
use crate::boundary::run;
use crate::json::to_python;
use crate::opening::Opening;
use crate::source::Source;

/// A proof with its public values: `proof.json`. What it claims is shown by a verifying key only.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Proof {
    bundle: Arc<AnyProof>,
    made: Option<Made>,
}

/// What is known of a proof that was made here.
struct Made {
    device: String,
    prove_ms: f64,
    witness_ms: f64,
    saturation: Option<Saturation>,
    openings: Vec<(String, zkml_gpu::Opening)>,
}

impl Proof {
    pub(crate) fn made(proved: AnyProved, device: String, prove_ms: f64, saturation: Option<Saturation>) -> Self {
        let AnyProved { bundle, openings, witness_ms, .. } = proved;
        Self { bundle: Arc::new(bundle), made: Some(Made { device, prove_ms, witness_ms, saturation, openings }) }
    }

    pub(crate) fn bundle(&self) -> &AnyProof {
        &self.bundle
    }
}

#[pymethods]
impl Proof {
    /// Reads `proof.json`, a path or bytes, from whoever: nothing in it is believed.
    ///
    /// Raises `FileError`, `FileSizeError` and `ArtifactError`.
    #[staticmethod]
    fn load(py: Python<'_>, source: Source) -> PyResult<Self> {
        run(py, None, || {
            let bytes = |bytes: &[u8]| AnyProof::from_json(bytes, "bytes in memory");
            let bundle = source.read(|path| AnyProof::read(path), bytes)?;
            Ok(Self { bundle: Arc::new(bundle), made: None })
        })
    }

    /// Writes `proof.json`, whole or not at all.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(write_whole(&path, &self.bundle.to_json()?)?))
    }

    /// The bytes of `proof.json`.
    fn to_bytes(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        run(py, None, || Ok(self.bundle.to_json()?))
    }

    /// The model's name, as the proof says.
    #[getter]
    fn model(&self) -> &str {
        self.bundle.model()
    }

    /// Digest of the verifying key that it is for.
    #[getter]
    fn verifying_key(&self) -> &str {
        self.bundle.verifying_key()
    }

    /// The back end that proved, as the proof says.
    #[getter]
    fn backend(&self) -> &str {
        self.bundle.backend()
    }

    /// The device that proved, in words; none of a proof that was read.
    #[getter]
    fn device(&self) -> Option<&str> {
        self.made.as_ref().map(|made| &made.device[..])
    }

    /// Inferences that it is of: the first axis of each tensor counts them, where they are several.
    #[getter]
    fn inferences(&self) -> u64 {
        self.bundle.inferences()
    }

    /// How the weights are bound, as the proof says.
    #[getter]
    fn weights(&self) -> &str {
        self.bundle.weights()
    }

    /// What the verifier knows of them, as the proof says.
    #[getter]
    fn note(&self) -> &str {
        self.bundle.note()
    }

    /// Whether the reference string was made on one machine, as the proof says.
    #[getter]
    fn is_insecure(&self) -> bool {
        self.bundle.is_insecure()
    }

    /// The model's largest error, as a part of the output's range, as the proof says.
    #[getter]
    fn max_error(&self) -> f64 {
        self.bundle.max_error()
    }

    /// The inputs, in the model's order.
    #[getter]
    fn inputs(&self) -> Vec<PublicTensor> {
        PublicTensor::all(self.bundle.inputs())
    }

    /// The outputs, in the model's order.
    #[getter]
    fn outputs(&self) -> Vec<PublicTensor> {
        PublicTensor::all(self.bundle.outputs())
    }

    /// The proof's own bytes, without public values; of segments those of all proofs, one after the other.
    #[getter]
    fn proof_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bundle.proof_bytes().concat())
    }

    /// Number of segments that it has a proof of; none of a model in one piece.
    #[getter]
    fn segments(&self) -> Option<usize> {
        match &*self.bundle {
            AnyProof::Whole(_) => None,
            AnyProof::Segmented(proof) => Some(proof.proofs.len()),
        }
    }

    /// Openings of committed tensors by their names: secret, and the only ones. None of a proof that was read.
    #[getter]
    fn openings(&self) -> BTreeMap<String, Opening> {
        let openings = self.made.iter().flat_map(|made| &made.openings);
        openings.map(|(name, opening)| (name.clone(), Opening::new(opening.clone()))).collect()
    }

    /// Wall time from parsed input to proof in milliseconds; none of a proof that was read.
    #[getter]
    fn prove_ms(&self) -> Option<f64> {
        self.made.as_ref().map(|made| made.prove_ms)
    }

    /// Wall time of the inference in integers and of the witness in milliseconds; none of a proof that was read.
    #[getter]
    fn witness_ms(&self) -> Option<f64> {
        self.made.as_ref().map(|made| made.witness_ms)
    }

    /// What of an input was clamped to the calibrated range; none where nothing was, or of a proof that was read.
    #[getter]
    fn saturation<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let saturation = self.made.as_ref().and_then(|made| made.saturation.as_ref());
        saturation.map(|saturation| to_python(py, saturation)).transpose()
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Proof of '{}', not verified>", self.bundle.model().escape_debug())
    }
}

/// An input or an output in a proof.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct PublicTensor(zkml_gpu::PublicTensor);

impl PublicTensor {
    pub(crate) fn all(tensors: &[zkml_gpu::PublicTensor]) -> Vec<Self> {
        tensors.iter().cloned().map(Self).collect()
    }
}

#[pymethods]
impl PublicTensor {
    /// Its name in the model.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Its shape in the model.
    #[getter]
    fn shape(&self) -> Vec<usize> {
        self.0.shape.clone()
    }

    /// The integers that are proved, 64-bit, in the tensor's shape; none where they are hidden.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let shown = !self.0.visibility.is_hidden();
        shown.then(|| integers(py, &self.0.values, &self.0.shape)).transpose()
    }

    /// The real numbers that they stand for, 64-bit, exactly, in the tensor's shape; none where they are hidden.
    #[getter]
    fn reals<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let shown = !self.0.visibility.is_hidden();
        shown.then(|| reals(py, &self.0.reals(), &self.0.shape)).transpose()
    }

    /// Fractional bits: a value `v` stands for `v * mantissa * 2**-frac_bits`.
    #[getter]
    fn frac_bits(&self) -> i32 {
        self.0.frac_bits
    }

    /// What the scale is beside a power of two: 1 but for models that were quantised already.
    #[getter]
    fn mantissa(&self) -> u32 {
        self.0.mantissa
    }

    /// Least and greatest integer that the model allows.
    #[getter]
    fn range(&self) -> (i64, i64) {
        (self.0.min, self.0.max)
    }

    /// Who sees it: `public`, `private`, `committed` or `hashed`.
    #[getter]
    fn visibility(&self) -> &'static str {
        self.0.visibility.name()
    }

    /// Its hash, 64 hexadecimal digits, where it is hashed.
    #[getter]
    fn hash(&self) -> Option<String> {
        self.0.hash.map(|hash| hash.to_string())
    }

    fn __repr__(&self) -> String {
        let (name, shape) = (self.0.name.escape_debug(), &self.0.shape);
        format!("<zkml_gpu.PublicTensor '{name}', {shape:?}, {}>", self.visibility())
    }
}

/// What an accepted proof shows. There is none of a rejected one.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Verdict {
    key: AnyKey,
    inputs: Vec<zkml_gpu::PublicTensor>,
    outputs: Vec<zkml_gpu::PublicTensor>,
    verify_ms: f64,
}

impl Verdict {
    /// Of a proof that was accepted.
    pub(crate) fn new(key: &AnyKey, proof: &AnyProof, verify_ms: f64) -> Self {
        Self { key: key.clone(), inputs: proof.inputs().to_vec(), outputs: proof.outputs().to_vec(), verify_ms }
    }
}

#[pymethods]
impl Verdict {
    /// The model's name, from the key.
    #[getter]
    fn model(&self) -> &str {
        self.key.model()
    }

    /// The inputs that were proved, in the model's order.
    #[getter]
    fn inputs(&self) -> Vec<PublicTensor> {
        PublicTensor::all(&self.inputs)
    }

    /// The outputs that were proved, in the model's order.
    #[getter]
    fn outputs(&self) -> Vec<PublicTensor> {
        PublicTensor::all(&self.outputs)
    }

    /// Inferences that the proof is of: the first axis of each tensor counts them, where they are several.
    #[getter]
    fn inferences(&self) -> usize {
        self.key.inferences()
    }

    /// How the weights are bound.
    #[getter]
    fn weights(&self) -> &'static str {
        self.key.weights()
    }

    /// What is known of the weights.
    #[getter]
    fn note(&self) -> &'static str {
        self.key.note()
    }

    /// Digest of the verifying key.
    #[getter]
    fn verifying_key(&self) -> &str {
        self.key.digest()
    }

    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    #[getter]
    fn is_insecure(&self) -> bool {
        self.key.is_insecure()
    }

    /// What the key's owner says of the model's largest error, as a part of the output's range.
    #[getter]
    fn max_error(&self) -> f64 {
        self.key.accuracy().max_error
    }

    /// Wall time of the check in milliseconds.
    #[getter]
    fn verify_ms(&self) -> f64 {
        self.verify_ms
    }

    fn __repr__(&self) -> String {
        let note = if self.key.is_insecure() { ", insecure reference string" } else { "" };
        format!("<zkml_gpu.Verdict: '{}' gave these outputs{note}>", self.key.model())
    }
}
