//! Signed digits and the sort of digits by bucket.

use halo2curves::bn256::Fr;

/// The modulus p, least significant limb first.
const MODULUS: [u64; 4] = [0x43e1_f593_f000_0001, 0x2833_e848_79b9_7091, 0xb850_45b6_8181_585d, 0x3064_4e72_e131_a029];

/// The non-zero digits d_w of `scalar = Σ_w d_w·2^{bits·w} mod p`, each in [-2^{bits-1}, 2^{bits-1}], as (w, d_w).
///
/// The smaller of v and p - v is decomposed, so there are as many digits as its size demands. It is below 2^253, so the
/// last of `ceil(254 / bits)` windows absorbs its carry.
pub(super) fn signed_digits(scalar: &Fr, bits: usize) -> impl Iterator<Item = (usize, i32)> {
    let (mut rest, negative) = magnitude(scalar);
    let (mask, half) = ((1u64 << bits) - 1, 1u64 << (bits - 1));
    let mut carry = 0;
    let mut window = 0;
    std::iter::from_fn(move || {
        while rest != [0; 4] || carry != 0 {
            let digit = (rest[0] & mask) + carry;
            rest = shift_right(rest, bits);
            carry = u64::from(digit > half);
            window += 1;
            if digit & mask != 0 {
                let digit = digit as i32 - ((carry as i32) << bits);
                return Some((window - 1, if negative { -digit } else { digit }));
            }
        }
        None
    })
}

/// The smaller of v and p - v, and whether it is the latter.
fn magnitude(scalar: &Fr) -> ([u64; 4], bool) {
    let value = <[u64; 4]>::from(*scalar);
    let mut negated = [0; 4];
    let mut borrow = false;
    for i in 0..4 {
        let (difference, first) = MODULUS[i].overflowing_sub(value[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        negated[i] = difference;
        borrow = first || second;
    }
    if negated.iter().rev().lt(value.iter().rev()) { (negated, true) } else { (value, false) }
}

fn shift_right(limbs: [u64; 4], bits: usize) -> [u64; 4] {
    let up = 64 - bits;
    [
        limbs[0] >> bits | limbs[1] << up,
        limbs[1] >> bits | limbs[2] << up,
        limbs[2] >> bits | limbs[3] << up,
        limbs[3] >> bits,
    ]
}

/// Table entries, each with a sign in its lowest bit, grouped by key.
#[derive(Debug)]
pub(super) struct Bucketed {
    counts: Vec<u32>,
    unsorted: Vec<(u32, u32)>,
}

impl Bucketed {
    /// For keys below `keys`.
    pub(super) fn new(keys: usize) -> Self {
        Bucketed { counts: vec![0; keys], unsorted: Vec::new() }
    }

    /// Adds table entry `index` (below 2^31), negated if so said, to the bucket `key`.
    pub(super) fn push(&mut self, key: u32, index: usize, negative: bool) {
        self.counts[key as usize] += 1;
        self.unsorted.push((key, (index as u32) << 1 | u32::from(negative)));
    }

    /// Keys in ascending order and their entries.
    pub(super) fn sort(mut self) -> (Vec<u32>, Vec<u32>) {
        let mut next = 0;
        for count in &mut self.counts {
            next += std::mem::replace(count, next);
        }
        let mut keys = vec![0; self.unsorted.len()];
        let mut entries = vec![0; self.unsorted.len()];
        for (key, entry) in self.unsorted {
            let position = self.counts[key as usize] as usize;
            self.counts[key as usize] += 1;
            keys[position] = key;
            entries[position] = entry;
        }
        (keys, entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::{Field, PrimeField};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn digits_recompose_and_fit() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut scalars = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::TWO_INV, -Fr::TWO_INV, Fr::from(128), -Fr::from(129)];
        scalars.extend((0..200).map(|_| Fr::random(&mut rng)));
        for bits in 4..=17 {
            for scalar in &scalars {
                let mut sum = Fr::ZERO;
                for (window, digit) in signed_digits(scalar, bits) {
                    assert!(window < 254usize.div_ceil(bits));
                    assert!(digit != 0 && digit.unsigned_abs() <= 1 << (bits - 1));
                    let magnitude = Fr::from(u64::from(digit.unsigned_abs()));
                    let signed = if digit < 0 { -magnitude } else { magnitude };
                    sum += signed * Fr::from(2).pow_vartime([(bits * window) as u64]);
                }
                assert_eq!(sum, *scalar, "{bits} bits");
            }
        }
    }
}
