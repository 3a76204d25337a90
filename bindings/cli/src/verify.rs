//! `zkml-gpu verify`.

use zkml_gpu::verify::Verdict;
use zkml_gpu::{ModelKey, ProofBundle};

use crate::args::VerifyOptions;
use crate::report;

pub(crate) fn verify(options: &VerifyOptions) -> anyhow::Result<u8> {
    let key = ModelKey::read(&options.vk)?;
    let proof = ProofBundle::read(&options.proof)?;
    let verdict = Verdict::new(&key, &proof);
    if options.json {
        report::print_json(&verdict)?
    } else {
        report::print(&verdict.to_string())?
    }
    Ok(verdict.exit_code())
}
