//! What the library tells as JSON objects, as Python's dictionaries, and back.

use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;

/// A dictionary of what serialises as an object.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new("BugError", "internal", format!("internal error: no JSON: {error}")))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// What a dictionary says; `what` names it in messages.
pub(crate) fn from_python<T: DeserializeOwned>(value: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    let py = value.py();
    let refused = |problem: String| {
        let hint = "give the dictionary that zkml_gpu gave, or the file that holds it";
        PyErr::from(Failure::new("ArgumentsError", "arguments", format!("{what}: {problem}\nhint: {hint}")))
    };
    let text: String = py
        .import("json")?
        .call_method1("dumps", (value,))
        .and_then(|text| text.extract())
        .map_err(|error| refused(error.value(py).to_string()))?;
    serde_json::from_str(&text).map_err(|error| refused(error.to_string()))
}
