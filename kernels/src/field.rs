//! Montgomery constants of BN254's scalar and base field, derived from the moduli alone.
//!
//! Elements are little-endian words in Montgomery form with R = 2^256, on every device as on the host. Kernels work in
//! 32-bit words, the host in 64-bit ones: both views are given.

/// 256 bits in 64-bit words, least significant first.
pub type Words = [u64; 4];

/// The constants of arithmetic modulo a prime below 2^254, with R = 2^256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Montgomery {
    /// The prime.
    pub modulus: Words,
    /// R mod p: the Montgomery form of 1.
    pub one: Words,
    /// R² mod p: takes an integer into Montgomery form.
    pub r_squared: Words,
    /// `-p^-1` mod 2^64.
    pub negated_inverse: u64,
}

impl Montgomery {
    /// The scalar field, p = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001.
    pub const SCALAR: Self =
        Self::new([0x43e1_f593_f000_0001, 0x2833_e848_79b9_7091, 0xb850_45b6_8181_585d, 0x3064_4e72_e131_a029]);

    /// The base field, p = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47.
    pub const BASE: Self =
        Self::new([0x3c20_8c16_d87c_fd47, 0x9781_6a91_6871_ca8d, 0xb850_45b6_8181_585d, 0x3064_4e72_e131_a029]);

    /// Derives the constants from an odd modulus below 2^255.
    pub const fn new(modulus: Words) -> Self {
        Self {
            modulus,
            one: power_of_two(256, modulus),
            r_squared: power_of_two(512, modulus),
            negated_inverse: inverse(modulus[0]).wrapping_neg(),
        }
    }

    /// The modulus in 32-bit words.
    pub const fn modulus_32(&self) -> [u32; 8] {
        split(self.modulus)
    }

    /// R mod p in 32-bit words.
    pub const fn one_32(&self) -> [u32; 8] {
        split(self.one)
    }

    /// R² mod p in 32-bit words.
    pub const fn r_squared_32(&self) -> [u32; 8] {
        split(self.r_squared)
    }

    /// p - 2: the power that inverts.
    pub const fn inverse_exponent(&self) -> Words {
        let mut words = self.modulus;
        // The low word is odd and not 1.
        words[0] -= 2;
        words
    }

    /// `-p^-1` mod 2^32.
    pub const fn negated_inverse_32(&self) -> u32 {
        self.negated_inverse as u32
    }
}

/// Each word as its low, then its high half.
pub const fn split(words: Words) -> [u32; 8] {
    let mut halves = [0; 8];
    let mut i = 0;
    while i < 4 {
        halves[2 * i] = words[i] as u32;
        halves[2 * i + 1] = (words[i] >> 32) as u32;
        i += 1;
    }
    halves
}

/// `2^exponent mod modulus`, by doubling.
const fn power_of_two(exponent: usize, modulus: Words) -> Words {
    let mut value = [1, 0, 0, 0];
    let mut i = 0;
    while i < exponent {
        value = reduce_once(double(value), modulus);
        i += 1;
    }
    value
}

/// Twice a value below 2^255.
const fn double(x: Words) -> Words {
    [x[0] << 1, x[1] << 1 | x[0] >> 63, x[2] << 1 | x[1] >> 63, x[3] << 1 | x[2] >> 63]
}

/// `x - modulus` where that is not negative, else `x`.
const fn reduce_once(x: Words, modulus: Words) -> Words {
    let mut difference = [0; 4];
    let mut borrow = false;
    let mut i = 0;
    while i < 4 {
        let (first, under) = x[i].overflowing_sub(modulus[i]);
        let (second, under_again) = first.overflowing_sub(borrow as u64);
        difference[i] = second;
        borrow = under | under_again;
        i += 1;
    }
    if borrow { x } else { difference }
}

/// Inverse of an odd word modulo 2^64: each Newton step doubles the number of correct bits, of which an odd word
/// starts with three (x·x = 1 mod 8).
const fn inverse(x: u64) -> u64 {
    let mut y = x;
    let mut i = 0;
    while i < 5 {
        y = y.wrapping_mul(2u64.wrapping_sub(x.wrapping_mul(y)));
        i += 1;
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::PrimeField;
    use halo2curves::{
        bn256::{Fq, Fr},
        serde::SerdeObject,
    };

    /// The words that a host element is made of.
    fn raw<F: SerdeObject>(x: F) -> Words {
        let bytes = x.to_raw_bytes();
        std::array::from_fn(|i| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap()))
    }

    fn check<F: PrimeField + SerdeObject>(constants: Montgomery) {
        assert_eq!(raw(F::ONE), constants.one);
        // R² as an integer is the Montgomery form of R.
        assert_eq!(raw(F::from(2).pow([256])), constants.r_squared);
        assert_eq!(constants.negated_inverse.wrapping_mul(constants.modulus[0]), u64::MAX);
        let inverse = F::from(2).pow(constants.inverse_exponent());
        assert_eq!(inverse, F::TWO_INV);
        let hex: String = constants.modulus.iter().rev().map(|word| format!("{word:016x}")).collect();
        assert_eq!(F::MODULUS.trim_start_matches("0x"), hex);
    }

    #[test]
    fn constants_are_those_of_the_host_fields() {
        check::<Fr>(Montgomery::SCALAR);
        check::<Fq>(Montgomery::BASE);
    }

    #[test]
    fn halves_make_up_the_words() {
        let words = Montgomery::BASE.r_squared;
        let halves = Montgomery::BASE.r_squared_32();
        for i in 0..4 {
            assert_eq!(words[i], u64::from(halves[2 * i + 1]) << 32 | u64::from(halves[2 * i]));
        }
    }
}
