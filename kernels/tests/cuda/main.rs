//! CUDA kernels, run whole on the host, against the host's arithmetic, bit for bit.
//!
//! The kernels are compiled with the system's C++ compiler for a process that plays the device (`cuda/host/`). What
//! launches them here is what launches them on a device.

// Test code may unwrap: a panic is how it fails.
#![allow(clippy::unwrap_used, clippy::panic)]

mod curve;
mod device;
mod field;
mod fold;
mod lookup;
mod modules;
mod msm;
mod ntt;
mod quotient;
mod vector;

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2curves::serde::SerdeObject;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use device::Device;

const SEED: u64 = 7;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(SEED)
}

/// The memory of elements.
fn bytes<T: SerdeObject>(values: &[T]) -> Vec<u8> {
    values.iter().flat_map(SerdeObject::to_raw_bytes).collect()
}

/// Points as the device has them: two coordinates.
fn point_bytes(points: &[G1Affine]) -> Vec<u8> {
    bytes(&points.iter().flat_map(|point| [point.x, point.y]).collect::<Vec<Fq>>())
}

/// Elements from memory, which must be below the modulus.
fn elements<T: SerdeObject>(memory: &[u8]) -> Vec<T> {
    memory.chunks(32).map(|element| T::from_raw_bytes(element).expect("an element below the modulus")).collect()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn addresses(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn random(rng: &mut ChaCha8Rng, len: usize) -> Vec<Fr> {
    (0..len).map(|_| Fr::random(&mut *rng)).collect()
}

/// Values at which arithmetic may break, as often as needed, between random ones.
fn edges_and_random(rng: &mut ChaCha8Rng, len: usize) -> Vec<Fr> {
    let edges = edges::<Fr>();
    (0..len).map(|i| if i % 3 == 0 { edges[i / 3 % edges.len()] } else { Fr::random(&mut *rng) }).collect()
}

fn edges<F: PrimeField>() -> Vec<F> {
    let radix = F::from(2).pow([256]);
    // Raw words 1 and p - 1 are the Montgomery forms of 1/R and -1/R.
    let unit = radix.invert().unwrap();
    vec![F::ZERO, F::ONE, -F::ONE, radix, -radix, unit, -unit, F::TWO_INV, F::from(1 << 16), F::from(u64::MAX)]
}

impl Device {
    fn upload_elements(&mut self, values: &[Fr]) -> u64 {
        self.upload(&bytes(values))
    }

    fn read_elements(&mut self, address: u64, len: usize) -> Vec<Fr> {
        elements(&self.read(address, 32 * len))
    }

    fn read_words(&mut self, address: u64, len: usize) -> Vec<u32> {
        self.read(address, 4 * len).chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }
}
