//! Bits of tensors from a file, as `zkml-gpu calibrate` writes them.

use std::path::Path;

use zkml_gpu_onnx::quant::Precision;

use crate::{Error, FileError, read_bounded};

/// Largest file that is read: names of some ten thousand tensors.
const MAX_BYTES: u64 = 1 << 20;
const HINT: &str = "write the file with `zkml-gpu calibrate ... --out FILE`";

/// Bits as [`Precision`] serialises: one JSON object. Whether they are in range and the tensors there is found when a
/// model is quantised with them.
///
/// # Errors
/// [`Error::File`] where it cannot be read, or holds anything else.
pub fn read_precision(path: impl AsRef<Path>) -> Result<Precision, Error> {
    let path = path.as_ref();
    let fail = |problem: String| FileError::Artifact { file: path.display().to_string(), problem, hint: HINT };
    let read: Precision =
        serde_json::from_slice(&read_bounded(path, MAX_BYTES)?).map_err(|error| fail(error.to_string()))?;
    Ok(Precision { file: Some(path.into()), ..read })
}
