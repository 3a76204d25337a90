//! Field arithmetic.

use ff::PrimeField;
use halo2curves::bn256::{Fq, Fr};
use halo2curves::serde::SerdeObject;

use crate::device::{Arguments, Device, EXPRESSION_THREADS};
use crate::{SEED, bytes, edges, rng};

/// Edge values against each other, and random ones.
fn pairs<F: PrimeField>() -> (Vec<F>, Vec<F>) {
    let (edges, mut rng) = (edges::<F>(), rng());
    let mut pairs: Vec<_> = edges.iter().flat_map(|a| edges.iter().map(move |b| (*a, *b))).collect();
    pairs.extend((0..400).map(|_| (F::random(&mut rng), F::random(&mut rng))));
    pairs.into_iter().unzip()
}

fn check_field<F: PrimeField + SerdeObject>(name: &str) {
    let mut device = Device::new();
    let (a, b) = pairs::<F>();
    let [left, right] = [&a, &b].map(|values| device.upload(&bytes(values)));
    let mut check = |kernel: &str, expected: &dyn Fn(F, F) -> Vec<u8>| {
        let out = device.allocate(32 * a.len());
        let arguments = Arguments::new().word(a.len()).address(left).address(right).address(out);
        let kernel = format!("{kernel}_{name}");
        device.launch(&kernel, a.len().div_ceil(EXPRESSION_THREADS), EXPRESSION_THREADS, arguments);
        for (i, result) in device.read(out, 32 * a.len()).chunks(32).enumerate() {
            assert_eq!(result, expected(a[i], b[i]), "{kernel} for {:?} and {:?}, seed {SEED}", a[i], b[i]);
        }
    };
    let raw = |value: F| value.to_raw_bytes();
    check("test_add", &|a, b| raw(a + b));
    check("test_sub", &|a, b| raw(a - b));
    check("test_mul", &|a, b| raw(a * b));
    check("test_square", &|a, _| raw(a.square()));
    check("test_twice", &|a, _| raw(a.double()));
    check("test_neg", &|a, _| raw(-a));
    check("test_inverse", &|a, _| raw(a.invert().unwrap_or(F::ZERO)));
    check("test_inverse_by_halving", &|a, _| raw(a.invert().unwrap_or(F::ZERO)));
    check("test_canonical", &|a, _| a.to_repr().as_ref().to_vec());
    check("test_montgomery", &|a, _| raw(a));
    check("test_reduce", &|a, b| raw(a + b));
    check("test_lazy", &|a, b| raw(a * b * F::from(4)));
    check("test_flags", &|a, b| {
        let mut flags = vec![0; 32];
        let big_endian = |value: F| value.to_raw_bytes().into_iter().rev().collect::<Vec<_>>();
        let below = big_endian(a) < big_endian(b);
        (flags[0], flags[4], flags[8]) = (u8::from(a == b), u8::from(a == F::ZERO), u8::from(below));
        flags
    });
}

#[test]
fn scalar_field_is_the_hosts() {
    check_field::<Fr>("Fr");
}

#[test]
fn base_field_is_the_hosts() {
    check_field::<Fq>("Fq");
}
