//! Integers as elements of the scalar field.

use halo2curves::bn256::Fr;

/// The residue of a signed integer.
pub fn from_i64(v: i64) -> Fr {
    let magnitude = Fr::from(v.unsigned_abs());
    if v < 0 { -magnitude } else { magnitude }
}
