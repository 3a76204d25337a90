//! `zkml-gpu verify`.

use std::path::Path;

use serde::Serialize;
use tracing::info_span;
use zkml_gpu::verify::Verdict;
use zkml_gpu::{Audit, BackendChoice, Error, Expected, Model, ModelKey, ProofBundle, PublicModel};

use crate::args::VerifyOptions;
use crate::audit::{self, reference_string};
use crate::compile::{TARGET, timed};
use crate::report;

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict<'a>,
    /// What the key was found to prove, where the model's file was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<Audit>,
}

pub(crate) fn verify(options: &VerifyOptions) -> anyhow::Result<u8> {
    let key = ModelKey::read(&options.vk)?;
    let proof = ProofBundle::read(&options.proof)?;
    let expected = Expected::read(&options.commitments, &options.hashes)?;
    let verdict = Verdict::expecting(&key, &proof, &expected);
    // A proof that does not hold is of no file.
    let file = options.model.as_deref().filter(|_| verdict.accepted);
    let audit = file.map(|file| audit_file(options, &key, file)).transpose()?;
    if options.json {
        report::print_json(&Report { verdict: &verdict, audit })?
    } else {
        let audited = audit.as_ref().map(audit::text).unwrap_or_default();
        report::print(&(verdict.to_string() + &audited))?
    }
    Ok(verdict.exit_code())
}

/// Audits the key, and compares its weights with those of the model's file.
fn audit_file(options: &VerifyOptions, key: &ModelKey, file: &Path) -> Result<Audit, Error> {
    let public = options.public.clone().unwrap_or_else(|| options.vk.with_extension("public.zkml"));
    if options.public.is_none() && !public.exists() {
        let problem = format!(
            "{} is missing, which tells how the key's integers follow from {}",
            public.display(),
            file.display()
        );
        let hint = "--public FILE names it; setup writes it, and the key's owner publishes it";
        return Err(Error::Arguments { problem, hint });
    }
    let public = PublicModel::read(public)?;
    public.expect_size(key)?;
    let model = Model::load(file, &public.import_options())?;
    let srs = reference_string(options.srs.as_deref(), &options.vk, public.k(), &options.cache)?;
    let look = || public.audit_file(key, &model, &srs, &BackendChoice::Cpu);
    Ok(timed(info_span!(target: TARGET, "audit"), look)?.0)
}
