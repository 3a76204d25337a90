//! Models in segments, for the commands that make and use their keys.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand_core::OsRng;
use serde::Serialize;
use tracing::info_span;
use zkml_gpu::segmented::{SegmentSummary, SegmentTimes};
use zkml_gpu::verify::report::{bytes_text, segmented_guarantee_lines, segmented_proof_lines};
use zkml_gpu::{
    AnyProof, Costs, Error, FileError, Model, ModelAbout, Saturation, SegmentedKey, SegmentedModel, SegmentedProof,
    SegmentedProved, SegmentedProver, SegmentedProverKey, write_whole,
};

use crate::args::{PlanOptions, ProveOptions, RetrainOptions};
use crate::batch::{Done, State, Task};
use crate::compile::{TARGET, timed};
use crate::page;
use crate::progress;
use crate::prove::{
    accuracy_text, check_saturation, compare, drop_other_proofs, error_text, output_folder, read_openings, read_salts,
    shown, write_openings,
};
use crate::report::{self, elapsed_ms, grouped, line, plural, short};
use crate::resources::{cpu_ms, peak_rss_bytes};
use crate::setup::public_text;

/// What `compile --json` prints of a model in segments. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Compiled<'a> {
    #[serde(flatten)]
    about: &'a ModelAbout,
    k: u32,
    parameters: usize,
    macs: usize,
    segments: &'a [SegmentSummary],
    compile_ms: f64,
    /// The file written.
    file: PathBuf,
}

/// Checks, writes and tells what was compiled.
pub(crate) fn compiled(model: &SegmentedModel, compile_ms: f64, file: PathBuf, json: bool) -> anyhow::Result<u8> {
    // A layout that does not say what its graph says is found here, where it is a bug of ours.
    model.check()?;
    model.write(&file)?;
    let costs = &model.about().source.costs;
    let segments = &model.plan(costs)?;
    if json {
        let (k, parameters, macs) = (model.k(), model.parameters(), model.macs());
        let about = model.about();
        report::print_json(&Compiled { about, k, parameters, macs, segments, compile_ms, file })?;
        return Ok(0);
    }
    let mut text = format!("{}: compiled in {}\n", model.name(), plural(model.segments(), "segment"));
    let parameters = plural(model.parameters(), "learned value");
    let macs = grouped(model.macs() as u64);
    text += &line("model", &format!("{}, {parameters} and {macs} multiplications", model.name()));
    text += &line("error", &error_text(model.about().accuracy.max_error, model.about().source.samples));
    text += &table(segments);
    text += &line("circuits", &circuits_text(model));
    for input in model.shared_private_inputs() {
        let name = input.escape_debug();
        text +=
            &line("hidden", &format!("input {name} is private and read by several segments: proofs show a commitment"));
    }
    text += &line("written", &format!("{}, which holds the weights", file.display()));
    report::print(&text)?;
    Ok(0)
}

/// Into what a model was cut, in words.
pub(crate) fn cut_text(model: &SegmentedModel) -> String {
    format!("the model is proved in {}: {}", plural(model.segments(), "segment"), circuits_text(model))
}

fn circuits_text(model: &SegmentedModel) -> String {
    let circuits = plural(model.circuits(), "circuit");
    format!("{circuits} of 2^{} rows, tied by commitments to what lies between them", model.k())
}

/// One line for each segment.
pub(crate) fn table(segments: &[SegmentSummary]) -> String {
    let mut text = format!(
        "  {:>3} {:>7} {:>12} {:>15} {:>11} {:>9} {:>10}  layers\n",
        "", "circuit", "parameters", "multiplications", "boundaries", "CPU time", "memory"
    );
    for (number, segment) in segments.iter().enumerate() {
        let [first, last] = segment.layers.each_ref().map(|name| name.escape_debug().to_string());
        let layers = if first == last { first } else { format!("{first} to {last}") };
        let shown: String = layers.chars().take(60).collect();
        let _ = writeln!(
            text,
            "  {:>3} {:>7} {:>12} {:>15} {:>11} {:>6.0} ms {:>10}  {shown}",
            number + 1,
            segment.circuit + 1,
            grouped(segment.parameters as u64),
            grouped(segment.macs as u64),
            grouped(segment.between as u64),
            segment.plan.prove_cpu_ms,
            bytes_text(segment.memory_bytes),
        );
    }
    text
}

/// What `plan --json` prints of a model in segments.
#[derive(Debug, Serialize)]
struct Plan<'a> {
    model: &'a str,
    inferences: usize,
    parameters: usize,
    macs: usize,
    k: u32,
    segments: &'a [SegmentSummary],
    /// Of all segments together.
    prove_cpu_ms: f64,
    prove_ms: f64,
    verify_ms: f64,
    proof_bytes: usize,
    key_bytes: usize,
    /// What the largest segment needs.
    memory_bytes: u64,
    costs: &'a Costs,
}

/// Tells what the proofs of all segments will cost.
pub(crate) fn plan(model: &SegmentedModel, costs: &Costs, options: &PlanOptions) -> anyhow::Result<u8> {
    let segments = &model.plan(costs)?;
    let sum = |of: fn(&SegmentSummary) -> f64| -> f64 { segments.iter().map(of).sum() };
    let mut key_bytes = 0;
    for circuit in 0..model.circuits() {
        let first = segments.iter().find(|segment| segment.circuit == circuit);
        key_bytes += first.map_or(0, |segment| segment.plan.key_bytes);
    }
    let plan = Plan {
        model: model.name(),
        inferences: model.inferences(),
        parameters: model.parameters(),
        macs: model.macs(),
        k: model.k(),
        segments,
        prove_cpu_ms: sum(|segment| segment.plan.prove_cpu_ms),
        prove_ms: sum(|segment| segment.plan.prove_ms),
        verify_ms: sum(|segment| segment.plan.verify_ms),
        proof_bytes: segments.iter().map(|segment| segment.plan.proof_bytes).sum(),
        key_bytes,
        memory_bytes: segments.iter().map(|segment| segment.memory_bytes).max().unwrap_or(0),
        costs,
    };
    let prove = format!("{:.0} ms ({:.0} ms of processor or device time)", plan.prove_ms, plan.prove_cpu_ms);
    let files = [plan.proof_bytes, plan.key_bytes].map(|bytes| grouped(bytes as u64));
    let about = [
        ("circuits", circuits_text(model)),
        ("prove", prove),
        ("verify", format!("{:.0} ms", plan.verify_ms)),
        ("memory", format!("{} for the largest segment", bytes_text(plan.memory_bytes))),
        ("files", format!("proofs {} bytes, circuits' keys {} bytes", files[0], files[1])),
        ("prices", format!("{}, {}", costs.backend, costs.device)),
    ];
    if let Some(path) = &options.report {
        let parameters = ("parameters", format!("{} learned values", grouped(plan.parameters as u64)));
        let about: Vec<(&str, String)> = std::iter::once(parameters).chain(about.clone()).collect();
        write_whole(path, page::plan::segmented(plan.model, &about, segments).as_bytes())?;
    }
    if options.json {
        report::print_json(&plan)?;
        return Ok(0);
    }
    let mut text = format!("{}: {} learned values, in {}\n", plan.model, grouped(plan.parameters as u64), {
        plural(segments.len(), "segment")
    });
    text += &table(segments);
    text.extend(about.iter().map(|(label, text)| line(label, text)));
    report::print(&text)?;
    Ok(0)
}

/// What `setup --json` prints of a model in segments.
#[derive(Debug, Serialize)]
struct SetUp {
    model: String,
    k: u32,
    segments: usize,
    circuits: usize,
    weights: &'static str,
    note: &'static str,
    insecure_srs: bool,
    max_error: f64,
    verifying_key: String,
    srs_ms: f64,
    setup_ms: f64,
    proving_key_file: PathBuf,
    verifying_key_file: PathBuf,
    public_model_file: PathBuf,
}

/// `zkml-gpu retrain` of a model in segments.
pub(crate) fn retrain(
    options: &RetrainOptions,
    old: &SegmentedProverKey,
    compiled: SegmentedModel,
    name: &str,
) -> anyhow::Result<u8> {
    let keys = || old.retrain(compiled, &options.machine.backend, OsRng);
    let (key, setup_ms) = timed(info_span!(target: TARGET, "keys"), keys)?;
    let circuits = |key: &SegmentedProverKey| -> Vec<String> {
        key.key().segments().iter().map(|segment| segment.circuit_digest().to_owned()).collect()
    };
    if circuits(&key) != circuits(old) {
        return Err(Error::Internal("the retrained model has other circuit keys".into()).into());
    }
    write_keys(&key, [0.0, setup_ms], (&options.out, name), options.json)
}

/// Writes a model's keys and its public model, and tells of them.
pub(crate) fn write_keys(
    key: &SegmentedProverKey,
    [srs_ms, setup_ms]: [f64; 2],
    (out, name): (&Path, &str),
    json: bool,
) -> anyhow::Result<u8> {
    let public = key.model().public()?;
    let [pk, vk] = key.write_pair(out, name)?;
    let public_file = out.join(format!("{name}.public.zkml"));
    public.write(&public_file)?;
    let (model, verifying) = (key.model(), key.key());
    let report = SetUp {
        model: model.name().into(),
        k: model.k(),
        segments: model.segments(),
        circuits: model.circuits(),
        weights: verifying.weights(),
        note: verifying.note(),
        insecure_srs: verifying.is_insecure(),
        max_error: verifying.accuracy().max_error,
        verifying_key: verifying.digest().into(),
        srs_ms,
        setup_ms,
        proving_key_file: pk,
        verifying_key_file: vk,
        public_model_file: public_file,
    };
    if json {
        report::print_json(&report)?;
        return Ok(0);
    }
    let mut text = format!("{}: keys made, of {}\n", report.model, plural(report.segments, "segment"));
    text += &line("circuits", &circuits_text(model));
    text += &line("calibration", &accuracy_text(verifying.accuracy()));
    text += &line("key", short(&report.verifying_key));
    text += &segmented_guarantee_lines(verifying);
    text += &line("keep", &format!("{}: private, it holds the weights", report.proving_key_file.display()));
    text += &line("publish", &report.verifying_key_file.display().to_string());
    let holds = public_text(public.tells_quantisation());
    text += &line("publish", &format!("{}: {holds}", report.public_model_file.display()));
    report::print(&text)?;
    Ok(0)
}

/// What is known besides the key when proofs begin.
pub(crate) struct Run {
    pub(crate) float: Option<Model>,
    pub(crate) origin: String,
    pub(crate) srs_ms: f64,
    pub(crate) setup_ms: f64,
    pub(crate) key_file: PathBuf,
}

/// What `prove --json` prints for one inference of a model in segments.
#[derive(Debug, Serialize)]
struct Proof {
    model: String,
    backend: String,
    weights: String,
    note: String,
    k: u32,
    segments: usize,
    circuits: usize,
    parameters: usize,
    macs: usize,
    srs_ms: f64,
    setup_ms: f64,
    /// Of each segment, in their order.
    times: Vec<SegmentTimes>,
    prove_ms: f64,
    prove_cpu_ms: f64,
    total_cpu_ms: f64,
    verify_ms: f64,
    proof_bytes: usize,
    peak_rss_bytes: u64,
    inferences: u64,
    output: Vec<Vec<f64>>,
    output_float: Option<Vec<Vec<f32>>>,
    max_abs_error: Option<f64>,
    relative_error: Option<f64>,
    max_error: f64,
    saturation: Option<Saturation>,
    insecure_srs: bool,
    verifying_key: String,
    keys: String,
    srs: Option<PathBuf>,
    proof_file: PathBuf,
    key_file: PathBuf,
}

/// What `prove --json` prints for several inferences.
#[derive(Debug, Serialize)]
struct Batch<'a> {
    model: &'a str,
    backend: String,
    k: u32,
    segments: usize,
    proved: usize,
    skipped: usize,
    failed: usize,
    results: &'a [Done],
    setup_ms: f64,
    prove_ms: f64,
    total_cpu_ms: f64,
    peak_rss_bytes: u64,
    insecure_srs: bool,
    verifying_key: &'a str,
    keys: &'a str,
    key_file: &'a Path,
}

/// One task's proof, its file not yet written.
struct Attempt {
    proved: SegmentedProved,
    saturation: Option<Saturation>,
    compared: Option<crate::prove::Compared>,
    prove_ms: f64,
    prove_cpu_ms: f64,
    verify_ms: f64,
}

/// `zkml-gpu prove` of a model in segments.
pub(crate) fn prove(
    options: &ProveOptions,
    key: SegmentedProverKey,
    run: Run,
    tasks: &[Task],
    unreadable: Vec<Done>,
) -> anyhow::Result<u8> {
    let prover = key.prover(&options.machine.backend, options.machine.max_memory)?;
    if options.jobs > 1 {
        progress::note("the proofs of a model in segments are made one after the other");
    }
    match tasks {
        [task] if unreadable.is_empty() => prove_one(options, &prover, run, task),
        _ => prove_batch(options, &prover, &run, tasks, unreadable),
    }
}

fn prove_one(options: &ProveOptions, prover: &SegmentedProver, run: Run, task: &Task) -> anyhow::Result<u8> {
    let made = attempt(options, prover, run.float.as_ref(), task)?;
    let (key, bundle) = (prover.key(), &made.proved.bundle);
    let model = prover.proving_key().model();
    let folder = output_folder(options);
    let report = Proof {
        model: key.model().into(),
        backend: bundle.backend.clone(),
        weights: bundle.weights.clone(),
        note: bundle.note.clone(),
        k: key.k(),
        segments: model.segments(),
        circuits: model.circuits(),
        parameters: model.parameters(),
        macs: model.macs(),
        srs_ms: run.srs_ms,
        setup_ms: run.setup_ms,
        times: made.proved.times.clone(),
        prove_ms: made.prove_ms,
        prove_cpu_ms: made.prove_cpu_ms,
        total_cpu_ms: cpu_ms(),
        verify_ms: made.verify_ms,
        proof_bytes: bundle.proof_bytes(),
        peak_rss_bytes: peak_rss_bytes(),
        inferences: bundle.inferences,
        output: bundle.outputs.iter().map(|tensor| tensor.reals()).collect(),
        output_float: made.compared.as_ref().map(|compared| shown(compared.output.clone(), &bundle.outputs)),
        max_abs_error: made.compared.as_ref().map(|compared| compared.max_abs_error),
        relative_error: made.compared.as_ref().map(|compared| compared.relative_error),
        max_error: bundle.max_error,
        saturation: made.saturation.clone(),
        insecure_srs: bundle.insecure_srs,
        verifying_key: key.digest().into(),
        keys: run.origin,
        srs: options.srs.clone(),
        proof_file: task.file.clone(),
        key_file: run.key_file.clone(),
    };
    let printed = if options.json { report::json(&report)? } else { text(&report, bundle, key) };
    let had_key = run.key_file.exists();
    write_openings(&task.file, &made.proved.openings, options)?;
    let [proof_file, key_file] = bundle.write_with_key(key, &folder)?;
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

/// Proves, verifies and compares.
fn attempt(
    options: &ProveOptions,
    prover: &SegmentedProver,
    float: Option<&Model>,
    task: &Task,
) -> anyhow::Result<Attempt> {
    let model = prover.proving_key().model();
    let sample = model.together(&task.samples)?;
    let saturation = check_saturation(model.saturation(&sample), options.max_saturation)?;
    let (openings, salts) = (read_openings(options)?, read_salts(options)?);
    let (cpu_before, start) = (cpu_ms(), Instant::now());
    let proved = prover.prove(&sample, &openings, &salts, OsRng, |_| ())?;
    let (prove_ms, prove_cpu_ms) = (elapsed_ms(start), cpu_ms() - cpu_before);
    let check = || prover.check(&proved.bundle);
    let (_, verify_ms) = timed(info_span!(target: TARGET, "verify"), check)?;
    let compared = match float {
        Some(float) => Some(compare(float, model.about(), task, &proved.bundle.outputs, options)?),
        None => None,
    };
    Ok(Attempt { proved, saturation, compared, prove_ms, prove_cpu_ms, verify_ms })
}

fn prove_batch(
    options: &ProveOptions,
    prover: &SegmentedProver,
    run: &Run,
    tasks: &[Task],
    unreadable: Vec<Done>,
) -> anyhow::Result<u8> {
    let folder = output_folder(options);
    std::fs::create_dir_all(&folder).map_err(|source| FileError::unwritten(&folder, source))?;
    drop_other_proofs(&folder, &run.key_file, prover.key().to_bytes())?;
    // The key comes first: no proof is without it, also where the command is killed.
    write_whole(&run.key_file, prover.key().to_bytes())?;
    let start = Instant::now();
    let bar = progress::counted(tasks.len() as u64);
    let mut results = unreadable;
    for task in tasks {
        results.push(one_of_batch(options, prover, run.float.as_ref(), task));
        bar.step();
    }
    bar.finish();
    let count = |state| results.iter().filter(|done| done.state == state).count();
    let [proved, skipped, failed] = [State::Proved, State::Skipped, State::Failed].map(count);
    let report = Batch {
        model: prover.key().model(),
        backend: prover.backend(),
        k: prover.key().k(),
        segments: prover.key().segments().len(),
        proved,
        skipped,
        failed,
        results: &results,
        setup_ms: run.setup_ms,
        prove_ms: elapsed_ms(start),
        total_cpu_ms: cpu_ms(),
        peak_rss_bytes: peak_rss_bytes(),
        insecure_srs: prover.key().is_insecure(),
        verifying_key: prover.key().digest(),
        keys: &run.origin,
        key_file: &run.key_file,
    };
    report::print(&if options.json { report::json(&report)? } else { batch_text(&report) })?;
    Ok(if failed > 0 { zkml_gpu::ErrorClass::BadInput.exit_code() } else { 0 })
}

fn one_of_batch(options: &ProveOptions, prover: &SegmentedProver, float: Option<&Model>, task: &Task) -> Done {
    let prove = || -> anyhow::Result<Done> {
        let made = attempt(options, prover, float, task)?;
        write_openings(&task.file, &made.proved.openings, options)?;
        made.proved.bundle.write(&task.file)?;
        let saturated = made.saturation.map_or(0.0, |saturation| saturation.share);
        let error = made.compared.map(|compared| compared.relative_error);
        Ok(Done::proved(task, saturated, made.prove_ms, error, &made.proved.bundle.outputs))
    };
    prove().unwrap_or_else(|error| {
        // An older proof under this name is of another input, or of one that is not proved any more.
        if AnyProof::read(&task.file).is_ok() {
            let _ = std::fs::remove_file(&task.file);
        }
        Done::failed(&task.input, task.index, crate::failure::message(&error))
    })
}

fn text(report: &Proof, proof: &SegmentedProof, key: &SegmentedKey) -> String {
    let mut text = format!(
        "{}: proved and verified in {} on {}\n",
        report.model,
        plural(report.segments, "segment"),
        report.backend
    );
    text += &segmented_proof_lines(proof);
    if let (Some(error), Some(relative)) = (report.max_abs_error, report.relative_error) {
        let error = zkml_gpu::verify::report::number_text(error);
        text += &line(
            "float model",
            &format!("differs by at most {error}, {:.2} % of the output's range", 100.0 * relative),
        );
    }
    text += &line("calibration", &accuracy_text(key.accuracy()));
    if let Some(saturation) = &report.saturation {
        text += &line("clamped", &format!("{:.2} % of input '{}'", 100.0 * saturation.share, saturation.input));
    }
    let load: f64 = report.times.iter().map(|times| times.load_ms).sum();
    let lines = [
        ("circuits", format!("{} of 2^{} rows", report.circuits, report.k)),
        (
            "prove",
            format!(
                "{:.0} ms ({:.0} ms of CPU time), {load:.0} ms of it to load circuits",
                report.prove_ms, report.prove_cpu_ms
            ),
        ),
        ("verify", format!("{:.1} ms", report.verify_ms)),
        ("once", format!("{:.0} ms reference string, {:.0} ms keys", report.srs_ms, report.setup_ms)),
        ("proof", format!("{} bytes", grouped(report.proof_bytes as u64))),
        ("memory", format!("{:.0} MB at most", report.peak_rss_bytes as f64 / 1e6)),
    ];
    text.extend(lines.iter().map(|(label, text)| line(label, text)));
    text += &segmented_guarantee_lines(key);
    text += &line("keys", &report.keys);
    text += &line("digests", &format!("key {}", short(&report.verifying_key)));
    text + &line("written", &format!("{}, {}", report.proof_file.display(), report.key_file.display()))
}

fn batch_text(report: &Batch<'_>) -> String {
    let segments = plural(report.segments, "segment");
    let mut text =
        format!("{}: {} in {segments} on {}\n", report.model, plural(report.proved, "proof"), report.backend);
    for done in report.results.iter().filter(|done| done.state == State::Failed) {
        let error = done.error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        text += &line("failed", &report::terminal_safe(&format!("{}: {error}", done.name())));
    }
    text += &line(
        "prove",
        &format!("{:.0} ms in all, {:.0} ms of CPU time of the process", report.prove_ms, report.total_cpu_ms),
    );
    text += &line("keys", report.keys);
    text + &line("written", &report.key_file.display().to_string())
}
