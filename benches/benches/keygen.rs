//! Keys on every back end that is present: points with their tables, the circuit's key, and the commitment to the
//! weights.

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu::{BackendChoice, Srs, WeightMode};
use zkml_gpu_benches::{SEED, Subject, is_test};

/// Models with inputs; the first is small enough to be tried in a test.
const MODELS: [[&str; 2]; 2] = [
    ["tests/models/mlp_digits.onnx", "tests/models/mlp_digits.input.json"],
    ["examples/lenet/lenet.onnx", "examples/lenet/seven.json"],
];

fn keys(criterion: &mut Criterion) {
    let models = if is_test() { &MODELS[..1] } else { &MODELS };
    for [path, input] in models {
        let subject = Subject::read(path, input).expect("a model of the repository");
        for (mode, weights) in [("committed", WeightMode::Committed), ("embedded", WeightMode::Embedded)] {
            let compiled = subject.compile(weights).expect("a circuit");
            // The part of keys that no back end does.
            let mut group = criterion.benchmark_group(format!("check/{}/{mode}", subject.name));
            group.bench_function("layout", |bencher| bencher.iter(|| compiled.check().expect("a sound layout")));
            group.finish();
            let k = compiled.k();
            let srs = Srs::development(k, ChaCha20Rng::seed_from_u64(SEED)).expect("a reference string");
            let mut group = criterion.benchmark_group(format!("keygen/{}/{mode}", subject.name));
            for choice in BackendChoice::present() {
                let name = choice.name().expect("a back end that is present has a name");
                group.bench_function(name, |bencher| {
                    // Keys take the circuit with them.
                    bencher.iter_batched(
                        || subject.compile(weights).expect("a circuit"),
                        |compiled| compiled.prover(&srs, &choice, ChaCha20Rng::seed_from_u64(SEED)).expect("keys"),
                        BatchSize::PerIteration,
                    );
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = keys
}
criterion_main!(benches);
