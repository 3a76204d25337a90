//! Files that Python names by a path, or gives as bytes.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::error::Failure;

/// A path, or a file's bytes.
pub(crate) enum Source {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

impl<'py> FromPyObject<'_, 'py> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes().to_vec()));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return Ok(Self::Bytes(bytes.to_vec()));
        }
        object.extract().map(Self::Path).map_err(|_: PyErr| {
            let given = object.get_type().name().map(|name| name.to_string()).unwrap_or_default();
            Failure::new(
                "ArgumentTypeError",
                "argument_type",
                format!("a file is given as {given}\nhint: give a path (str or os.PathLike), or bytes"),
            )
            .into()
        })
    }
}

impl Source {
    /// What one of both readers makes of it.
    pub(crate) fn read<T, E: Into<Failure>>(
        &self,
        path: impl FnOnce(&std::path::Path) -> Result<T, E>,
        bytes: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, Failure> {
        match self {
            Self::Path(file) => path(file),
            Self::Bytes(content) => bytes(content),
        }
        .map_err(Into::into)
    }
}
