//! Writing files: whole or not at all, and as a pair of which nobody sees a half.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zkml_gpu_files::{Access, NewFolder, Staged};

use crate::{Error, ModelKey, ProofBundle, SegmentedKey, SegmentedProof};

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
        write_pair(&self.to_json()?, key.to_bytes(), folder.as_ref())
    }
}

impl SegmentedKey {
    /// Writes `model.vk`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), self.to_bytes())
    }
}

impl SegmentedProof {
    /// Writes `proof.json`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), &self.to_json()?)
    }

    /// Writes `proof.json` and `model.vk` into a folder, as [`ProofBundle::write_with_key`] does.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write_with_key(&self, key: &SegmentedKey, folder: impl AsRef<Path>) -> Result<[PathBuf; 2], Error> {
        write_pair(&self.to_json()?, key.to_bytes(), folder.as_ref())
    }
}

/// Writes a proof and its key into a folder.
fn write_pair(proof: &[u8], key: &[u8], folder: &Path) -> Result<[PathBuf; 2], Error> {
    let paths = [folder.join("proof.json"), folder.join("model.vk")];
    let made = NewFolder::make(folder).map_err(|error| Error::unwritten(folder, error))?;
    let stage =
        |path: &Path, bytes| Staged::new(path, bytes, Access::Public).map_err(|error| Error::unwritten(path, error));
    let (proof, vk) = (stage(&paths[0], proof)?, stage(&paths[1], key)?);
    remove_if_there(&paths[0])?;
    vk.publish().map_err(|error| Error::unwritten(&paths[1], error))?;
    proof.publish().map_err(|error| Error::unwritten(&paths[0], error))?;
    made.keep();
    Ok(paths)
}

/// Writes a file that everybody may read beside its name and renames it, so that readers see the old one or the new one,
/// whole.
///
/// # Errors
/// [`Error::File`] where the system refuses.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Staged::new(path, bytes, Access::Public).and_then(Staged::publish).map_err(|error| Error::unwritten(path, error))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::unwritten(path, source)),
        _ => Ok(()),
    }
}
