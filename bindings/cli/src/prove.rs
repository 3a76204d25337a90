//! `zkml-gpu prove`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rand_core::OsRng;
use serde::Serialize;
use tracing::info_span;
use zkml_gpu::verify::report::number_text;
use zkml_gpu::{
    Accuracy, AnyProof, AnyProverKey, Error, FileError, Model, ModelAbout, ModelKey, ModelProver, Opening, ProofBundle,
    Proved, ProverKey, PublicTensor, Salt, Saturation, read_bounded, read_salt, saturation,
};

use crate::args::{ProveOptions, TranscriptHash};
use crate::batch::{self, Done, State, Task};
use crate::commit::{self, file_stem};
use crate::compile::{TARGET, prepare, timed};
use crate::keys::{Keys, Source};
use crate::report::{self, elapsed_ms, grouped, line, plural};
use crate::resources::{cpu_ms, peak_rss_bytes};
use crate::{output, progress, segments};

/// Proofs from which on tables of multiples of the reference string's points pay: making them takes as long as they
/// save in about so many.
const PROOFS_FOR_TABLES: usize = 4;

/// Largest model.vk that a folder of results has.
const MAX_KEY_BYTES: u64 = 1 << 30;

/// What `--json` prints for one inference. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    backend: String,
    device: String,
    /// How the weights are bound, as in `proof.json`.
    weights: String,
    /// What the verifier knows of them.
    note: String,
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
    /// Inputs that the proof is of.
    inferences: u64,
    /// The proved output as real numbers, one list for each output, in the order of the model's axes; of several inputs
    /// one after the other.
    output: Vec<Vec<f64>>,
    /// What the float model gives; null for a proving key, which does not hold it.
    output_float: Option<Vec<Vec<f32>>>,
    max_abs_error: Option<f64>,
    /// The same as a part of the output's range over the samples of the calibration.
    relative_error: Option<f64>,
    /// Error on those samples, as key and proof tell it.
    max_error: f64,
    /// What of the input was clamped to the calibrated range; null where nothing was.
    saturation: Option<Saturation>,
    insecure_srs: bool,
    #[serde(flatten)]
    artifacts: Artifacts,
}

/// Where things are and what names them.
#[derive(Debug, Serialize)]
struct Artifacts {
    /// Digest of model.vk, of its circuit key, and of its model commitment.
    verifying_key: String,
    circuit_key: String,
    model_commitment: String,
    /// Where the keys came from.
    keys: String,
    /// The reference string's file; null for one that was made for development, and for a proving key, which holds it.
    srs: Option<PathBuf>,
    proof_file: Option<PathBuf>,
    key_file: PathBuf,
}

/// What `--json` prints for several inferences.
#[derive(Debug, Serialize)]
struct BatchReport<'a> {
    model: String,
    backend: String,
    device: String,
    k: u32,
    proved: usize,
    skipped: usize,
    failed: usize,
    /// In the order of the inputs.
    results: &'a [Done],
    setup_ms: f64,
    /// Wall time of all proofs together.
    prove_ms: f64,
    total_cpu_ms: f64,
    peak_rss_bytes: u64,
    insecure_srs: bool,
    #[serde(flatten)]
    artifacts: Artifacts,
}

/// The keys of a model in one piece, and what is known besides, as [`Keys`] has it.
struct WholeKeys {
    key: ProverKey,
    float: Option<Model>,
    origin: String,
    srs_ms: f64,
    setup_ms: f64,
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
    if !(0.0..=1.0).contains(&options.max_saturation) {
        let problem = format!("--max-saturation {} is no share", options.max_saturation);
        return Err(Error::Arguments { problem, hint: "a number from 0 to 1" }.into());
    }
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let folder = output_folder(options);
    output::try_folder(&folder)?;
    let files = batch::files(&options.inputs)?;
    let source = Source::read(options)?;
    let (tasks, unreadable) = match &options.joint {
        Some(file) => (vec![batch::joint_task(file, &folder, &source.inputs())?], Vec::new()),
        None => batch::tasks(&files, &folder, &source.inputs())?,
    };
    let source = source.together(tasks.first().map_or(1, |task| task.samples.len()), options)?;
    let keys = source.keys(options, &tasks)?;
    if !(options.openings.is_empty() && options.salts.is_empty()) && tasks.len() > 1 {
        let problem = "an opening or a salt is of one tensor, and several inputs are given".into();
        return Err(Error::Arguments { problem, hint: "prove the input that it is for by itself" }.into());
    }
    let key_file = folder.join("model.vk");
    let Keys { key, float, origin, srs_ms, setup_ms } = keys;
    let key = match key {
        AnyProverKey::Whole(key) => *key,
        AnyProverKey::Segmented(key) => {
            if options.transcript == Some(TranscriptHash::Keccak) {
                let problem = "segments have no contract, and so no proofs by Keccak's challenges".into();
                return Err(Error::Arguments { problem, hint: "--segments 1 makes one circuit" }.into());
            }
            check_other_key(&key_file, key.key().to_bytes(), options.replace)?;
            let run = segments::Run { float, origin, srs_ms, setup_ms, key_file };
            return segments::prove(options, *key, run, &tasks, unreadable);
        }
    };
    check_other_key(&key_file, key.key().to_bytes(), options.replace)?;
    let keys = WholeKeys { key, float, origin, srs_ms, setup_ms };
    let task = match &tasks[..] {
        [task] if unreadable.is_empty() => task,
        _ => return prove_batch(options, keys, &tasks, unreadable, key_file),
    };
    let WholeKeys { key, float, origin, srs_ms, setup_ms } = keys;
    let sample = key.model().together(&task.samples)?;
    let saturation = check_saturation(saturation(key.model(), &sample), options.max_saturation)?;
    let budget = key.model().memory_budget(options.machine.max_memory)?.for_one_proof();
    let (prover, load_ms) =
        timed(info_span!(target: TARGET, "load"), || key.prover(&options.machine.backend, &budget))?;
    let prover = prover.with_hasher(options.transcript.map(Into::into).unwrap_or_default());
    let setup_ms = setup_ms + load_ms;
    let cpu_before = cpu_ms();
    let start = Instant::now();
    let openings = read_openings(options)?;
    let Proved { bundle: proof, openings: own, witness_ms } =
        prover.prove_opened(&sample, &openings, &read_salts(options)?, OsRng)?;
    let (prove_ms, prove_cpu_ms) = (elapsed_ms(start), cpu_ms() - cpu_before);
    let (_, verify_ms) = timed(info_span!(target: TARGET, "verify"), || prover.check(&proof))?;

    // Whatever can fail comes before the files: those of a command that failed would be taken for good ones.
    let compared =
        float.map(|model| compare(&model, prover.model().about(), task, &proof.outputs, options)).transpose()?;
    let timings = Timings { srs_ms, setup_ms, witness_ms, prove_ms, prove_cpu_ms, verify_ms };
    let artifacts = artifacts(prover.key(), origin, options, Some(task.file.clone()), key_file);
    let report = report(&prover, &proof, compared, saturation, &timings, artifacts);
    let printed = if options.json { report::json(&report)? } else { text(&report, &proof, prover.key()) };
    let had_key = report.artifacts.key_file.exists();
    // Openings come first: without them nobody could use the commitments of a proof again.
    write_openings(&task.file, &own, options)?;
    let [proof_file, key_file] = proof.write_with_key(prover.key(), &folder)?;
    report::print(&printed).inspect_err(|_| {
        // The command fails, and leaves nothing that could be taken for its result.
        let _ = std::fs::remove_file(&proof_file);
        if !had_key {
            let _ = std::fs::remove_file(&key_file);
            let _ = std::fs::remove_dir(&folder);
        }
    })?;
    Ok(0)
}

/// The openings that the arguments name.
pub(crate) fn read_openings(options: &ProveOptions) -> Result<Vec<(String, Opening)>, Error> {
    options.openings.iter().map(|(name, path)| Ok((name.clone(), Opening::read(path)?))).collect()
}

/// The salts that the arguments name.
pub(crate) fn read_salts(options: &ProveOptions) -> Result<Vec<(String, Salt)>, Error> {
    options.salts.iter().map(|(name, path)| Ok((name.clone(), read_salt(path)?))).collect()
}

/// Writes the fresh openings of a proof beside it, with their commitments.
pub(crate) fn write_openings(
    proof: &Path,
    openings: &[(String, Opening)],
    options: &ProveOptions,
) -> Result<(), Error> {
    let given = |name: &str| options.openings.iter().any(|(of, _)| of == name);
    let folder = proof.parent().unwrap_or_else(|| Path::new("."));
    let file = proof.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = file.strip_suffix("proof.json").unwrap_or_default();
    let fresh = openings.iter().filter(|(name, _)| !given(name));
    for (place, (name, opening)) in fresh.enumerate() {
        if place == 0 {
            std::fs::create_dir_all(folder).map_err(|source| FileError::unwritten(folder, source))?;
        }
        let mut own = format!("{stem}{}", file_stem(name));
        // Two names may be one as files.
        if openings.iter().filter(|(other, _)| file_stem(other) == file_stem(name)).count() > 1 {
            own += &format!(".{place}");
        }
        commit::write(folder, &own, opening)?;
    }
    Ok(())
}

/// All inputs with one load; ends with the code of bad input where one of them failed.
fn prove_batch(
    options: &ProveOptions,
    keys: WholeKeys,
    tasks: &[Task],
    unreadable: Vec<Done>,
    key_file: PathBuf,
) -> anyhow::Result<u8> {
    let WholeKeys { key, float, origin, setup_ms, .. } = keys;
    let limit = options.machine.max_memory;
    let budget = key.model().memory_budget(limit)?;
    let budget = if tasks.len() < PROOFS_FOR_TABLES { budget.without_tables() } else { budget };
    let jobs = jobs(options, budget.proofs_at_a_time(limit));
    let (prover, load_ms) =
        timed(info_span!(target: TARGET, "load"), || key.prover(&options.machine.backend, &budget))?;
    let prover = prover.with_hasher(options.transcript.map(Into::into).unwrap_or_default());
    std::fs::create_dir_all(output_folder(options))
        .map_err(|source| FileError::unwritten(&output_folder(options), source))?;
    drop_other_proofs(&output_folder(options), &key_file, prover.key().to_bytes())?;
    // The key comes first: no proof is without it, also where the command is killed.
    prover.key().write(&key_file)?;
    let start = Instant::now();
    let mut results = unreadable;
    results.extend(batch::prove_all(&prover, float.as_ref(), tasks, options, jobs));
    let count = |state| results.iter().filter(|done| done.state == state).count();
    let [proved, skipped, failed] = [State::Proved, State::Skipped, State::Failed].map(count);
    let report = BatchReport {
        model: prover.model().name().into(),
        backend: prover.backend().into(),
        device: prover.device(),
        k: prover.model().k(),
        proved,
        skipped,
        failed,
        results: &results,
        setup_ms: setup_ms + load_ms,
        prove_ms: elapsed_ms(start),
        total_cpu_ms: cpu_ms(),
        peak_rss_bytes: peak_rss_bytes(),
        insecure_srs: prover.key().is_insecure(),
        artifacts: artifacts(prover.key(), origin, options, None, key_file),
    };
    report::print(&if options.json { report::json(&report)? } else { batch_text(&report, prover.key()) })?;
    Ok(if failed > 0 { zkml_gpu::ErrorClass::BadInput.exit_code() } else { 0 })
}

/// As many proofs at a time as are asked for and fit.
fn jobs(options: &ProveOptions, fit: u64) -> usize {
    let asked = u64::from(options.jobs);
    if asked > fit {
        progress::note(&format!("memory is for {} at a time, not {asked}", plural(fit as usize, "proof")));
    }
    usize::try_from(asked.min(fit)).unwrap_or(1)
}

/// Refuses an input of which too much would be clamped.
pub(crate) fn check_saturation(found: Option<Saturation>, most: f64) -> Result<Option<Saturation>, Error> {
    match found {
        Some(Saturation { input, share, range: [low, high], farthest, .. }) if share > most => Err(Error::Arguments {
            problem: format!(
                "{:.1} % of the values of input '{input}' are beyond the range {low} to {high} that it was calibrated for{}: they would be clamped",
                100.0 * share,
                farthest.map(|value| format!(", such as {value}")).unwrap_or_default()
            ),
            hint: "calibrate on samples like this input (--calibration), or scale it as the samples were; --max-saturation SHARE allows more",
        }),
        other => Ok(other),
    }
}

/// What the float model gives, and how far the proof is from it.
pub(crate) struct Compared {
    pub(crate) output: Vec<Vec<f32>>,
    pub(crate) max_abs_error: f64,
    /// As a part of the output's range over the samples of the calibration.
    pub(crate) relative_error: f64,
}

/// Compares a proof with the float model, and refuses one that is farther from it than was asked for.
pub(crate) fn compare(
    model: &Model,
    about: &ModelAbout,
    task: &Task,
    outputs: &[PublicTensor],
    options: &ProveOptions,
) -> Result<Compared, Error> {
    let mut output: Vec<Vec<f32>> = vec![Vec::new(); outputs.len()];
    for sample in &task.samples {
        output.iter_mut().zip(model.run(sample)?).for_each(|(all, own)| all.extend(own));
    }
    let (mut max_abs_error, mut relative_error, mut own_error) = (0f64, 0f64, 0f64);
    for ((tensor, float), extent) in outputs.iter().zip(&output).zip(model.output_extents(&about.calibration)) {
        let pairs = tensor.reals().into_iter().zip(float);
        let error = pairs.map(|(value, float)| (value - f64::from(*float)).abs()).fold(0.0, f64::max);
        max_abs_error = max_abs_error.max(error);
        relative_error = relative_error.max(error / extent);
        let (low, high) = float
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(f64::from(*value)), high.max(f64::from(*value))));
        own_error = own_error.max(if high > low { error / (high - low) } else { 0.0 });
    }
    let bound = about.accuracy.bound;
    if relative_error > bound && !options.circuit.allow_error {
        return Err(Error::Inaccurate {
            error: relative_error as f32,
            bound: bound as f32,
            samples: 1,
            layers: Vec::new(),
        });
    }
    // A calibration on much larger values leaves few integers to this input, and its own range would not show it.
    if own_error > bound {
        progress::note(&format!(
            "the proved output of {} differs from the float model by {:.1} % of its own range, more than the bound of {:.1} % that holds for the range of the calibration",
            task.input.display(),
            100.0 * own_error,
            100.0 * bound
        ));
    }
    Ok(Compared { output, max_abs_error, relative_error })
}

/// A key that others may rely on is not replaced in passing.
fn check_other_key(path: &Path, key: &[u8], replace: bool) -> Result<(), Error> {
    match read_bounded(path, MAX_KEY_BYTES) {
        Err(FileError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(bytes) if bytes == key => Ok(()),
        _ if replace => Ok(()),
        _ => Err(Error::Arguments {
            problem: format!("{} is of other keys: proofs made with it would lose it", path.display()),
            hint: "--out DIR writes elsewhere, --replace replaces it",
        }),
    }
}

/// Where a key is replaced, the proofs for the old one go first: they would be taken for the new one's.
pub(crate) fn drop_other_proofs(folder: &Path, key_file: &Path, key: &[u8]) -> Result<(), Error> {
    if !key_file.exists() || read_bounded(key_file, MAX_KEY_BYTES).is_ok_and(|bytes| bytes == key) {
        return Ok(());
    }
    let fail = |source| Error::from(FileError::unwritten(folder, source));
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if batch::is_proof(&name) && AnyProof::read(&path).is_ok() {
            std::fs::remove_file(&path).map_err(fail)?;
        }
    }
    Ok(())
}

/// Where the artifacts go.
pub(crate) fn output_folder(options: &ProveOptions) -> PathBuf {
    let stem = options.source.file_stem().unwrap_or_default().to_string_lossy();
    options.out.clone().unwrap_or_else(|| PathBuf::from(format!("{stem}.proof")))
}

fn artifacts(
    key: &ModelKey,
    keys: String,
    options: &ProveOptions,
    proof_file: Option<PathBuf>,
    key_file: PathBuf,
) -> Artifacts {
    Artifacts {
        verifying_key: key.digest().into(),
        circuit_key: key.circuit_digest().into(),
        model_commitment: key.model_digest().into(),
        keys,
        srs: options.srs.clone(),
        proof_file,
        key_file,
    }
}

fn report(
    prover: &ModelProver,
    proof: &ProofBundle,
    compared: Option<Compared>,
    saturation: Option<Saturation>,
    timings: &Timings,
    artifacts: Artifacts,
) -> Report {
    let (model, summary) = (prover.model(), prover.model().summary());
    let (max_abs_error, relative_error) =
        (compared.as_ref().map(|c| c.max_abs_error), compared.as_ref().map(|c| c.relative_error));
    Report {
        model: proof.model.clone(),
        backend: proof.backend.clone(),
        device: prover.device(),
        weights: proof.weights.clone(),
        note: proof.note.clone(),
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
        inferences: proof.inferences,
        output: proof.outputs.iter().map(|tensor| tensor.reals()).collect(),
        output_float: compared.map(|compared| shown(compared.output, &proof.outputs)),
        max_abs_error,
        relative_error,
        max_error: prover.key().accuracy().max_error,
        saturation,
        insecure_srs: proof.insecure_srs,
        artifacts,
    }
}

fn text(report: &Report, proof: &ProofBundle, key: &ModelKey) -> String {
    let Report { k, advice_columns, fixed_columns, .. } = report;
    let mut text = format!("{}: proved and verified on {}, {}\n", report.model, report.backend, report.device);
    text += &outputs_text(proof);
    if let (Some(error), Some(relative)) = (report.max_abs_error, report.relative_error) {
        let range =
            format!("differs by at most {}, {:.2} % of the output's range", number_text(error), 100.0 * relative);
        text += &line("float model", &range);
    }
    text += &line("calibration", &accuracy_text(key.accuracy()));
    if let Some(saturation) = &report.saturation {
        text += &line("clamped", &format!("{:.2} % of input '{}'", 100.0 * saturation.share, saturation.input));
    }
    let lookups = grouped(report.lookups as u64);
    let lines = [
        ("circuit", format!("k = {k}, {advice_columns} advice and {fixed_columns} fixed columns, {lookups} lookups")),
        ("prove", prove_text(report)),
        ("verify", format!("{:.1} ms", report.verify_ms)),
        ("once", format!("{:.0} ms reference string, {:.0} ms keys", report.srs_ms, report.setup_ms)),
        ("proof", format!("{} bytes", grouped(report.proof_bytes as u64))),
        ("memory", format!("{:.0} MB at most", report.peak_rss_bytes as f64 / 1e6)),
    ];
    text.extend(lines.iter().map(|(label, text)| line(label, text)));
    text += &report::guarantee_lines(key);
    text += &artifact_lines(&report.artifacts);
    text
}

/// Outputs, those of several inferences one by one.
fn outputs_text(proof: &ProofBundle) -> String {
    if proof.inferences > 1 {
        return report::proof_lines(proof);
    }
    proof.outputs.iter().map(|tensor| report::public_line("output", tensor)).collect()
}

fn prove_text(report: &Report) -> String {
    let text = format!("{:.0} ms ({:.0} ms of CPU time)", report.prove_ms, report.prove_cpu_ms);
    match report.inferences {
        1 => text,
        count => format!("{text}, {:.1} ms of CPU time for each input", report.prove_cpu_ms / count as f64),
    }
}

/// What the float model gives of outputs that are public.
pub(crate) fn shown(mut output: Vec<Vec<f32>>, proved: &[PublicTensor]) -> Vec<Vec<f32>> {
    output
        .iter_mut()
        .zip(proved)
        .filter(|(_, tensor)| tensor.visibility.is_hidden())
        .for_each(|(list, _)| list.clear());
    output
}

/// The error on the samples, as the key tells it.
pub(crate) fn accuracy_text(accuracy: &Accuracy) -> String {
    let samples = usize::try_from(accuracy.samples).unwrap_or(usize::MAX);
    let of = if samples == 0 { "" } else { "of " };
    format!("error {of}{}", error_text(accuracy.max_error, samples))
}

/// The error on so many samples, in words.
pub(crate) fn error_text(error: f64, samples: usize) -> String {
    match samples {
        0 => "not measured: the model tells its scales itself, and no samples were given".into(),
        _ => format!("at most {:.2} % of the output's range on {}", 100.0 * error, plural(samples, "sample")),
    }
}

fn artifact_lines(artifacts: &Artifacts) -> String {
    let mut text = line("keys", &artifacts.keys);
    text += &line(
        "digests",
        &format!(
            "circuit {}, model {}",
            report::short(&artifacts.circuit_key),
            report::short(&artifacts.model_commitment)
        ),
    );
    let proof = artifacts.proof_file.iter().map(|path| path.display().to_string());
    let files: Vec<String> = proof.chain([artifacts.key_file.display().to_string()]).collect();
    text + &line("written", &files.join(", "))
}

fn batch_text(report: &BatchReport<'_>, key: &ModelKey) -> String {
    let mut text =
        format!("{}: {} on {}, {}\n", report.model, plural(report.proved, "proof"), report.backend, report.device);
    if report.skipped > 0 {
        text += &line("skipped", &format!("{}, which had their proofs already", plural(report.skipped, "input")));
    }
    for done in report.results.iter().filter(|done| done.state == State::Failed) {
        let error = done.error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        text += &line("failed", &report::terminal_safe(&format!("{}: {error}", done.name())));
    }
    text += &line(
        "prove",
        &format!("{:.0} ms in all, {:.0} ms of CPU time of the process", report.prove_ms, report.total_cpu_ms),
    );
    text += &line("calibration", &accuracy_text(key.accuracy()));
    text += &report::guarantee_lines(key);
    text + &artifact_lines(&report.artifacts)
}
