//! Whether a file can be written, tried before the work that it is for.

use std::path::Path;

use zkml_gpu_files::{Access, Staged};

use crate::Error;

/// Bytes that are written for a trial: a block of most disks, so that one without any left refuses it.
const TRIAL_BYTES: usize = 4096;

/// Tries whether a file could be written under this path as [`write_whole`](crate::write_whole) does it, and leaves
/// nothing behind: a file that is there stays as it is.
///
/// # Errors
/// [`Error::File`] where the system refuses.
pub fn try_place(path: &Path) -> Result<(), Error> {
    // Written through to the disk, because some file systems count blocks only then.
    let trial = Staged::new(path, &[0; TRIAL_BYTES], Access::Private);
    trial.map(drop).map_err(|source| Error::unwritten(path, source))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_place_that_takes_a_file_is_left_as_it_was() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let old = folder.path().join("old.json");
        std::fs::write(&old, "old").expect("write");
        for path in [old.clone(), folder.path().join("new.json")] {
            try_place(&path).expect("it can be written");
        }
        assert_eq!(std::fs::read(&old).expect("read"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    #[test]
    fn a_place_that_takes_none_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("write");
        for (path, kind) in [
            (folder.path().to_path_buf(), ErrorKind::IsADirectory),
            (folder.path().join("missing/new.json"), ErrorKind::NotFound),
            (file.join("new.json"), ErrorKind::NotADirectory),
        ] {
            match try_place(&path) {
                Err(Error::File { source, .. }) => assert_eq!(source.kind(), kind, "{}", path.display()),
                other => panic!("{}: {other:?}", path.display()),
            }
        }
    }

    /// Linux has a folder on which nothing can be made.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_that_takes_nothing_is_refused() {
        assert!(matches!(try_place(Path::new("/proc/new.json")), Err(Error::File { .. })));
    }
}
