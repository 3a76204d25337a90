//! Files: opening those that nobody vouches for, writing them whole or not at all, and those of several sections. A small
//! crate, because readers of models, of reference strings and of keys share it.

// Lengths in files have 64 bits; machines may have 32.
#![warn(clippy::cast_possible_truncation)]

pub mod container;
#[cfg(feature = "write")]
mod write;

#[cfg(feature = "write")]
pub use write::{Access, NewFolder, Staged, TEMPORARY_PREFIX};

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens a regular file for reading; also its size in bytes, by which readers bound what they allocate.
///
/// A folder, pipe or device has no such size: one without a writer would block for ever, another never end.
///
/// # Errors
/// The system's, and one for anything that is no regular file.
pub fn open_regular(path: &Path) -> Result<(File, u64)> {
    // Before it is opened, because opening a pipe waits for its writer; and after, because the name may have moved on.
    expect_regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    expect_regular(&metadata)?;
    Ok((file, metadata.len()))
}

fn expect_regular(metadata: &std::fs::Metadata) -> Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(Error::new(ErrorKind::InvalidInput, "not a regular file")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_opened_with_their_size() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let (_, len) = open_regular(path).expect("a file of this crate");
        assert_eq!(len, std::fs::read(path).expect("a file of this crate").len() as u64);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert_eq!(open_regular(Path::new("/nonexistent/file")).expect_err("absent").kind(), ErrorKind::NotFound);
        let folder = open_regular(Path::new(env!("CARGO_MANIFEST_DIR"))).expect_err("a folder");
        assert_eq!(folder.to_string(), "not a regular file");
        if cfg!(unix) {
            assert_eq!(open_regular(Path::new("/dev/zero")).expect_err("a device").to_string(), "not a regular file");
        }
    }
}
