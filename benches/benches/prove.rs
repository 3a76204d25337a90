//! Whole proofs on every back end that is present: from parsed input to proof bytes, with keys made before. `zkml-gpu
//! bench prove` measures more of each, in a process of its own; this one keeps the history.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu::{BackendChoice, Srs, WeightMode};
use zkml_gpu_benches::{Failure, SEED, Subject, is_test};

/// Models with inputs; the first is small enough to be tried in a test.
const MODELS: [[&str; 2]; 2] = [
    ["tests/models/mlp_digits.onnx", "tests/models/mlp_digits.input.json"],
    ["examples/lenet/lenet.onnx", "examples/lenet/seven.json"],
];

fn model(criterion: &mut Criterion, subject: &Subject, choice: &BackendChoice) -> Result<(), Failure> {
    for (mode, weights) in [("committed", WeightMode::Committed), ("embedded", WeightMode::Embedded)] {
        let compiled = subject.compile(weights)?;
        let srs = Srs::development(compiled.k(), ChaCha20Rng::seed_from_u64(SEED))?;
        let prover = compiled.prover(&srs, choice, ChaCha20Rng::seed_from_u64(SEED))?;
        let mut group = criterion.benchmark_group(format!("prove/{}/{mode}", subject.name));
        group.bench_function(choice.name()?, |bencher| {
            bencher.iter(|| prover.prove(&subject.sample, ChaCha20Rng::seed_from_u64(SEED)).expect("a proof"));
        });
    }
    Ok(())
}

fn proofs(criterion: &mut Criterion) {
    let models = if is_test() { &MODELS[..1] } else { &MODELS };
    for [path, input] in models {
        let subject = Subject::read(path, input).expect("a model of the repository");
        for choice in BackendChoice::present() {
            model(criterion, &subject, &choice).expect("a back end that is present proves");
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    targets = proofs
}
criterion_main!(benches);
