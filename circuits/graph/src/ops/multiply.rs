//! Products of two activations, element by element: gates.

use crate::bounds::Bounds;
use crate::ops::outcome::Outcome;
use crate::rescale::Rescale;
use crate::site::{Check, Site};

pub(crate) fn validate(site: &Site<'_>, rescale: &Rescale) -> Check {
    site.expect("operand shape", site.operand(1).shape, site.operand(0).shape)?;
    site.check_elementwise()?;
    site.check_rescale(rescale, || bounds(site, rescale))
}

/// Public bounds of the accumulators.
pub(crate) fn bounds(site: &Site<'_>, rescale: &Rescale) -> Bounds {
    let most = site.operand(0).format.magnitude().saturating_mul(site.operand(1).format.magnitude());
    Bounds::within(most.saturating_mul(rescale.multiplier))
}

pub(crate) fn run(a: &[i64], b: &[i64], rescale: &Rescale) -> Outcome {
    Outcome::Accumulators(a.iter().zip(b).map(|(a, b)| rescale.multiplier * a * b).collect())
}
