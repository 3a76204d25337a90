//! `zkml-gpu prove`.

use std::path::PathBuf;
use std::time::Instant;

use rand_core::OsRng;
use serde::Serialize;
use tracing::info_span;
use zkml_gpu::{Error, FileError, Model, ModelKey, ModelProver, ProofBundle, Proved, Srs};

use crate::args::ProveOptions;
use crate::compile::{Compiled, TARGET, compile, prepare, timed};
use crate::progress;
use crate::report::{self, elapsed_ms, grouped};
use crate::resources::{cpu_ms, peak_rss_bytes};

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    backend: String,
    device: String,
    /// How the weights are bound, as in `proof.json`.
    weights: String,
    k: u32,
    advice_columns: usize,
    fixed_columns: usize,
    lookups: usize,
    parameters: usize,
    macs: usize,
    srs_ms: f64,
    setup_ms: f64,
    witness_ms: f64,
    prove_ms: f64,
    /// User and system time of all threads from parsed input to proof bytes.
    prove_cpu_ms: f64,
    /// User and system time of the process.
    total_cpu_ms: f64,
    verify_ms: f64,
    proof_bytes: usize,
    peak_rss_bytes: u64,
    /// Tables of multiples of the reference string's points; null where the back end does not tell.
    table_bytes: Option<u64>,
    /// What those tables may take.
    table_budget_bytes: u64,
    /// What the key's columns on the quotient's cosets may take.
    coset_budget_bytes: u64,
    /// The proved output as real numbers, one list for each output, in the order of the model's axes.
    output: Vec<Vec<f64>>,
    /// What the float model gives.
    output_float: Vec<Vec<f32>>,
    max_abs_error: f64,
    insecure_srs: bool,
}

/// Durations in milliseconds.
struct Timings {
    srs_ms: f64,
    setup_ms: f64,
    witness_ms: f64,
    prove_ms: f64,
    prove_cpu_ms: f64,
    verify_ms: f64,
}

pub(crate) fn prove(options: &ProveOptions) -> anyhow::Result<u8> {
    prepare(&options.source)?;
    if !options.json {
        progress::show();
    }
    let Compiled { model, sample, compiled, budget, .. } = compile(&options.source)?;
    let folder = output_folder(options, &model)?;

    let (srs, srs_ms) =
        timed(info_span!(target: TARGET, "reference_string"), || reference_string(options, compiled.k()))?;
    let (prover, setup_ms) = timed(info_span!(target: TARGET, "keys"), || {
        compiled.prover_within(&budget, &srs, &options.source.backend, OsRng)
    })?;
    let cpu_before = cpu_ms();
    let start = Instant::now();
    let Proved { bundle: proof, witness_ms } = prover.prove(&sample, OsRng)?;
    let (prove_ms, prove_cpu_ms) = (elapsed_ms(start), cpu_ms() - cpu_before);
    let (_, verify_ms) = timed(info_span!(target: TARGET, "verify"), || own_check(&prover, &proof))?;

    // Whatever can fail comes before the files: those of a command that failed would be taken for good ones.
    let output_float = model.run(&sample)?;
    let files = proof.write_with_key(prover.key(), &folder)?;
    let timings = Timings { srs_ms, setup_ms, witness_ms, prove_ms, prove_cpu_ms, verify_ms };
    let report = report(&prover, &proof, output_float, &timings);
    if options.json {
        report::print_json(&report)?
    } else {
        report::print(&text(&report, &proof, prover.key(), &files))?
    }
    Ok(0)
}

fn reference_string(options: &ProveOptions, k: u32) -> Result<Srs, Error> {
    Ok(match &options.srs {
        Some(path) => Srs::read(path, k)?,
        None => Srs::development(k, OsRng)?,
    })
}

/// No proof leaves that its own verifier rejects. Proof and key are read back from their bytes first, as a verifier
/// would.
fn own_check(prover: &ModelProver, proof: &ProofBundle) -> Result<(), Error> {
    let unreadable = |error: FileError| Error::Internal(format!("what was just made cannot be read: {error}"));
    let read = ProofBundle::from_json(&proof.to_json()?, "proof.json").map_err(unreadable)?;
    let key = ModelKey::from_bytes(prover.key().to_bytes(), "model.vk").map_err(unreadable)?;
    let verdict = key.verify(&read);
    verdict.map_err(|rejection| Error::Internal(format!("the proof just made was rejected: {rejection}")))
}

/// Where the artifacts go; found out before the work, made after it.
fn output_folder(options: &ProveOptions, model: &Model) -> anyhow::Result<PathBuf> {
    let folder = options.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.proof", model.name())));
    if folder.exists() && !folder.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(FileError::File { path: folder, action: "write", source }.into());
    }
    Ok(folder)
}

fn report(prover: &ModelProver, proof: &ProofBundle, output_float: Vec<Vec<f32>>, timings: &Timings) -> Report {
    let (model, summary) = (prover.model(), prover.model().summary());
    let output: Vec<Vec<f64>> = proof.outputs.iter().map(|tensor| tensor.reals.clone()).collect();
    Report {
        model: proof.model.clone(),
        backend: proof.backend.clone(),
        device: prover.device(),
        weights: proof.weights.clone(),
        k: summary.k,
        advice_columns: summary.advice_columns,
        fixed_columns: summary.fixed_columns,
        lookups: summary.lookups,
        parameters: model.parameters(),
        macs: model.macs(),
        srs_ms: timings.srs_ms,
        setup_ms: timings.setup_ms,
        witness_ms: timings.witness_ms,
        prove_ms: timings.prove_ms,
        prove_cpu_ms: timings.prove_cpu_ms,
        total_cpu_ms: cpu_ms(),
        verify_ms: timings.verify_ms,
        proof_bytes: proof.proof_bytes().len(),
        peak_rss_bytes: peak_rss_bytes(),
        table_bytes: prover.table_bytes(),
        table_budget_bytes: prover.budget().table_budget_bytes,
        coset_budget_bytes: prover.budget().coset_budget_bytes,
        max_abs_error: max_abs_error(&output, &output_float),
        output,
        output_float,
        insecure_srs: proof.insecure_srs,
    }
}

fn max_abs_error(output: &[Vec<f64>], float: &[Vec<f32>]) -> f64 {
    let pairs = output.iter().flatten().zip(float.iter().flatten());
    pairs.map(|(value, float)| (value - f64::from(*float)).abs()).fold(0.0, f64::max)
}

fn text(report: &Report, proof: &ProofBundle, key: &ModelKey, files: &[PathBuf; 2]) -> String {
    let Report { k, advice_columns, fixed_columns, .. } = report;
    let mut text = format!("{}: proved and verified on {}, {}\n", report.model, report.backend, report.device);
    for tensor in &proof.outputs {
        text += &report::tensor_line("output", &tensor.name, &tensor.reals);
    }
    let lookups = grouped(report.lookups as u64);
    let lines = [
        ("float model", format!("differs by at most {:.4}", report.max_abs_error)),
        ("circuit", format!("k = {k}, {advice_columns} advice and {fixed_columns} fixed columns, {lookups} lookups")),
        ("prove", format!("{:.0} ms ({:.0} ms of CPU time)", report.prove_ms, report.prove_cpu_ms)),
        ("verify", format!("{:.1} ms", report.verify_ms)),
        ("once", format!("{:.0} ms reference string, {:.0} ms keys", report.srs_ms, report.setup_ms)),
        ("proof", format!("{} bytes", grouped(report.proof_bytes as u64))),
        ("memory", format!("{:.0} MB at most", report.peak_rss_bytes as f64 / 1e6)),
    ];
    text.extend(lines.iter().map(|(label, line)| report::line(label, line)));
    text += &report::guarantee_lines(key);
    text += &report::line("written", &format!("{}, {}", files[0].display(), files[1].display()));
    text
}
