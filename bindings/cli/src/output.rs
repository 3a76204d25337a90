//! Whether results can be written, found out before the work that makes them.

use std::path::Path;

use zkml_gpu::{Error, FileError};
use zkml_gpu_files::{Access, NewFolder, Staged};

/// Refuses a file that cannot be written: a folder in its place, a folder that is missing, read-only or full.
pub(crate) fn try_file(path: &Path) -> Result<(), Error> {
    // Gone again without a trace.
    Staged::new(path, b"?", Access::Private).map(drop).map_err(|source| unwritten(path, source))
}

/// Refuses a folder that is none, or cannot be made or written to.
pub(crate) fn try_folder(path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        return Err(unwritten(path, std::io::ErrorKind::NotADirectory.into()));
    }
    let _folder = NewFolder::make(path).map_err(|source| unwritten(path, source))?;
    Staged::new(&path.join("proof.json"), b"?", Access::Private).map(drop).map_err(|source| unwritten(path, source))
}

pub(crate) fn unwritten(path: &Path, source: std::io::Error) -> Error {
    FileError::File { path: path.into(), action: "write", source }.into()
}
