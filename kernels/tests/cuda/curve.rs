//! Sums of points.

use ff::Field;
use group::{Curve, Group};
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};

use crate::device::{Arguments, Device, EXPRESSION_THREADS};
use crate::{SEED, bytes, point_bytes, rng};

/// Threads of the kernels of throughput.
const THROUGHPUT_THREADS: usize = 256;

/// Random points, equal and opposite ones, one twice the other or its opposite, and the identity.
fn pairs() -> (Vec<G1Affine>, Vec<G1Affine>) {
    let mut rng = rng();
    let mut pairs = vec![(G1Affine::default(), G1Affine::default())];
    for _ in 0..10 {
        let a = G1::random(&mut rng);
        let others = [a, -a, a.double(), -a.double(), G1::identity(), G1::random(&mut rng)];
        pairs.extend(others.map(|b| (a.to_affine(), b.to_affine())));
        pairs.push((G1Affine::default(), a.to_affine()));
    }
    pairs.into_iter().unzip()
}

#[test]
fn sums_of_points_are_the_hosts() {
    let mut device = Device::new();
    let (a, b) = pairs();
    let [left, right] = [&a, &b].map(|points| device.upload(&point_bytes(points)));
    let mut check = |kernel: &str, expected: &dyn Fn(G1, G1) -> G1| {
        let out = device.allocate(64 * a.len());
        let arguments = Arguments::new().word(a.len()).address(left).address(right).address(out);
        let kernel = format!("{kernel}_Fq");
        device.launch(&kernel, a.len().div_ceil(EXPRESSION_THREADS), EXPRESSION_THREADS, arguments);
        for (i, result) in device.read(out, 64 * a.len()).chunks(64).enumerate() {
            let expected = expected(a[i].into(), b[i].into()).to_affine();
            assert_eq!(result, point_bytes(&[expected]), "{kernel}, pair {i}, seed {SEED}");
        }
    };
    check("test_double", &|a, _| a.double());
    check("test_mixed", &|a, b| a + b);
    check("test_mixed_scaled", &|a, b| a.double() - b);
    check("test_full", &|a, b| a + b);
    check("test_full_left", &|a, b| a.double() + b);
    check("test_full_both", &|a, b| a.double() + b.double());
}

#[test]
fn throughput_is_of_sums_and_powers() {
    let mut device = Device::new();
    let (steps, point) = (5u64, G1::random(&mut rng()).to_affine());
    let out = device.allocate(128 * THROUGHPUT_THREADS);
    let products = |thread: u32| -> u64 {
        let step = |sum: u64| sum.wrapping_add(u64::from(sum as u32) * u64::from(2 * thread + 1));
        let chain = |i: u32| (0..steps).fold(u64::from(thread + i), |sum, _| step(sum));
        (0..8).map(chain).fold(0, u64::wrapping_add)
    };
    let arguments = || Arguments::new().word(steps as usize);
    device.launch("throughput_wide_products", 1, THROUGHPUT_THREADS, arguments().address(out));
    let expected: Vec<u8> = (0..THROUGHPUT_THREADS as u32).flat_map(|thread| products(thread).to_le_bytes()).collect();
    assert_eq!(device.read(out, 8 * THROUGHPUT_THREADS), expected);
    let value = Fr::random(&mut rng());
    device.launch(
        "throughput_multiplications",
        1,
        THROUGHPUT_THREADS,
        arguments().elements(bytes(&[value])).address(out),
    );
    // The thread's number is the element's words, in Montgomery form.
    let words =
        |thread: usize| -> Vec<Fr> { crate::elements(&[&(thread as u32).to_le_bytes()[..], &[0; 28]].concat()) };
    let power = |thread: usize| {
        let first = value + words(thread)[0];
        first.pow([steps + 1]) + (first + Fr::ONE).pow([steps + 1])
    };
    let expected: Vec<Fr> = (0..THROUGHPUT_THREADS).map(power).collect();
    assert_eq!(device.read(out, 32 * THROUGHPUT_THREADS), bytes(&expected), "seed {SEED}");
    let point_argument = point_bytes(&[point]);
    device.launch("throughput_additions", 1, THROUGHPUT_THREADS, arguments().elements(point_argument).address(out));
    for (thread, sum) in device.read(out, 2 * 128).chunks(128).enumerate() {
        let sum: Vec<Fq> = crate::elements(sum);
        let inverse = sum[3].invert().unwrap();
        let affine = G1Affine { x: sum[0] * (sum[2] * inverse).square(), y: sum[1] * inverse };
        let expected = G1::from(point) * Fr::from(steps + 2);
        assert_eq!(affine, if thread == 0 { expected } else { -expected }.to_affine(), "seed {SEED}");
    }
}
