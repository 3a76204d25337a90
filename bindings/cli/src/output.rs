//! Whether results can be written, found out before the work that makes them.

use std::path::Path;

use zkml_gpu::verify::try_place;
use zkml_gpu::{Error, FileError};
use zkml_gpu_files::NewFolder;

/// Refuses a folder that is none, or cannot be made or written to.
pub(crate) fn try_folder(path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        return Err(FileError::unwritten(path, std::io::ErrorKind::NotADirectory.into()).into());
    }
    let _folder = NewFolder::make(path).map_err(|source| FileError::unwritten(path, source))?;
    Ok(try_place(&path.join("proof.json"))?)
}
