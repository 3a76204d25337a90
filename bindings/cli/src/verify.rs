//! `zkml-gpu verify`.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use tracing::info_span;
use zkml_gpu::segmented::SegmentedPublicModel;
use zkml_gpu::verify::Verdict;
use zkml_gpu::{
    AnyKey, AnyProof, Audit, BackendChoice, Error, Expected, Model, ProofBundle, PublicModel, Sample, read_samples,
};

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
    audit: Option<&'a Audit>,
}

/// What `--json` prints for several proofs.
#[derive(Serialize)]
struct ManyReport<'a> {
    /// Whether all hold.
    accepted: bool,
    /// Wall time of the check of all, in milliseconds.
    verify_ms: f64,
    proofs: Vec<OfMany<'a>>,
}

#[derive(Serialize)]
struct OfMany<'a> {
    file: &'a Path,
    #[serde(flatten)]
    verdict: &'a Verdict<'a>,
}

pub(crate) fn verify(options: &VerifyOptions) -> anyhow::Result<u8> {
    let key = AnyKey::read(&options.vk)?;
    let expected = Expected::read(&options.commitments, &options.hashes)?;
    let [file] = &options.proofs[..] else { return verify_many(options, &key, &expected) };
    let proof = AnyProof::read(file)?;
    let mut verdict = Verdict::of_any(&key, &proof, &expected, file)?;
    let mut audit = None;
    // A proof that does not hold is of no file.
    if let Some(file) = options.model.as_deref().filter(|_| verdict.accepted) {
        match audit_file(options, &key, &proof, file) {
            Ok(found) => audit = Some(found),
            Err(error @ (Error::Audit(_) | Error::OtherArchitecture { .. })) => verdict.reject(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    if options.json {
        report::print_json(&Report { verdict: &verdict, audit: audit.as_ref() })?
    } else {
        let audited = audit.as_ref().map(audit::text).unwrap_or_default();
        report::print(&(verdict.to_string() + &audited))?
    }
    Ok(verdict.exit_code())
}

/// Several proofs, with one pairing where that is possible.
fn verify_many(options: &VerifyOptions, key: &AnyKey, expected: &Expected) -> anyhow::Result<u8> {
    let AnyKey::Whole(key) = key else {
        let problem = "the key is of segments, whose proofs are verified one by one".into();
        return Err(Error::Arguments { problem, hint: "give one proof" }.into());
    };
    if options.model.is_some() {
        let problem = "--model compares one proof with the model's file, and several are given".into();
        return Err(Error::Arguments { problem, hint: "give one proof, or audit the key: zkml-gpu audit" }.into());
    }
    let proofs = options.proofs.iter().map(ProofBundle::read).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let verdicts = Verdict::of_all(key, &proofs, expected);
    let verify_ms = report::elapsed_ms(start);
    let proofs: Vec<OfMany<'_>> =
        options.proofs.iter().zip(&verdicts).map(|(file, verdict)| OfMany { file, verdict }).collect();
    let rejected = verdicts.iter().filter(|verdict| !verdict.accepted).count();
    if options.json {
        report::print_json(&ManyReport { accepted: rejected == 0, verify_ms, proofs })?;
    } else {
        let mut text = String::new();
        for OfMany { file, verdict } in &proofs {
            if let Some(reason) = &verdict.reason {
                text += &format!("rejected: {}: {reason}\n", file.display());
            }
        }
        let accepted = report::plural(proofs.len() - rejected, "proof");
        text += &format!("accepted: {accepted} of {}, under one key ({verify_ms:.1} ms)\n", proofs.len());
        text += &report::guarantee_lines(key);
        report::print(&text)?;
    }
    Ok(u8::from(rejected > 0))
}

/// Audits the key, and compares its weights with those of the model's file.
fn audit_file(options: &VerifyOptions, key: &AnyKey, proof: &AnyProof, file: &Path) -> Result<Audit, Error> {
    let public = options.public.clone().unwrap_or_else(|| options.vk.with_extension("public.zkml"));
    if options.public.is_none() && !public.exists() {
        let (public, file) = (public.display(), file.display());
        let problem = format!("{public} is missing, which tells how the key's integers follow from {file}");
        let hint = "--public FILE names it; setup writes it, and the key's owner publishes it";
        return Err(Error::Arguments { problem, hint });
    }
    let span = || info_span!(target: TARGET, "audit");
    let string = |k| reference_string(options.srs.as_deref(), &options.vk, k, &options.cache);
    let backend = &BackendChoice::Cpu;
    match key {
        AnyKey::Whole(key) => {
            let public = PublicModel::read(public)?;
            public.expect_size(key)?;
            let model = Model::load(file, &public.import_options())?;
            let (samples, srs) = (samples(options, &model, proof)?, string(public.k())?);
            Ok(timed(span(), || public.audit_file(key, &model, &samples, &srs, backend))?.0)
        }
        AnyKey::Segmented(key) => {
            let public = SegmentedPublicModel::open(public)?;
            public.expect_size(key)?;
            let model = Model::load(file, &public.import_options())?;
            let (samples, srs) = (samples(options, &model, proof)?, string(public.k())?);
            Ok(timed(span(), || public.audit_file(key, &model, &samples, &srs, backend))?.0)
        }
    }
}

/// The samples that the file's own numbers are compared on: those given, or the inputs of the proof.
fn samples(options: &VerifyOptions, model: &Model, proof: &AnyProof) -> Result<Vec<Sample>, Error> {
    match &options.samples {
        Some(path) => read_samples(path, &model.inputs()),
        None => Ok(inputs(proof)),
    }
}

/// The inputs of a proof as samples, where all of them are public.
fn inputs(proof: &AnyProof) -> Vec<Sample> {
    let (inputs, pairs) = match proof {
        AnyProof::Whole(proof) => (&proof.inputs, proof.pairs()),
        AnyProof::Segmented(proof) => (&proof.inputs, proof.pairs()),
    };
    if inputs.iter().any(|tensor| tensor.visibility.is_hidden()) {
        return Vec::new();
    }
    let floats = |list: Vec<f64>| list.into_iter().map(|value| value as f32).collect();
    pairs.into_iter().map(|pair| pair.input.into_iter().map(floats).collect()).collect()
}
