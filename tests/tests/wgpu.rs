//! What the suite for all back ends does not ask of the one on wgpu: where its work runs, its limits, its failures.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::backend::program::{Program, ProgramBuilder};
use zkml_gpu_engine::backend::wgpu::{Arithmetic, Counters, Options, Programs, Wgpu, WgpuScalars, devices};
use zkml_gpu_engine::backend::{Cpu, MemoryOps, MsmOps, NttOps, QuotientOps, Result, VectorOps};
use zkml_gpu_tests::conformance::data::Points;
use zkml_gpu_tests::gpu;

/// The device; without one, which `gpu` says aloud, the test is skipped.
macro_rules! device {
    ($device:expr) => {
        match $device {
            Some(device) => device,
            None => return,
        }
    };
}

/// Names the device, or says that tests are skipped: `scripts/test.sh` shows it before all others.
#[test]
fn a_driver_that_is_installed_opens() {
    match gpu::whole() {
        Some(device) => println!("GPU tests run on {}", device.description()),
        None => println!(
            "GPU tests are SKIPPED: no Vulkan, Metal or DirectX 12 device (Debian: mesa-vulkan-drivers, libvulkan1)"
        ),
    }
}

fn random(len: usize, seed: u64) -> Vec<Fr> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| Fr::random(&mut rng)).collect()
}

fn folded() -> Program {
    let mut nodes = ProgramBuilder::new();
    let (a, b, y) = (nodes.column(0, 0), nodes.column(1, -1), nodes.scalar(0));
    let product = nodes.mul(a, b);
    let sum = nodes.horner(&[product, a, b], y);
    nodes.finish(&[sum])
}

const ROWS: usize = 1 << 12;
const BYTES: u64 = 32 * ROWS as u64;

type Operation = fn(&Wgpu, &mut WgpuScalars, &WgpuScalars) -> Result<()>;

/// Every operation that computes, and how many elements come back from it.
const OPERATIONS: &[(&str, u64, Operation)] = &[
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
];

#[test]
fn every_operation_runs_on_the_device_and_moves_no_column() {
    let gpu = device!(gpu::own(Options::default()));
    let (mut a, b) = (gpu.upload(&random(ROWS, 1)).expect("uploads"), gpu.upload(&random(ROWS, 2)).expect("uploads"));
    for (name, returned, operation) in OPERATIONS {
        let before = gpu.counters();
        operation(&gpu, &mut a, &b).expect(name);
        let after = gpu.counters();
        let count = |counters: &Counters| counters.dispatches.get(name).copied().unwrap_or(0);
        assert!(count(&after) > count(&before), "{name} dispatches nothing");
        assert!(after.bytes_up - before.bytes_up < BYTES / 2, "{name} uploads {}", after.bytes_up - before.bytes_up);
        assert!(after.bytes_down - before.bytes_down <= 32 * returned, "{name} downloads");
    }
}

/// What comes back of a column are counts of its digits, 64 of them, and its sum of four coordinates.
#[test]
fn sums_run_on_the_device_and_move_no_column() {
    let gpu = device!(gpu::own(Options::default()));
    let bases = gpu.load_bases(&Points::Distinct.make(ROWS, 1), 0).expect("loads");
    let columns = [random(ROWS, 1), random(ROWS, 2)].map(|column| gpu.upload(&column).expect("uploads"));
    let before = gpu.counters();
    gpu.msm(&bases, &columns.each_ref()).expect("sums");
    let between = gpu.counters();
    assert!(between.dispatches["msm"] > 0);
    assert!(between.bytes_up - before.bytes_up < BYTES / 2, "{}", between.bytes_up - before.bytes_up);
    assert_eq!(between.bytes_down - before.bytes_down, 2 * (64 * 4 + 4 * 32));
    gpu.msm_rows(&bases, &[0, ROWS - 1], &random(2, 3)).expect("sums");
    let after = gpu.counters();
    assert!(after.dispatches["msm_rows"] > 0);
    assert!(after.bytes_down - between.bytes_down <= 64 * 4 + 4 * 32);
}

/// Programs of several kernels, whose results pass from one to the next.
#[test]
fn generated_and_interpreted_programs_agree_with_the_processor() {
    let mut nodes = ProgramBuilder::new();
    let (a, b, y) = (nodes.column(0, 1), nodes.column(1, -2), nodes.scalar(0));
    let mut terms = vec![a, b];
    for i in 0..80 {
        let product = nodes.mul(terms[i], terms[i + 1]);
        terms.push(nodes.sub(product, terms[i / 2]));
    }
    let sum = nodes.horner(&terms, y);
    let program = nodes.finish(&[sum, terms[3], a]);
    let (values, cpu) = ([random(100, 8), random(100, 9)], Cpu::new());
    let resident = values.each_ref().map(|values| cpu.upload(values).expect("uploads"));
    let compiled = cpu.compile(&program).expect("compiles");
    let expected = cpu.evaluate(&compiled, 100, &resident.each_ref(), &[Fr::from(3)]).expect("cpu");
    let expected: Vec<_> = expected.iter().map(|vector| cpu.download(vector).expect("cpu")).collect();
    for programs in [Programs::Generated, Programs::Interpreted] {
        let gpu = device!(gpu::own(Options { programs: Some(programs), ..Options::default() }));
        let resident = values.each_ref().map(|values| gpu.upload(values).expect("uploads"));
        let compiled = gpu.compile(&program).expect("compiles");
        let outputs = gpu.evaluate(&compiled, 100, &resident.each_ref(), &[Fr::from(3)]).expect("evaluates");
        let outputs: Vec<_> = outputs.iter().map(|vector| gpu.download(vector).expect("downloads")).collect();
        assert_eq!(outputs, expected, "{programs:?}");
    }
}

#[test]
fn long_vectors_are_worked_on_in_windows() {
    let gpu = device!(gpu::least());
    let cpu = Cpu::new();
    let len = 1 << 14;
    let values = [random(len, 3), random(len, 4)];
    let [a, b] = [0, 1].map(|i| gpu.upload(&values[i]).expect("uploads"));
    let [c, d] = [0, 1].map(|i| cpu.upload(&values[i]).expect("uploads"));
    let same = |what: &str, ours: Result<WgpuScalars>, expected| {
        let ours = gpu.download(&ours.expect(what)).expect(what);
        assert!(ours == cpu.download(&expected).expect(what), "{what} differs");
    };
    let shift = Fr::from(11);
    same("ntt", gpu.ntt(&[&a]).map(|mut out| out.remove(0)), cpu.ntt(&[&c]).expect("cpu").remove(0));
    same("intt", gpu.intt(&[&a]).map(|mut out| out.remove(0)), cpu.intt(&[&c]).expect("cpu").remove(0));
    let coset = cpu.coset_ntt(&[&c], shift).expect("cpu").remove(0);
    same("coset_ntt", gpu.coset_ntt(&[&a], shift).map(|mut out| out.remove(0)), coset);
    let pieces = cpu.interpolate_cosets(&[(shift, &c), (Fr::from(7), &d)]).expect("cpu").remove(1);
    let ours = gpu.interpolate_cosets(&[(shift, &a), (Fr::from(7), &b)]).map(|mut out| out.remove(1));
    same("interpolate_cosets", ours, pieces);
    same("prefix_sum", gpu.prefix_sum(&a, shift), cpu.prefix_sum(&c, shift).expect("cpu"));
    same("prefix_product", gpu.prefix_product(&a, shift), cpu.prefix_product(&c, shift).expect("cpu"));
    same("affine_scan", gpu.affine_scan(&a, &b, shift), cpu.affine_scan(&c, &d, shift).expect("cpu"));
    same("divide_by_linear", gpu.divide_by_linear(&a, shift), cpu.divide_by_linear(&c, shift).expect("cpu"));
    same("powers", gpu.powers(shift, shift, len), cpu.powers(shift, shift, len).expect("cpu"));
    let terms =
        (gpu.linear_combination(&[(shift, &a), (shift, &b)]), cpu.linear_combination(&[(shift, &c), (shift, &d)]));
    same("linear_combination", terms.0, terms.1.expect("cpu"));
    assert_eq!(gpu.inner_product(&a, &b), cpu.inner_product(&c, &d));
    assert_eq!(gpu.eval_polynomials(&[(&a, shift)]), cpu.eval_polynomials(&[(&c, shift)]));
    let compiled = (gpu.compile(&folded()).expect("compiles"), cpu.compile(&folded()).expect("compiles"));
    let expected = cpu.evaluate(&compiled.1, len, &[&c, &d], &[shift]).expect("cpu").remove(0);
    same("evaluate", gpu.evaluate(&compiled.0, len, &[&a, &b], &[shift]).map(|mut out| out.remove(0)), expected);
    let (mut inverted, mut expected) = (gpu.slice(&a, 0..len).expect("copies"), cpu.slice(&c, 0..len).expect("copies"));
    gpu.batch_invert(&mut inverted).expect("inverts");
    cpu.batch_invert(&mut expected).expect("inverts");
    same("batch_invert", Ok(inverted), expected);
}

#[test]
fn a_vector_that_is_too_long_is_refused_and_the_device_goes_on() {
    let gpu = device!(gpu::whole());
    let refused = gpu.zeros(1 << 50).map(drop);
    let Err(BackendError::Device { operation: "zeros", message, .. }) = &refused else { panic!("{refused:?}") };
    assert!(message.contains("the device allows"), "{message}");
    let vector = gpu.upload(&[Fr::ONE]).expect("uploads");
    assert_eq!(gpu.download(&vector), Ok(vec![Fr::ONE]));
}

#[test]
fn memory_of_dropped_vectors_is_used_again() {
    let gpu = device!(gpu::own(Options::default()));
    let allocated = (0..4).map(|_| {
        gpu.zeros(ROWS).map(drop).expect("zeros");
        gpu.counters()
    });
    let counters: Vec<Counters> = allocated.collect();
    assert!(counters.iter().all(|counters| counters.bytes_allocated == BYTES && counters.peak_bytes_used == BYTES));
}

#[test]
fn devices_are_listed_and_software_is_called_so() {
    let found = devices();
    for (index, device) in found.iter().enumerate() {
        assert_eq!((device.index, device.backend), (index, "wgpu"));
        assert_eq!(device.software, device.name.contains("software adapter"), "{}", device.name);
        assert!(device.available || device.reason.is_some(), "{}", device.name);
    }
    assert!(Wgpu::new(Some(found.len())).is_err());
    if found.iter().all(|device| device.software) {
        assert!(Wgpu::new(None).is_err(), "a software adapter is used only when it is asked for");
    }
}

#[test]
fn arithmetic_is_what_was_asked_for() {
    let gpu = device!(gpu::least());
    assert_eq!(gpu.arithmetic(), Arithmetic::Int32);
    let impossible = Options { arithmetic: Some(Arithmetic::Int64), ..Options::default() };
    match Wgpu::with_options(Some(0), impossible) {
        Ok(gpu) => assert_eq!(gpu.arithmetic(), Arithmetic::Int64),
        Err(refusal) => assert!(refusal.to_string().contains("64-bit"), "{refusal}"),
    }
}
