//! Scales from samples: for each tensor the most fractional bits that hold its observed values, with headroom.
//!
//! Nothing observed is clipped: a few clipped activations that add up in one output cost more than the bit they buy.

use crate::graph::TensorId;
use crate::import::FloatGraph;

use super::QuantError;

/// How the values of a tensor are distributed over the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Least value seen.
    pub(super) min: f32,
    /// Greatest value seen.
    pub(super) max: f32,
}

impl Spread {
    /// With headroom at both ends.
    pub(super) fn widened(self, headroom: f32) -> Self {
        Self { min: self.min * headroom, max: self.max * headroom }
    }
}

/// All tensors' values on all samples.
pub(super) struct Observations {
    /// By sample, then by tensor.
    runs: Vec<Vec<Vec<f32>>>,
}

impl Observations {
    /// Runs the float graph on every sample.
    pub(super) fn collect(graph: &FloatGraph, samples: &[Vec<Vec<f32>>]) -> Result<Self, QuantError> {
        let runs: Result<Vec<_>, _> = samples.iter().map(|sample| graph.execute(sample)).collect();
        let runs = runs?;
        for values in &runs {
            if let Some(id) = values.iter().position(|v| v.iter().any(|x| !x.is_finite())) {
                return Err(QuantError::NotFinite { node: graph.tensors[id].name.clone(), what: "activations" });
            }
        }
        Ok(Self { runs })
    }

    /// Extremes of a tensor, with zero among them.
    pub(super) fn spread(&self, tensor: TensorId) -> Spread {
        self.values(tensor).fold(Spread { min: 0.0, max: 0.0 }, |s, v| Spread { min: s.min.min(v), max: s.max.max(v) })
    }

    /// Values of a tensor in one sample.
    pub(super) fn sample(&self, sample: usize, tensor: TensorId) -> &[f32] {
        &self.runs[sample][tensor]
    }

    fn values(&self, tensor: TensorId) -> impl Iterator<Item = f32> + '_ {
        self.runs.iter().flat_map(move |values| values[tensor].iter().copied())
    }

    /// Most fractional bits at which integers in `min..=max` hold every observed value, with `headroom` as a factor
    /// for those that the samples do not show, as far as a clamp lets them pass; `i32::MAX` where all are zero.
    pub(super) fn frac_bits(
        &self,
        tensor: TensorId,
        (min, max): (i64, i64),
        headroom: f32,
        clamp: Option<[f32; 2]>,
    ) -> i32 {
        let spread = self.spread(tensor);
        let Spread { min: low, max: high } = spread.widened(headroom);
        let [floor, ceiling] = clamp.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        let (low, high) = (low.max(floor).min(spread.min), high.min(ceiling).max(spread.max));
        fitting(f64::from(high), max).min(fitting(-f64::from(low), -min))
    }
}

/// Largest fractional bits at which `value` rounds to at most `limit`; no bound for values that are not positive.
pub(super) fn fitting(value: f64, limit: i64) -> i32 {
    if value <= 0.0 {
        return i32::MAX;
    }
    let estimate = ((limit as f64 + 0.5) / value).log2().floor().clamp(-60.0, 60.0) as i32;
    let fits = |bits: i32| (value * 2f64.powi(bits)).round() <= limit as f64;
    if fits(estimate) { estimate } else { estimate - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_scale_that_fits_is_found() {
        assert_eq!(fitting(1.0, 127), 6);
        assert_eq!(fitting(1.0, 128), 7);
        assert_eq!(fitting(0.9, 127), 7);
        assert_eq!(fitting(1000.0, 255), -2);
        assert_eq!(fitting(0.0, 255), i32::MAX);
    }
}
