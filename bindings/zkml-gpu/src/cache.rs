//! Proving keys that are kept by what they were made from, in a folder of the user's own.
//!
//! An entry is a file `IDENTITY.pk`, where the identity is a digest of everything that the key follows from; beside it
//! `IDENTITY.lock`, by which one process makes a key while others wait for it. A file appears whole or not at all, and
//! what was damaged since is found by its digests and made again. The entries that were used longest ago go when the
//! folder grows beyond its limit.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zkml_gpu_files::TEMPORARY_PREFIX;

use crate::{AnyProverKey, Error, FileError, ProverKey};

/// Most bytes of all entries, unless told otherwise: some hundred keys of small networks, or a few of large ones.
pub const DEFAULT_CACHE_BYTES: u64 = 8 << 30;
/// Age at which a file that never got its name is one of a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder of proving keys.
#[derive(Clone, Debug)]
pub struct KeyCache {
    folder: PathBuf,
    limit_bytes: u64,
}

/// Where a key comes from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Origin {
    /// It was kept from before.
    Kept,
    /// It was made now, and is kept.
    Made,
    /// It was made now in the place of one that was damaged, and differs from that.
    Remade {
        /// What was wrong.
        problem: String,
    },
    /// It was made now, and could not be kept.
    NotKept {
        /// What is in the way.
        problem: String,
    },
}

/// A key that can be kept.
pub trait Kept: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is no such key.
    fn read_kept(path: &Path) -> Result<Self, Error>;

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    fn keep(&self, path: &Path) -> Result<(), Error>;
}

impl Kept for ProverKey {
    fn read_kept(path: &Path) -> Result<Self, Error> {
        Self::read(path)
    }

    fn keep(&self, path: &Path) -> Result<(), Error> {
        self.write(path)
    }
}

impl Kept for AnyProverKey {
    fn read_kept(path: &Path) -> Result<Self, Error> {
        Self::read(path)
    }

    fn keep(&self, path: &Path) -> Result<(), Error> {
        self.write(path)
    }
}

impl KeyCache {
    /// Keys in this folder, which is made where it is missing, of at most so many bytes.
    pub fn new(folder: impl Into<PathBuf>, limit_bytes: u64) -> Self {
        Self { folder: folder.into(), limit_bytes }
    }

    /// The folder `zkml-gpu/keys` among the user's caches, by the system's conventions, also where the environment does
    /// not tell the user's home; `None` where the system does not tell it either.
    pub fn of_user() -> Option<Self> {
        Some(Self::new(dirs::cache_dir()?.join("zkml-gpu").join("keys"), DEFAULT_CACHE_BYTES))
    }

    /// The same folder with another limit.
    #[must_use]
    pub fn with_limit(self, limit_bytes: u64) -> Self {
        Self { limit_bytes, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key of an identity: the kept one, if it `suits` what was asked for, or one that is made and kept. Another process that asks for the same at
    /// the same time waits, and gets the same key.
    ///
    /// # Errors
    /// Those of `make`. That a key cannot be kept is no error: the [`Origin`] tells.
    pub fn get_or_make<K: Kept>(
        &self,
        identity: &str,
        suits: impl Fn(&K) -> bool,
        make: impl FnOnce() -> Result<K, Error>,
    ) -> Result<(K, Origin), Error> {
        let path = self.folder.join(identity).with_extension("pk");
        // The lock goes with the file that it is on, also where the process is killed.
        let _lock = match self.lock(identity) {
            Ok(lock) => lock,
            // A folder that cannot be written to may have the key.
            Err(error) => match self.kept::<K>(&path) {
                Ok(key) if suits(&key) => return Ok((key, Origin::Kept)),
                _ => return Ok((make()?, self.not_kept(&error.to_string()))),
            },
        };
        let damaged = match self.kept(&path) {
            Ok(key) if suits(&key) => {
                // By this the entry is known to be in use; if it fails, it goes earlier.
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                return Ok((key, Origin::Kept));
            }
            Ok(_) => Some("it is the key of something else".to_owned()),
            Err(Error::File(FileError::File { source, .. })) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error @ Error::File(FileError::Artifact { .. })) => Some(error.to_string()),
            // What the system keeps from us may be whole: it is not replaced.
            Err(error) => return Ok((make()?, self.not_kept(&error.to_string()))),
        };
        let key = make()?;
        let kept = key.keep(&path).and_then(|()| self.evict(&path));
        let origin = match (kept, damaged) {
            (Err(error), _) => self.not_kept(&error.to_string()),
            (Ok(false), _) => self.not_kept(&format!("it is larger than {} bytes", self.limit_bytes)),
            (Ok(true), Some(problem)) => Origin::Remade { problem },
            (Ok(true), None) => Origin::Made,
        };
        Ok((key, origin))
    }

    /// An entry that nobody else could have put there.
    fn kept<K: Kept>(&self, path: &Path) -> Result<K, Error> {
        for place in [self.folder.as_path(), path] {
            let fail = |source| Error::from(FileError::File { path: place.into(), action: "read", source });
            let metadata = fs::metadata(place).map_err(fail)?;
            if is_writable_by_others(&metadata) {
                let problem = "others than its owner may write to it, so a key in it could be anybody's";
                return Err(fail(io::Error::new(io::ErrorKind::PermissionDenied, problem)));
            }
        }
        K::read_kept(path)
    }

    fn not_kept(&self, problem: &str) -> Origin {
        Origin::NotKept { problem: format!("{}: {problem}", self.folder.display()) }
    }

    /// Waits until no other process makes this key.
    fn lock(&self, identity: &str) -> io::Result<File> {
        make_private(&self.folder)?;
        let path = self.folder.join(identity).with_extension("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path)?;
        lock.lock()?;
        Ok(lock)
    }

    /// Removes the entries that were used longest ago until the others have room; whether this one stays.
    fn evict(&self, newest: &Path) -> Result<bool, Error> {
        let fail = |source| FileError::File { path: self.folder.clone(), action: "read", source };
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            // What another process has removed meanwhile is no entry any more.
            let Ok(metadata) = entry.metadata() else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                if modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(entry.path());
                }
            } else if entry.path().extension().is_some_and(|extension| extension == "pk") {
                entries.push((modified, entry.path(), metadata.len()));
            }
        }
        let mut total: u64 = entries.iter().map(|(.., len)| len).sum();
        entries.sort();
        // The newest one last, whatever the clocks say.
        entries.sort_by_key(|(_, path, _)| path == newest);
        for (_, path, len) in entries {
            if total <= self.limit_bytes {
                return Ok(true);
            }
            // A key that a process reads stays open to it.
            // Its lock stays: a process may hold it, and another one would make the same key beside it.
            if fs::remove_file(&path).is_ok() {
                total -= len;
                if path == newest {
                    return Ok(false);
                }
            }
        }
        Ok(total <= self.limit_bytes)
    }
}

#[cfg(unix)]
fn is_writable_by_others(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o022 != 0
}

#[cfg(not(unix))]
fn is_writable_by_others(_: &fs::Metadata) -> bool {
    false
}

/// Makes a folder that nobody but the user may look into.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
