//! Writing files: whole or not at all, and as a pair of which nobody sees a half.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, ModelKey, ProofBundle};

impl ModelKey {
    /// Writes `model.vk`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), self.to_bytes())
    }
}

impl ProofBundle {
    /// Writes `proof.json`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), &self.to_json()?)
    }

    /// Writes `proof.json` and `model.vk` into a folder, which is made where it is missing.
    ///
    /// Both are on the disk before either gets its name, and an older proof goes before the key is replaced: at no time
    /// does the folder hold a proof beside another proof's key. Where anything fails before that, an older pair is
    /// still there, and else nothing.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write_with_key(&self, key: &ModelKey, folder: impl AsRef<Path>) -> Result<[PathBuf; 2], Error> {
        let folder = folder.as_ref();
        let paths = [folder.join("proof.json"), folder.join("model.vk")];
        let text = self.to_json()?;
        let made = NewFolder::make(folder)?;
        let (proof, vk) = (Staged::new(&paths[0], &text)?, Staged::new(&paths[1], key.to_bytes())?);
        remove_if_there(&paths[0])?;
        vk.publish()?;
        proof.publish()?;
        made.keep();
        Ok(paths)
    }
}

/// Writes a file beside its name and renames it, so that readers see the old one or the new one, whole.
///
/// # Errors
/// [`Error::File`] where the system refuses.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Staged::new(path, bytes)?.publish()
}

/// A file on disk that does not have its name yet; goes away unless published.
#[derive(Debug)]
struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Writes the bytes beside `path`, through to the disk: a disk that is full says so here.
    fn new(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let io = |source| Error::File { path: path.into(), action: "write", source };
        // Renaming onto a folder fails, but only after the other file of a pair may have been renamed.
        if path.is_dir() {
            return Err(io(ErrorKind::IsADirectory.into()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // Artifacts are public; temporary files are private by default.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.prefix(".zkml-gpu-").tempfile_in(folder).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        Ok(Self { file, path: path.into() })
    }

    /// Gives the file its name, in the place of whatever had it.
    fn publish(self) -> Result<(), Error> {
        let path = self.path;
        let persisted = self.file.persist(&path);
        persisted.map(|_| ()).map_err(|error| Error::File { path, action: "write", source: error.error })
    }
}

/// A folder that is made for files to come, with those above it; what was made goes away again unless kept.
#[derive(Debug)]
struct NewFolder {
    /// The folders that were not there, the deepest first.
    made: Vec<PathBuf>,
}

impl NewFolder {
    /// Makes the folder where it is missing.
    fn make(folder: &Path) -> Result<Self, Error> {
        let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made = Self { made: missing.map(Path::to_path_buf).collect() };
        std::fs::create_dir_all(folder).map_err(|source| Error::File {
            path: folder.into(),
            action: "write",
            source,
        })?;
        Ok(made)
    }

    /// Lets the folder stay.
    fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // Only empty folders can be removed: what somebody else has put there stays.
        for folder in &self.made {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::File { path: path.into(), action: "write", source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_bounded;

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
    fn what_is_staged_and_not_published_leaves_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        write_whole(&path, b"old").expect("write");
        drop(Staged::new(&path, b"new").expect("stage"));
        assert_eq!(std::fs::read(&path).expect("read"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
        assert!(Staged::new(folder.path(), b"a file in the place of a folder").is_err());
    }

    #[test]
    fn folders_made_for_nothing_go_away_and_others_stay() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let deep = scratch.path().join("a/b/c");
        drop(NewFolder::make(&deep).expect("make"));
        assert!(scratch.path().exists() && !scratch.path().join("a").exists());
        let folder = NewFolder::make(&deep).expect("make");
        write_whole(&scratch.path().join("a/other"), b"").expect("write");
        drop(folder);
        assert!(scratch.path().join("a/other").exists() && !scratch.path().join("a/b").exists());
        NewFolder::make(&deep).expect("make").keep();
        drop(NewFolder::make(&deep).expect("there already"));
        assert!(deep.exists());
    }
}
