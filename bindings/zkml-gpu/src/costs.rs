//! Prices in a file: measured once, used anywhere, so that a layout can be made again.

use std::path::Path;

use zkml_gpu_engine::cost::Costs;

use crate::{Error, FileError, read_bounded};

/// Largest file that is read: a dozen numbers and two names.
const MAX_BYTES: u64 = 1 << 16;
const HINT: &str = "write the file with `zkml-gpu plan ... --json`: it is the object `costs`";

/// Prices as [`Costs`] serialises: one JSON object.
///
/// # Errors
/// [`Error::File`] where it cannot be read, or holds anything but positive prices under their names.
pub fn read_costs(path: impl AsRef<Path>) -> Result<Costs, Error> {
    let path = path.as_ref();
    let fail = |problem: String| FileError::Artifact { file: path.display().to_string(), problem, hint: HINT };
    let costs: Costs =
        serde_json::from_slice(&read_bounded(path, MAX_BYTES)?).map_err(|error| fail(error.to_string()))?;
    if costs.is_sound() { Ok(costs) } else { Err(fail("a price is not a positive number".into()).into()) }
}
