//! Keys, and the reference strings that they are made with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use rand_core::OsRng;
use zkml_gpu::{AnyKey, AnyProver, AnyProverKey, Artifact, Error, Expected, TensorHash};

use crate::boundary::run;
use crate::error::Failure;
use crate::json::to_python;
use crate::model::{CompiledModel, backend, shapes};
use crate::opening::Commitment;
use crate::proof::{Proof, Verdict};
use crate::prover::Prover;
use crate::source::Source;

/// Proofs from which on tables of multiples of the reference string's points pay: making them takes as long as they
/// save in about so many.
const PROOFS_FOR_TABLES: usize = 4;

/// A reference string: the powers that commitments are made with.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Srs(Arc<zkml_gpu::Srs>);

/// A reference string, or its file.
#[derive(FromPyObject)]
pub(crate) enum SrsLike {
    Given(Py<Srs>),
    File(PathBuf),
}

impl SrsLike {
    /// The string of so many rows; without one, a string for development, which is insecure.
    pub(crate) fn get(given: Option<Self>, k: u32) -> Result<Arc<zkml_gpu::Srs>, Failure> {
        let insecure = || zkml_gpu::Srs::development(k, OsRng);
        Ok(match given {
            None => Arc::new(insecure().map_err(Error::from)?),
            Some(Self::Given(srs)) => Arc::clone(&srs.get().0),
            Some(Self::File(path)) => Arc::new(zkml_gpu::Srs::read(path, k).map_err(Error::from)?),
        })
    }
}

#[pymethods]
impl Srs {
    /// Reads a ceremony's file (.ptau), Halo2's parameters, or one that this program wrote, for circuits of `2^k` rows.
    /// Every point is checked.
    ///
    /// Raises `SrsError`.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, k: u32) -> PyResult<Self> {
        run(py, None, || Ok(Self(Arc::new(zkml_gpu::Srs::read(path, k).map_err(Error::from)?))))
    }

    /// Makes one on this machine, whose owner could forge proofs: for development. Keys and proofs say so.
    #[staticmethod]
    fn development(py: Python<'_>, k: u32) -> PyResult<Self> {
        run(py, None, || Ok(Self(Arc::new(zkml_gpu::Srs::development(k, OsRng).map_err(Error::from)?))))
    }

    /// Writes it in the own format, whole or not at all.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || {
            let mut bytes = std::io::Cursor::new(Vec::new());
            self.0.write(&mut bytes).map_err(|error| Error::Internal(format!("a reference string: {error}")))?;
            Ok(zkml_gpu::write_whole(&path, &bytes.into_inner())?)
        })
    }

    /// log2 of the number of powers.
    #[getter]
    fn k(&self) -> u32 {
        self.0.k()
    }

    /// What names the secret, whatever the string's length: a digest in hexadecimal.
    #[getter]
    fn identity(&self) -> String {
        self.0.identity().to_string()
    }

    /// Whether it is marked as one machine's.
    #[getter]
    fn is_insecure(&self) -> bool {
        self.0.is_insecure()
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Srs, k = {}{}>", self.0.k(), if self.0.is_insecure() { ", insecure" } else { "" })
    }
}

impl Srs {
    pub(crate) fn srs(&self) -> &zkml_gpu::Srs {
        &self.0
    }
}

/// The keys of a model: `NAME.pk`. Private: it holds the weights, and what hides them.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct ProvingKey(Arc<AnyProverKey>);

impl ProvingKey {
    pub(crate) fn new(key: AnyProverKey) -> Self {
        Self(Arc::new(key))
    }

    pub(crate) fn key(&self) -> &AnyProverKey {
        &self.0
    }
}

#[pymethods]
impl ProvingKey {
    /// Reads `NAME.pk`, a path or bytes: one's own file, which is trusted.
    ///
    /// Raises `FileError` and `ArtifactError`.
    #[staticmethod]
    #[pyo3(signature = (source, *, progress = None))]
    fn load(py: Python<'_>, source: Source, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        run(py, progress, || {
            crate::progress::step("load keys", || {
                source.read(|path| AnyProverKey::read(path), AnyProverKey::from_bytes)
            })
            .map(Self::new)
        })
    }

    /// Writes `NAME.pk`, whole or not at all, readable by the user alone.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(self.0.write(path)?))
    }

    /// Writes `NAME.pk`, `NAME.vk` to publish, and `NAME.public.zkml`, by which others audit it, into a folder, which
    /// is made where it is missing. Returns the three paths.
    ///
    /// Keys of that name that are there are refused unless `replace`: without them no proofs are made under a published
    /// key.
    #[pyo3(signature = (folder, name = None, *, replace = false))]
    fn write_pair(
        &self,
        py: Python<'_>,
        folder: PathBuf,
        name: Option<String>,
        replace: bool,
    ) -> PyResult<(PathBuf, PathBuf, PathBuf)> {
        run(py, None, || {
            let name = name.unwrap_or_else(|| self.0.about().name.clone());
            // A name is one of files in this folder.
            if Path::new(&name).file_name().is_none_or(|own| own != name.as_str()) {
                let problem = format!("'{name}' is no name of a file");
                return Err(Failure::arguments(problem, "name=, without folders"));
            }
            let pair = zkml_gpu::key::pair(&folder, &name);
            if let Some(path) = pair.iter().find(|path| path.exists() && !replace) {
                let problem =
                    format!("{} is there already: without it no proofs are made under a published key", path.display());
                return Err(Failure::arguments(problem, "another folder, or replace=True, which replaces both keys"));
            }
            let [pk, vk] = self.0.write_pair(&folder, &name)?;
            let public = folder.join(format!("{name}.public.zkml"));
            self.0.model().write_public(&public)?;
            Ok((pk, vk, public))
        })
    }

    /// The bytes of `NAME.pk`.
    fn to_bytes(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        run(py, None, || Ok(self.0.to_bytes()?))
    }

    /// The verifying key to publish.
    #[getter]
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(Arc::new(self.0.key()))
    }

    /// The compiled model that the key is of.
    #[getter]
    fn compiled(&self) -> CompiledModel {
        CompiledModel::of_key(&self.0)
    }

    /// Names of the inputs with the shapes of one sample.
    #[getter]
    fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        shapes(self.0.model())
    }

    /// Loads the keys to a back end, for any number of proofs.
    ///
    /// `backend` is `auto`, `cpu`, `wgpu[:N]`, `cuda[:N]`, `icicle`, or `dual:A,B` to compare two; `max_memory` bounds
    /// bytes; `proofs` is how many will be made, if that is known: few are not worth tables that many are made faster
    /// by.
    ///
    /// Raises `NoDeviceError`, `DeviceError` and `WouldNotFitError`.
    #[pyo3(signature = (backend = "auto", *, max_memory = None, proofs = None, progress = None))]
    fn prover(
        &self,
        py: Python<'_>,
        backend: &str,
        max_memory: Option<u64>,
        proofs: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Prover> {
        let backend = crate::model::backend(backend)?;
        run(py, progress, || {
            let prover: AnyProver = match &*self.0 {
                AnyProverKey::Whole(key) => {
                    let budget = key.model().memory_budget(max_memory)?;
                    let budget = match proofs {
                        Some(0 | 1) => budget.for_one_proof(),
                        Some(few) if few < PROOFS_FOR_TABLES => budget.without_tables(),
                        _ => budget,
                    };
                    key.clone().prover(&backend, &budget)?.into()
                }
                AnyProverKey::Segmented(key) => key.clone().prover(&backend, max_memory)?.into(),
            };
            Ok(Prover::new(prover))
        })
    }

    /// Makes keys for a retrained model of the same architecture under this key's circuit.
    ///
    /// `zkml_gpu.retrain` says what the options mean.
    #[pyo3(signature = (
        model, calibration, *, max_error = 0.016, allow_error = false, backend = "auto", progress = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python gives them by their names")]
    fn retrain(
        &self,
        py: Python<'_>,
        model: Source,
        calibration: &Bound<'_, PyAny>,
        max_error: f32,
        allow_error: bool,
        backend: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let dimensions = self.0.about().source.dimensions.clone();
        let options = zkml_gpu::ImportOptions::default().with_symbols(dimensions);
        let backend = self::backend(backend)?;
        let new = run(py, None, || {
            model.read(
                |path| zkml_gpu::Model::load(path, &options),
                |bytes| zkml_gpu::Model::from_bytes(bytes, &self.0.about().name, &options),
            )
        })?;
        let shapes = new.input_shapes().into_iter().map(<[usize]>::to_vec);
        let wanted = crate::arrays::Wanted::all(&new.inputs(), shapes);
        let samples = crate::arrays::samples(calibration, &wanted)?;
        let choices = zkml_gpu::CompileOptions::default().with_max_error(max_error).with_allow_error(allow_error);
        run(py, progress, || {
            Ok(Self::new(match &*self.0 {
                AnyProverKey::Whole(key) => {
                    key.retrain(new.compile_like(key.model(), &samples, &choices)?, &backend, OsRng)?.into()
                }
                AnyProverKey::Segmented(key) => {
                    key.retrain(new.compile_segments_like(key.model(), &samples, &choices)?, &backend, OsRng)?.into()
                }
            }))
        })
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.ProvingKey of '{}'>", self.0.about().name)
    }
}

/// What a verifier trusts of a model: `NAME.vk`. Get it from someone you trust.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct VerifyingKey(Arc<AnyKey>);

impl VerifyingKey {
    pub(crate) fn new(key: AnyKey) -> Self {
        Self(Arc::new(key))
    }

    pub(crate) fn key(&self) -> &AnyKey {
        &self.0
    }
}

#[pymethods]
impl VerifyingKey {
    /// Reads `NAME.vk`, a path or bytes: nothing in it is believed, but that it is the model's.
    ///
    /// Raises `FileError`, `FileSizeError` and `ArtifactError`.
    #[staticmethod]
    fn load(py: Python<'_>, source: Source) -> PyResult<Self> {
        run(py, None, || {
            let bytes = |bytes: &[u8]| AnyKey::from_bytes(bytes, "bytes in memory");
            source.read(|path| AnyKey::read(path), bytes).map(Self::new)
        })
    }

    /// Writes `NAME.vk`, whole or not at all, for everybody to read.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(zkml_gpu::write_whole(&path, self.0.to_bytes())?))
    }

    /// The bytes of `NAME.vk`.
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// The model's name.
    #[getter]
    fn model(&self) -> &str {
        self.0.model()
    }

    /// Digest of the key, by which proofs name it.
    #[getter]
    fn digest(&self) -> &str {
        self.0.digest()
    }

    /// log2 of the rows of each circuit.
    #[getter]
    fn k(&self) -> u32 {
        self.0.k()
    }

    /// Number of segments, each a circuit of its own; none of a model in one piece.
    #[getter]
    fn segments(&self) -> Option<usize> {
        self.0.segments()
    }

    /// Inferences in each proof.
    #[getter]
    fn inferences(&self) -> usize {
        self.0.inferences()
    }

    /// How the weights are bound: `committed, hiding`, `committed, public` or `embedded, public`.
    #[getter]
    fn weights(&self) -> &'static str {
        self.0.weights()
    }

    /// What an accepted proof says of the weights.
    #[getter]
    fn note(&self) -> &'static str {
        self.0.note()
    }

    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    #[getter]
    fn is_insecure(&self) -> bool {
        self.0.is_insecure()
    }

    /// What the key's owner says of the model's largest error, as a part of the output's range.
    #[getter]
    fn max_error(&self) -> f64 {
        self.0.accuracy().max_error
    }

    /// Everything that the key says, as `zkml-gpu inspect --json` prints it.
    #[getter]
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let artifact = match &*self.0 {
            AnyKey::Whole(key) => Artifact::VerifyingKey(key.clone()),
            AnyKey::Segmented(key) => Artifact::SegmentedVerifyingKey(key.clone()),
        };
        to_python(py, &artifact.to_json().map_err(Failure::from)?)
    }

    /// Checks a proof, and that tensors have the commitments and hashes that are given by their names.
    ///
    /// Returns what it shows. Raises `RejectedError` where it does not hold: no result is there to be taken for one.
    #[pyo3(signature = (proof, *, commitments = None, hashes = None))]
    fn verify(
        &self,
        py: Python<'_>,
        proof: Py<Proof>,
        commitments: Option<BTreeMap<String, Py<Commitment>>>,
        hashes: Option<BTreeMap<String, String>>,
    ) -> PyResult<Verdict> {
        let mut expected = Expected::default();
        for (name, commitment) in commitments.unwrap_or_default() {
            expected.commitments.push((name, commitment.get().commitment().clone()));
        }
        for (name, hash) in hashes.unwrap_or_default() {
            expected.hashes.push((name, hash_of(&hash)?));
        }
        run(py, None, || {
            let proof = proof.get().bundle();
            let start = std::time::Instant::now();
            self.0.verify(proof, &expected, "the proof")??;
            Ok(Verdict::new(&self.0, proof, start.elapsed().as_secs_f64() * 1e3))
        })
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.VerifyingKey of '{}', {}>", self.0.model(), &self.0.digest()[..16])
    }
}

/// Parses a hash.
fn hash_of(text: &str) -> Result<TensorHash, Failure> {
    text.parse().map_err(|error| {
        Failure::arguments(format!("a hash is expected, and '{text}' is none: {error}"), "64 hexadecimal digits")
    })
}
