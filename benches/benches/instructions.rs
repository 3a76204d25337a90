//! Work for `scripts/instructions.py`, which counts instructions: every operation of the portable processor, keys and a proof, each once
//! and on one thread. Prints the names in the order in which it enters [`counted`]. It times nothing.

use std::hint::black_box;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu::engine::backend::Cpu;
use zkml_gpu::engine::bench::data::distinct_points;
use zkml_gpu::engine::bench::{Fixture, Operation, Points};
use zkml_gpu::{BackendChoice, Srs, WeightMode};
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

/// Where the counters are on: `scripts/instructions.py` finds it by its name.
#[inline(never)]
fn counted(name: &str, run: &mut dyn FnMut()) {
    println!("{name}");
    black_box(run)();
}

fn operations() -> Result<(), Failure> {
    let (cpu, points) = (Cpu::portable(), distinct_points(1 << LOG_N));
    let fixture = Fixture::new(&cpu, Some(Points { points: &points, table_budget_bytes: TABLE_BYTES }))?;
    for operation in Operation::ALL {
        let inputs = operation.inputs(LOG_N);
        let case = fixture.case(&inputs)?;
        // Twiddles and the like are made once.
        case.time()?;
        let mut outcome = None;
        counted(operation.name(), &mut || outcome = Some(case.time()));
        outcome.ok_or("the operation ran")??;
    }
    Ok(())
}

fn model() -> Result<(), Failure> {
    let subject = Subject::read("tests/models/ops/gemm_plain.onnx", "tests/models/ops/gemm_plain.json")?;
    let mut compiled = Some(subject.compile(WeightMode::Committed)?);
    let k = compiled.as_ref().map_or(0, zkml_gpu::CompiledModel::k);
    let srs = Srs::development(k, ChaCha20Rng::seed_from_u64(SEED))?;
    let mut prover = None;
    counted("keys", &mut || {
        let rng = ChaCha20Rng::seed_from_u64(SEED);
        prover = compiled.take().map(|compiled| compiled.prover(&srs, &BackendChoice::Cpu, rng));
    });
    let prover = prover.ok_or("keys were made")??;
    let mut proof = None;
    counted("prove", &mut || proof = Some(prover.prove(&subject.sample, ChaCha20Rng::seed_from_u64(SEED))));
    let proof = proof.ok_or("a proof was made")??.bundle;
    let mut verdict = None;
    counted("verify", &mut || verdict = Some(prover.key().verify(&proof)));
    Ok(verdict.ok_or("the proof was checked")??)
}
