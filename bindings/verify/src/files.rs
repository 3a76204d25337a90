//! Reading files: whole and bounded.

use std::io::Read;
use std::path::Path;

use zkml_gpu_files::open_regular;

use crate::Error;

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// [`Error::File`] where it cannot be read, [`Error::FileSize`] where it is larger.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let io = |source| Error::File { path: path.into(), action: "read", source };
    let (file, len) = open_regular(path).map_err(io)?;
    if len > limit {
        return Err(Error::FileSize { path: path.into(), len, limit });
    }
    // What no address space of this machine holds.
    let most = usize::MAX as u64;
    let room = usize::try_from(len).map_err(|_| Error::FileSize { path: path.into(), len, limit: most })?;
    let mut bytes = Vec::with_capacity(room);
    // No further than its size was, should it grow.
    file.take(len).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        std::fs::write(&path, b"four").expect("write");
        assert_eq!(read_bounded(&path, 4).expect("read"), b"four");
        assert!(matches!(read_bounded(&path, 3), Err(Error::FileSize { len: 4, limit: 3, .. })));
        assert!(matches!(read_bounded(folder.path(), 3), Err(Error::File { .. } | Error::FileSize { .. })));
    }
}
