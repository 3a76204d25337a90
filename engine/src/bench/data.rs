//! Points and scalars without a structure that an operation could profit from, made quickly and always the same.

use ff::Field;
use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine};

/// Distinct points: each twice the last and one more.
pub fn distinct_points(n: usize) -> Vec<G1Affine> {
    let step = G1::generator();
    let projective: Vec<G1> = std::iter::successors(Some(step), |point| Some(point.double() + step)).take(n).collect();
    let mut affine = vec![G1Affine::default(); n];
    G1::batch_normalize(&projective, &mut affine);
    affine
}

/// Scalars that fill the field: powers of its generator's inverse.
pub fn full_size(n: usize) -> Vec<Fr> {
    full_size_from(0, n)
}

/// As [`full_size`], from the power `start` on: columns that differ.
pub fn full_size_from(start: u64, n: usize) -> Vec<Fr> {
    let step = Fr::from(7).invert().unwrap_or(Fr::ONE);
    let first = step.pow_vartime([start + 1]);
    std::iter::successors(Some(first), |value| Some(value * step)).take(n).collect()
}

/// Integers of both signs with absolute values below `2^bits`, at most 64; negative ones as p - x.
pub fn signed(n: usize, bits: u32) -> Vec<Fr> {
    (1..=n as u64).map(|i| if i % 2 == 0 { Fr::from(spread(i, bits)) } else { -Fr::from(spread(i, bits)) }).collect()
}

/// Numbers below `2^bits`, at most 64, spread evenly: multiples of the golden ratio.
pub fn spread(i: u64, bits: u32) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_shr(u64::BITS - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn points_and_scalars_do_not_repeat() {
        let points: HashSet<[u8; 32]> = distinct_points(300).iter().map(|point| point.x.to_bytes()).collect();
        let columns = [full_size(300), full_size_from(300, 300)].concat();
        let scalars: HashSet<[u8; 32]> = columns.iter().map(Fr::to_bytes).collect();
        assert_eq!((points.len(), scalars.len()), (300, 600));
    }

    #[test]
    fn signed_scalars_are_small_and_of_both_signs() {
        let small = |value: &Fr| value.to_bytes()[1..] == [0; 31] && value.to_bytes()[0] < 128;
        let column = signed(1000, 7);
        assert!(column.iter().all(|value| small(value) || small(&-value)));
        assert!(column.iter().any(|value| !small(value)) && column.iter().any(|value| !small(&-value)));
        assert!(signed(10, 0).iter().all(|value| *value == Fr::ZERO));
    }
}
