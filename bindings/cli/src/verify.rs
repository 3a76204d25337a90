//! `zkml-gpu verify`.

use std::path::PathBuf;
use zkml_gpu::verify::Verdict;

use zkml_gpu::{FileError, ModelKey, ProofBundle, TensorCommitment};

use crate::args::VerifyOptions;
use crate::report;

pub(crate) fn verify(options: &VerifyOptions) -> anyhow::Result<u8> {
    let key = ModelKey::read(&options.vk)?;
    let proof = ProofBundle::read(&options.proof)?;
    let read = |(name, path): &(String, PathBuf)| Ok((name.clone(), TensorCommitment::read(path)?));
    let commitments = options.commitments.iter().map(read).collect::<Result<Vec<_>, FileError>>()?;
    let verdict = Verdict::with_commitments(&key, &proof, &commitments);
    if options.json {
        report::print_json(&verdict)?
    } else {
        report::print(&verdict.to_string())?
    }
    Ok(verdict.exit_code())
}
