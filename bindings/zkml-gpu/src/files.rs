//! Files: read whole and bounded, written whole or not at all.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crate::Error;

/// The bytes of a file of at most `limit` bytes.
///
/// # Errors
/// [`Error::File`] where it cannot be read, [`Error::FileSize`] where it is larger.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let io = |source| Error::File { path: path.into(), action: "read", source };
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    if len > limit {
        return Err(Error::FileSize { path: path.into(), len, limit });
    }
    let mut bytes = Vec::with_capacity(len as usize);
    // The size may change between the two calls, and is 0 for pipes.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(Error::FileSize { path: path.into(), len: bytes.len() as u64, limit });
    }
    Ok(bytes)
}

/// Writes a file beside its name and renames it, so that readers see the old one or the new one, whole.
///
/// # Errors
/// [`Error::File`] where the system refuses.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |source| Error::File { path: path.into(), action: "write", source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Artifacts are public; temporary files are private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.prefix(".zkml-gpu-").tempfile_in(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_read_back_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        write_whole(&path, b"one").expect("write");
        write_whole(&path, b"two").expect("overwrite");
        assert_eq!(read_bounded(&path, 3).expect("read"), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        write_whole(&path, b"four").expect("write");
        assert!(matches!(read_bounded(&path, 3), Err(Error::FileSize { len: 4, limit: 3, .. })));
        assert!(matches!(read_bounded(folder.path(), 3), Err(Error::File { .. } | Error::FileSize { .. })));
    }
}
