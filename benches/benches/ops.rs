//! The operations that dominate a proof, beside halo2-axiom's own. Run with `RAYON_NUM_THREADS=1` for the cost per core.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ff::Field;
use group::{Curve, Group};
use halo2_proofs::arithmetic::{best_fft, best_multiexp};
use halo2_proofs::fft::recursive::FFTData;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::hint::black_box;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::backend::{MemoryOps, MsmOps, NttOps, Result, VectorOps, root_of_unity};

const LOG_SIZES: [u32; 2] = [12, 14];
const TABLE_BYTES: usize = 256 << 20;

fn full_size(n: usize) -> Vec<Fr> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..n).map(|_| Fr::random(&mut rng)).collect()
}

fn signed_bytes(n: usize) -> Vec<Fr> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let byte = |rng: &mut ChaCha8Rng| (rng.next_u32() % 256) as i8;
    let to_field = |v: i8| if v < 0 { -Fr::from(u64::from(v.unsigned_abs())) } else { Fr::from(v as u64) };
    (0..n).map(|_| to_field(byte(&mut rng))).collect()
}

fn points(n: usize) -> Vec<G1Affine> {
    let step = G1::generator() * Fr::from(0x1234_5678_9abc_def1);
    let projective: Vec<G1> = std::iter::successors(Some(step), |p| Some(p.double() + step)).take(n).collect();
    let mut affine = vec![G1Affine::default(); n];
    G1::batch_normalize(&projective, &mut affine);
    affine
}

fn msm(criterion: &mut Criterion) -> Result<()> {
    let cpu = Cpu::new();
    for k in LOG_SIZES {
        let points = points(1 << k);
        let tables = cpu.load_bases(&points, TABLE_BYTES)?;
        let plain = cpu.load_bases(&points, 0)?;
        for (name, scalars) in [("msm", full_size(1 << k)), ("msm_i8", signed_bytes(1 << k))] {
            let column = cpu.upload(&scalars)?;
            let mut group = criterion.benchmark_group(format!("{name}/2^{k}"));
            group.throughput(criterion::Throughput::Elements(1 << k));
            group.bench_function("cpu", |b| b.iter(|| cpu.msm(&tables, &[&column])));
            group.bench_function("cpu without table", |b| b.iter(|| cpu.msm(&plain, &[&column])));
            group.bench_function("best_multiexp", |b| b.iter(|| best_multiexp(black_box(&scalars), &points)));
        }
    }
    Ok(())
}

fn ntt(criterion: &mut Criterion) -> Result<()> {
    let cpu = Cpu::new();
    for k in LOG_SIZES {
        let n = 1usize << k;
        let values = full_size(n);
        let column = cpu.upload(&values)?;
        let mut group = criterion.benchmark_group(format!("ntt/2^{k}"));
        group.throughput(criterion::Throughput::Elements(u64::from(k) << (k - 1)));
        group.bench_function("ntt", |b| b.iter(|| cpu.ntt(&[&column])));
        group.bench_function("intt", |b| b.iter(|| cpu.intt(&[&column])));
        group.bench_function("coset_ntt", |b| b.iter(|| cpu.coset_ntt(&[&column], Fr::from(7))));
        let omega = root_of_unity(k).unwrap_or(Fr::ONE);
        let data = FFTData::new(n, omega, omega.invert().unwrap_or(Fr::ONE));
        let run = |mut values: Vec<Fr>| best_fft(&mut values, omega, k, &data, false);
        group.bench_function("best_fft", |b| b.iter_batched(|| values.clone(), run, BatchSize::LargeInput));
    }
    Ok(())
}

fn vector(criterion: &mut Criterion) -> Result<()> {
    let cpu = Cpu::new();
    for k in LOG_SIZES {
        let column = cpu.upload(&full_size(1 << k))?;
        let mut group = criterion.benchmark_group(format!("vector/2^{k}"));
        group.throughput(criterion::Throughput::Elements(1 << k));
        let clone = || cpu.slice(&column, 0..1 << k);
        let invert = |copy: Result<_>| copy.and_then(|mut copy| cpu.batch_invert(&mut copy));
        group.bench_function("batch_invert", |b| b.iter_batched(clone, invert, BatchSize::LargeInput));
        group.bench_function("prefix_product", |b| b.iter(|| cpu.prefix_product(&column, Fr::ONE)));
        group.bench_function("eval_polynomials", |b| b.iter(|| cpu.eval_polynomials(&[(&column, Fr::from(7))])));
        group.bench_function("divide_by_linear", |b| b.iter(|| cpu.divide_by_linear(&column, Fr::from(7))));
        group.bench_function("linear_combination", |b| {
            b.iter(|| cpu.linear_combination(&[(Fr::from(7), &column), (Fr::from(9), &column)]))
        });
    }
    Ok(())
}

fn operations(criterion: &mut Criterion) {
    let outcome = msm(criterion).and_then(|()| ntt(criterion)).and_then(|()| vector(criterion));
    assert_eq!(outcome, Ok(()));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    targets = operations
}
criterion_main!(benches);
