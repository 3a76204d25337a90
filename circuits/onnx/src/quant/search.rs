//! Bits tensor by tensor: the fewest that keep the error on samples under a bound.
//!
//! The search ends with two widths at most, because every width that occurs has functions' tables of its own: the least
//! that would do for all tensors, and a smaller one for as many of them as can do with it. Which tensors need the wider
//! one is measured: each is widened alone, and those that lower the error most come first. Tensors with one scale
//! between them have one width.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error::QuantError;
use super::group::{Group, group};
use super::options::{MAX_TENSOR_BITS, QuantOptions};
use super::quantise::{Observed, Quantised, Sample, check};
use crate::import::FloatGraph;

/// Bits of all activations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// Bits of tensors that are not named.
    pub activation_bits: u32,
    /// Bits of others, by the tensor's name in the model: see [`QuantOptions::tensor_bits`].
    pub tensor_bits: BTreeMap<String, u32>,
    /// The shift, see [`QuantOptions::shift`]; none for the options' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<u32>,
    /// The file that they were read from, for messages.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl QuantOptions {
    /// The options with these bits, and no search for others.
    #[must_use]
    pub fn with_precision(&self, precision: &Precision) -> Self {
        Self {
            activation_bits: precision.activation_bits,
            max_activation_bits: precision.activation_bits,
            tensor_bits: precision.tensor_bits.clone(),
            shift: precision.shift.unwrap_or(self.shift),
            precision_file: precision.file.clone(),
            ..self.clone()
        }
    }
}

impl Precision {
    /// So many bits more for all tensors, up to the most that there may be, under another shift.
    #[must_use]
    pub fn raised(&self, bits: u32, shift: u32) -> Self {
        let raise = |own: u32| (own + bits).min(MAX_TENSOR_BITS);
        let tensor_bits = self.tensor_bits.iter().map(|(name, own)| (name.clone(), raise(*own)));
        Self {
            activation_bits: raise(self.activation_bits),
            tensor_bits: tensor_bits.collect(),
            shift: Some(shift),
            file: self.file.clone(),
        }
    }
}

/// What a search is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The least error, but for a tenth of it.
    Accuracy,
    /// The fewest bits that keep the error under the bound.
    #[default]
    Speed,
}

/// Factor by which the error may exceed the least one where accuracy is the target.
const NEAR_LEAST: f32 = 1.1;
/// Multiplications of a run on all samples for each tensor, above which all have one width: further bits of a clamp cost
/// limbs alone.
const MOST_WORK: u64 = 1 << 35;
/// How much narrower than the width that does for all tensors the others are tried.
const NARROWER: u32 = 4;

impl Observed<'_> {
    /// Searches bits for all tensors, from `options.activation_bits` to `options.max_activation_bits`: the fewest at which
    /// the largest error on the samples is at most `options.error_target` or, where accuracy is the target, near the least
    /// error. Where nothing keeps the bound, the result is that of the least error; its report tells.
    ///
    /// # Errors
    /// As [`quantise`](super::quantise()).
    pub fn search(&self, options: &QuantOptions, target: Target) -> Result<(Precision, Quantised), QuantError> {
        check(self.source, self.samples, options)?;
        let groups = group(self.source, &options.hidden_outputs);
        let search = Search { observed: self, options, groups };
        let uniform = search.uniform(target)?;
        let error = |found: &Found| found.quantised.report.max_error;
        let least = uniform.iter().map(error).fold(f32::INFINITY, f32::min);
        let bound = match target {
            Target::Accuracy => least * NEAR_LEAST,
            Target::Speed => options.error_target.max(least),
        };
        let mut best = uniform.into_iter().find(|found| error(found) <= bound).ok_or(QuantError::NoSamples)?;
        let (wide, units) = (best.precision.activation_bits, search.units());
        let runs = (self.samples.len() as u64).saturating_mul(units.len() as u64);
        let work = (best.quantised.graph.macs() as u64).saturating_mul(runs);
        if work > MOST_WORK {
            tracing::debug!(work, "one width for all: a run for each tensor would take minutes");
            return Ok((best.precision, best.quantised));
        }
        for base in (wide.saturating_sub(NARROWER).max(options.activation_bits)..wide).rev() {
            match search.widened(&units, base, wide, bound)? {
                Some(found) if found.bits < best.bits => best = found,
                _ => break,
            }
        }
        Ok((best.precision, best.quantised))
    }
}

/// As [`Observed::search`], of samples that are not yet observed.
///
/// # Errors
/// As [`quantise`](super::quantise()).
pub fn search(
    source: &FloatGraph,
    samples: &[Sample],
    options: &QuantOptions,
    target: Target,
) -> Result<(Precision, Quantised), QuantError> {
    check(source, samples, options)?;
    Observed::new(source, samples)?.search(options, target)
}

/// A model with its samples, and what is asked for.
struct Search<'a> {
    observed: &'a Observed<'a>,
    options: &'a QuantOptions,
    groups: Vec<Group>,
}

/// Tensors with one scale.
#[derive(Debug)]
struct Unit {
    names: Vec<String>,
    elements: usize,
}

/// A choice of bits, and what comes of it.
struct Found {
    precision: Precision,
    quantised: Quantised,
    /// Of all elements together.
    bits: usize,
}

impl Search<'_> {
    fn units(&self) -> Vec<Unit> {
        let activation_bits = self.options.activation_bits;
        let Self { groups, options, observed: Observed { source, observations, .. } } = self;
        let context = Context::new((source, groups), observations, options, activation_bits, false);
        let tensors = &source.tensors;
        let unit = |members: Vec<usize>| Unit {
            names: members.iter().map(|id| tensors[*id].name.clone()).collect(),
            elements: members.iter().map(|id| tensors[*id].shape.len()).sum(),
        };
        context.units().into_iter().map(unit).collect()
    }

    /// `base` bits for all tensors but those of some units, which have `wide` ones; `None` where the error is above the
    /// bound.
    fn attempt(
        &self,
        units: &[Unit],
        widened: &[usize],
        [base, wide]: [u32; 2],
        bound: f32,
    ) -> Result<Option<Found>, QuantError> {
        let names = widened.iter().flat_map(|unit| &units[*unit].names);
        let tensor_bits = names.map(|name| (name.clone(), wide)).collect();
        let precision = Precision { activation_bits: base, tensor_bits, shift: None, file: None };
        let options = self.options.with_precision(&precision);
        let Some(quantised) = self.observed.attempt(&self.groups, &options, base, bound)? else { return Ok(None) };
        let elements = |units: &mut dyn Iterator<Item = &Unit>| units.map(|unit| unit.elements).sum::<usize>();
        let more = elements(&mut widened.iter().map(|unit| &units[*unit])) * wide.saturating_sub(base) as usize;
        Ok(Some(Found { precision, quantised, bits: elements(&mut units.iter()) * base as usize + more }))
    }

    /// One width for all: the narrowest that keeps the bound, where speed is the target and some width does; or every one.
    fn uniform(&self, target: Target) -> Result<Vec<Found>, QuantError> {
        let within = match target {
            Target::Speed => self.widths(self.options.error_target)?,
            Target::Accuracy => Vec::new(),
        };
        if within.is_empty() { self.widths(f32::INFINITY) } else { Ok(within) }
    }

    /// One width for all, from narrow to wide: the first that keeps a bound, or every one without a bound.
    fn widths(&self, bound: f32) -> Result<Vec<Found>, QuantError> {
        let units = self.units();
        let mut found: Vec<Found> = Vec::new();
        let Search { options, .. } = self;
        let (fewest, most) = (options.activation_bits, options.max_activation_bits.max(options.activation_bits));
        for bits in fewest..=most {
            match self.attempt(&units, &[], [bits, bits], bound) {
                Ok(attempt) => found.extend(attempt),
                // More bits may be too many for the accumulators of a long sum.
                Err(QuantError::Scale { .. }) if bits > fewest => break,
                Err(error) => return Err(error),
            }
            if bound.is_finite() && !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// The fewest units that have to be wide for the error to keep the bound, taken in the order of what each alone
    /// does to it.
    fn widened(&self, units: &[Unit], base: u32, wide: u32, bound: f32) -> Result<Option<Found>, QuantError> {
        let alone = |unit: usize| {
            let found = self.attempt(units, &[unit], [base, wide], f32::INFINITY)?.ok_or(QuantError::NoSamples)?;
            Ok((found.quantised.report.rms_error, unit))
        };
        let mut order = (0..units.len()).into_par_iter().map(alone).collect::<Result<Vec<_>, QuantError>>()?;
        order.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let order: Vec<usize> = order.into_iter().map(|(_, unit)| unit).collect();
        let (mut least, mut most, mut best) = (0, order.len() + 1, None);
        while most - least > 1 {
            let count = (least + most) / 2;
            match self.attempt(units, &order[..count], [base, wide], bound)? {
                Some(found) => (most, best) = (count, Some(found)),
                None => least = count,
            }
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use zkml_gpu_graph::{Shape, Storage};

    use crate::import::{FloatLinear, FloatNode, FloatOp, FloatTensor};

    use super::super::quantise::quantise;
    use super::*;

    /// Two layers: the first's result is large and coarse for the second, which takes the difference of nearly equal
    /// numbers.
    fn graph() -> FloatGraph {
        let tensor = |name: &str, len| {
            let shape = Shape { channels: len, height: 1, width: 1 };
            FloatTensor::new(name.into(), shape, vec![1, len], Storage::Plain)
        };
        let linear = |name: &str, input, output, width, weights: Vec<f32>| FloatNode {
            name: name.into(),
            op: FloatOp::Linear(FloatLinear::dense(width, weights, vec![0.0; 2])),
            inputs: vec![input],
            output,
        };
        FloatGraph {
            name: "two".into(),
            tensors: vec![tensor("x", 2), tensor("hidden", 2), tensor("y", 2)],
            nodes: vec![
                linear("first", 0, 1, 2, vec![1.0, 0.1, 1.0, -0.1]),
                linear("second", 1, 2, 2, vec![1.0, -1.0, 0.01, 0.01]),
            ],
            inputs: vec![0],
            outputs: vec![2],
        }
    }

    fn samples() -> Vec<Sample> {
        (0..40).map(|i| vec![vec![(i as f32 * 0.37).sin(), (i as f32 * 0.73).cos()]]).collect()
    }

    fn options(error_target: f32) -> QuantOptions {
        QuantOptions { activation_bits: 4, max_activation_bits: 12, error_target, ..QuantOptions::default() }
    }

    #[test]
    fn the_bound_is_kept_with_no_more_bits_than_one_width_needs() {
        for error in [0.1, 0.03, 0.01] {
            let options = options(error);
            let (precision, quantised) = search(&graph(), &samples(), &options, Target::Speed).unwrap();
            assert!(quantised.report.max_error <= error, "{precision:?}: {}", quantised.report.max_error);
            let narrower = QuantOptions { max_activation_bits: precision.activation_bits, ..options.clone() };
            let one_width = quantise(&graph(), &samples(), &narrower).unwrap();
            let needs_more = one_width.report.max_error > error;
            assert_eq!(needs_more, !precision.tensor_bits.is_empty(), "{precision:?}");
            assert!(precision.tensor_bits.len() < 3, "{precision:?}");
            // What was found is what it says.
            let again = quantise(&graph(), &samples(), &options.with_precision(&precision)).unwrap();
            assert_eq!(again, quantised);
        }
    }

    #[test]
    fn a_bound_out_of_reach_gives_the_least_error() {
        let (_, reached) = search(&graph(), &samples(), &options(0.0), Target::Speed).unwrap();
        let (_, accurate) = search(&graph(), &samples(), &options(0.5), Target::Accuracy).unwrap();
        assert!(reached.report.max_error <= accurate.report.max_error);
        assert!(accurate.report.max_error <= NEAR_LEAST * reached.report.max_error);
    }

    #[test]
    fn bits_of_tensors_that_are_not_there_are_refused() {
        let mut options = options(0.1);
        options.tensor_bits.insert("nowhere".into(), 8);
        let refused = quantise(&graph(), &samples(), &options).unwrap_err();
        assert!(refused.to_string().contains("nowhere"), "{refused}");
        options.tensor_bits = [("hidden".to_owned(), 17)].into();
        assert!(quantise(&graph(), &samples(), &options).is_err());
    }
}
