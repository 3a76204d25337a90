//! Work for `scripts/instructions.py`, which counts instructions: every operation of the portable processor, keys, a
//! proof and its verification, each once and on one thread. With a name as its argument it does that piece of work
//! alone; without, it does all and prints their names. It times nothing.

use std::hint::black_box;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu::engine::backend::Cpu;
use zkml_gpu::engine::bench::data::distinct_points;
use zkml_gpu::engine::bench::{Fixture, Operation, Points};
use zkml_gpu::{BackendChoice, CompiledModel, Srs, WeightMode};
use zkml_gpu_benches::{Failure, SEED, Subject};

/// Rows of the operations' columns, as a power of two: enough for every part of a transform and of a multiplication.
const LOG_N: u32 = 10;
const TABLE_BYTES: usize = 1 << 20;

fn main() -> Result<(), Failure> {
    // Callgrind counts by thread: with one thread, what runs inside the pool stays on it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    pool.install(|| operations().and_then(|()| model()).map_err(|error| error.to_string()))?;
    Ok(())
}

/// Whether this piece of work is asked for: by its name, or with all. Cargo passes flags of its own.
fn is_wanted(name: &str) -> bool {
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|wanted| wanted == name)
}

/// Where the counters are on: `scripts/instructions.py` finds it by its name.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    black_box(run)();
}

fn operations() -> Result<(), Failure> {
    let (cpu, points) = (Cpu::portable(), distinct_points(1 << LOG_N));
    let fixture = Fixture::new(&cpu, Some(Points { points: &points, table_budget_bytes: TABLE_BYTES }))?;
    for operation in Operation::ALL.iter().filter(|operation| is_wanted(operation.name())) {
        println!("{}", operation.name());
        let inputs = operation.inputs(LOG_N);
        let case = fixture.case(&inputs)?;
        // Twiddles and the like are made once.
        case.time()?;
        let mut outcome = None;
        counted(&mut || outcome = Some(case.time()));
        outcome.ok_or("the operation ran")??;
    }
    Ok(())
}

fn model() -> Result<(), Failure> {
    const WORK: [&str; 3] = ["keys", "prove", "verify"];
    let [keys, prove, verify] = WORK.map(is_wanted);
    if !(keys || prove || verify) {
        return Ok(());
    }
    WORK.iter().filter(|name| is_wanted(name)).for_each(|name| println!("{name}"));
    let subject = Subject::read("tests/models/ops/gemm_plain.onnx", "tests/models/ops/gemm_plain.json")?;
    let mut compiled = Some(subject.compile(WeightMode::Committed)?);
    let k = compiled.as_ref().map_or(0, CompiledModel::k);
    let srs = Srs::development(k, ChaCha20Rng::seed_from_u64(SEED))?;
    let mut prover = None;
    run(keys, &mut || {
        let rng = ChaCha20Rng::seed_from_u64(SEED);
        prover = compiled.take().map(|compiled| compiled.prover(&srs, &BackendChoice::Cpu, rng));
    });
    let prover = prover.ok_or("keys were made")??;
    let mut proof = None;
    run(prove, &mut || proof = Some(prover.prove(&subject.sample, ChaCha20Rng::seed_from_u64(SEED))));
    let proof = proof.ok_or("a proof was made")??.bundle;
    let mut verdict = None;
    run(verify, &mut || verdict = Some(prover.key().verify(&proof)));
    Ok(verdict.ok_or("the proof was checked")??)
}

/// Runs a step, counted or only for what follows it.
fn run(is_counted: bool, step: &mut dyn FnMut()) {
    if is_counted { counted(step) } else { step() }
}
