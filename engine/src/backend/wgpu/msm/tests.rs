//! The device's sums against the processor's, on every device, with either arithmetic, and with windows small enough to
//! need many parts and batches.

use std::io::Write;
use std::sync::LazyLock;

use ff::{Field, PrimeField};
use group::{Curve, Group};
use halo2curves::bn256::G1;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::super::{Arithmetic, Options, devices};
use super::*;
use crate::backend::{Cpu, MemoryOps};

const SEED: u64 = 11;
const TABLE_BYTES: usize = 1 << 20;

/// Each device as it is, with 32-bit integers, and seeing 64 KiB and doubling ten points at a time. All tests share
/// them: kernels are compiled once.
static BACKENDS: LazyLock<Vec<Wgpu>> = LazyLock::new(|| {
    let devices = devices();
    if devices.is_empty() {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "SKIPPED: no device, the multi-scalar multiplication was not run").unwrap();
    }
    let options = [
        Options::default(),
        Options { arithmetic: Some(Arithmetic::Int32), ..Options::default() },
        Options { binding_bytes: Some(64 << 10), groups: Some(100), submission_points: Some(10), ..Options::default() },
    ];
    let usable = devices.iter().filter(|device| device.available);
    usable.flat_map(|device| options.map(|options| Wgpu::with_options(Some(device.index), options).unwrap())).collect()
});

fn random_points(rng: &mut ChaCha8Rng, count: usize) -> Vec<G1Affine> {
    let points: Vec<_> = (0..count).map(|_| G1::random(&mut *rng)).collect();
    let mut affine = vec![G1Affine::default(); count];
    G1::batch_normalize(&points, &mut affine);
    affine
}

fn random_scalars(rng: &mut ChaCha8Rng, count: usize) -> Vec<Fr> {
    (0..count).map(|_| Fr::random(&mut *rng)).collect()
}

fn bytes(rng: &mut ChaCha8Rng, count: usize) -> Vec<Fr> {
    let signed = |byte: u32| Fr::from(u64::from(byte & 0xff)) - Fr::from(128);
    (0..count).map(|_| signed(rng.next_u32())).collect()
}

/// Checks the columns together, with and without a table.
fn check(points: &[G1Affine], columns: &[Vec<Fr>]) {
    let reference = Cpu::default();
    let bases = reference.load_bases(points, 0).unwrap();
    let resident: Vec<_> = columns.iter().map(|column| reference.upload(column).unwrap()).collect();
    let expected = reference.msm(&bases, &resident.iter().collect::<Vec<_>>()).unwrap();
    for backend in BACKENDS.iter() {
        let resident: Vec<_> = columns.iter().map(|column| backend.upload(column).unwrap()).collect();
        for budget in [0, TABLE_BYTES] {
            let bases = backend.load_bases(points, budget).unwrap();
            assert_eq!(backend.bases_len(&bases), points.len());
            assert!(backend.table_bytes(&bases).unwrap() <= budget);
            let sums = backend.msm(&bases, &resident.iter().collect::<Vec<_>>()).unwrap();
            assert_eq!(sums, expected, "{}, budget {budget}, seed {SEED}", backend.description());
        }
    }
}

#[test]
fn random_columns_of_different_lengths_sum_as_on_the_processor() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let points = random_points(&mut rng, 1000);
    let columns = [1000, 0, 1, 257, 999].map(|len| random_scalars(&mut rng, len));
    check(&points, &columns);
}

#[test]
fn small_zero_and_edge_scalars_sum_as_on_the_processor() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let points = random_points(&mut rng, 600);
    let mut blinded = bytes(&mut rng, 600);
    blinded[590..].copy_from_slice(&random_scalars(&mut rng, 10));
    let half = -Fr::TWO_INV;
    let edges = [Fr::ZERO, Fr::ONE, -Fr::ONE, half, -half, Fr::from(u64::MAX), -Fr::from(1 << 31), Fr::from(8)];
    let edges = edges.into_iter().cycle().take(600).collect();
    check(&points, &[bytes(&mut rng, 600), blinded, vec![Fr::ZERO; 600], edges]);
}

#[test]
fn equal_scalars_sum_as_on_the_processor() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let points = random_points(&mut rng, 700);
    check(&points, &[vec![Fr::random(&mut rng); 700], vec![Fr::ONE; 700], vec![-Fr::from(3); 699]]);
}

#[test]
fn equal_opposite_and_identity_points_sum_as_on_the_processor() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let point = G1::random(&mut rng);
    let cycle = [point, -point, G1::identity(), point.double(), point, -point.double()].map(|p| p.to_affine());
    let points: Vec<_> = cycle.into_iter().cycle().take(500).collect();
    let alternating = (0..500).map(|i| if i % 2 == 0 { Fr::ONE } else { -Fr::ONE }).collect();
    check(&points, &[vec![Fr::ONE; 500], alternating, random_scalars(&mut rng, 500), vec![Fr::from(5); 2]]);
    check(&vec![G1Affine::default(); 20], &[random_scalars(&mut rng, 20)]);
}

#[test]
fn rows_sum_as_on_the_processor() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let points = random_points(&mut rng, 300);
    let (rows, scalars) = (vec![299, 0, 7, 7, 150], random_scalars(&mut rng, 5));
    let reference = Cpu::default();
    let expected = reference.msm_rows(&reference.load_bases(&points, 0).unwrap(), &rows, &scalars).unwrap();
    for backend in BACKENDS.iter() {
        let bases = backend.load_bases(&points, TABLE_BYTES).unwrap();
        assert_eq!(backend.msm_rows(&bases, &rows, &scalars).unwrap(), expected, "{}", backend.description());
        assert_eq!(backend.msm_rows(&bases, &[], &[]).unwrap(), G1Affine::default());
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let points = random_points(&mut rng, 3);
    for backend in BACKENDS.iter() {
        let bases = backend.load_bases(&points, 0).unwrap();
        let column = backend.upload(&random_scalars(&mut rng, 4)).unwrap();
        let refused = backend.msm(&bases, &[&column]);
        assert!(matches!(refused, Err(BackendError::TooFewBases { scalars: 4, bases: 3 })));
        let refused = backend.msm_rows(&bases, &[3], &[Fr::ONE]);
        assert!(matches!(refused, Err(BackendError::TooFewBases { scalars: 4, bases: 3 })));
        let refused = backend.msm_rows(&bases, &[1, 2], &[Fr::ONE]);
        assert!(matches!(refused, Err(BackendError::LengthMismatch { operation: "msm_rows", expected: 2, got: 1 })));
    }
}
