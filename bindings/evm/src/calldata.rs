//! The call of `verify(bytes proof, int256[] values)` as calldata, in the one encoding that contracts take.
//!
//! | bytes | |
//! |---|---|
//! | 4 | selector |
//! | 32 | 64, where the proof begins, counted from here |
//! | 32 | where the values begin, counted from 4 |
//! | 32 | bytes of the proof |
//! | | the proof: a multiple of 32 |
//! | 32 | number of values |
//! | 32 each | the values, negative ones in two's complement |

use std::fmt;

use ff::PrimeField;
use halo2curves::bn256::Fr;
use sha3::{Digest, Keccak256};

use crate::Error;
use crate::statement::{Range, Statement};

/// The function's signature.
pub const SIGNATURE: &str = "verify(bytes,int256[])";
/// Place of the proof.
pub(crate) const PROOF: usize = 4 + 3 * 32;

/// A number of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// An element of the scalar field, such as a hash.
    Element(Fr),
    /// An integer.
    Integer(i64),
}

impl fmt::Display for Number {
    /// In decimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Element(element) => f.write_str(&decimal(element.to_repr())),
        }
    }
}

/// A little-endian integer in decimal digits.
fn decimal(bytes: [u8; 32]) -> String {
    // The least digit first, nine at a time.
    let mut limbs = vec![0u64];
    for byte in bytes.iter().rev() {
        let mut carry = u64::from(*byte);
        for limb in &mut limbs {
            let value = *limb * 256 + carry;
            (*limb, carry) = (value % 1_000_000_000, value / 1_000_000_000);
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let first = limbs.last().copied().unwrap_or(0).to_string();
    limbs.iter().rev().skip(1).fold(first, |text, limb| format!("{text}{limb:09}"))
}

/// Place of the values behind a proof of so many bytes.
pub(crate) const fn values(proof: usize) -> usize {
    PROOF + proof + 32
}

/// Bytes of the whole call.
pub(crate) const fn bytes(proof: usize, values: usize) -> usize {
    self::values(proof) + 32 * values
}

/// The first four bytes of the signature's Keccak-256 hash.
pub fn selector(signature: &str) -> [u8; 4] {
    let hash = Keccak256::digest(signature.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Encodes a call.
pub(crate) fn encode(
    statement: &Statement,
    proof_bytes: usize,
    proof: &[u8],
    values: &[Number],
) -> Result<Vec<u8>, Error> {
    let fail = |reason: String| Error::Calldata(reason);
    if proof.len() != proof_bytes {
        return Err(fail(format!("the proof has {} bytes, the contract takes {proof_bytes}", proof.len())));
    }
    if values.len() != statement.values.len() {
        let expected = statement.values.len();
        return Err(fail(format!("{} numbers are given, the contract takes {expected}", values.len())));
    }
    let mut call = selector(SIGNATURE).to_vec();
    for length in [64, 96 + proof_bytes, proof_bytes] {
        call.extend(word(length as u64));
    }
    call.extend(proof);
    call.extend(word(values.len() as u64));
    for (index, (value, place)) in values.iter().zip(&statement.values).enumerate() {
        match (value, place.range) {
            (Number::Element(element), Range::Element) => call.extend(element.to_repr().iter().rev()),
            (Number::Integer(integer), Range::Integers { min, max }) if (min..=max).contains(integer) => {
                let sign = if *integer < 0 { 0xff } else { 0 };
                call.extend([sign; 24]);
                call.extend(integer.to_be_bytes());
            }
            (Number::Integer(integer), Range::Integers { min, max }) => {
                return Err(fail(format!("number {index} is {integer}, which is not in {min}..={max}")));
            }
            (Number::Element(_), Range::Integers { .. }) | (Number::Integer(_), Range::Element) => {
                return Err(fail(format!("number {index} is of the other kind")));
            }
        }
    }
    Ok(call)
}

/// An integer in a word.
fn word(integer: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&integer.to_be_bytes());
    word
}
