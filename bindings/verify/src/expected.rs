//! What whoever verifies knows of hidden tensors beforehand.

use std::path::{Path, PathBuf};

use zkml_gpu_circuit::hash::TensorHash;

use crate::files::read_bounded;
use crate::{Error, TensorCommitment};

/// Largest file of a hash that is read.
const MAX_HASH_BYTES: u64 = 1 << 10;
const HINT: &str = "hashes are written by `zkml-gpu commit`; fetch it again from whoever owns the tensor";

/// Commitments and hashes that a proof's tensors must have, by the names of inputs and outputs.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Commitments.
    pub commitments: Vec<(String, TensorCommitment)>,
    /// Hashes.
    pub hashes: Vec<(String, TensorHash)>,
}

impl Expected {
    /// Reads files of commitments and of hashes.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`] with the first that is none.
    pub fn read(commitments: &[(String, PathBuf)], hashes: &[(String, PathBuf)]) -> Result<Self, Error> {
        let commitment = |(name, path): &(String, PathBuf)| Ok((name.clone(), TensorCommitment::read(path)?));
        let hash = |(name, path): &(String, PathBuf)| Ok((name.clone(), read_hash(path)?));
        Ok(Self {
            commitments: commitments.iter().map(commitment).collect::<Result<_, Error>>()?,
            hashes: hashes.iter().map(hash).collect::<Result<_, Error>>()?,
        })
    }
}

/// Reads the file of a hash: its text on a line.
///
/// # Errors
/// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`] where the file is none.
pub fn read_hash(path: impl AsRef<Path>) -> Result<TensorHash, Error> {
    let path = path.as_ref();
    let bytes = read_bounded(path, MAX_HASH_BYTES)?;
    let hash = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok());
    hash.ok_or_else(|| {
        let problem = "it holds no hash of a tensor".into();
        Error::Artifact { file: path.display().to_string(), problem, hint: HINT }
    })
}
