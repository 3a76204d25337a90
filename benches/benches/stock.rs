//! One circuit, one witness, two provers: this one, and halo2-axiom's `create_proof`.
//!
//! `cargo bench --bench stock [-- RUNS]` proves `tests/models/cnn_264k.onnx` with embedded weights, with both in turn. Both proofs are verified by
//! halo2-axiom's own verifier. The figures are CPU time of all threads and wall time, medians of the runs; keys and tables of
//! multiples are made before.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use halo2_proofs::plonk::{ProvingKey, create_proof, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zkml_gpu::circuits::circuit::{NetworkCircuit, Witness};
use zkml_gpu::circuits::commit::Bank;
use zkml_gpu::circuits::graph::Graph;
use zkml_gpu::circuits::layout::{Layout, LayoutOptions};
use zkml_gpu::circuits::trace::FirstPhase;
use zkml_gpu::engine::backend::{Cpu, MemoryOps};
use zkml_gpu::engine::keygen::keygen;
use zkml_gpu::engine::prover::{Prover, ProverOptions};
use zkml_gpu::{CompileOptions, ImportOptions, Model, Sample, Srs, WeightMode};

/// Runs of each prover, if not said otherwise.
const RUNS: usize = 5;
/// Bytes of tables for a basis: as `zkml-gpu prove` spends where nothing is asked for.
const TABLE_BYTES: usize = 64 << 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runs = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(RUNS);
    let model = Model::load(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/cnn_264k.onnx"),
        &ImportOptions::default(),
    )?;
    let mut options = CompileOptions::default();
    options.layout.weights = WeightMode::Embedded;
    let sample = random_sample(&model);
    let compiled = model.compile(std::slice::from_ref(&sample), &options)?;
    let race = Race::new(compiled.graph(), &options.layout, &sample)?;
    let mut ours = Vec::with_capacity(runs);
    let mut stock = Vec::with_capacity(runs);
    let prover = race.prover()?;
    for _ in 0..runs {
        ours.push(race.run_ours(&prover)?);
        stock.push(race.run_stock()?);
    }
    println!("cnn_264k, embedded weights, k = {}; {}", race.layout.k(), prover.backend().description());
    let [ours, stock] = [ours, stock].map(median);
    println!("zkml-gpu     {:>8.0} ms of CPU time  {:>8.0} ms", ours[0], ours[1]);
    println!("halo2-axiom  {:>8.0} ms of CPU time  {:>8.0} ms", stock[0], stock[1]);
    println!("ratio        {:>8.2}                 {:>8.2}", stock[0] / ours[0], stock[1] / ours[1]);
    Ok(())
}

/// Values between -1 and 1 for every input.
fn random_sample(model: &Model) -> Sample {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let value = |rng: &mut ChaCha20Rng| (f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0) as f32;
    model.input_sizes().iter().map(|(_, size)| (0..*size).map(|_| value(&mut rng)).collect()).collect()
}

/// What both provers start from.
struct Race {
    layout: Layout,
    srs: Srs,
    key: ProvingKey<G1Affine>,
    graph: Graph,
    bank: Bank,
    inputs: Vec<Vec<i64>>,
}

impl Race {
    fn new(graph: &Graph, options: &LayoutOptions, sample: &Sample) -> Outcome<Self> {
        let (layout, inputs) = (Layout::compile(graph, options)?, graph.quantise_inputs(sample));
        let srs = Srs::development(layout.k(), ChaCha20Rng::seed_from_u64(2))?;
        let bank = Bank::new(&layout, graph);
        let key = keygen(&Cpu::new(), srs.params(), &NetworkCircuit::keygen(&layout, &bank))?;
        Ok(Race { layout, srs, key, graph: graph.clone(), bank, inputs })
    }

    fn prover(&self) -> Outcome<Prover<Cpu>> {
        let mut options = ProverOptions::default();
        options.table_budget_bytes = TABLE_BYTES;
        Ok(Prover::with_options(Cpu::new(), self.srs.params(), &self.key, options)?)
    }

    /// The inference, its witness and the proof by `prove`, checked by the stock verifier.
    fn run(&self, prove: impl FnOnce(&NetworkCircuit<'_>, &[&[Fr]], &mut Transcript) -> Outcome<()>) -> Outcome<Timed> {
        let start = Clock::start();
        let execution = self.graph.run(&self.inputs)?;
        let first = FirstPhase::new(&self.layout, &self.graph, &execution);
        let outputs: Vec<Vec<i64>> = self.graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
        let instances = self.layout.statement.instances(&self.inputs, &outputs)?;
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        let witness = Witness {
            graph: &self.graph,
            execution: &execution,
            bank: &self.bank,
            first: &first,
            instances: &instances,
            derived: false,
        };
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        prove(&NetworkCircuit::proving(&self.layout, witness), &columns, &mut transcript)?;
        let proof = transcript.finalize();
        let timed = start.elapsed();
        self.verify(&columns, &proof)?;
        Ok(timed)
    }

    fn run_ours(&self, prover: &Prover<Cpu>) -> Outcome<Timed> {
        self.run(|circuit, columns, transcript| {
            prover.create_proof(circuit, columns, ChaCha20Rng::seed_from_u64(3), transcript)?;
            Ok(())
        })
    }

    fn run_stock(&self) -> Outcome<Timed> {
        self.run(|circuit, columns, transcript| {
            create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
                self.srs.params(),
                &self.key,
                std::slice::from_ref(circuit),
                &[columns],
                ChaCha20Rng::seed_from_u64(3),
                transcript,
            )
            .map_err(|error| error.to_string().into())
        })
    }

    fn verify(&self, columns: &[&[Fr]], proof: &[u8]) -> Outcome<()> {
        let params: &ParamsKZG<Bn256> = self.srs.params();
        let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, SingleStrategy<'_, Bn256>>(
            params,
            self.key.get_vk(),
            SingleStrategy::new(params),
            &[columns],
            &mut transcript,
        )
        .map_err(|error| error.to_string().into())
    }
}

type Transcript = Blake2bWrite<Vec<u8>, G1Affine, Challenge255<G1Affine>>;

/// CPU time of all threads and wall time, in milliseconds.
type Timed = [f64; 2];

/// When something began, by both clocks.
struct Clock {
    cpu_ms: f64,
    wall: Instant,
}

impl Clock {
    fn start() -> Self {
        Clock { cpu_ms: cpu_ms(), wall: Instant::now() }
    }

    fn elapsed(&self) -> Timed {
        [cpu_ms() - self.cpu_ms, self.wall.elapsed().as_secs_f64() * 1e3]
    }
}

/// CPU time of this process's threads that live, as Linux counts it; elsewhere wall time since the first call.
fn cpu_ms() -> f64 {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return first.elapsed().as_secs_f64() * 1e3 };
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

fn median(mut runs: Vec<Timed>) -> Timed {
    runs.sort_by(|a, b| a[0].total_cmp(&b[0]));
    runs.get(runs.len() / 2).copied().unwrap_or([f64::NAN; 2])
}
