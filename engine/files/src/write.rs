//! Writing files: whole or not at all.

use std::fs::File;
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Beginning of the names of files that do not have their name yet.
pub const TEMPORARY_PREFIX: &str = ".zkml-gpu-";

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody: what is published.
    Public,
    /// The user alone: what holds secrets.
    Private,
}

/// A file on disk that does not have its name yet; goes away unless published.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// An empty file beside `path`, to be written and then published.
    ///
    /// # Errors
    /// The system's, and one where `path` is a folder.
    pub fn empty(path: &Path, access: Access) -> Result<Self> {
        // Renaming onto a folder fails, but only after the other file of a pair may have been renamed.
        if path.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // Temporary files are the user's alone by default.
        #[cfg(unix)]
        if access == Access::Public {
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        }
        // Elsewhere a folder's own rules say who reads its files.
        #[cfg(not(unix))]
        let _ = access;
        let file = builder.prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
        Ok(Self { file, path: path.into() })
    }

    /// A file beside `path` with these bytes, through to the disk: one that is full says so here.
    ///
    /// # Errors
    /// As [`empty`](Self::empty).
    pub fn new(path: &Path, bytes: &[u8], access: Access) -> Result<Self> {
        let mut staged = Self::empty(path, access)?;
        staged.file.write_all(bytes)?;
        staged.sync()?;
        Ok(staged)
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Writes what is in memory through to the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> Result<()> {
        self.file.as_file().sync_all()
    }

    /// Gives the file its name, in the place of whatever had it.
    ///
    /// # Errors
    /// The system's.
    pub fn publish(self) -> Result<()> {
        self.file.persist(&self.path).map(|_| ()).map_err(|error| error.error)
    }

    /// Gives the file its name unless another one has it: whether it did.
    ///
    /// # Errors
    /// The system's.
    pub fn publish_new(self) -> Result<bool> {
        match self.file.persist_noclobber(&self.path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    }
}

/// A folder that is made for files to come, with those above it; what was made goes away again unless kept.
#[derive(Debug)]
pub struct NewFolder {
    /// The folders that were not there, the deepest first.
    made: Vec<PathBuf>,
}

impl NewFolder {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// The system's.
    pub fn make(folder: &Path) -> Result<Self> {
        let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made = Self { made: missing.map(Path::to_path_buf).collect() };
        std::fs::create_dir_all(folder)?;
        Ok(made)
    }

    /// Lets the folder stay.
    pub fn keep(mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).expect("list").count()
    }

    #[test]
    fn a_file_has_its_name_once_it_is_whole_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        Staged::new(&path, b"one", Access::Public).expect("stage").publish().expect("publish");
        Staged::new(&path, b"two", Access::Private).expect("stage").publish().expect("publish");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        drop(Staged::new(&path, b"new", Access::Public).expect("stage"));
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(count(folder.path()), 1);
        assert!(Staged::new(folder.path(), b"a file in the place of a folder", Access::Public).is_err());
    }

    #[test]
    fn the_first_of_two_stays_where_neither_may_replace() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        assert!(Staged::new(&path, b"one", Access::Private).expect("stage").publish_new().expect("publish"));
        assert!(!Staged::new(&path, b"two", Access::Private).expect("stage").publish_new().expect("publish"));
        assert_eq!(std::fs::read(&path).expect("read"), b"one");
        assert_eq!(count(folder.path()), 1);
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_the_users_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("temporary folder");
        for (access, mode) in [(Access::Private, 0o600), (Access::Public, 0o644)] {
            let path = folder.path().join("a");
            // As a secret that takes the place of what everybody could read.
            std::fs::write(&path, b"old").expect("write");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("permissions");
            Staged::new(&path, b"new", access).expect("stage").publish().expect("publish");
            assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, mode & !umask());
        }
    }

    /// What the process takes from every new file's permissions.
    #[cfg(unix)]
    fn umask() -> u32 {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o777).open(&path).expect("open");
        0o777 & !std::fs::metadata(&path).expect("metadata").permissions().mode()
    }

    #[test]
    fn folders_made_for_nothing_go_away_and_others_stay() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let deep = scratch.path().join("a/b/c");
        drop(NewFolder::make(&deep).expect("make"));
        assert!(scratch.path().exists() && !scratch.path().join("a").exists());
        let folder = NewFolder::make(&deep).expect("make");
        std::fs::write(scratch.path().join("a/other"), b"").expect("write");
        drop(folder);
        assert!(scratch.path().join("a/other").exists() && !scratch.path().join("a/b").exists());
        NewFolder::make(&deep).expect("make").keep();
        drop(NewFolder::make(&deep).expect("there already"));
        assert!(deep.exists());
    }
}
