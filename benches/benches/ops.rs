//! Every operation of every back end that is present, under its name in the traits. Run with `RAYON_NUM_THREADS=1` for
//! the cost per core.
//!
//! The operations and their inputs are those of `zkml-gpu bench ops`, which measures them beside others' code; this one
//! keeps the history of ours.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use zkml_gpu::engine::BackendError;
use zkml_gpu::engine::backend::Any;
use zkml_gpu::engine::bench::data::distinct_points;
use zkml_gpu::engine::bench::{Fixture, Operation, Points};
use zkml_gpu::engine::prover::ProverError;
use zkml_gpu::{BackendChoice, Error};
use zkml_gpu_benches::is_test;

const LOG_SIZES: [u32; 2] = [12, 14];
/// Where each operation is only tried.
const TEST_LOG_SIZES: [u32; 1] = [6];
const TABLE_BUDGET_BYTES: usize = 128 << 20;

/// All operations on one back end.
fn measure(criterion: &mut Criterion, choice: &BackendChoice) -> Result<(), Error> {
    let (name, backend) = (choice.name()?, choice.open()?);
    for log_n in if is_test() { &TEST_LOG_SIZES[..] } else { &LOG_SIZES } {
        size(criterion, &name, &backend, *log_n).map_err(ProverError::Backend)?;
    }
    Ok(())
}

fn size(criterion: &mut Criterion, name: &str, backend: &Any, log_n: u32) -> Result<(), BackendError> {
    let points = distinct_points(1 << log_n);
    let fixture = Fixture::new(backend, Some(Points { points: &points, table_budget_bytes: TABLE_BUDGET_BYTES }))?;
    for operation in Operation::ALL {
        let inputs = operation.inputs(log_n);
        let case = fixture.case(&inputs)?;
        let mut group = criterion.benchmark_group(format!("{}/2^{log_n}", operation.name()));
        group.throughput(Throughput::Elements(operation.elements(log_n) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| case.time().expect("the operation runs")).sum())
        });
    }
    Ok(())
}

fn operations(criterion: &mut Criterion) {
    for choice in BackendChoice::present() {
        let outcome = measure(criterion, &choice);
        assert!(outcome.is_ok(), "{choice}: {outcome:?}");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = operations
}
criterion_main!(benches);
