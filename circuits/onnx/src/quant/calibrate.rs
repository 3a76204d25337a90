//! Calibration, scales from samples: for each tensor the most fractional bits that hold its observed values, with
//! headroom.
//!
//! Nothing observed is clipped: a few clipped activations that add up in one output cost more than the bit they buy.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use zkml_gpu_graph::{Storage, TensorId};

use super::error::QuantError;
use super::fitting::fitting;
use crate::import::{FloatGraph, FloatLinear, FloatNode, FloatOp, FloatSoftmax, MASKED};

/// How far below the greatest number of a softmax others still count: `e^-12` is less than a step of 16 bits.
const REACH: f32 = 12.0;

/// How the values of a tensor are distributed over the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Least value seen.
    pub(super) min: f32,
    /// Greatest value seen.
    pub(super) max: f32,
}

impl Spread {
    /// With headroom at both ends, as far as there are floats.
    pub(super) fn widened(self, headroom: f32) -> Self {
        Self { min: (self.min * headroom).max(f32::MIN), max: (self.max * headroom).min(f32::MAX) }
    }
}

/// The extremes of every tensor, in its unit, over the samples of a calibration: all that scales follow from, apart from weights.
///
/// Kept, they quantise retrained weights to the same scales ([`requantise`](super::requantise)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Least and greatest value of each tensor of the float graph, by its name, in the graph's order.
    pub tensors: Vec<(String, [f32; 2])>,
    /// Least magnitude but 0 of those that a function takes, in the same order; 0 of others, and where all are 0.
    pub least: Vec<f32>,
}

impl Calibration {
    /// The extremes with so many significant bits, rounded away from 0: they tell less of the samples.
    #[must_use]
    pub fn rounded(&self, bits: u32) -> Self {
        let dropped = (f32::MANTISSA_DIGITS - bits.clamp(1, f32::MANTISSA_DIGITS)).min(f32::MANTISSA_DIGITS - 1);
        let below = (1u32 << dropped) - 1;
        let round = |extreme: f32| {
            let rounded = f32::from_bits((extreme.to_bits() + below) & !below);
            if rounded.is_finite() { rounded } else { extreme }
        };
        let tensors = self.tensors.iter().map(|(name, extremes)| (name.clone(), extremes.map(round)));
        // Towards 0, so that no magnitude is below.
        let least = self.least.iter().map(|least| f32::from_bits(least.to_bits() & !below));
        Self { tensors: tensors.collect(), least: least.collect() }
    }
}

/// What is kept of the runs on all samples: the extremes of every tensor, and the outputs. Memory does not grow with
/// the samples by more than their outputs.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// Extremes of each tensor, with zero among them.
    spreads: Vec<Spread>,
    /// Least magnitude of each tensor but 0; 0 where there is none.
    least: Vec<f32>,
    /// Values of the outputs, by sample; empty for other tensors.
    outputs: Vec<HashMap<TensorId, Vec<f32>>>,
}

impl Observations {
    /// Runs the float graph on every sample.
    pub(super) fn collect(graph: &FloatGraph, samples: &[Vec<Vec<f32>>]) -> Result<Self, QuantError> {
        let _span = tracing::info_span!(target: "zkml_gpu::compile", "observe", samples = samples.len()).entered();
        let mut spreads = vec![Spread { min: 0.0, max: 0.0 }; graph.tensors.len()];
        let mut least = vec![0f32; graph.tensors.len()];
        let mut outputs = Vec::with_capacity(samples.len());
        let mut greatest = f32::INFINITY;
        for sample in samples {
            let mut values = graph.execute(sample)?;
            greatest = greatest.min(least_greatest(graph, &values));
            for (id, (spread, values)) in spreads.iter_mut().zip(&values).enumerate() {
                if values.iter().any(|x| !x.is_finite()) {
                    return Err(QuantError::NotFinite { node: graph.tensors[id].name.clone(), what: "activations" });
                }
                let unit = graph.tensors[id].unit;
                let values = values.iter().map(|value| value / unit);
                let magnitudes = values.clone().map(f32::abs).filter(|magnitude| *magnitude > 0.0);
                let known = Some(least[id]).filter(|least| *least > 0.0);
                least[id] = magnitudes.chain(known).reduce(f32::min).unwrap_or(0.0);
                *spread = values.fold(*spread, |s, v| Spread { min: s.min.min(v), max: s.max.max(v) });
            }
            let mut kept = HashMap::new();
            for &id in &graph.outputs {
                kept.entry(id).or_insert_with(|| std::mem::take(&mut values[id]));
            }
            outputs.push(kept);
        }
        for (linear, output) in graph.nodes.iter().filter_map(|node| embedding(graph, node)) {
            spreads[output] = with_rows(spreads[output], linear);
        }
        // Masks are far below: a scale that reached them would have no steps left for what counts.
        let operands = spreads.iter_mut().enumerate().filter(|(id, _)| graph.feeds_softmaxes(*id));
        operands.for_each(|(id, spread)| {
            spread.min = spread.min.max(((greatest - REACH) / graph.tensors[id].unit).min(0.0));
        });
        Ok(Self { spreads, least, outputs })
    }

    /// The extremes by tensor.
    pub(super) fn calibration(&self, graph: &FloatGraph) -> Calibration {
        let tensors = graph.tensors.iter().zip(&self.spreads);
        let takes = |id: usize| graph.readers(id).any(|node| matches!(graph.nodes[node].op, FloatOp::Activation(_)));
        let least = |(id, least): (usize, &f32)| if takes(id) { *least } else { 0.0 };
        Calibration {
            least: self.least.iter().enumerate().map(least).collect(),
            tensors: tensors.map(|(tensor, Spread { min, max })| (tensor.name.clone(), [*min, *max])).collect(),
        }
    }

    /// The extremes of an earlier calibration in the place of these, which keep their outputs. A table of rows that
    /// indices take must lie within the headroom of the earlier one: no sample shows all its rows.
    pub(super) fn recall(
        self,
        graph: &FloatGraph,
        calibration: &Calibration,
        headroom: f32,
    ) -> Result<Self, QuantError> {
        let names = graph.tensors.iter().map(|tensor| &tensor.name);
        if !names.eq(calibration.tensors.iter().map(|(name, _)| name)) {
            return Err(QuantError::OtherTensors);
        }
        let is_range = |[min, max]: &[f32; 2]| min.is_finite() && max.is_finite() && *min <= 0.0 && *max >= 0.0;
        let is_magnitude = |least: &f32| least.is_finite() && *least >= 0.0;
        let is_whole = calibration.least.len() == calibration.tensors.len();
        if !is_whole
            || !calibration.tensors.iter().all(|(_, range)| is_range(range))
            || !calibration.least.iter().all(is_magnitude)
        {
            return Err(QuantError::OtherTensors);
        }
        let spreads: Vec<Spread> =
            calibration.tensors.iter().map(|(_, [min, max])| Spread { min: *min, max: *max }).collect();
        for (linear, output) in graph.nodes.iter().filter_map(|node| embedding(graph, node)) {
            let (known, own) = (spreads[output].widened(headroom), with_rows(Spread { min: 0.0, max: 0.0 }, linear));
            if own.min < known.min || own.max > known.max {
                return Err(QuantError::Saturates { tensor: graph.tensors[output].name.clone() });
            }
        }
        Ok(Self { spreads, least: calibration.least.clone(), outputs: self.outputs })
    }

    /// Extremes of a tensor, with zero among them.
    pub(super) fn spread(&self, tensor: TensorId) -> Spread {
        self.spreads[tensor]
    }

    /// Least magnitude of a tensor but 0; 0 where there is none.
    pub(super) fn least(&self, tensor: TensorId) -> f32 {
        self.least[tensor]
    }

    /// Values of an output in one sample.
    pub(super) fn output(&self, sample: usize, tensor: TensorId) -> &[f32] {
        self.outputs[sample].get(&tensor).map(Vec::as_slice).unwrap_or_default()
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

/// The least of the greatest numbers that softmaxes take in an inference; infinity without any.
fn least_greatest(graph: &FloatGraph, values: &[Vec<f32>]) -> f32 {
    let mut least = f32::INFINITY;
    for node in &graph.nodes {
        let FloatOp::Softmax(FloatSoftmax { groups, len, masked }) = &node.op else { continue };
        let x = &values[node.inputs[0]];
        for group in 0..*groups {
            let members = (0..*len).map(|member| member * groups + group);
            let counted = members.filter(|element| !masked.get(*element).copied().unwrap_or(false));
            let most = counted.map(|element| x[element]).fold(f32::NEG_INFINITY, f32::max);
            // A row of masks alone has no number that counts.
            if most > MASKED {
                least = least.min(most);
            }
        }
    }
    least
}

/// A spread with all rows of a table.
fn with_rows(spread: Spread, linear: &FloatLinear) -> Spread {
    let row = linear.weights.len() / linear.out_channels.max(1);
    let values = linear.weights.chunks(row.max(1)).zip(&linear.bias);
    let values = values.flat_map(|(weights, bias)| weights.iter().map(move |weight| weight + bias));
    values.fold(spread, |s, v| Spread { min: s.min.min(v), max: s.max.max(v) })
}

/// A table of which indices take rows, and the tensor of the rows: all that it may hold is known without samples.
fn embedding<'g>(graph: &'g FloatGraph, node: &'g FloatNode) -> Option<(&'g FloatLinear, TensorId)> {
    let FloatOp::Linear(linear) = &node.op else { return None };
    (graph.tensors[node.inputs[0]].storage == Storage::OneHot).then_some((linear, node.output))
}
