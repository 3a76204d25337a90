//! What is asked of every back end with a device: that its work runs there.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu_engine::backend::program::{Program, ProgramBuilder};
use zkml_gpu_engine::backend::wgpu::Counters;
use zkml_gpu_engine::backend::{Backend, Cpu, IntegerColumn, IntegerRow, Result};

use crate::conformance::data::Points;

const ROWS: usize = 1 << 12;
const BYTES: u64 = 32 * ROWS as u64;
/// Factors of a fold: few, beside the integers.
const FACTORS: usize = 64;

/// Elements that a seed stands for.
pub fn random(len: usize, seed: u64) -> Vec<Fr> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| Fr::random(&mut rng)).collect()
}

/// A small program of two columns and a scalar.
pub fn folded() -> Program {
    let mut nodes = ProgramBuilder::new();
    let (a, b, y) = (nodes.column(0, 0), nodes.column(1, -1), nodes.scalar(0));
    let product = nodes.mul(a, b);
    let sum = nodes.horner(&[product, a, b], y);
    nodes.finish(&[sum])
}

type Scalars<B> = <B as zkml_gpu_engine::backend::MemoryOps>::Scalars;
type Operation<B> = fn(&B, &mut Scalars<B>, &Scalars<B>) -> Result<()>;

/// Every operation that computes, and how many elements come back from it.
fn operations<B: Backend>() -> Vec<(&'static str, u64, Operation<B>)> {
    vec![
        ("ntt", 0, |gpu, a, b| gpu.ntt(&[a, b]).map(drop)),
        ("intt", 0, |gpu, a, b| gpu.intt(&[a, b]).map(drop)),
        ("coset_ntt", 0, |gpu, a, b| gpu.coset_ntt(&[a, b], Fr::from(5)).map(drop)),
        ("interpolate_cosets", 0, |gpu, a, b| gpu.interpolate_cosets(&[(Fr::from(5), a), (Fr::from(7), b)]).map(drop)),
        ("add_assign", 0, |gpu, a, b| gpu.add_assign(a, b)),
        ("sub_assign", 0, |gpu, a, b| gpu.sub_assign(a, b)),
        ("mul_assign", 0, |gpu, a, b| gpu.mul_assign(a, b)),
        ("scale", 0, |gpu, a, _| gpu.scale(a, Fr::from(9))),
        ("linear_combination", 0, |gpu, a, b| gpu.linear_combination(&[(Fr::from(3), a), (Fr::from(4), b)]).map(drop)),
        ("batch_invert", 0, |gpu, a, _| gpu.batch_invert(a)),
        ("prefix_sum", 0, |gpu, a, _| gpu.prefix_sum(a, Fr::ONE).map(drop)),
        ("prefix_product", 0, |gpu, a, _| gpu.prefix_product(a, Fr::ONE).map(drop)),
        ("affine_scan", 0, |gpu, a, b| gpu.affine_scan(a, b, Fr::ONE).map(drop)),
        ("eval_polynomials", 2, |gpu, a, b| gpu.eval_polynomials(&[(a, Fr::from(3)), (b, Fr::from(3))]).map(drop)),
        ("divide_by_linear", 0, |gpu, a, _| gpu.divide_by_linear(a, Fr::from(3)).map(drop)),
        ("powers", 0, |gpu, _, _| gpu.powers(Fr::ONE, Fr::from(3), ROWS).map(drop)),
        ("inner_product", 1, |gpu, a, b| gpu.inner_product(a, b).map(drop)),
        ("permute_lookup", 1, |gpu, a, _| gpu.permute_lookup(a, a, ROWS - 5).map(drop)),
        ("evaluate", 0, |gpu, a, b| gpu.evaluate(&gpu.compile(&folded())?, ROWS, &[a, b], &[Fr::from(3)]).map(drop)),
    ]
}

fn count(counters: &Counters, operation: &str) -> u64 {
    counters.dispatches.get(operation).copied().unwrap_or(0)
}

/// Every operation starts kernels, and copies no column. The device is the caller's own.
///
/// # Panics
/// Where that is not so.
pub fn every_operation_runs_on<B: Backend>(gpu: &B, counters: impl Fn(&B) -> Counters) {
    let (mut a, b) = (gpu.upload(&random(ROWS, 1)).expect("uploads"), gpu.upload(&random(ROWS, 2)).expect("uploads"));
    for (name, returned, operation) in operations() {
        let before = counters(gpu);
        operation(gpu, &mut a, &b).expect(name);
        let after = counters(gpu);
        assert!(count(&after, name) > count(&before, name), "{name} starts no kernel");
        assert!(after.bytes_up - before.bytes_up < BYTES, "{name} uploads {}", after.bytes_up - before.bytes_up);
        assert!(after.bytes_down - before.bytes_down <= 32 * returned, "{name} downloads");
    }
}

/// Columns of integers start one kernel and travel in one copy, of no more bytes than the integers take and what is with
/// them.
///
/// # Panics
/// Where that is not so.
pub fn integers_travel_as_such<B: Backend>(gpu: &B, counters: impl Fn(&B) -> Counters) {
    let rest = random(6, 3);
    for (bytes, most) in [(1, 100), (2, 30_000), (4, 1 << 30), (8, 1 << 60)] {
        let integers: Vec<i64> = (0..ROWS as i64).map(|i| most - i % 200).collect();
        let columns = [0, 1, 2].map(|zeros| IntegerColumn { integers: &integers, zeros, rest: &rest });
        let before = counters(gpu);
        let uploaded = gpu.upload_integer_columns(&columns).expect("uploads");
        let after = counters(gpu);
        assert_eq!(count(&after, "upload_integer_columns") - count(&before, "upload_integer_columns"), 1);
        assert_eq!(after.copies - before.copies, 1);
        let up = after.bytes_up - before.bytes_up;
        assert!(up < 3 * (bytes * ROWS as u64 + 32 * 6 + 128), "{bytes} bytes each: {up}");
        for (column, uploaded) in columns.iter().zip(&uploaded) {
            assert_eq!(gpu.download(uploaded).expect("downloads"), column.elements());
        }
    }
}

/// A fold of many integers starts kernels and copies its factors alone.
///
/// # Panics
/// Where that is not so.
pub fn folds_run_on<B: Backend>(gpu: &B, counters: impl Fn(&B) -> Counters) {
    let integers: Vec<i16> = (0..ROWS * FACTORS).map(|i| i as i16).collect();
    let rows: Vec<_> = integers.chunks(FACTORS).map(|integers| IntegerRow { first: 0, integers }).collect();
    let resident = gpu.load_integers(&rows).expect("loads");
    let before = counters(gpu);
    gpu.fold_integers(&resident, &random(FACTORS, 1)).expect("folds");
    let after = counters(gpu);
    assert!(count(&after, "fold_integers") > count(&before, "fold_integers"), "a fold starts no kernel");
    let up = after.bytes_up - before.bytes_up;
    assert!(up < 4 * 32 * FACTORS as u64, "a fold uploads {up}");
    assert_eq!(after.bytes_down, before.bytes_down, "a fold downloads");
}

/// Sums start kernels and copy no column: what comes back of each are counts of its digits, `windows` at most, and its
/// sum of four coordinates. The device is the caller's own.
///
/// # Panics
/// Where that is not so.
pub fn sums_run_on<B: Backend>(gpu: &B, counters: impl Fn(&B) -> Counters, windows: u64) {
    let bases = gpu.load_bases(&Points::Distinct.make(ROWS, 1), 0).expect("loads");
    let columns = [random(ROWS, 1), random(ROWS, 2)].map(|column| gpu.upload(&column).expect("uploads"));
    let before = counters(gpu);
    gpu.msm(&bases, &columns.each_ref()).expect("sums");
    let between = counters(gpu);
    assert!(count(&between, "msm") > 0);
    assert!(between.bytes_up - before.bytes_up < BYTES / 2, "{}", between.bytes_up - before.bytes_up);
    let down = between.bytes_down - before.bytes_down;
    assert!((2 * 4 * 32..=2 * (windows * 4 + 4 * 32)).contains(&down), "{down} bytes come back");
    // Few rows may be the host's work.
    gpu.msm_rows(&bases, &(0..20).collect::<Vec<_>>(), &random(20, 3)).expect("sums");
    let after = counters(gpu);
    assert!(count(&after, "msm_rows") > 0);
    assert!(after.bytes_down - between.bytes_down <= windows * 4 + 4 * 32);
}

/// A program of so many steps gives what the processor's gives: where that is more multiplications than a kernel takes,
/// results pass from one kernel to the next.
///
/// # Panics
/// Where it does not.
pub fn long_programs_run_on<B: Backend>(gpu: &B, steps: usize) {
    let mut nodes = ProgramBuilder::new();
    let (a, b, y) = (nodes.column(0, 1), nodes.column(1, -2), nodes.scalar(0));
    let mut terms = vec![a, b];
    for i in 0..steps {
        let product = nodes.mul(terms[i], terms[i + 1]);
        terms.push(nodes.sub(product, terms[i / 2]));
    }
    let sum = nodes.horner(&terms, y);
    let program = nodes.finish(&[sum, terms[3], a]);
    let values = [random(100, 8), random(100, 9)];
    assert_eq!(evaluate(gpu, &program, &values), evaluate(&Cpu::new(), &program, &values));
}

/// The outputs of a program of two columns and a scalar at most.
pub fn evaluate<B: Backend>(backend: &B, program: &Program, values: &[Vec<Fr>; 2]) -> Vec<Vec<Fr>> {
    let resident = values.each_ref().map(|values| backend.upload(values).expect("uploads"));
    let compiled = backend.compile(program).expect("compiles");
    let outputs =
        backend.evaluate(&compiled, values[0].len(), &resident.each_ref(), &[Fr::from(3)]).expect("evaluates");
    outputs.iter().map(|vector| backend.download(vector).expect("downloads")).collect()
}
