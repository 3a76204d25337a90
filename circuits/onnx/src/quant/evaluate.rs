//! How well integers do: the integer reference compared with the float graph on many samples, output by output and
//! layer by layer.

use serde::{Deserialize, Serialize};
use zkml_gpu_graph::{Graph, Storage, TensorId};

use super::error::QuantError;
use super::quantise::{Quantised, Sample};
use crate::import::FloatGraph;

/// Errors of one tensor over all samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TensorError {
    /// The tensor's name in the model.
    pub name: String,
    /// The node of the model that computes it, perhaps with others that follow it; `None` for inputs.
    pub node: Option<String>,
    /// Bits of its integers.
    pub bits: u32,
    /// Fractional bits of its integers.
    pub frac_bits: i32,
    /// Largest error of an element, as a part of the tensor's range over the samples.
    pub max_error: f32,
    /// Mean error of an element, as a part of that range.
    pub mean_error: f32,
    /// Least cosine similarity of a sample's tensor to the float one.
    pub cosine: f32,
    /// Part of the elements that are clamped to an end of their integers' range, the float value being a step or more
    /// beyond it.
    pub saturated: f32,
}

/// Errors of a quantised model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Number of samples.
    pub samples: usize,
    /// Bits of activations that the search for scales ended with.
    pub activation_bits: u32,
    /// Of each output, in the model's order.
    pub outputs: Vec<TensorError>,
    /// For each output the part of the positions (all axes but the last) whose greatest element is the float model's.
    pub argmax_agreement: Vec<f32>,
    /// Of each layer's result and of each input that is not of indices, the worst first.
    pub layers: Vec<TensorError>,
}

/// Runs both graphs on every sample.
///
/// # Errors
/// [`QuantError::NoSamples`] without samples, [`QuantError::NotFinite`] where the float model's value of a compared
/// tensor is infinite or not a number, and others where a sample does not fit the model.
pub fn evaluate(source: &FloatGraph, quantised: &Quantised, samples: &[Sample]) -> Result<Evaluation, QuantError> {
    if samples.is_empty() {
        return Err(QuantError::NoSamples);
    }
    let _span = tracing::info_span!(target: "zkml_gpu::compile", "evaluate", samples = samples.len()).entered();
    let graph = &quantised.graph;
    let rounded = |id: TensorId| match graph.inputs.contains(&id) {
        true => graph.tensors[id].storage != Storage::OneHot,
        false => graph.nodes.iter().any(|node| node.output == id),
    };
    let layers: Vec<(TensorId, TensorId)> = quantised.sources.iter().filter(|(id, _)| rounded(*id)).copied().collect();
    let operands: Vec<bool> = (0..source.tensors.len()).map(|id| source.feeds_softmaxes(id)).collect();
    let mut tallies = vec![Tally::default(); layers.len()];
    let outputs: Vec<(TensorId, TensorId)> =
        graph.outputs.iter().copied().zip(source.outputs.iter().copied()).collect();
    let mut claims = vec![Tally::default(); outputs.len()];
    let mut agreements = vec![[0usize; 2]; outputs.len()];
    for sample in samples {
        let (float, execution) = (source.execute(sample)?, graph.run(&graph.quantise_inputs(sample))?);
        for (tally, (id, float_id)) in tallies.iter_mut().zip(&layers).chain(claims.iter_mut().zip(&outputs)) {
            // What a softmax takes for 0 may be anything.
            let floor = graph.tensors[*id].format.dequantise(graph.tensors[*id].format.min);
            let seen: Option<Vec<f32>> =
                operands[*float_id].then(|| float[*float_id].iter().map(|value| value.max(floor)).collect());
            tally.add(graph, *id, &execution.values[*id], seen.as_ref().unwrap_or(&float[*float_id]))?;
        }
        for (agreement, (id, float_id)) in agreements.iter_mut().zip(&outputs) {
            let tensor = &graph.tensors[*id];
            let got: Vec<f32> = execution.values[*id].iter().map(|v| tensor.format.dequantise(*v)).collect();
            let width = tensor.logical_shape.last().copied().unwrap_or(1).max(1);
            let (got, expected) = (tensor.to_logical(&got), tensor.to_logical(&float[*float_id]));
            for (got, expected) in got.chunks(width).zip(expected.chunks(width)) {
                agreement[0] += usize::from(greatest(got) == greatest(expected));
                agreement[1] += 1;
            }
        }
    }
    let finish = |(tally, (id, _)): (&Tally, &(TensorId, TensorId))| tally.finish(graph, *id);
    let mut layers: Vec<TensorError> = tallies.iter().zip(&layers).map(finish).collect();
    layers.sort_by(|a, b| b.max_error.total_cmp(&a.max_error));
    Ok(Evaluation {
        samples: samples.len(),
        activation_bits: quantised.report.activation_bits,
        outputs: claims.iter().zip(&outputs).map(finish).collect(),
        argmax_agreement: agreements.iter().map(|[agree, all]| *agree as f32 / (*all).max(1) as f32).collect(),
        layers,
    })
}

/// The first greatest element, as `ArgMax` has it.
fn greatest(values: &[f32]) -> Option<usize> {
    // Not by a total order, in which 0 is greater than -0.
    (0..values.len()).reduce(|best, index| if values[index] > values[best] { index } else { best })
}

/// What is added up over the samples.
#[derive(Clone, Debug)]
struct Tally {
    max: f32,
    sum: f64,
    count: usize,
    saturated: usize,
    cosine: f32,
    range: [f32; 2],
}

impl Default for Tally {
    fn default() -> Self {
        Self { max: 0.0, sum: 0.0, count: 0, saturated: 0, cosine: 1.0, range: [f32::INFINITY, f32::NEG_INFINITY] }
    }
}

impl Tally {
    fn add(&mut self, graph: &Graph, id: TensorId, got: &[i64], expected: &[f32]) -> Result<(), QuantError> {
        let tensor = &graph.tensors[id];
        if expected.iter().any(|value| !value.is_finite()) {
            return Err(QuantError::NotFinite { node: tensor.name.clone(), what: "activations" });
        }
        let format = tensor.format;
        let step = format.dequantise(1);
        let [mut product, mut own, mut other] = [0f64; 3];
        for (v, expected) in got.iter().zip(expected) {
            let value = format.dequantise(*v);
            let error = (value - expected).abs();
            self.max = self.max.max(error);
            self.sum += f64::from(error);
            // A value that is the range's end, such as what ReLU makes of a negative number, is no loss.
            let beyond =
                (*v == format.max && *expected > value + step) || (*v == format.min && *expected < value - step);
            self.saturated += usize::from(beyond);
            self.range = [self.range[0].min(*expected), self.range[1].max(*expected)];
            product += f64::from(value) * f64::from(*expected);
            own += f64::from(value).powi(2);
            other += f64::from(*expected).powi(2);
        }
        self.count += got.len();
        if own > 0.0 && other > 0.0 {
            self.cosine = self.cosine.min((product / (own * other).sqrt()) as f32);
        } else if own != other {
            // One of them is all zeros.
            self.cosine = self.cosine.min(0.0);
        }
        Ok(())
    }

    fn finish(&self, graph: &Graph, id: TensorId) -> TensorError {
        let tensor = &graph.tensors[id];
        let [low, high] = self.range;
        let range = if high > low { high - low } else { high.abs().max(f32::MIN_POSITIVE) };
        let count = self.count.max(1) as f64;
        let values = tensor.format.max.abs_diff(tensor.format.min);
        TensorError {
            name: tensor.name.clone(),
            node: graph.nodes.iter().find(|node| node.output == id).map(|node| node.name.clone()),
            bits: u64::BITS - values.leading_zeros(),
            frac_bits: tensor.format.frac_bits,
            max_error: self.max / range,
            mean_error: (self.sum / count) as f32 / range,
            cosine: self.cosine,
            saturated: (self.saturated as f64 / count) as f32,
        }
    }
}
