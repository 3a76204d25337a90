//! Sums of products with small integers.

use halo2curves::bn256::Fr;
use rand_chacha::rand_core::RngCore;

use crate::device::{Arguments, Device};
use crate::{SEED, edges_and_random, rng};

const THREADS: usize = 128;

fn element(weight: i16) -> Fr {
    let magnitude = Fr::from(u64::from(weight.unsigned_abs()));
    if weight < 0 { -magnitude } else { magnitude }
}

/// Weights as the device has them, of 16 bits or of 8.
fn weight_bytes(weights: &[i16], narrow: bool) -> Vec<u8> {
    match narrow {
        true => weights.iter().map(|weight| *weight as u8).collect(),
        false => weights.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
    }
}

/// Random weights, with the smallest and the largest among them.
fn weights(len: usize, narrow: bool) -> Vec<i16> {
    let mut rng = rng();
    let edges = if narrow { [-128, 127, 0, -1] } else { [i16::MIN, i16::MAX, 0, -1] };
    let random = |word: u32| if narrow { i16::from(word as i8) } else { word as i16 };
    (0..len).map(|i| if i % 2 == 0 { edges[i / 2 % 4] } else { random(rng.next_u32()) }).collect()
}

#[test]
fn rows_of_weights_are_folded() {
    let (mut device, mut rng) = (Device::new(), rng());
    let factors = edges_and_random(&mut rng, 3000);
    let factors_at = device.upload_elements(&factors);
    let offset = |end: usize| factors[..end].iter().sum::<Fr>() * Fr::from(1 << 15);
    let offsets_at = device.upload_elements(&(0..=factors.len()).map(offset).collect::<Vec<_>>());
    let ranges = [(0, 0), (0, 1), (5, 3), (7, 9), (8, 8), (1, 2999), (0, 3000), (2993, 7), (60, 2000)];
    for narrow in [false, true] {
        let weights = weights(3000, narrow);
        let at = device.upload(&weight_bytes(&weights, narrow));
        let rows: Vec<(usize, usize)> = ranges.into_iter().cycle().take(200).collect();
        let list = rows.iter().enumerate().flat_map(|(row, (first, len))| {
            let arguments = Arguments::new().address(*first as u64 / 2).word(*first).word(*len);
            arguments.word(rows.len() - 1 - row).laid_out().0
        });
        let (list, out) = (device.upload(&list.collect::<Vec<_>>()), device.allocate(32 * rows.len()));
        let arguments = Arguments::new().word(rows.len()).address(list).address(at);
        let arguments = arguments.address(factors_at).address(offsets_at).address(out);
        let kernel = if narrow { "fold_integers_8" } else { "fold_integers_16" };
        device.launch(kernel, rows.len().div_ceil(THREADS), THREADS, arguments);
        let sum = |(first, len): &(usize, usize)| -> Fr {
            (0..*len).map(|i| factors[first + i] * element(weights[first / 2 + i])).sum()
        };
        assert_eq!(
            device.read_elements(out, rows.len()),
            rows.iter().rev().map(sum).collect::<Vec<_>>(),
            "seed {SEED}"
        );
    }
}
