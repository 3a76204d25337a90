//! Tensors as words, and their hash.

use ff::PrimeField;
use halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zkml_gpu_graph::Format;

use super::poseidon::Poseidon;
use super::text::{Salt, TensorHash};
use crate::scalar;

/// Bits of a word, at most: whole bytes below the field's order, which has 254 bits. So words are integers, and two
/// that are equal modulo the order are equal.
const WORD_BITS: u32 = 248;
/// Bits of a value, at least. A pair of words then has at most 62 values, which fit beside the rows of a permutation
/// one to a row.
const LEAST_BITS: u32 = 8;
/// Bits of a value, at most: those of an integer of the graph.
const MOST_BITS: u32 = 64;
/// What a hash of a tensor begins with, so that it is none of anything else. Another definition has another number.
const TAG: &[u8] = b"zkml tensor v1";

/// Why a tensor has no hash.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HashError {
    /// Nothing to hash.
    #[error("a tensor without values has no hash")]
    Empty,
    /// Rows that begin at row 0.
    #[error("the rows of a hash begin at row 1 or later")]
    FirstRow,
    /// A text that is no element of the field.
    #[error(
        "a hash or a salt is 64 lower-case hexadecimal digits of an integer below the order of BN254's scalar field\nhint: other programs write it in decimal digits, or with 0x in front"
    )]
    Text,
    /// Another number of values than the rows are for.
    #[error("{got} values for the rows of a hash of {expected}")]
    Length {
        /// Given.
        got: usize,
        /// Expected.
        expected: usize,
    },
    /// The columns end before the rows of the hash.
    #[error("columns of {got} rows, the hash ends at row {expected}")]
    Rows {
        /// Given.
        got: usize,
        /// Needed.
        expected: usize,
    },
    /// A value outside the declared range, whose word could be another tensor's.
    #[error("value {value} at index {index} is outside the range {min}..={max} of its format")]
    Range {
        /// Position.
        index: usize,
        /// Offending value.
        value: i64,
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
}

/// How the integers of a format become words of the field.
///
/// A value `v` has the digit `v + offset` in base `2^bits`. Where the format allows negative values, `bits` is the
/// least number for which `-2^(bits-1) <= min` and `max < 2^(bits-1)`, and the offset is `2^(bits-1)`; otherwise it is
/// the least with `max < 2^bits`, and the offset is 0. Widths below 8 are widened to 8. So a digit is in
/// `[0, 2^bits)`.
///
/// A word has `⌊248 / bits⌋` digits, the first value the most significant; the last word has what is left. Words are
/// below `2^248`, less than the field's order: no two sequences of digits of the same length have the same words.
///
/// The words depend on the format and the number of values, on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Packing {
    /// Bits of a digit.
    pub bits: u32,
    /// Whether the digits are offset, because values may be negative.
    pub signed: bool,
}

impl Packing {
    /// The packing of a format's integers.
    pub fn new(format: Format) -> Self {
        let signed = format.min < 0;
        // -1 - v needs as many bits as the magnitude of a negative v in two's complement.
        let magnitude = |v: i64| u64::BITS - (if v < 0 { !v } else { v }).leading_zeros();
        let bits = magnitude(format.min).max(magnitude(format.max)) + u32::from(signed);
        Self { bits: bits.max(LEAST_BITS), signed }
    }

    /// Whether the numbers, which may be from a file, are some format's.
    pub fn is_sound(&self) -> bool {
        (LEAST_BITS..=MOST_BITS).contains(&self.bits)
    }

    /// Values of a full word.
    pub const fn word_values(&self) -> usize {
        (WORD_BITS / self.bits) as usize
    }

    /// What is added to a value.
    pub fn offset(&self) -> Fr {
        if self.signed { scalar::power_of_two(self.bits - 1) } else { Fr::zero() }
    }

    /// The digits' base.
    pub fn base(&self) -> Fr {
        scalar::power_of_two(self.bits)
    }

    /// Digit of a value.
    pub(super) fn digit(&self, value: i64) -> Fr {
        scalar::from_i64(value) + self.offset()
    }

    /// The words of a tensor's values.
    pub fn words(&self, values: &[Fr]) -> Vec<Fr> {
        let [base, offset] = [self.base(), self.offset()];
        let word = |values: &[Fr]| values.iter().fold(Fr::zero(), |word, value| word * base + value + offset);
        values.chunks(self.word_values()).map(word).collect()
    }

    /// What the capacity is before the first permutation: an integer below `2^240` made of the tag, and below it, from
    /// bit 104 on, the mantissa less 1, from bit 64 on the number of values, which is below `2^40`, from bit 16 on the
    /// fractional bits as 32 bits of two's complement, bit 8 the sign, and the width in the last 8 bits.
    pub(super) fn domain(&self, (frac_bits, mantissa): (i32, u32), len: usize) -> Fr {
        let tag = TAG.iter().fold(0, |tag: u128, byte| tag << 8 | u128::from(*byte));
        let [len, frac_bits] = [len as u128, u128::from(frac_bits.cast_unsigned())];
        let mantissa = u128::from(mantissa.saturating_sub(1));
        let low = mantissa << 104 | len << 64 | frac_bits << 16 | u128::from(self.signed) << 8 | u128::from(self.bits);
        Fr::from_u128(tag) * scalar::power_of_two(128) + Fr::from_u128(low)
    }
}

/// The hash of a tensor: its values in the model's order, and how they represent real numbers.
///
/// A sponge that overwrites. Its capacity `h` begins as the domain: tag and version, number of values, fractional bits,
/// sign and width. It takes in pairs of words, `h = permute([h, a, b])[0]`; what remains is the hash. The words are the
/// salt, or 0 without one; 0 if the tensor has an even number of words; then the tensor's ([`Packing`]). circomlibjs
/// has a step as `poseidon([a, b], h)`, circomlib as `PoseidonEx(2, 1)` with `initialState = h`.
///
/// *Collisions.* What is hashed begins with the number of values and the width, so it says how many words follow, and
/// these determine the values: two tensors that differ, in a value, the number of values, the width or the scale, differ
/// in the domain or in a word. A collision is then two chains of permutations from different beginnings, or of different
/// words, with the same capacity at the end, and somewhere the first such: for an ideal permutation of a capacity of 254
/// bits that takes some `2^127` evaluations.
///
/// *Hiding.* Without a salt whoever guesses the values can confirm the guess. A salt is a uniform element of the field,
/// used for this tensor only and kept: without it the hash of an ideal permutation tells nothing of the values.
///
/// # Errors
/// [`HashError`] for an empty tensor, or a value outside the format's range.
pub fn hash_tensor(
    poseidon: &Poseidon,
    format: Format,
    values: &[i64],
    salt: Option<&Salt>,
) -> Result<TensorHash, HashError> {
    let Format { min, max, .. } = format;
    if values.is_empty() {
        return Err(HashError::Empty);
    }
    if let Some(index) = values.iter().position(|v| !(min..=max).contains(v)) {
        return Err(HashError::Range { index, value: values[index], min, max });
    }
    let elements: Vec<Fr> = values.iter().map(|value| scalar::from_i64(*value)).collect();
    Ok(hash_elements(poseidon, format, &elements, salt.map_or(Fr::zero(), |salt| salt.element())).into())
}

/// The hash of elements of the field as if they were a tensor's values: what a circuit says of its cells before their
/// range is known.
pub(crate) fn hash_elements(poseidon: &Poseidon, format: Format, values: &[Fr], salt: Fr) -> Fr {
    let packing = Packing::new(format);
    let words = packing.words(values);
    let filler = words.len().is_multiple_of(2).then_some(Fr::zero());
    let absorbed: Vec<Fr> = std::iter::once(salt).chain(filler).chain(words).collect();
    let (pairs, _) = absorbed.as_chunks();
    let domain = packing.domain((format.frac_bits, format.mantissa), values.len());
    pairs.iter().fold(domain, |capacity, pair| poseidon.absorb(capacity, *pair))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn format(min: i64, max: i64) -> Format {
        Format::new(3, min, max)
    }

    #[test]
    fn widths_hold_the_range_and_are_the_least_from_a_byte_on() {
        for (min, max, bits) in [
            (0, 0, 8),
            (0, 255, 8),
            (0, 256, 9),
            (17, 511, 9),
            (-1, 0, 8),
            (-128, 127, 8),
            (-128, 128, 9),
            (-129, 127, 9),
            (-1 << 20, 0, 21),
            (0, i64::MAX, 63),
            (i64::MIN, i64::MAX, 64),
        ] {
            let packing = Packing::new(format(min, max));
            assert_eq!(packing, Packing { bits, signed: min < 0 }, "{min}..={max}");
            assert!(packing.is_sound());
            assert!(packing.word_values() * bits as usize <= 248 && packing.word_values() <= 31);
            // Digits are integers below the base: the least and the greatest, and so all between.
            for value in [min, max] {
                let digit = i128::from(value) + if min < 0 { 1 << (bits - 1) } else { 0 };
                assert!((0..1 << bits).contains(&digit), "{value}");
                assert_eq!(packing.digit(value), Fr::from_u128(digit as u128), "{value}");
            }
        }
        assert!([0, 7, 65, u32::MAX].iter().all(|bits| !Packing { bits: *bits, signed: true }.is_sound()));
    }

    #[test]
    fn words_are_the_digits_in_their_base_the_first_in_front() {
        let packing = Packing::new(format(-128, 127));
        let values: Vec<i64> = (0..33).map(|i| i - 100).collect();
        let words = packing.words(&values.iter().map(|value| scalar::from_i64(*value)).collect::<Vec<_>>());
        assert_eq!(words.len(), 2);
        let bytes: Vec<u8> = values[..31].iter().rev().map(|v| (v + 128) as u8).chain([0]).collect();
        assert_eq!(words[0].to_bytes().to_vec(), bytes);
        assert_eq!(words[1], Fr::from((128 - 69) * 256 + (128 - 68)));
    }

    #[test]
    fn the_domain_is_what_it_is_said_to_be() {
        let domain = Packing { bits: 9, signed: true }.domain((-2, 1), 784);
        let mut bytes = b"zkml tensor v1".to_vec();
        bytes.extend([0, 0, 0, 0, 0, 0, 3, 16, 0, 0, 255, 255, 255, 254, 1, 9]);
        bytes.splice(0..0, [0; 2]);
        bytes.reverse();
        assert_eq!(domain.to_bytes().to_vec(), bytes);
    }

    #[test]
    fn tensors_that_differ_in_anything_have_other_hashes() {
        let poseidon = Poseidon::new();
        let hash = |format, values: &[i64], salt: Option<Fr>| {
            hash_tensor(&poseidon, format, values, salt.map(Salt::from).as_ref()).unwrap().to_string()
        };
        let values = [1, 2, 3];
        let plain = format(0, 255);
        let mut hashes = HashSet::from([hash(plain, &values, None)]);
        for other in [
            hash(plain, &[1, 2], None),
            hash(plain, &[0, 1, 2, 3], None),
            hash(plain, &[1, 2, 3, 0], None),
            hash(plain, &[1, 3, 2], None),
            hash(format(0, 256), &values, None),
            hash(format(-1, 255), &values, None),
            hash(format(-128, 127), &values, None),
            hash(Format { frac_bits: 4, ..plain }, &values, None),
            hash(Format { frac_bits: -3, ..plain }, &values, None),
            hash(Format { mantissa: 3, ..plain }, &values, None),
            hash(plain, &values, Some(Fr::one())),
            hash(plain, &values, Some(-Fr::one())),
        ] {
            assert!(hashes.insert(other));
        }
        // What the format does not need more bits for is the same tensor.
        assert!(!hashes.insert(hash(format(0, 200), &values, None)));
        assert!(!hashes.insert(hash(plain, &values, Some(Fr::zero()))));
    }

    #[test]
    fn what_is_no_tensor_of_the_format_has_no_hash() {
        let poseidon = Poseidon::new();
        assert_eq!(hash_tensor(&poseidon, format(0, 9), &[], None), Err(HashError::Empty));
        for value in [-1, 10, i64::MIN] {
            let error = HashError::Range { index: 1, value, min: 0, max: 9 };
            assert_eq!(hash_tensor(&poseidon, format(0, 9), &[9, value], None), Err(error));
        }
    }
}
