//! Integers as elements of the scalar field.

use ff::{Field, FromUniformBytes};
use halo2curves::bn256::Fr;

/// The residue of a signed integer.
pub fn from_i64(v: i64) -> Fr {
    let magnitude = Fr::from(v.unsigned_abs());
    if v < 0 { -magnitude } else { magnitude }
}

/// `2^exponent`.
pub fn power_of_two(exponent: u32) -> Fr {
    Fr::from(2).pow([u64::from(exponent)])
}

/// The residue of 512 bits, little-endian.
pub(crate) fn from_wide(bytes: &[u8; 64]) -> Fr {
    Fr::from_uniform_bytes(bytes)
}
