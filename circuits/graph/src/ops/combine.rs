//! Sums of activations, with learned summands: residual additions, positional embeddings, and activation functions that
//! follow no other operation.

use crate::bounds::{Bounds, Width};
use crate::interleaving::Interleaving;
use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};

/// The attributes of a combination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Combination<'a> {
    pub(crate) multipliers: &'a [i64],
    pub(crate) offset: &'a [i64],
    pub(crate) shared: Interleaving,
    pub(crate) width: Option<Width>,
}

pub(crate) fn validate(site: &Site<'_>, combination: Combination<'_>) -> Check {
    let Combination { multipliers, offset, shared, width } = combination;
    let y = site.output();
    for operand in site.operands() {
        site.expect("operand shape", operand.shape, y.shape)?;
    }
    site.expect("inferences that share summands, and runs of them", shared.places(0), Some(0))?;
    if !offset.is_empty() {
        site.expect("number of summands, each of every inference", shared.places(offset.len()), Some(y.shape.len()))?;
    }
    site.check_summands("summand", offset)?;
    site.check_width(width, || vec![Bounds::of(offset)])?;
    site.check_multipliers(multipliers.iter().enumerate().map(|(operand, multiplier)| (operand, *multiplier, 1)))
}

/// Public bounds of the accumulators.
pub(crate) fn bounds(site: &Site<'_>, combination: Combination<'_>) -> Bounds {
    let Combination { multipliers, offset, width, .. } = combination;
    let mut bounds = Bounds::default();
    multipliers.iter().enumerate().for_each(|(i, &m)| bounds.add_product(m, site.operand(i).format));
    let summands = width.map_or_else(|| Bounds::of(offset), Width::bounds);
    Bounds { min: bounds.min.saturating_add(summands.min), max: bounds.max.saturating_add(summands.max) }
}

pub(crate) fn run(site: &Site<'_>, values: &[Vec<i64>], combination: Combination<'_>) -> Outcome {
    let Combination { multipliers, offset, shared, .. } = combination;
    let summand = |place: usize| offset.get(shared.element(place).0).copied().unwrap_or(0);
    let mut acc: Vec<i64> = (0..values[site.inputs[0]].len()).map(summand).collect();
    for (&id, &m) in site.inputs.iter().zip(multipliers) {
        acc.iter_mut().zip(&values[id]).for_each(|(a, v)| *a += m * v);
    }
    Outcome::Accumulators(acc)
}
