//! Average pooling: sums over windows, times a multiplier that divides by the number of elements.

use crate::bounds::Bounds;
use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};
use crate::tensor::Shape;
use crate::window::{Window, pool};

pub(crate) fn validate(site: &Site<'_>, window: &Window, multipliers: &[i64]) -> Check {
    site.check_window(window)?;
    let area = window.taps();
    site.expect("number of multipliers", multipliers.len(), area + 1)?;
    let largest = multipliers.iter().copied().max_by_key(|multiplier| multiplier.unsigned_abs()).unwrap_or(0);
    site.check_multipliers(std::iter::once((0, largest, area)))?;
    site.expect("output shape", Some(site.output().shape), window.pooled(site.operand(0).shape))
}

/// Public bounds of the accumulators.
pub(crate) fn bounds(site: &Site<'_>, multipliers: &[i64]) -> Bounds {
    let mut bounds = Bounds::default();
    for (count, &m) in multipliers.iter().enumerate().skip(1) {
        let mut of_count = Bounds::default();
        of_count.add_product(m.saturating_mul(count as i64), site.operand(0).format);
        bounds = bounds.union(of_count);
    }
    bounds
}

pub(crate) fn run(x: &[i64], shape: Shape, window: &Window, multipliers: &[i64]) -> Outcome {
    let sums = pool(x, shape, window, 0, |sum, value| sum + value, |sum, count| multipliers[count] * sum);
    Outcome::Accumulators(sums)
}
