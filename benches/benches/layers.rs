//! Proofs of networks of one layer or two, by kind of layer, on the processor: the integers, the witness and the proof.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu::{BackendChoice, Srs, WeightMode};
use zkml_gpu_benches::{SEED, Subject};

/// One of each family in `tests/models/ops`.
const LAYERS: [&str; 12] = [
    "gemm_plain",
    "conv_plain",
    "conv_depthwise",
    "conv_dilated",
    "conv_transpose",
    "conv_relu_pool",
    "average_pool",
    "batch_norm_alone",
    "add_inputs",
    "arg_max",
    "concat_channels",
    "channel_shuffle",
];

fn layers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layer");
    for name in LAYERS {
        let path = |extension: &str| format!("tests/models/ops/{name}.{extension}");
        let subject = Subject::read(&path("onnx"), &path("json")).expect("a model of the repository");
        let compiled = subject.compile(WeightMode::Committed).expect("a circuit");
        let srs = Srs::development(compiled.k(), ChaCha20Rng::seed_from_u64(SEED)).expect("a reference string");
        let prover = compiled.prover(&srs, &BackendChoice::Cpu, ChaCha20Rng::seed_from_u64(SEED)).expect("keys");
        group.bench_function(name, |bencher| {
            bencher.iter(|| prover.prove(&subject.sample, ChaCha20Rng::seed_from_u64(SEED)).expect("a proof"));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = layers
}
criterion_main!(benches);
