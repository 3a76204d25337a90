//! A model that is loaded to a back end and makes proofs.

use std::collections::BTreeMap;
use std::time::Instant;

use pyo3::prelude::*;
use rand_core::OsRng;
use zkml_gpu::{Error, ModelProver, ProofBundle, Salt, Saturation, saturation};

use crate::arrays::{Wanted, samples};
use crate::boundary::run;
use crate::error::Failure;
use crate::json::to_python;
use crate::keys::VerifyingKey;
use crate::opening::Opening;
use crate::progress;
use crate::proof::Proof;

/// A model that is ready to prove: keys and points are on the back end. Several threads may use it at once.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Prover {
    prover: ModelProver,
    wanted: Vec<Wanted>,
}

impl Prover {
    pub(crate) fn new(prover: ModelProver) -> Self {
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
        if !(0.0..=1.0).contains(&max_saturation) {
            let problem = format!("max_saturation = {max_saturation} is no share");
            return Err(Failure::arguments(problem, "a number from 0 to 1").into());
        }
        let samples = samples(inputs, &self.wanted)?;
        let salts = salts.unwrap_or_default().into_iter().map(salt).collect::<Result<Vec<_>, _>>()?;
        let opening = |(name, opening): (String, Py<Opening>)| (name, opening.get().opening().clone());
        let openings: Vec<_> = openings.unwrap_or_default().into_iter().map(opening).collect();
        run(py, progress, || {
            let sample = self.prover.model().together(&samples)?;
            let clamped = check_saturation(saturation(self.prover.model(), &sample), max_saturation)?;
            let start = Instant::now();
            let proved = self.prover.prove_opened(&sample, &openings, &salts, OsRng)?;
            let prove_ms = start.elapsed().as_secs_f64() * 1e3;
            if check {
                progress::step("verify", || self.own_check(&proved.bundle))?;
            }
            Ok(Proof::made(proved, self.prover.device(), prove_ms, clamped))
        })
    }

    /// The back end that proves, as in proofs: never `auto`.
    #[getter]
    fn backend(&self) -> &str {
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
        VerifyingKey::new(self.prover.key().clone())
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

    /// What its memory is spent on, in bytes.
    #[getter]
    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.prover.budget())
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Prover of '{}' on {}>", self.prover.model().name(), self.prover.backend())
    }
}

impl Prover {
    /// No proof leaves that its own verifier rejects. It is read back from its bytes first, as a verifier would.
    fn own_check(&self, proof: &ProofBundle) -> Result<(), Failure> {
        let unreadable = |error| Error::Internal(format!("what was just made cannot be read: {error}"));
        let read = ProofBundle::from_json(&proof.to_json()?, "proof.json").map_err(unreadable)?;
        let verdict = self.prover.key().verify(&read);
        verdict.map_err(|rejection| Error::Internal(format!("the proof just made was rejected: {rejection}")))?;
        Ok(())
    }
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
