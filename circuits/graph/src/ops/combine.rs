//! Sums of activations, with learned summands: residual additions, positional embeddings, and activation functions that
//! follow no other operation.

use crate::bounds::{Bounds, Width};
use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};

pub(crate) fn validate(site: &Site<'_>, multipliers: &[i64], offset: &[i64], width: Option<Width>) -> Check {
    let y = site.output();
    for operand in site.operands() {
        site.expect("operand shape", operand.shape, y.shape)?;
    }
    if !offset.is_empty() {
        site.expect("number of summands", offset.len(), y.shape.len())?;
    }
    site.check_summands("summand", offset)?;
    site.check_width(width, || vec![Bounds::of(offset)])?;
    site.check_multipliers(multipliers.iter().map(|m| i128::from(*m).abs()).sum())
}

/// Public bounds of the accumulators.
pub(crate) fn bounds(site: &Site<'_>, multipliers: &[i64], offset: &[i64], width: Option<Width>) -> Bounds {
    let mut bounds = Bounds::default();
    multipliers.iter().enumerate().for_each(|(i, &m)| bounds.add_product(m, site.operand(i).format));
    let summands = width.map_or_else(|| Bounds::of(offset), Width::bounds);
    Bounds { min: bounds.min.saturating_add(summands.min), max: bounds.max.saturating_add(summands.max) }
}

pub(crate) fn run(site: &Site<'_>, values: &[Vec<i64>], multipliers: &[i64], offset: &[i64]) -> Outcome {
    let mut acc = offset.to_vec();
    acc.resize(values[site.inputs[0]].len(), 0);
    for (&id, &m) in site.inputs.iter().zip(multipliers) {
        acc.iter_mut().zip(&values[id]).for_each(|(a, v)| *a += m * v);
    }
    Outcome::Accumulators(acc)
}
