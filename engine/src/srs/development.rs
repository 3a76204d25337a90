//! A reference string from a secret drawn here and forgotten.

use ff::{BatchInvert, Field, PrimeField};
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine, G2, G2Affine};
use rand_core::{CryptoRng, RngCore};
use rayon::prelude::*;

use super::Points;
use crate::backend::root_of_unity;

/// Bits of a window of the fixed-base table: 32 windows of 255 multiples are half a megabyte.
const WINDOW_BITS: usize = 8;
/// Scalars handed to one task.
const CHUNK: usize = 512;

pub(super) fn points<R: RngCore + CryptoRng>(k: u32, mut rng: R) -> Points {
    let n = 1usize << k;
    let table = fixed_base_table();
    let (secret, lagrange) = loop {
        // A secret in the domain has no Lagrange scalars; its probability is 2^k in 2^254.
        let secret = Fr::random(&mut rng);
        if let Some(scalars) = lagrange_scalars(secret, k) {
            break (secret, scalars);
        }
    };
    let powers: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |power| Some(power * secret)).take(n).collect();
    Points {
        g: multiples(&table, &powers),
        lagrange: Some(multiples(&table, &lagrange)),
        g2: G2Affine::generator(),
        s_g2: (G2::generator() * secret).to_affine(),
    }
}

/// `L_i(s) = (s^n - 1)/n · ω^i/(s - ω^i)`; `None` where `s` is in the domain or zero.
fn lagrange_scalars(secret: Fr, k: u32) -> Option<Vec<Fr>> {
    let n = 1u64 << k;
    let vanishing = secret.pow_vartime([n]) - Fr::ONE;
    if bool::from(secret.is_zero() | vanishing.is_zero()) {
        return None;
    }
    let omega = root_of_unity(k)?;
    let roots: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |root| Some(root * omega)).take(1 << k).collect();
    let mut scalars: Vec<Fr> = roots.iter().map(|root| secret - root).collect();
    scalars.iter_mut().batch_invert();
    let factor = vanishing * Fr::TWO_INV.pow_vartime([u64::from(k)]);
    scalars.par_iter_mut().zip(&roots).for_each(|(scalar, root)| *scalar *= factor * root);
    Some(scalars)
}

/// `d·2^(8w)·G` for every window w and digit d from 1 to 255, in that order.
fn fixed_base_table() -> Vec<G1Affine> {
    let digits = (1 << WINDOW_BITS) - 1;
    let windows = 256 / WINDOW_BITS;
    let mut multiples = Vec::with_capacity(windows * digits);
    let mut base = G1::generator();
    for _ in 0..windows {
        let mut multiple = base;
        for _ in 0..digits {
            multiples.push(multiple);
            multiple += base;
        }
        base = multiple;
    }
    normalise(&multiples)
}

fn multiples(table: &[G1Affine], scalars: &[Fr]) -> Vec<G1Affine> {
    scalars
        .par_chunks(CHUNK)
        .flat_map_iter(|chunk| {
            let products: Vec<G1> = chunk.iter().map(|scalar| multiple(table, scalar)).collect();
            normalise(&products)
        })
        .collect()
}

fn multiple(table: &[G1Affine], scalar: &Fr) -> G1 {
    let digits = (1 << WINDOW_BITS) - 1;
    let bytes = scalar.to_repr();
    bytes
        .as_ref()
        .iter()
        .enumerate()
        .filter(|(_, digit)| **digit > 0)
        .fold(G1::identity(), |sum, (window, digit)| sum + table[window * digits + usize::from(*digit) - 1])
}

fn normalise(points: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::identity(); points.len()];
    G1::batch_normalize(points, &mut affine);
    affine
}
