//! Signed digits, eight scalars at a time.
//!
//! The smaller of v and p - v is decomposed, so there are as many digits as its size demands: small scalars of either
//! sign have few, and cost as little.

use std::ops::Range;

use halo2curves::bn256::Fr;

use super::super::integers::magnitudes;
use super::super::lanes::{Kernel, LANES, Lanes};

/// Eight digits, one of each scalar, all of the same window.
pub(super) type Digits = [i32; LANES];

/// What is decomposed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalars<'a> {
    Elements(&'a [Fr]),
    Integers(&'a [i32]),
}

impl<'a> Scalars<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Scalars::Elements(elements) => elements.len(),
            Scalars::Integers(integers) => integers.len(),
        }
    }

    pub(super) fn range(self, range: Range<usize>) -> Scalars<'a> {
        match self {
            Scalars::Elements(elements) => Scalars::Elements(&elements[range]),
            Scalars::Integers(integers) => Scalars::Integers(&integers[range]),
        }
    }
}

/// Writes the digits d_w of `scalar = Σ_w d_w·2^{bits·w} mod p`, each in [-2^{bits-1}, 2^{bits-1}], of eight scalars at
/// a time: window by window, up to the last in which one of them has a digit. `lengths` gets the number of windows of
/// each eight.
///
/// Absolute values are below 2^253, so the last of `ceil(254 / bits)` windows absorbs its carry.
pub(super) struct Decompose<'a> {
    pub(super) scalars: Scalars<'a>,
    /// Elements that count as 0.
    pub(super) skipped: Range<usize>,
    pub(super) bits: usize,
    pub(super) digits: &'a mut Vec<Digits>,
    pub(super) lengths: &'a mut Vec<u8>,
}

impl<L: Lanes> Kernel<L> for Decompose<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let (bits, digits) = (self.bits, self.digits);
        self.lengths.reserve(self.scalars.len().div_ceil(LANES));
        match self.scalars {
            Scalars::Elements(elements) => {
                for (chunk, first) in elements.chunks(LANES).zip((0..).step_by(LANES)) {
                    if self.skipped.start <= first && first + chunk.len() <= self.skipped.end {
                        self.lengths.push(0);
                        continue;
                    }
                    let mut padded = [Fr::default(); LANES];
                    padded[..chunk.len()].copy_from_slice(chunk);
                    let inside = |bound: usize| bound.clamp(first, first + chunk.len()) - first;
                    padded[inside(self.skipped.start)..inside(self.skipped.end)].fill(Fr::default());
                    let mut words = lanes.canonical_words(lanes.load(&padded));
                    let negative = magnitudes(&mut words);
                    self.lengths.push(decompose(&words, &negative, bits, digits));
                }
            }
            Scalars::Integers(integers) => {
                for chunk in integers.chunks(LANES) {
                    let (mut words, mut negative) = ([[0; LANES]; 4], [false; LANES]);
                    for (lane, value) in chunk.iter().enumerate() {
                        words[0][lane] = value.unsigned_abs().into();
                        negative[lane] = *value < 0;
                    }
                    self.lengths.push(decompose(&words, &negative, bits, digits));
                }
            }
        }
    }
}

/// Appends the digits of eight absolute values; returns the number of windows.
#[inline(always)]
fn decompose(words: &[[u64; LANES]; 4], negative: &[bool; LANES], bits: usize, digits: &mut Vec<Digits>) -> u8 {
    let length = bit_length(words);
    // The carry out of the top bits needs a place.
    let windows = (length + 1).div_ceil(bits) * usize::from(length > 0);
    let (mask, half) = ((1u64 << bits) - 1, 1u64 << (bits - 1));
    let mut carry = [0u64; LANES];
    for window in 0..windows {
        let (word, shift) = (window * bits / 64, window * bits % 64);
        // Windows may reach past the last word, where there are zeros.
        let zeros = [0; LANES];
        let low = words.get(word).unwrap_or(&zeros);
        let high = if shift + bits > 64 { words.get(word + 1).unwrap_or(&zeros) } else { &zeros };
        let mut row = [0; LANES];
        for lane in 0..LANES {
            // A shift by 64 - shift in two steps: shift may be 0.
            let value = (low[lane] >> shift | high[lane] << 1 << (63 - shift)) & mask;
            let digit = value + carry[lane];
            carry[lane] = u64::from(digit > half);
            let signed = digit as i32 - ((carry[lane] as i32) << bits);
            row[lane] = if negative[lane] { -signed } else { signed };
        }
        digits.push(row);
    }
    windows as u8
}

/// Bits of the longest of eight integers.
#[inline(always)]
fn bit_length(words: &[[u64; LANES]; 4]) -> usize {
    let joined = words.map(|row| row.into_iter().fold(0, |all, word| all | word));
    let top = joined.iter().rposition(|word| *word != 0);
    top.map_or(0, |word| 64 * word + 64 - joined[word].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::super::super::lanes::{Processor, with_lanes};
    use super::super::decomposition::SCALAR_BITS;
    use super::*;
    use ff::{Field, PrimeField};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn digits_recompose_and_fit() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut scalars = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::TWO_INV, -Fr::TWO_INV, Fr::from(128), -Fr::from(129)];
        scalars.extend((0..200).map(|_| Fr::random(&mut rng)));
        scalars.extend((0..16).map(|i| Fr::from(i * i)));
        for bits in 4..=17 {
            let (mut digits, mut lengths) = (Vec::new(), Vec::new());
            let work = Decompose {
                scalars: Scalars::Elements(&scalars),
                skipped: 0..0,
                bits,
                digits: &mut digits,
                lengths: &mut lengths,
            };
            with_lanes!(Processor::detect(), lanes => lanes.run(work));
            let mut rows = digits.iter();
            for (chunk, windows) in scalars.chunks(LANES).zip(&lengths) {
                assert!(usize::from(*windows) <= SCALAR_BITS.div_ceil(bits));
                let rows: Vec<&Digits> = rows.by_ref().take(usize::from(*windows)).collect();
                for (lane, scalar) in chunk.iter().enumerate() {
                    let mut sum = Fr::ZERO;
                    for (window, row) in rows.iter().enumerate() {
                        assert!(row[lane].unsigned_abs() <= 1 << (bits - 1));
                        let magnitude = Fr::from(u64::from(row[lane].unsigned_abs()));
                        let signed = if row[lane] < 0 { -magnitude } else { magnitude };
                        sum += signed * Fr::from(2).pow_vartime([(bits * window) as u64]);
                    }
                    assert_eq!(sum, *scalar, "{bits} bits");
                }
            }
            assert!(rows.next().is_none());
        }
    }

    #[test]
    fn small_scalars_of_either_sign_have_few_digits() {
        let scalars: Vec<Fr> =
            (-64i64..64).map(|i| if i < 0 { -Fr::from(i.unsigned_abs()) } else { Fr::from(i as u64) }).collect();
        let (mut digits, mut lengths) = (Vec::new(), Vec::new());
        let work = Decompose {
            scalars: Scalars::Elements(&scalars),
            skipped: 0..0,
            bits: 8,
            digits: &mut digits,
            lengths: &mut lengths,
        };
        with_lanes!(Processor::detect(), lanes => lanes.run(work));
        assert!(lengths.iter().all(|windows| *windows == 1));
        assert_eq!(digits.as_flattened(), (-64..64).collect::<Vec<i32>>());
    }

    #[test]
    fn skipped_scalars_have_the_digits_of_0() {
        let scalars: Vec<Fr> = (0..100u64).map(|i| Fr::from(i * i + 1) * Fr::from(u64::MAX)).collect();
        for range in [0..0, 0..8, 3..5, 5..27, 16..100, 90..97, 0..100] {
            let mut zeroed = scalars.clone();
            zeroed[range.clone()].fill(Fr::zero());
            let digits = [(&scalars, range), (&zeroed, 0..0)].map(|(scalars, skipped)| {
                let (mut digits, mut lengths) = (Vec::new(), Vec::new());
                let scalars = Scalars::Elements(scalars);
                let work = Decompose { scalars, skipped, bits: 8, digits: &mut digits, lengths: &mut lengths };
                with_lanes!(Processor::detect(), lanes => lanes.run(work));
                (digits, lengths)
            });
            assert_eq!(digits[0], digits[1]);
        }
    }

    #[test]
    fn integers_have_the_digits_of_their_elements() {
        let integers: Vec<i32> = (0..100).map(|i: i32| (i - 50).wrapping_mul(1 << (i % 26))).collect();
        let elements: Vec<Fr> = (integers.iter())
            .map(|i| if *i < 0 { -Fr::from(u64::from(i.unsigned_abs())) } else { Fr::from(*i as u64) })
            .collect();
        for bits in 4..=17 {
            let digits = [Scalars::Elements(&elements), Scalars::Integers(&integers)].map(|scalars| {
                let (mut digits, mut lengths) = (Vec::new(), Vec::new());
                let work = Decompose { scalars, skipped: 0..0, bits, digits: &mut digits, lengths: &mut lengths };
                with_lanes!(Processor::detect(), lanes => lanes.run(work));
                (digits, lengths)
            });
            assert_eq!(digits[0], digits[1]);
        }
    }
}
