//! Transforms.

use ff::{Field, PrimeField};
use halo2curves::bn256::Fr;

use crate::device::{Arguments, Device};
use crate::{SEED, addresses, bytes, edges_and_random, random, rng};

const THREADS: usize = 256;
/// log2 of the elements that a block holds: `NTT_TILE`.
const LOG_TILE: u32 = 11;
/// log2 of a tile for a device with little shared memory.
const LOG_SMALL_TILE: u32 = 7;

fn root(log_n: u32) -> Fr {
    (0..Fr::S - log_n).fold(Fr::ROOT_OF_UNITY, |root, _| root.square())
}

fn powers(base: Fr, len: usize) -> Vec<Fr> {
    std::iter::successors(Some(Fr::ONE), |power| Some(*power * base)).take(len).collect()
}

/// The powers of the roots of order 2^(l+1), from 2^l on, for l below `layers`.
fn layer_roots(layers: u32) -> Vec<Fr> {
    let mut roots = vec![Fr::ZERO];
    (0..layers).for_each(|l| roots.extend(powers(root(l + 1), 1 << l)));
    roots
}

#[derive(Default)]
struct Transform {
    inverse: bool,
    before: Option<Vec<Fr>>,
    after: Option<Vec<Fr>>,
    scale: Option<Fr>,
}

impl Transform {
    fn run(&self, device: &mut Device, columns: &[Vec<Fr>], radices: &[u32]) -> Vec<Vec<Fr>> {
        let small =
            if radices.iter().all(|log_radix| *log_radix <= LOG_SMALL_TILE) { LOG_SMALL_TILE } else { LOG_TILE };
        let transformed = self.run_in_tiles(device, columns, radices, LOG_TILE);
        assert_eq!(transformed, self.run_in_tiles(device, columns, radices, small), "{radices:?} in smaller tiles");
        transformed
    }

    fn run_in_tiles(&self, device: &mut Device, columns: &[Vec<Fr>], radices: &[u32], log_tile: u32) -> Vec<Vec<Fr>> {
        let n = columns[0].len();
        let log_n = n.trailing_zeros();
        assert_eq!(radices.iter().sum::<u32>(), log_n);
        let roots = device.upload_elements(&powers(root(log_n), (n / 2).max(1)));
        let layers = device.upload_elements(&layer_roots(radices.iter().copied().max().unwrap()));
        let mut from: Vec<u64> = columns.iter().map(|column| device.upload_elements(column)).collect();
        let mut log_stride = 0;
        for (i, &log_radix) in radices.iter().enumerate() {
            let (first, last) = (i == 0, i + 1 == radices.len());
            let to: Vec<u64> = columns.iter().map(|_| device.allocate(32 * n)).collect();
            let before = self.before.as_ref().filter(|_| first);
            let after = self.after.as_ref().filter(|_| last);
            let scale = self.scale.filter(|_| last);
            let factors = before.or(after).map_or(0, |factors| device.upload_elements(factors));
            let log_neighbours = (log_tile - log_radix).min(log_n - log_radix);
            let [from_list, to_list] = [&from, &to].map(|list| device.upload(&addresses(list)));
            let flags = [self.inverse, before.is_some(), after.is_some(), scale.is_some()].map(u32::from);
            let params = Arguments::new()
                .elements(bytes(&[scale.unwrap_or(Fr::ONE)]))
                .address(from_list)
                .address(to_list)
                .address(roots)
                .address(layers)
                .address(factors)
                .words(&[log_n, log_radix, log_neighbours, log_stride])
                .words(&flags);
            let grid = [n >> (log_radix + log_neighbours), columns.len()];
            // An eighth more than the elements, for gaps.
            let shared_bytes = 36 << (log_radix + log_neighbours);
            device.launch_grid("ntt_pass", grid, THREADS, shared_bytes, Arguments::new().structure(params));
            log_stride += log_radix;
            from = to;
        }
        from.into_iter().map(|column| device.read_elements(column, n)).collect()
    }
}

/// Values at `shift·w^i`, one by one.
fn values(coefficients: &[Fr], shift: Fr, root: Fr) -> Vec<Fr> {
    let points = powers(root, coefficients.len()).into_iter().map(|power| power * shift);
    points.map(|x| coefficients.iter().rev().fold(Fr::ZERO, |value, c| value * x + c)).collect()
}

/// Sizes with one pass, and with several of every kind of radix.
const RADICES: &[&[u32]] =
    &[&[0], &[1], &[2], &[3], &[4], &[6], &[5, 3], &[2, 2, 3], &[1, 7], &[4, 3, 2], &[9], &[8, 1]];

#[test]
fn transforms_give_values_and_coefficients() {
    let (mut device, mut rng) = (Device::new(), rng());
    for radices in RADICES {
        let log_n: u32 = radices.iter().sum();
        let n = 1 << log_n;
        let columns = [edges_and_random(&mut rng, n), random(&mut rng, n), vec![-Fr::ONE; n]];
        let transformed = Transform::default().run(&mut device, &columns, radices);
        for (column, transformed) in columns.iter().zip(&transformed) {
            assert_eq!(*transformed, values(column, Fr::ONE, root(log_n)), "{radices:?}, seed {SEED}");
        }
        let inverse =
            Transform { inverse: true, scale: Some(Fr::TWO_INV.pow([u64::from(log_n)])), ..Default::default() };
        assert_eq!(inverse.run(&mut device, &transformed, radices), columns, "{radices:?}, seed {SEED}");
    }
}

#[test]
fn cosets_are_transformed_with_their_powers() {
    let (mut device, mut rng) = (Device::new(), rng());
    let shift = Fr::MULTIPLICATIVE_GENERATOR;
    for radices in RADICES {
        let log_n: u32 = radices.iter().sum();
        let n = 1 << log_n;
        let columns = [edges_and_random(&mut rng, n)];
        let before = Transform { before: Some(powers(shift, n)), ..Default::default() };
        let transformed = before.run(&mut device, &columns, radices);
        assert_eq!(transformed[0], values(&columns[0], shift, root(log_n)), "{radices:?}, seed {SEED}");
        let scale = Fr::TWO_INV.pow([u64::from(log_n)]);
        let factors = powers(shift.invert().unwrap(), n).into_iter().map(|power| power * scale).collect();
        let after = Transform { inverse: true, after: Some(factors), ..Default::default() };
        assert_eq!(after.run(&mut device, &transformed, radices), columns, "{radices:?}, seed {SEED}");
    }
}

#[test]
fn a_large_transform_of_full_tiles_is_undone() {
    let (mut device, mut rng) = (Device::new(), rng());
    for (log_n, radices) in [(11, &[11u32] as &[u32]), (13, &[7, 6]), (14, &[10, 4])] {
        let columns = [random(&mut rng, 1 << log_n)];
        let transformed = Transform::default().run(&mut device, &columns, radices);
        // One value, by the definition.
        let place = (1 << log_n) - 3;
        let x = root(log_n).pow([place as u64]);
        assert_eq!(transformed[0][place], columns[0].iter().rev().fold(Fr::ZERO, |value, c| value * x + c));
        let inverse =
            Transform { inverse: true, scale: Some(Fr::TWO_INV.pow([u64::from(log_n)])), ..Default::default() };
        assert_eq!(inverse.run(&mut device, &transformed, radices), columns, "{radices:?}, seed {SEED}");
    }
}

#[test]
fn pieces_are_combinations_of_residues() {
    let (mut device, mut rng) = (Device::new(), rng());
    for len in [1, 256, 300] {
        let count = 3;
        let matrix = random(&mut rng, count * count);
        let residues: Vec<Vec<Fr>> = (0..count).map(|_| edges_and_random(&mut rng, len)).collect();
        let from: Vec<u64> = residues.iter().map(|residue| device.upload_elements(residue)).collect();
        let to: Vec<u64> = residues.iter().map(|_| device.allocate(32 * len)).collect();
        let matrix_at = device.upload_elements(&matrix);
        let [from_list, to_list] = [&from, &to].map(|list| device.upload(&addresses(list)));
        let arguments = Arguments::new().word(len).word(count).address(matrix_at).address(from_list).address(to_list);
        device.launch("interpolate_cosets", len.div_ceil(THREADS), THREADS, arguments);
        for (j, piece) in to.into_iter().enumerate() {
            let sum = |row: usize| (0..count).map(|i| matrix[j * count + i] * residues[i][row]).sum::<Fr>();
            assert_eq!(device.read_elements(piece, len), (0..len).map(sum).collect::<Vec<_>>(), "seed {SEED}");
        }
    }
}
