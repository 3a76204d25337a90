//! Weights in other files than the model's.
//!
//! tract resolves their paths and keeps them inside the model's folder, links followed. What is left to do here: only
//! regular files are read, ranges are checked against the file's real size before memory is allocated, and of no file
//! more is read in all than it holds, so that many tensors cannot multiply one file.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tract_onnx::data_resolver::ModelDataResolver;
use tract_onnx::prelude::*;
use zkml_gpu_files::open_regular;

const DIGEST_BYTES: usize = 32;

/// Reads ranges of files for one model.
#[derive(Debug, Default)]
pub(super) struct ExternalWeights {
    /// Bytes read so far, by file.
    read: Mutex<HashMap<PathBuf, u64>>,
    /// Digests of what was read, by file, offset and length: a range that is read twice counts once.
    digests: Mutex<BTreeMap<(PathBuf, u64, u64), blake2b_simd::Hash>>,
}

impl ExternalWeights {
    /// Bytes read so far.
    pub(super) fn total(&self) -> usize {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(read.values().sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// Blake2b-256 of the model's own bytes and of all ranges that were read, lower-case hexadecimal. Where the files lie
    /// does not count.
    pub(super) fn digest(&self, model: &[u8]) -> String {
        let mut state = blake2b_simd::Params::new().hash_length(DIGEST_BYTES).to_state();
        state.update(model);
        for hash in self.digests.lock().unwrap_or_else(PoisonError::into_inner).values() {
            state.update(hash.as_bytes());
        }
        state.finalize().to_hex().to_string()
    }

    fn account(&self, path: &Path, len: u64, size: u64) -> TractResult<()> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let total = read.entry(path.into()).or_default();
        *total = total.saturating_add(len);
        if *total > size {
            return Err(TractError::msg(format!("'{}' is read more than once", path.display())));
        }
        Ok(())
    }
}

impl ModelDataResolver for ExternalWeights {
    fn read_bytes_from_path(
        &self,
        buffer: &mut Vec<u8>,
        path: &Path,
        offset: usize,
        len: Option<usize>,
    ) -> TractResult<()> {
        let context = |e: std::io::Error| TractError::msg(format!("weights in '{}': {e}", path.display()));
        let (mut file, size) = open_regular(path).map_err(context)?;
        let rest = size.checked_sub(offset as u64);
        let Some(len) = rest.and_then(|rest| Some(len.map_or(rest, |len| len as u64)).filter(|len| *len <= rest))
        else {
            let problem = format!("'{}' has {size} bytes, none beyond offset {offset} or not as many", path.display());
            return Err(TractError::msg(problem));
        };
        self.account(path, len, size)?;
        file.seek(SeekFrom::Start(offset as u64)).map_err(context)?;
        let start = buffer.len();
        file.take(len).read_to_end(buffer).map_err(context)?;
        let digest = blake2b_simd::Params::new().hash_length(DIGEST_BYTES).hash(&buffer[start..]);
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.insert((path.into(), offset as u64, len), digest);
        Ok(())
    }
}
