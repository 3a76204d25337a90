//! Sums of points.

use crate::device::{Arguments, Device, EXPRESSION_THREADS};
use crate::{SEED, point_bytes, rng};
use group::{Curve, Group};
use halo2curves::bn256::{G1, G1Affine};

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
