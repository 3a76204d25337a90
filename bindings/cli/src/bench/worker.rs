//! The process that measures one model on one back end, so that memory and processor time are that back end's alone.
//!
//! `bench prove` writes a [`Job`] to its standard input, then a line for each proof that it wants; every answer is one
//! line. So the processes of several back ends prove in turns. A process ends when its input does.

use std::io::{BufRead, Write};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zkml_gpu::{
    BackendChoice, CompileOptions, CompiledModel, Costs, Error, ImportOptions, MemoryBudget, Model, ModelInput,
    ModelKey, ModelProver, ProofBundle, Proved, Sample, Srs, WeightMode, read_samples,
};

use super::float;
use super::messages::{Answer, Job, Proven, ProverName, Ready, Usage};
use super::record::{Circuit, Estimate, Run};
use super::steps::Steps;
use super::stock::StockProver;
use crate::compile::start_threads;
use crate::failure::{exit_code, message};
use crate::report::elapsed_ms;
use crate::resources::{cpu_ms, peak_rss_bytes};

/// `bench worker`: the exit code, once a failure has been told.
pub(crate) fn worker() -> anyhow::Result<u8> {
    match serve(std::io::stdin().lock()) {
        Ok(()) => Ok(0),
        Err(error) => {
            let exit_code = exit_code(&error);
            answer(&Answer::Failed { message: message(&error), exit_code })?;
            Ok(exit_code)
        }
    }
}

fn serve(mut requests: impl BufRead) -> anyhow::Result<()> {
    let mut line = String::new();
    requests.read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    start_threads(job.threads)?;
    let steps = Steps::listen();
    let (subject, ready) = Subject::new(&job)?;
    answer(&Answer::Ready(Box::new(ready)))?;
    // Reading the memory takes time, which in the proofs after the first is the proof's alone.
    for (proof, request) in requests.lines().enumerate() {
        request?;
        steps.clear(proof == 0);
        answer(&Answer::Proved(subject.prove(job.seed, &steps)?))?;
    }
    let peak_device_bytes = match &subject.prover {
        Either::Ours(prover) => prover.peak_device_bytes(),
        Either::Stock(_) => None,
    };
    answer(&Answer::Done(Usage { peak_rss_bytes: peak_rss_bytes(), peak_device_bytes }))
}

fn answer(answer: &Answer) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, answer)?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// Something that proves one input again and again.
struct Subject {
    sample: Sample,
    /// The float model's.
    float_outputs: Vec<Vec<f32>>,
    prover: Either,
}

enum Either {
    Ours(Box<ModelProver>),
    Stock(Box<StockProver>),
}

impl Subject {
    fn new(job: &Job) -> anyhow::Result<(Self, Ready)> {
        let start = Instant::now();
        let model = Model::load(&job.model, &ImportOptions::default().with_symbols(job.dimensions.clone()))?;
        let choices = choices(job);
        model.check_fits(&choices, job.max_memory)?;
        let sample = sample(job, &model)?;
        let compiled = model.compile(std::slice::from_ref(&sample), &choices)?;
        let budget = compiled.memory_budget(job.max_memory)?;
        let compile_ms = elapsed_ms(start);
        let float_ms = float::time(&model, &sample)?;
        let float_outputs = model.run(&sample)?;
        let extents = model.output_extents(&compiled.about().calibration);
        let output_extent = extents.into_iter().fold(0.0, f64::max);
        let mut circuit = circuit(job, &model, &compiled);
        let start = Instant::now();
        let srs = Srs::development(compiled.k(), rng(job.seed, Stream::ReferenceString))?;
        let srs_ms = elapsed_ms(start);
        let ready = |circuit, device, keys_ms, estimate| Ready {
            circuit,
            device,
            compile_ms,
            srs_ms,
            keys_ms,
            float_ms,
            float_outputs: float_outputs.concat(),
            output_extent,
            estimate,
        };
        match &job.prover {
            ProverName::Ours(name) => {
                let backend: BackendChoice = name.parse()?;
                let estimate = estimate(&compiled, &backend.measure()?, &budget);
                let start = Instant::now();
                let prover = compiled.prover_within(&budget, &srs, &backend, rng(job.seed, Stream::Keys))?;
                let keys_ms = elapsed_ms(start);
                circuit.circuit_digest = format!("{:?}", prover.key().keys().vk().transcript_repr());
                circuit.key_digest = Some(prover.key().digest().into());
                let ready = ready(circuit, prover.device(), keys_ms, Some(estimate));
                Ok((
                    Self { sample, float_outputs: float_outputs.clone(), prover: Either::Ours(Box::new(prover)) },
                    ready,
                ))
            }
            ProverName::Stock => {
                let start = Instant::now();
                let prover = StockProver::new(compiled.graph(), &choices.layout, srs)?;
                let keys_ms = elapsed_ms(start);
                circuit.circuit_digest = prover.circuit_digest();
                let ready = ready(circuit, prover.device(), keys_ms, None);
                Ok((
                    Self { sample, float_outputs: float_outputs.clone(), prover: Either::Stock(Box::new(prover)) },
                    ready,
                ))
            }
        }
    }

    /// Proves and verifies once.
    fn prove(&self, seed: u64, steps: &Steps) -> anyhow::Result<Proven> {
        let rng = rng(seed, Stream::Proof);
        match &self.prover {
            Either::Ours(prover) => {
                let (mut proven, bundle) = prove(prover, &self.sample, rng, steps)?;
                proven.max_abs_error = Some(largest_difference(&bundle, &self.float_outputs));
                Ok(proven)
            }
            Either::Stock(prover) => prover.prove(&self.sample, rng),
        }
    }
}

fn prove(
    prover: &ModelProver,
    sample: &Sample,
    rng: ChaCha20Rng,
    steps: &Steps,
) -> anyhow::Result<(Proven, ProofBundle)> {
    let before = prover.counts();
    let (cpu_before, start) = (cpu_ms(), Instant::now());
    let Proved { bundle, .. } = prover.prove(sample, rng)?;
    let (prove_ms, prove_cpu_ms) = (elapsed_ms(start), cpu_ms() - cpu_before);
    let counts = prover.counts().zip(before).map(|(counts, before)| counts.since(before));
    let steps = steps.of_proof(prove_ms);
    let (verify_ms, read_key_ms) = verify(prover.key(), &bundle)?;
    let proof = bundle.proof_bytes();
    let digest = blake2b_simd::Params::new().hash_length(32).hash(&proof).to_hex().to_string();
    let run = Run { prove_ms, prove_cpu_ms, verify_ms, read_key_ms, steps, counts };
    let proven = Proven { run, proof_bytes: proof.len(), proof_digest: Some(digest), max_abs_error: None };
    Ok((proven, bundle))
}

/// Of a proof's outputs from the float model's.
fn largest_difference(proof: &ProofBundle, float: &[Vec<f32>]) -> f64 {
    let pairs = proof.outputs.iter().zip(float).flat_map(|(tensor, float)| tensor.reals().into_iter().zip(float));
    pairs.map(|(value, float)| (value - f64::from(*float)).abs()).fold(0.0, f64::max)
}

/// As a verifier would that has files: from the key's and the proof's bytes. The whole time, and that of the key.
fn verify(key: &ModelKey, proof: &ProofBundle) -> Result<(f64, f64), Error> {
    let (key, proof) = (key.to_bytes(), proof.to_json()?);
    let rejected = |rejection| Error::Internal(format!("the proof just made was rejected: {rejection}"));
    let start = Instant::now();
    let key = ModelKey::from_bytes(key, "model.vk")?;
    key.verify_weights().map_err(rejected)?;
    let read_key_ms = elapsed_ms(start);
    key.verify(&ProofBundle::from_json(&proof, "proof.json")?).map_err(rejected)?;
    Ok((elapsed_ms(start), read_key_ms))
}

fn choices(job: &Job) -> CompileOptions {
    let mut choices = match job.max_error {
        Some(error) => CompileOptions::default().with_max_error(error).with_allow_error(true),
        None => CompileOptions::default().with_one_width(),
    };
    choices.layout.weights = if job.embedded { WeightMode::Embedded } else { WeightMode::Committed };
    choices.layout.costs = job.costs.clone();
    choices
}

fn circuit(job: &Job, model: &Model, compiled: &CompiledModel) -> Circuit {
    let summary = compiled.summary();
    Circuit {
        model: model.name().into(),
        input: match &job.input {
            Some(path) => path.display().to_string(),
            None => format!("random, seed {}", job.seed),
        },
        weights: if job.embedded { "embedded" } else { "committed" }.into(),
        circuit_digest: String::new(),
        key_digest: None,
        parameters: compiled.parameters(),
        macs: compiled.macs(),
        k: summary.k,
        advice_columns: summary.advice_columns,
        fixed_columns: summary.fixed_columns,
        lookups: summary.lookups,
    }
}

/// What the cost model says by these prices.
fn estimate(compiled: &CompiledModel, costs: &Costs, budget: &MemoryBudget) -> Estimate {
    let plan = compiled.plan(costs);
    let kinds = zkml_gpu::engine::cost::Work::KINDS.iter().enumerate();
    let work = kinds.map(|(kind, name)| ((*name).to_owned(), compiled.plan(&Costs::counting(kind)).prove_cpu_ms));
    Estimate {
        prove_ms: plan.prove_ms,
        prove_cpu_ms: plan.prove_cpu_ms,
        memory_bytes: budget.memory_bytes,
        work: work.collect(),
        prices: costs.clone(),
    }
}

/// The first sample of the file, or one with values between -1 and 1, and with any indices.
fn sample(job: &Job, model: &Model) -> Result<Sample, Error> {
    if let Some(path) = &job.input {
        // `read_samples` gives one sample or more.
        return Ok(read_samples(path, &model.inputs())?.into_iter().next().unwrap_or_default());
    }
    let mut rng = rng(job.seed, Stream::Input);
    let mut value = || (f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0) as f32;
    let mut element = |input: &ModelInput<'_>| match input.classes {
        Some(classes) => ((value() + 1.0) / 2.0 * classes as f32).floor().min(classes as f32 - 1.0),
        None => value(),
    };
    Ok(model.inputs().iter().map(|input| (0..input.len).map(|_| element(input)).collect()).collect())
}

/// What is drawn from the seed, each from a stream of its own.
#[derive(Clone, Copy)]
enum Stream {
    Input,
    ReferenceString,
    Keys,
    Proof,
}

fn rng(seed: u64, stream: Stream) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}
