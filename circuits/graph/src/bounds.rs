//! Worst-case bounds of accumulators: interval arithmetic over the formats' ranges.
//!
//! A circuit sizes its range checks by these, so they hold for every input in range, not only for samples. For one
//! window they are exact: each operand takes the end of its range that the sign of its weight asks for. Zero padding
//! is included, as an operand that may also be zero.
//!
//! But a circuit's key shows its range checks, and exact bounds follow from the weights. So a graph declares how wide
//! the accumulators of learned values are ([`Width`]), in whole bits; circuits are sized by that, and
//! [`Graph::validate`](crate::Graph::validate) refuses weights that do not keep to it.

use serde::{Deserialize, Serialize};

use crate::tensor::Format;

/// Least and greatest value that an accumulator can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Least value, inclusive.
    pub min: i64,
    /// Greatest value, inclusive.
    pub max: i64,
}

impl Bounds {
    /// The smallest interval that holds both.
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Those of a list of numbers; zero for none.
    pub fn of(values: &[i64]) -> Self {
        let (min, max) = (values.iter().copied().min(), values.iter().copied().max());
        Self { min: min.unwrap_or(0), max: max.unwrap_or(0) }
    }

    /// Greatest difference of two numbers.
    pub const fn spread(&self) -> u64 {
        self.max.abs_diff(self.min)
    }

    /// All numbers up to a magnitude.
    pub const fn within(magnitude: i64) -> Self {
        Self { min: -magnitude, max: magnitude }
    }

    /// Largest magnitude.
    pub fn magnitude(self) -> i64 {
        self.max.max(self.min.saturating_neg())
    }

    /// Adds the products of a factor with the integers of a format.
    pub(crate) fn add_product(&mut self, factor: i64, Format { min, max, .. }: Format) {
        let (a, b) = (factor.saturating_mul(min), factor.saturating_mul(max));
        self.min = self.min.saturating_add(a.min(b));
        self.max = self.max.saturating_add(a.max(b));
    }
}

/// Room in a declared width, as a multiple of the values that it is declared for: others of the same scale keep to it
/// as well.
const HEADROOM: u64 = 2;

/// Bits of what learned values make, declared for everyone to see: numbers up to [`Width::limit`] of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Width {
    /// Of a magnitude: an accumulator's, or a summand's.
    pub bits: u32,
    /// Of the difference of two accumulators of one channel.
    pub spread_bits: u32,
}

impl Width {
    /// Greatest number of so many bits: `2^bits - 1`, less a 64th of the whole, so that rounding to fewer digits makes
    /// no further bit.
    pub fn limit(bits: u32) -> u64 {
        let whole = 1u64.checked_shl(bits).unwrap_or(u64::MAX);
        whole - 1 - whole / 64
    }

    /// The width to declare for values within these bounds, those of each channel: the least whole bits that hold twice
    /// the greatest magnitude, and twice the greatest difference.
    pub fn of(channels: &[Bounds]) -> Self {
        let holds = |bits: &u32, value: u64| Self::limit(*bits) >= value.saturating_mul(HEADROOM);
        let bits = |value: u64| (0..u64::BITS).find(|bits| holds(bits, value)).unwrap_or(u64::BITS);
        let greatest = |of: fn(&Bounds) -> u64| bits(channels.iter().map(of).max().unwrap_or(0));
        Self { bits: greatest(|bounds| bounds.magnitude().unsigned_abs()), spread_bits: greatest(Bounds::spread) }
    }

    /// Whether values within these bounds keep to the width.
    pub fn holds(self, channels: &[Bounds]) -> bool {
        let within = |bounds: &Bounds| {
            Self::limit(self.bits) >= bounds.magnitude().unsigned_abs()
                && Self::limit(self.spread_bits) >= bounds.spread()
        };
        channels.iter().all(within)
    }

    /// The least and the greatest value.
    pub fn bounds(self) -> Bounds {
        Bounds::within(i64::try_from(Self::limit(self.bits)).unwrap_or(i64::MAX))
    }
}
