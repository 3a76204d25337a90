//! Commitments to tensors, their openings, and hashes of tensors.

use std::path::PathBuf;

use pyo3::prelude::*;
use rand_core::OsRng;
use zkml_gpu::{ModelKey, ReferencePoints, Salt, TensorCommitment, key_of_tensor, verify};

use crate::arrays::floats;
use crate::boundary::run;
use crate::error::Failure;
use crate::json::to_python;
use crate::keys::{ProvingKey, Srs, VerifyingKey};

/// A key, or what holds it.
#[derive(FromPyObject)]
pub(crate) enum KeyLike {
    Proving(Py<ProvingKey>),
    Verifying(Py<VerifyingKey>),
}

impl KeyLike {
    /// The key that has an input or output of the model.
    fn key(&self, name: &str) -> Result<&ModelKey, Failure> {
        Ok(match self {
            Self::Proving(key) => key.get().key().key_of_tensor(name)?,
            Self::Verifying(key) => key_of_tensor(key.get().key(), name)?,
        })
    }
}

/// The numbers of a tensor, in the order of its axes: an array of its shape, or a flat one of as many elements.
fn numbers(key: &ModelKey, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let (shape, numbers) = floats(value, name)?;
    let Some(port) = verify::port(key.keys(), name) else { return Ok(numbers) };
    if shape != port.logical_shape && shape != [port.logical_len()] {
        let own = &port.logical_shape;
        let hint = "give an array of its shape, or a flat one";
        let problem = format!("'{name}' has the shape {own:?}, the array {shape:?}");
        return Err(Failure::new("ShapeError", "shape", format!("{problem}\nhint: {hint}")).into());
    }
    if let Some(place) = numbers.iter().position(|number| !number.is_finite()) {
        let problem = format!("'{name}' holds what is no finite number, element {place}");
        return Err(Failure::new("ValuesError", "values", format!("{problem}\nhint: replace it")).into());
    }
    Ok(numbers)
}

/// What opens a commitment to a tensor, with the tensor: `NAME.opening`. Private.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Opening(zkml_gpu::Opening);

impl Opening {
    pub(crate) fn new(opening: zkml_gpu::Opening) -> Self {
        Self(opening)
    }

    pub(crate) fn opening(&self) -> &zkml_gpu::Opening {
        &self.0
    }
}

#[pymethods]
impl Opening {
    /// Commits to a committed input or output of a model, before any proof.
    ///
    /// `zkml_gpu.commit` says what the arguments mean.
    #[staticmethod]
    #[pyo3(signature = (key, name, values, *, srs = None))]
    fn commit(
        py: Python<'_>,
        key: KeyLike,
        name: &str,
        values: &Bound<'_, PyAny>,
        srs: Option<Py<Srs>>,
    ) -> PyResult<Self> {
        let own = key.key(name)?;
        let numbers = numbers(own, name, values)?;
        run(py, None, || {
            let points = match (&srs, &key) {
                (Some(srs), _) => ReferencePoints::of(srs.get().srs()),
                (None, KeyLike::Proving(key)) => ReferencePoints::of_any(key.get().key()),
                (None, KeyLike::Verifying(_)) => {
                    let problem = "the points of the reference string are missing";
                    return Err(Failure::arguments(problem, "give the proving key, or srs="));
                }
            };
            Ok(Self(zkml_gpu::Opening::commit(own, name, &numbers, &points, OsRng)?))
        })
    }

    /// Reads `NAME.opening`.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        run(py, None, || Ok(Self(zkml_gpu::Opening::read(path)?)))
    }

    /// Writes `NAME.opening`, whole or not at all, readable by the user alone.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(self.0.write(path)?))
    }

    /// The commitment to publish.
    #[getter]
    fn commitment(&self) -> Commitment {
        Commitment(self.0.commitment().clone())
    }

    /// Checks that it opens a commitment, with the reference string of the key.
    ///
    /// Raises `ArgumentsError` where it does not.
    #[pyo3(signature = (commitment, points))]
    fn check(&self, py: Python<'_>, commitment: Py<Commitment>, points: Points) -> PyResult<()> {
        run(py, None, || {
            let points = match &points {
                Points::Key(key) => ReferencePoints::of_any(key.get().key()),
                Points::Srs(srs) => ReferencePoints::of(srs.get().srs()),
            };
            Ok(self.0.check(&commitment.get().0, &points)?)
        })
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Opening, {:?}>", self.0.commitment().shape)
    }
}

/// Where a reference string's points are.
#[derive(FromPyObject)]
pub(crate) enum Points {
    Key(Py<ProvingKey>),
    Srs(Py<Srs>),
}

/// A commitment to a tensor: `NAME.commitment.json`.
#[pyclass(frozen, eq, module = "zkml_gpu")]
#[derive(PartialEq)]
pub(crate) struct Commitment(TensorCommitment);

impl Commitment {
    pub(crate) fn commitment(&self) -> &TensorCommitment {
        &self.0
    }
}

#[pymethods]
impl Commitment {
    /// Reads `NAME.commitment.json`.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        run(py, None, || Ok(Self(TensorCommitment::read(path)?)))
    }

    /// Writes `NAME.commitment.json`, whole or not at all.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(zkml_gpu::write_whole(&path, &self.0.to_json()?)?))
    }

    /// What it says: shape, scale, size of circuits, points.
    #[getter]
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0)
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        self.0.points.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Commitment, {:?}>", self.0.shape)
    }
}

/// Hashes a hashed input or output of a model, as a proof will have it: 64 hexadecimal digits.
///
/// `values` is an array of the tensor's shape, or a flat one; `salt` hides values that could be guessed.
#[pyfunction]
#[pyo3(signature = (key, name, values, *, salt = None))]
pub(crate) fn hash_numbers(
    py: Python<'_>,
    key: KeyLike,
    name: &str,
    values: &Bound<'_, PyAny>,
    salt: Option<&str>,
) -> PyResult<String> {
    let own = key.key(name)?;
    let numbers = numbers(own, name, values)?;
    let salt = salt.map(|text| text.trim_end().parse::<Salt>()).transpose().map_err(|_| {
        Failure::arguments(format!("the salt of '{name}' is none"), "64 hexadecimal digits, as new_salt() gives")
    })?;
    run(py, None, || Ok(zkml_gpu::hash_numbers(own, name, &numbers, salt.as_ref())?.to_string()))
}

/// Draws a salt: 64 hexadecimal digits, secret, for one tensor only.
#[pyfunction]
pub(crate) fn new_salt() -> String {
    Salt::random(OsRng).reveal()
}
