//! Requantisation: from accumulators to integers of fewer bits, by a shift that rounds.

use serde::{Deserialize, Serialize};

/// `floor((acc + 2^(shift-1)) / 2^shift)`: division by a power of two, rounded to nearest, ties upwards.
pub const fn requantise(acc: i64, shift: u32) -> i64 {
    (acc + (1 << (shift - 1))) >> shift
}

/// What an accumulator is multiplied by and how far it is shifted, where no weight can take that in:
/// `q = round(acc · multiplier / 2^(S·limbs))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescale {
    /// Factor of the accumulator.
    pub multiplier: i64,
    /// Shift as a multiple of the graph's: the remainder has so many times its bits, 1 to
    /// [`MAX_REMAINDER_LIMBS`](crate::MAX_REMAINDER_LIMBS).
    pub limbs: u32,
}

impl Rescale {
    /// A shift by `S`.
    pub const UNIT: Self = Self { multiplier: 1, limbs: 1 };

    /// The rounded quotient of an accumulator that includes the multiplier.
    pub const fn round(&self, acc: i64, shift: u32) -> i64 {
        requantise(acc, shift * self.limbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requantisation_rounds_ties_upwards() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|a| requantise(a, 1)), [-1, -1, 0, 0, 1, 1, 2]);
    }
}
