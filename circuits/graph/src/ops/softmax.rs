//! Softmax over the outermost axis of what is stored: element `c·groups + p` is member `c` of group `p`. Every sum is
//! exact.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::bounds::Bounds;
use crate::limits::MAX_DIVIDEND_BITS;
use crate::ops::outcome::Outcome;
use crate::rescale::Rescale;
use crate::site::{Check, Site};

/// `y = exp(x - max) / Σ exp(x - max)` over each group.
///
/// `e = exp[max - x]` from a table, 0 for a member that is masked; `R = floor(2^bits / Σ e)`;
/// `acc = multiplier · e · R`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax {
    /// Number of groups.
    pub groups: usize,
    /// Members of a group.
    pub len: usize,
    /// Members that do not take part, by element; empty for none. Every group keeps one.
    pub masked: Vec<bool>,
    /// `e` by distance from the maximum, from 0 to the greatest distance of two elements; greatest, and positive, at 0
    /// alone.
    pub exp: Activation,
    /// Bits of the dividend.
    pub bits: u32,
    /// What follows the product.
    pub rescale: Rescale,
}

/// What a softmax computes on its way.
#[derive(Clone, Debug, Default)]
pub struct SoftmaxValues {
    /// Greatest member of each group.
    pub maxima: Vec<i64>,
    /// Exponential of each element.
    pub exponentials: Vec<i64>,
    /// Sum of each group's exponentials.
    pub sums: Vec<i64>,
    /// `floor(2^bits / sum)`.
    pub reciprocals: Vec<i64>,
}

impl Softmax {
    /// Whether an element takes no part.
    pub fn is_masked(&self, element: usize) -> bool {
        self.masked.get(element).copied().unwrap_or(false)
    }

    /// What the groups of this input compute before the product.
    pub fn values(&self, x: &[i64]) -> SoftmaxValues {
        let (groups, kept) = (self.groups, |e: &usize| !self.is_masked(*e));
        let members = |p: usize| (0..self.len).map(move |c| c * groups + p);
        let maximum = |p| members(p).filter(kept).map(|e| x[e]).max().unwrap_or(0);
        let maxima: Vec<i64> = (0..groups).map(maximum).collect();
        let exponential =
            |(e, x): (usize, &i64)| if self.is_masked(e) { 0 } else { self.exp.apply(maxima[e % groups] - x) };
        let exponentials: Vec<i64> = x.iter().enumerate().map(exponential).collect();
        let sums: Vec<i64> = (0..groups).map(|p| members(p).map(|e| exponentials[e]).sum()).collect();
        // A kept member attains the maximum, so no sum is 0.
        let reciprocals = sums.iter().map(|sum| (1i64 << self.bits) / (*sum).max(1)).collect();
        SoftmaxValues { maxima, exponentials, sums, reciprocals }
    }

    /// Accumulators of this input, element by element, before they are requantised.
    pub fn accumulate(&self, x: &[i64]) -> Vec<i64> {
        let SoftmaxValues { exponentials, reciprocals, .. } = self.values(x);
        let product = |(e, exp): (usize, &i64)| exp * reciprocals[e % self.groups] * self.rescale.multiplier;
        exponentials.iter().enumerate().map(product).collect()
    }

    /// Greatest accumulator: `e·R <= Σe·R <= 2^bits`.
    pub const fn magnitude(&self) -> i64 {
        (1i64 << self.bits).saturating_mul(self.rescale.multiplier)
    }

    pub(crate) fn validate(&self, site: &Site<'_>) -> Check {
        site.check_elementwise()?;
        self.check_members(site)?;
        self.check_exponentials(site)?;
        site.check_rescale(&self.rescale, || self.bounds())
    }

    fn check_members(&self, site: &Site<'_>) -> Check {
        let Self { groups, len, ref masked, .. } = *self;
        site.check_groups(groups, len)?;
        let whole = masked.is_empty() || masked.len() == site.operand(0).shape.len();
        site.expect("a mask of all elements or none", whole, true)?;
        let kept = |p: usize| (0..len).any(|c| !self.is_masked(c * groups + p));
        site.expect("a member that is kept in each group", (0..groups).all(kept), true)
    }

    fn check_exponentials(&self, site: &Site<'_>) -> Check {
        let Self { len, ref exp, bits, .. } = *self;
        let x = site.operand(0).format;
        let reach = x.max.abs_diff(x.min);
        site.expect(
            "exponentials from the maximum on",
            (exp.min, exp.values.len() as u64),
            (0, reach.saturating_add(1)),
        )?;
        site.expect("exponentials whose lines have their values", exp.has_lines_of_values(false), true)?;
        let first = exp.values.first().copied().unwrap_or(0);
        let falls = (1..=1 << 20).contains(&first) && exp.values[1..].iter().all(|e| (0..first).contains(e));
        site.expect("exponentials that are greatest at the maximum alone", falls, true)?;
        site.expect("a dividend that is not too wide", bits <= MAX_DIVIDEND_BITS && len < 1 << 20, true)
    }

    /// Public bounds of the accumulators.
    pub(crate) const fn bounds(&self) -> Bounds {
        Bounds { min: 0, max: self.magnitude() }
    }

    pub(crate) fn run(&self, x: &[i64]) -> Outcome {
        Outcome::Accumulators(self.accumulate(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one_less_the_remainder_and_masked_members_have_none() {
        let exp = |d: i64| (f64::from(1 << 14) * (-d as f64 / 8.0).exp()).round() as i64;
        let softmax = Softmax {
            groups: 2,
            len: 3,
            masked: vec![false, false, true, false, false, false],
            exp: Activation::table(0, (0..=100).map(exp).collect()),
            bits: 30,
            rescale: Rescale::UNIT,
        };
        let x = [5, -50, 50, 3, -1, 50];
        let acc = softmax.accumulate(&x);
        assert_eq!(acc[2], 0);
        for (p, exponentials) in softmax.values(&x).sums.into_iter().enumerate() {
            let sum: i64 = (0..3).map(|c| acc[c * 2 + p]).sum();
            assert!((0..exponentials).contains(&((1 << 30) - sum)), "{sum}");
        }
        assert!(acc.iter().all(|acc| (0..=softmax.magnitude()).contains(acc)));
    }
}
