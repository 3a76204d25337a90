//! The folder of the jobs.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zkml_gpu::{Error, FileError, read_bounded};
use zkml_gpu_files::{Access, Staged, TEMPORARY_PREFIX};

use super::{Id, Record};
use crate::ServeError;

/// Value of [`About::format`].
const FORMAT: &str = "zkml-gpu jobs";
/// Value of [`About::version`].
const VERSION: u32 = 1;
/// Largest file that says what the folder is.
const MAX_ABOUT_BYTES: u64 = 4096;
/// Largest job or proof.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What the folder is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: String,
    version: u32,
    verifying_key: String,
}

/// The folder, which this process alone has while the value lives.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    _lock: File,
}

impl Store {
    /// Takes a folder, which is made where it is missing, for jobs of a verifying key.
    ///
    /// # Errors
    /// [`ServeError::InUse`], [`ServeError::OtherKey`], [`ServeError::Damaged`], and those of the system.
    pub(crate) fn open(folder: &Path, verifying_key: &str) -> Result<Self, ServeError> {
        for path in [folder.to_path_buf(), folder.join("jobs"), folder.join("proofs")] {
            make(&path).map_err(|source| unwritten(&path, source))?;
        }
        let lock = folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(|source| unwritten(&lock, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ServeError::InUse { folder: folder.into() }),
            Err(TryLockError::Error(source)) => return Err(unwritten(&lock, source).into()),
        }
        let store = Self { folder: folder.into(), _lock: file };
        store.check_key(verifying_key)?;
        store.tidy()?;
        Ok(store)
    }

    /// Refuses a folder of another key; one without a word of it gets this one.
    fn check_key(&self, verifying_key: &str) -> Result<(), ServeError> {
        let path = self.folder.join("service.json");
        let bytes = match read_bounded(&path, MAX_ABOUT_BYTES) {
            Ok(bytes) => bytes,
            Err(FileError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let about = About { format: FORMAT.into(), version: VERSION, verifying_key: verifying_key.into() };
                let bytes = serde_json::to_vec(&about).map_err(|error| Error::Internal(error.to_string()))?;
                return Ok(write(&path, &bytes).map_err(Error::from)?);
            }
            Err(error) => return Err(Error::from(error).into()),
        };
        let damaged = |problem: String| ServeError::Damaged { path: path.clone(), problem };
        let about: About = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if about.format != FORMAT || about.version != VERSION {
            let found = format!("format {:?} version {}", about.format, about.version);
            return Err(damaged(format!("{found}, this program reads {FORMAT:?} version {VERSION}")));
        }
        if about.verifying_key != verifying_key {
            let (found, expected) = (about.verifying_key, verifying_key.into());
            return Err(ServeError::OtherKey { folder: self.folder.clone(), found, expected });
        }
        Ok(())
    }

    /// Removes what a killed process has left that has no name yet.
    fn tidy(&self) -> Result<(), ServeError> {
        for kind in ["jobs", "proofs"] {
            for path in self.files(kind)?.iter().filter(|path| name(path).starts_with(TEMPORARY_PREFIX)) {
                std::fs::remove_file(path).map_err(|source| unwritten(path, source))?;
            }
        }
        Ok(())
    }

    /// All jobs, in the order of their numbers.
    ///
    /// # Errors
    /// [`ServeError::Damaged`] for a file that is no job, and those of the system.
    pub(crate) fn records(&self) -> Result<Vec<Record>, ServeError> {
        let mut records = Vec::new();
        for path in self.files("jobs")?.into_iter().filter(|path| name(path).ends_with(".json")) {
            let bytes = read_bounded(&path, MAX_FILE_BYTES).map_err(Error::from)?;
            let record = Record::read(&bytes).map_err(|problem| ServeError::Damaged { path: path.clone(), problem })?;
            if self.job(record.id) != path {
                let problem = format!("it is of the job {}", record.id);
                return Err(ServeError::Damaged { path, problem });
            }
            records.push(record);
        }
        records.sort_by_key(|record| record.number);
        Ok(records)
    }

    fn files(&self, kind: &str) -> Result<Vec<PathBuf>, ServeError> {
        let folder = self.folder.join(kind);
        let fail = |source| Error::from(FileError::File { path: folder.clone(), action: "read", source });
        let entries = std::fs::read_dir(&folder).map_err(fail)?;
        Ok(entries.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect::<Result<_, _>>()?)
    }

    fn job(&self, id: Id) -> PathBuf {
        self.folder.join("jobs").join(format!("{id}.json"))
    }

    fn begun(&self, id: Id) -> PathBuf {
        self.folder.join("jobs").join(format!("{id}.begun"))
    }

    /// The file of a job's proof.
    pub(crate) fn proof(&self, id: Id) -> PathBuf {
        self.folder.join("proofs").join(format!("{id}.proof.json"))
    }

    /// Writes a job, in the place of what was written of it before.
    pub(crate) fn write(&self, record: &Record) -> Result<(), Error> {
        Ok(write(&self.job(record.id), &record.to_json()?)?)
    }

    /// Reads a job.
    pub(crate) fn read(&self, id: Id) -> Result<Record, Error> {
        let path = self.job(id);
        let hint = "the folder of jobs is the server's alone";
        let fail = |problem| FileError::Artifact { file: path.display().to_string(), problem, hint };
        Ok(Record::read(&read_bounded(&path, MAX_FILE_BYTES)?).map_err(fail)?)
    }

    /// Writes a job's proof; whether it had none.
    pub(crate) fn write_proof(&self, id: Id, bytes: &[u8]) -> Result<bool, FileError> {
        let path = self.proof(id);
        let fail = |source| FileError::unwritten(&path, source);
        let is_new = Staged::new(&path, bytes, Access::Private).and_then(Staged::publish_new).map_err(fail)?;
        sync_folder(&path).map_err(fail)?;
        Ok(is_new)
    }

    /// A job's proof; none where it has none.
    pub(crate) fn read_proof(&self, id: Id) -> Result<Option<Vec<u8>>, FileError> {
        match read_bounded(&self.proof(id), MAX_FILE_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FileError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How often a proof was begun that did not end.
    pub(crate) fn attempts(&self, id: Id) -> u32 {
        let text = std::fs::read_to_string(self.begun(id)).unwrap_or_default();
        // An empty file is one that was being written as the process ended.
        text.trim().parse().unwrap_or(u32::from(self.begun(id).exists()))
    }

    /// Says that a proof is begun. Only whether the process ends meanwhile is told by it, so nothing waits for the disk.
    pub(crate) fn begin(&self, id: Id, attempt: u32) -> Result<(), FileError> {
        let path = self.begun(id);
        std::fs::write(&path, attempt.to_string()).map_err(|source| FileError::unwritten(&path, source))
    }

    /// Says that no proof is under way.
    pub(crate) fn end(&self, id: Id) -> Result<(), FileError> {
        remove(&self.begun(id))
    }

    /// Removes a job: the record goes last, since what is left without it would be nobody's.
    pub(crate) fn remove(&self, id: Id) -> Result<(), FileError> {
        for path in [self.proof(id), self.begun(id), self.job(id)] {
            remove(&path)?;
        }
        let path = self.job(id);
        sync_folder(&path).map_err(|source| FileError::unwritten(&path, source))
    }
}

/// Makes a folder for its owner alone: what is in it may be private.
fn make(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Writes a file whole or not at all, and lasting when this returns.
fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fail = |source| FileError::unwritten(path, source);
    Staged::new(path, bytes, Access::Private).and_then(Staged::publish).map_err(fail)?;
    sync_folder(path).map_err(fail)
}

/// A name lasts once its folder is on the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Other systems write names by themselves, and do not open folders.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(FileError::unwritten(path, source)),
        _ => Ok(()),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn unwritten(path: &Path, source: std::io::Error) -> Error {
    FileError::unwritten(path, source).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Record {
        Record::new(number, None, &vec![vec![number as f32]], Vec::new())
    }

    #[test]
    fn jobs_come_back_in_their_order_and_nothing_unfinished_stays() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let folder = scratch.path().join("a/b");
        let store = Store::open(&folder, "k").expect("a folder");
        let records = [record(3), record(1), record(2)];
        records.iter().for_each(|record| store.write(record).expect("written"));
        let id = records[0].id;
        assert!(store.write_proof(id, b"first").expect("written") && !store.write_proof(id, b"second").expect("kept"));
        assert_eq!(store.read_proof(id).expect("read").as_deref(), Some(&b"first"[..]));
        store.begin(id, 2).expect("begun");
        let leftover = folder.join("jobs").join(format!("{TEMPORARY_PREFIX}x"));
        std::fs::write(&leftover, "half").expect("written");
        assert!(matches!(Store::open(&folder, "k"), Err(ServeError::InUse { .. })), "two servers");
        drop(store);

        assert!(matches!(Store::open(&folder, "other"), Err(ServeError::OtherKey { .. })));
        let store = Store::open(&folder, "k").expect("the folder again");
        assert!(!leftover.exists());
        let numbers: Vec<_> = store.records().expect("jobs").iter().map(|record| record.number).collect();
        assert_eq!((numbers, store.attempts(id), store.attempts(records[1].id)), (vec![1, 2, 3], 2, 0));
        store.remove(id).expect("removed");
        assert_eq!((store.records().expect("jobs").len(), store.attempts(id)), (2, 0));
        assert_eq!(store.read_proof(id).expect("read"), None);
    }

    #[test]
    fn what_nobody_wrote_is_named() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(scratch.path(), "k").expect("a folder");
        let job = record(1);
        store.write(&job).expect("written");
        let other = store.job(Id::draw());
        std::fs::copy(store.job(job.id), &other).expect("a copy");
        assert!(matches!(store.records(), Err(ServeError::Damaged { path, .. }) if path == other));
        std::fs::write(&other, "{}").expect("written");
        assert!(matches!(store.records(), Err(ServeError::Damaged { path, .. }) if path == other));
        drop(store);
        std::fs::write(scratch.path().join("service.json"), "{}").expect("written");
        assert!(matches!(Store::open(scratch.path(), "k"), Err(ServeError::Damaged { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let scratch = tempfile::tempdir().expect("temporary folder");
        let folder = scratch.path().join("jobs-of-it");
        let store = Store::open(&folder, "k").expect("a folder");
        let job = record(1);
        store.write(&job).expect("written");
        store.write_proof(job.id, b"proof").expect("written");
        let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o077;
        assert_eq!([mode(&folder), mode(&store.job(job.id)), mode(&store.proof(job.id))], [0; 3]);
    }
}
