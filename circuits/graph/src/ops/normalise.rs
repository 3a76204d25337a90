//! Normalisation over the outermost axis of what is stored, without its learned scale and shift: LayerNorm where the
//! mean is taken off (and InstanceNorm, over the pixels of a channel), RMSNorm where it is not.
//!
//! Element `c·groups + p` is member `c` of group `p`. Every sum is exact.

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::limits::{ACCUMULATOR_LIMIT, MAX_DIVIDEND_BITS};
use crate::ops::outcome::Outcome;
use crate::rescale::Rescale;
use crate::site::{Check, Site};

/// `y = (x - mean) / sqrt(variance + ε)` over each group, or `x / sqrt(mean of squares + ε)`.
///
/// With the exact sums `S = Σ x` (0 where not centred) and `Q = Σ x²` over `n` members:
/// `V = n·Q - S² + epsilon`, `inverse_root = floor(2^bits / sqrt(V))`, `acc = multiplier · (n·x - S) · inverse_root`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalise {
    /// Number of groups.
    pub groups: usize,
    /// Members of a group.
    pub len: usize,
    /// Whether the mean is taken off.
    pub centred: bool,
    /// `n²·ε` in the scale of squares, at least 1.
    pub epsilon: i64,
    /// Bits of the dividend.
    pub bits: u32,
    /// What follows the product.
    pub rescale: Rescale,
}

/// What a normalisation computes on its way, by group.
#[derive(Clone, Debug, Default)]
pub struct NormaliseValues {
    /// Sums of the members; 0 where not centred.
    pub sums: Vec<i64>,
    /// Sums of their squares.
    pub squares: Vec<i64>,
    /// `floor(2^bits / sqrt(V))`.
    pub inverse_roots: Vec<i64>,
}

impl Normalise {
    /// `n·Q - S² + epsilon`, at least 1 by the inequality of Cauchy and Schwarz.
    pub fn variance(&self, sum: i64, squares: i64) -> i128 {
        let sum = i128::from(sum);
        self.len as i128 * i128::from(squares) - sum * sum + i128::from(self.epsilon)
    }

    /// `floor(2^bits / sqrt(v))`: the greatest `y` with `y²·v <= 2^(2·bits)`.
    pub const fn inverse_root(&self, v: i128) -> i64 {
        ((1u128 << (2 * self.bits)) / v as u128).isqrt() as i64
    }

    /// What the groups of this input compute before the product.
    pub fn values(&self, x: &[i64]) -> NormaliseValues {
        let mut values = NormaliseValues {
            sums: vec![0; self.groups],
            squares: vec![0; self.groups],
            inverse_roots: Vec::with_capacity(self.groups),
        };
        for (e, v) in x.iter().enumerate() {
            let p = e % self.groups;
            values.sums[p] += if self.centred { *v } else { 0 };
            values.squares[p] += v * v;
        }
        let inverse_roots =
            values.sums.iter().zip(&values.squares).map(|(s, q)| self.inverse_root(self.variance(*s, *q)));
        values.inverse_roots = inverse_roots.collect();
        values
    }

    /// Accumulators of this input, element by element, before they are requantised.
    pub fn accumulate(&self, x: &[i64]) -> Vec<i64> {
        let NormaliseValues { sums, inverse_roots, .. } = self.values(x);
        let acc = |(e, x): (usize, &i64)| {
            let p = e % self.groups;
            (self.len as i64 * x - sums[p]) * inverse_roots[p] * self.rescale.multiplier
        };
        x.iter().enumerate().map(acc).collect()
    }

    /// Bound of the accumulators: `Σ (n·x - S)² <= n·V`, so that `|n·x - S|·inverse_root <= sqrt(n)·2^bits`.
    pub const fn magnitude(&self) -> i64 {
        ((self.len.isqrt() as i64 + 1) << self.bits).saturating_mul(self.rescale.multiplier)
    }

    /// Greatest `V` for elements up to `magnitude`.
    pub const fn largest_variance(&self, magnitude: i64) -> i128 {
        let n = self.len as i128 * magnitude as i128;
        n * n + self.epsilon as i128
    }

    /// Bits of the greatest inverse root.
    pub const fn inverse_root_bits(&self) -> u32 {
        i64::BITS - self.inverse_root(self.epsilon as i128).leading_zeros()
    }

    /// Bits of `2^(2·bits) - y²·V` and of `(y + 1)²·V - 1 - 2^(2·bits)` for the inverse root `y`, neither of which is
    /// negative: their sum is `(2·y + 1)·V - 1 <= 2^(bits + 1)·sqrt(V) + V`.
    pub const fn window_bits(&self, magnitude: i64) -> u32 {
        let v = self.largest_variance(magnitude);
        let bound = ((v.isqrt() + 1) << (self.bits + 1)) + v;
        i128::BITS - bound.leading_zeros()
    }

    pub(crate) fn validate(&self, site: &Site<'_>) -> Check {
        site.check_elementwise()?;
        site.check_groups(self.groups, self.len)?;
        site.expect("a positive epsilon that is not too large", (1..1 << 60).contains(&self.epsilon), true)?;
        let narrow = self.bits <= MAX_DIVIDEND_BITS && self.len < 1 << 20;
        site.expect("a dividend that is not too wide", narrow, true)?;
        let variance = self.largest_variance(site.operand(0).format.magnitude());
        let product = self.bits + (i128::BITS - variance.leading_zeros()) / 2;
        site.expect("roots and variances that a few limbs hold", product < 90, true)?;
        // Sums of squares then fit 64 bits.
        site.expect("variances below 2^61", variance < ACCUMULATOR_LIMIT, true)?;
        site.check_rescale(&self.rescale, || self.bounds())
    }

    /// Public bounds of the accumulators.
    pub(crate) const fn bounds(&self) -> Bounds {
        Bounds::within(self.magnitude())
    }

    pub(crate) fn run(&self, x: &[i64]) -> Outcome {
        Outcome::Accumulators(self.accumulate(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_root_is_the_greatest_whose_square_fits() {
        let normalise = Normalise { groups: 1, len: 4, centred: true, epsilon: 1, bits: 20, rescale: Rescale::UNIT };
        for v in [1i128, 2, 3, 999, 1 << 20, (1 << 40) + 12345] {
            let y = i128::from(normalise.inverse_root(v));
            assert!(y * y * v <= 1 << 40 && (y + 1) * (y + 1) * v > 1 << 40, "{v}");
        }
    }

    #[test]
    fn normalised_groups_have_no_mean_and_the_variance_that_epsilon_leaves() {
        let normalise = Normalise { groups: 2, len: 4, centred: true, epsilon: 1, bits: 24, rescale: Rescale::UNIT };
        let x = [10, -7, 20, 3, -30, 9, 44, -5];
        let acc = normalise.accumulate(&x);
        let values = normalise.values(&x);
        for p in 0..2 {
            let members = || (0..4).map(|c| acc[c * 2 + p]);
            assert_eq!(members().sum::<i64>(), 0);
            let variance = members().map(|acc| (acc as f64 / f64::from(1 << 24)).powi(2)).sum::<f64>() / 4.0;
            // Epsilon is 1/657 of the second group's V; the rounded root's part is twice its last bit's.
            let v = normalise.variance(values.sums[p], values.squares[p]) as f64;
            assert!((variance - (1.0 - 1.0 / v)).abs() < 2.0 / values.inverse_roots[p] as f64, "{variance} of {v}");
        }
        assert!(acc.iter().all(|acc| acc.abs() <= normalise.magnitude()));
    }
}
