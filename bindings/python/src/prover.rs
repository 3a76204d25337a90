//! A model that is loaded to a back end and makes proofs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rand_core::OsRng;
use zkml_gpu::segmented::{SegmentProof, SegmentTask, SegmentTimes, SegmentedJob};
use zkml_gpu::{AnyProved, AnyProver, ProofBundle, Salt, Saturation, SegmentedProver};

use crate::arrays::{Wanted, samples};
use crate::boundary::run;
use crate::error::Failure;
use crate::json::to_python;
use crate::keys::VerifyingKey;
use crate::opening::Opening;
use crate::progress;
use crate::proof::{Proof, PublicTensor};

/// A model that is ready to prove: keys and points are on the back end. Several threads may use it at once.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Prover {
    prover: AnyProver,
    wanted: Vec<Wanted>,
}

impl Prover {
    pub(crate) fn new(prover: AnyProver) -> Self {
        let model = prover.model();
        let wanted = Wanted::all(&model.inputs(), model.input_shapes());
        Self { prover, wanted }
    }
}

#[pymethods]
impl Prover {
    /// Proves one inference; of a model for several together, all of them.
    ///
    /// `zkml_gpu.prove` says what the options mean.
    #[pyo3(signature = (
        inputs, *, openings = None, salts = None, max_saturation = 0.01, check = true, progress = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python gives them by their names")]
    fn prove(
        &self,
        py: Python<'_>,
        inputs: &Bound<'_, PyAny>,
        openings: Option<BTreeMap<String, Py<Opening>>>,
        salts: Option<BTreeMap<String, String>>,
        max_saturation: f64,
        check: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Proof> {
        check_share(max_saturation)?;
        let samples = samples(inputs, &self.wanted)?;
        let (openings, salts) = (openings_of(openings), salts_of(salts)?);
        run(py, progress, || {
            let sample = self.prover.model().together(&samples)?;
            let clamped = check_saturation(self.prover.model().saturation(&sample), max_saturation)?;
            let start = Instant::now();
            let proved = self.prover.prove(&sample, &openings, &salts, OsRng)?;
            let prove_ms = start.elapsed().as_secs_f64() * 1e3;
            if check {
                progress::step("verify", || self.prover.check(&proved.bundle))?;
            }
            Ok(Proof::made(proved, self.prover.device(), prove_ms, clamped))
        })
    }

    /// The outputs that a proof of these inputs will have, from the same integers and without a proof: a `PublicTensor`
    /// for each output, hidden ones without values.
    #[pyo3(signature = (inputs, *, max_saturation = 0.01))]
    fn infer(&self, py: Python<'_>, inputs: &Bound<'_, PyAny>, max_saturation: f64) -> PyResult<Vec<PublicTensor>> {
        check_share(max_saturation)?;
        let samples = samples(inputs, &self.wanted)?;
        let outputs = run(py, None, || {
            let sample = self.prover.model().together(&samples)?;
            check_saturation(self.prover.model().saturation(&sample), max_saturation)?;
            Ok(self.prover.infer(&sample)?)
        })?;
        Ok(PublicTensor::all(&outputs))
    }

    /// The back end that proves, as in proofs: never `auto`.
    #[getter]
    fn backend(&self) -> String {
        self.prover.backend()
    }

    /// Its device in words.
    #[getter]
    fn device(&self) -> String {
        self.prover.device()
    }

    /// The verifying key to publish.
    #[getter]
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(self.prover.key())
    }

    /// Names of the inputs with the shapes of one sample.
    #[getter]
    fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        self.wanted.iter().map(|wanted| (wanted.name.clone(), wanted.shape.clone())).collect()
    }

    /// Inferences in each proof.
    #[getter]
    fn inferences(&self) -> usize {
        self.prover.model().inferences()
    }

    /// Number of segments, each a circuit of its own; none of a model in one piece.
    #[getter]
    fn segments(&self) -> Option<usize> {
        self.prover.model().segments()
    }

    /// Begins the proof of a model in segments: runs it in integers, and commits to what lies between. The job has a
    /// task for each segment, which this prover or others of the same key prove in any order (`prove_segment`); its
    /// `finish` puts their proofs together.
    ///
    /// Raises `ArgumentsError` for a model in one piece.
    #[pyo3(signature = (inputs, *, openings = None, salts = None, max_saturation = 0.01, progress = None))]
    fn begin(
        slf: Py<Self>,
        py: Python<'_>,
        inputs: &Bound<'_, PyAny>,
        openings: Option<BTreeMap<String, Py<Opening>>>,
        salts: Option<BTreeMap<String, String>>,
        max_saturation: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Job> {
        check_share(max_saturation)?;
        let this = slf.get();
        let samples = samples(inputs, &this.wanted)?;
        let (openings, salts) = (openings_of(openings), salts_of(salts)?);
        let (job, saturation) = run(py, progress, || {
            let prover = this.segmented()?;
            let sample = this.prover.model().together(&samples)?;
            let clamped = check_saturation(this.prover.model().saturation(&sample), max_saturation)?;
            Ok((prover.begin(&sample, &openings, &salts, OsRng)?, clamped))
        })?;
        Ok(Job { prover: slf, start: Instant::now(), state: Mutex::new(Some(job)), saturation })
    }

    /// Proves a task of a job, which `task` is the bytes of. Returns the number of the segment, its proof's bytes for the
    /// job's `finish`, and its times in milliseconds.
    #[pyo3(signature = (task, *, progress = None))]
    fn prove_segment<'py>(
        &self,
        py: Python<'py>,
        task: &[u8],
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(usize, Bound<'py, PyBytes>, Bound<'py, PyAny>)> {
        let (proof, bytes) = run(py, progress, || {
            let proof = self.segmented()?.prove_segment(&SegmentTask::from_bytes(task)?, OsRng)?;
            let bytes = proof.bundle.to_json()?;
            Ok((proof, bytes))
        })?;
        Ok((proof.segment, PyBytes::new(py, &bytes), to_python(py, &proof.times)?))
    }

    /// What its memory is spent on, in bytes; of segments that of the largest.
    #[getter]
    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.prover.budget().map_err(Failure::from)?)
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Prover of '{}' on {}>", self.prover.model().about().name, self.prover.backend())
    }
}

impl Prover {
    fn segmented(&self) -> Result<&SegmentedProver, Failure> {
        match &self.prover {
            AnyProver::Segmented(prover) => Ok(prover),
            AnyProver::Whole(_) => {
                let problem = "the model is proved in one piece, and has no segments";
                Err(Failure::arguments(problem, "prove() proves it; compile(segments=N) cuts it"))
            }
        }
    }
}

/// The proof of one inference of a model in segments, while its segments are proved.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Job {
    prover: Py<Prover>,
    start: Instant,
    /// Gone once it is finished.
    state: Mutex<Option<SegmentedJob>>,
    saturation: Option<Saturation>,
}

#[pymethods]
impl Job {
    /// A task for each segment, as bytes for `Prover.prove_segment`. **They are private**: they hold the input, and what
    /// hides it.
    #[getter]
    fn tasks<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let tasks = run(py, None, || {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let job = state.as_ref().ok_or_else(finished)?;
            Ok(job.tasks.iter().map(SegmentTask::to_bytes).collect::<Result<Vec<_>, _>>()?)
        })?;
        Ok(tasks.iter().map(|task| PyBytes::new(py, task)).collect())
    }

    /// Puts the segments' proofs together: pairs of a segment's number and of what `Prover.prove_segment` gave for it,
    /// in any order. With `check`, which costs a verification, no proof is returned that would be rejected.
    #[pyo3(signature = (proofs, *, check = true))]
    fn finish(&self, py: Python<'_>, proofs: Vec<(usize, PyBackedBytes)>, check: bool) -> PyResult<Proof> {
        run(py, None, || {
            let prover = self.prover.get();
            let segmented = prover.segmented()?;
            let read = |(segment, bytes): &(usize, PyBackedBytes)| {
                let bundle = ProofBundle::from_json(bytes, "a segment's proof")?;
                Ok::<_, Failure>(SegmentProof { segment: *segment, bundle, times: SegmentTimes::default() })
            };
            let proofs = proofs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let proved = segmented.finish(state.as_ref().ok_or_else(finished)?, proofs)?;
            if check {
                progress::step("verify", || segmented.check(&proved.bundle))?;
            }
            *state = None;
            let prove_ms = self.start.elapsed().as_secs_f64() * 1e3;
            let proved = AnyProved::from(proved);
            Ok(Proof::made(proved, prover.prover.device(), prove_ms, self.saturation.clone()))
        })
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Job of '{}'>", self.prover.get().prover.model().about().name)
    }
}

fn finished() -> Failure {
    Failure::arguments("the job is finished", "begin another one")
}

fn openings_of(openings: Option<BTreeMap<String, Py<Opening>>>) -> Vec<(String, zkml_gpu::Opening)> {
    let opening = |(name, opening): (String, Py<Opening>)| (name, opening.get().opening().clone());
    openings.unwrap_or_default().into_iter().map(opening).collect()
}

fn salts_of(salts: Option<BTreeMap<String, String>>) -> Result<Vec<(String, Salt)>, Failure> {
    salts.unwrap_or_default().into_iter().map(salt).collect()
}

/// A salt by its name and text, which is not told in messages.
fn salt((name, text): (String, String)) -> Result<(String, Salt), Failure> {
    match text.trim_end().parse::<Salt>() {
        Ok(salt) => Ok((name, salt)),
        Err(_) => Err(Failure::arguments(
            format!("the salt of '{name}' is none"),
            "64 hexadecimal digits, as new_salt() gives",
        )),
    }
}

fn check_share(share: f64) -> Result<(), Failure> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(Failure::arguments(format!("max_saturation = {share} is no share"), "a number from 0 to 1"))
}

/// Refuses an input of which too much would be clamped.
fn check_saturation(found: Option<Saturation>, most: f64) -> Result<Option<Saturation>, Failure> {
    match found {
        Some(Saturation { input, share, range: [low, high], .. }) if share > most => Err(Failure::new(
            "SaturationError",
            "saturation",
            format!(
                "{:.1} % of input '{input}' lies beyond {low} to {high}, the range of the calibration, and would be \
                 clamped\nhint: calibrate on samples like this input, or scale it as the samples were; max_saturation= \
                 allows more",
                100.0 * share
            ),
        )),
        other => Ok(other),
    }
}
