//! What the suite for all back ends does not ask of the one on wgpu: where its work runs, its limits, its failures.

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::backend::wgpu::{Arithmetic, Counters, Options, Programs, Wgpu, WgpuScalars, devices};
use zkml_gpu_engine::backend::{Cpu, MemoryOps, NttOps, QuotientOps, Result, VectorOps};
use zkml_gpu_tests::device::{
    every_operation_runs_on, folded, folds_run_on, long_programs_run_on, random, sums_run_on,
};
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

const ROWS: usize = 1 << 12;
const BYTES: u64 = 32 * ROWS as u64;

#[test]
fn every_operation_runs_on_the_device_and_moves_no_column() {
    let gpu = device!(gpu::own(Options::default()));
    every_operation_runs_on(&gpu, Wgpu::counters);
}

/// What comes back of a column are counts of its digits, 64 of them, and its sum of four coordinates.
#[test]
fn folds_run_on_the_device_and_move_factors_alone() {
    let gpu = device!(gpu::own(Options::default()));
    folds_run_on(&gpu, Wgpu::counters);
}

#[test]
fn sums_run_on_the_device_and_move_no_column() {
    let gpu = device!(gpu::own(Options::default()));
    sums_run_on(&gpu, Wgpu::counters, 64);
}

/// Programs of several kernels, whose results pass from one to the next.
#[test]
fn generated_and_interpreted_programs_agree_with_the_processor() {
    for programs in [Programs::Generated, Programs::Interpreted] {
        let gpu = device!(gpu::own(Options::default().with_programs(programs)));
        long_programs_run_on(&gpu, 80);
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
    let impossible = Options::default().with_arithmetic(Arithmetic::Int64);
    match Wgpu::with_options(Some(0), impossible) {
        Ok(gpu) => assert_eq!(gpu.arithmetic(), Arithmetic::Int64),
        Err(refusal) => assert!(refusal.to_string().contains("64-bit"), "{refusal}"),
    }
}
