//! A model that is loaded to a back end and makes proofs.

use std::collections::BTreeMap;
use std::time::Instant;

use pyo3::prelude::*;
use rand_core::OsRng;
use zkml_gpu::{ModelProver, Salt, Saturation, saturation};

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
        check_share(max_saturation)?;
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
            check_saturation(saturation(self.prover.model(), &sample), max_saturation)?;
            Ok(self.prover.infer(&sample)?)
        })?;
        Ok(PublicTensor::all(&outputs))
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
