//! Whole proofs of models on a GPU: the processor's bytes, and little to copy.

use std::path::PathBuf;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu::{CompileOptions, ImportOptions, Model, Srs, WeightMode, read_samples};
use zkml_gpu_circuit::circuit::derived_columns;
use zkml_gpu_circuit::keys::{Hiding, VerifyingKeys, setup};
use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::prove::{Proof, prove};
use zkml_gpu_circuit::verify::verify;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::wgpu::{Counters, Options};
use zkml_gpu_engine::backend::{Backend, Cpu, Cuda, Wgpu};
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_engine::prover::{Prover, ProverOptions};
use zkml_gpu_graph::Graph;
use zkml_gpu_tests::{cuda, gpu};

const SEED: u64 = 31;
/// Little room for multiples of points, and what a device gives a small circuit's.
const TABLE_BYTES: [usize; 2] = [1 << 20, 256 << 20];

/// A file of the repository, which is elsewhere where these tests run as a program that was built on another machine.
fn repository(path: &str) -> PathBuf {
    let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("ZKML_TEST_ROOT").map_or_else(here, PathBuf::from).join(path)
}

/// A model's integers and its circuit, with an input.
struct Subject {
    name: &'static str,
    graph: Graph,
    layout: Layout,
    inputs: Vec<Vec<i64>>,
    table_bytes: usize,
}

impl Subject {
    fn new(name: &'static str, model: &str, sample: &str, weights: WeightMode) -> Self {
        let model = Model::load(repository(model), &ImportOptions::default()).expect("a model");
        let samples = read_samples(repository(sample), &model.inputs()).expect("samples");
        let mut options = CompileOptions::default().with_one_width();
        options.layout.weights = weights;
        let graph = model.compile(&samples, &options).expect("compiles").graph().clone();
        let layout = Layout::compile(&graph, &options.layout).expect("a layout");
        let inputs = graph.quantise_inputs(&samples[0]);
        Self { name, graph, layout, inputs, table_bytes: TABLE_BYTES[0] }
    }

    /// A proof and its key; `ready` is called when keys are made.
    fn prove<B: Backend>(&self, backend: B, ready: impl FnOnce()) -> (Proof, VerifyingKeys) {
        let mut rng = ChaCha20Rng::seed_from_u64(SEED);
        let srs = Srs::development(self.layout.k(), &mut rng).expect("a reference string");
        let is_host = backend.is_host();
        let committer = Committer::new(backend, &srs, self.table_bytes).expect("points");
        let (circuit, keys) =
            setup(&self.graph, &self.layout, &srs, &committer, Hiding::Drawn(&mut rng)).expect("keys");
        let mut options = ProverOptions::default();
        if !is_host {
            options.derived = derived_columns(&self.layout, &keys.model.bank);
        }
        let prover = Prover::with_key(committer, circuit, &options).expect("a prover");
        ready();
        let proof = prove(&prover, &keys, &self.layout, &self.graph, &self.inputs, &mut rng).expect("a proof");
        (proof, keys.verifying)
    }

    /// Bytes of advice and instance columns.
    fn witness_bytes(&self) -> u64 {
        let plan = self.layout.plan(&self.graph, &Costs::reference());
        let columns = plan.advice_columns.iter().sum::<usize>() + plan.instance_columns;
        (columns as u64 * 32) << plan.k
    }
}

/// The device makes the processor's proof, and copies the witness, commitments, evaluations and a mebibyte at most. It
/// is the caller's own.
fn check<B: Backend + Clone>(subject: &Subject, device: Option<B>, counters: impl Fn(&B) -> Counters) {
    let Some(device) = device else { return };
    let start = Instant::now();
    let mut before = Counters::default();
    let (proof, _) = subject.prove(device.clone(), || before = counters(&device));
    let after = counters(&device);
    let [launches, copies, allocations, waits] = [
        after.launches() - before.launches(),
        after.copies - before.copies,
        after.allocations - before.allocations,
        after.waits - before.waits,
    ];
    println!(
        "{}: {:.1} s on {}, {launches} launches, {copies} copies, {allocations} allocations, {waits} waits",
        subject.name,
        start.elapsed().as_secs_f64(),
        device.description()
    );
    for (operation, count) in &after.dispatches {
        println!("  {operation}: {}", count - before.dispatches.get(operation).copied().unwrap_or(0));
    }
    let copied = after.bytes_up + after.bytes_down - before.bytes_up - before.bytes_down;
    let allowed = subject.witness_bytes() + proof.bytes.len() as u64 + (1 << 20);
    assert!(copied <= allowed, "{}: {copied} bytes are copied, {allowed} are allowed", subject.name);
    for operation in ["msm", "intt", "coset_ntt", "interpolate_cosets", "evaluate", "eval_polynomials"] {
        let count = |counters: &Counters| counters.dispatches.get(operation).copied().unwrap_or(0);
        assert!(count(&after) > count(&before), "{}: {operation} did not run on the device", subject.name);
    }
    let (expected, key) = subject.prove(Cpu::new(), || ());
    assert!(proof.bytes == expected.bytes, "{}: not the processor's proof", subject.name);
    verify(&key, &subject.inputs, &proof.outputs, &proof.bytes).expect("the processor's key accepts it");
}

fn perceptron() -> Subject {
    let (model, sample) = ("tests/models/mlp_digits.onnx", "tests/models/mlp_digits.input.json");
    Subject::new("mlp_digits", model, sample, WeightMode::Committed)
}

fn convolutional(weights: WeightMode) -> Subject {
    Subject::new("lenet", "examples/lenet/lenet.onnx", "examples/lenet/seven.json", weights)
}

#[test]
fn a_perceptron_is_proved_as_on_the_processor() {
    check(&perceptron(), gpu::own(Options::default()), Wgpu::counters);
}

#[test]
fn a_convolutional_network_is_proved_as_on_the_processor() {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        check(&convolutional(weights), gpu::own(Options::default()), Wgpu::counters);
    }
}

#[test]
fn a_perceptron_is_proved_through_cuda_as_on_the_processor() {
    check(&perceptron(), cuda::usual(), Cuda::counters);
}

#[test]
fn a_convolutional_network_is_proved_through_cuda_as_on_the_processor() {
    for (weights, table_bytes) in [WeightMode::Committed, WeightMode::Embedded].into_iter().zip(TABLE_BYTES) {
        let subject = Subject { table_bytes, ..convolutional(weights) };
        check(&subject, cuda::usual(), Cuda::counters);
    }
}
