//! Calibration and conversion: from a float graph and sample inputs to the integers that are proved.
//!
//! Each tensor has the most fractional bits that hold its values on the samples, with some headroom; weights take
//! `S + f_y - f_x` fractional bits, so that one shift requantises every layer. Tensors that are related by movement of
//! data alone have one scale between them (`scales.rs`), and functions are tables with a scale of their own before them
//! (`table.rs`). The error is measured on the samples, and activations get one bit more while it is above the target:
//! wider tables in the circuit, no other cost.
//!
//! ```no_run
//! use zkml_gpu_onnx::import::{FloatModel, ImportOptions};
//! use zkml_gpu_onnx::quant::{QuantOptions, quantise};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = FloatModel::load("model.onnx", &ImportOptions::default())?;
//! let samples = vec![vec![vec![0.5; 784]]];
//! let quantised = quantise(model.graph(), &samples, &QuantOptions::default())?;
//! let execution = quantised.graph.run(&quantised.graph.quantise_inputs(&samples[0]))?;
//! # Ok(())
//! # }
//! ```

mod calibrate;
mod convert;
mod error;
mod evaluate;
mod group;
mod outline;
mod products;
mod scales;
mod search;
mod table;

use std::collections::BTreeMap;

use crate::import::FloatGraph;
use zkml_gpu_graph::{Graph, TensorId, WEIGHT_BITS};

use calibrate::{Observations, Spread};
pub use error::QuantError;
pub use evaluate::{Evaluation, TensorError, evaluate};
use group::Group;
pub use outline::outline;
pub use search::{Precision, Target, search};

/// One inference's inputs, flat and in the model's axis order, one list an input.
pub type Sample = Vec<Vec<f32>>;

/// How to quantise.
///
/// The defaults keep the largest error of a LeNet, a residual block, a CNN of 264k and an MLP of 4M parameters below
/// 1.6 % of the output's range with 8 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantOptions {
    /// Bits of an activation to begin with, 2 to 16.
    pub activation_bits: u32,
    /// Bits of an activation that the search for accuracy may reach, up to 16.
    pub max_activation_bits: u32,
    /// Bits of single tensors, by name, instead of those of an activation. What a softmax takes and gives has two more, up to 12, either way.
    pub tensor_bits: BTreeMap<String, u32>,
    /// Requantisation shift `S`, 1 to 20, for activations of up to 10 bits. It is as many bits greater as the widest has more, up to 14: the
    /// shift is what weights have of fractional bits, apart from their layer's scales.
    pub shift: u32,
    /// Factor by which activations may exceed those of the samples before they saturate, 1 to 16.
    pub headroom: f32,
    /// Error on the samples, as a part of the output's range, above which activations get more bits.
    pub error_target: f32,
}

impl Default for QuantOptions {
    fn default() -> Self {
        Self {
            activation_bits: 8,
            max_activation_bits: 10,
            tensor_bits: BTreeMap::new(),
            shift: 11,
            headroom: 1.25,
            error_target: 0.016,
        }
    }
}

/// Bits of the widest activations that the shift is for.
const NARROW_BITS: u32 = 10;
/// Greatest shift that wide activations ask for: at more, weights about 1 would not fit their bits.
const MAX_WIDE_SHIFT: u32 = WEIGHT_BITS - 2;

impl QuantOptions {
    /// The shift where tensors that are not named have so many bits.
    fn shift_for(&self, activation_bits: u32) -> u32 {
        let widest = self.tensor_bits.values().copied().fold(activation_bits, u32::max);
        let more = widest.saturating_sub(NARROW_BITS);
        self.shift.max(self.shift.saturating_add(more).min(MAX_WIDE_SHIFT))
    }
}

/// What quantisation chose and how well it does on the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantReport {
    /// Bits of an activation.
    pub activation_bits: u32,
    /// Number of samples.
    pub samples: usize,
    /// Largest error of an output element, as a part of that output's range over the samples.
    pub max_error: f32,
    /// Root mean square error of the output elements, as a part of the range.
    pub rms_error: f32,
}

/// A quantised model.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// The integers that are proved.
    pub graph: Graph,
    /// What was chosen, and the error.
    pub report: QuantReport,
    /// Tensors of the graph with those of the float graph whose values they hold.
    pub sources: Vec<(TensorId, TensorId)>,
}

/// Quantises a float graph with scales from samples.
///
/// # Errors
///
/// [`QuantError`] where an option is out of range, a sample does not fit the model, or weights or activations are
/// not finite.
pub fn quantise(graph: &FloatGraph, samples: &[Sample], options: &QuantOptions) -> Result<Quantised, QuantError> {
    check(graph, samples, options)?;
    let observations = Observations::collect(graph, samples)?;
    let groups = group::group(graph);
    let mut best: Option<Quantised> = None;
    for bits in options.activation_bits..=options.max_activation_bits.max(options.activation_bits) {
        let found = match quantise_to(graph, &groups, &observations, samples, options, bits) {
            Ok(found) => found,
            // More bits may be too many for the accumulators of a long sum.
            Err(QuantError::Scale { .. }) if best.is_some() => break,
            Err(error) => return Err(error),
        };
        let good = found.report.max_error <= options.error_target;
        if best.as_ref().is_none_or(|best| found.report.max_error < best.report.max_error) {
            best = Some(found);
        }
        if good {
            break;
        }
    }
    best.ok_or(QuantError::NoSamples)
}

/// Quantises with a fixed number of bits.
fn quantise_to(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    samples: &[Sample],
    options: &QuantOptions,
    bits: u32,
) -> Result<Quantised, QuantError> {
    let options = &QuantOptions { shift: options.shift_for(bits), ..options.clone() };
    let (graph, sources) = convert::convert(source, groups, observations, options, bits)?;
    let report = measure(source, &graph, samples, observations, bits)?;
    tracing::debug!(bits, max_error = report.max_error, rms_error = report.rms_error, "quantised");
    Ok(Quantised { graph, report, sources })
}

/// Cuts flat calibration data, whole samples one after another in one list an input, into samples.
///
/// # Errors
///
/// [`QuantError::SampleLength`] where a list holds no whole number of samples, or not as many as the others.
pub fn split_samples(graph: &FloatGraph, data: &[Vec<f32>]) -> Result<Vec<Sample>, QuantError> {
    if data.len() != graph.inputs.len() {
        graph.check_inputs(data)?;
    }
    let mut samples: Vec<Sample> = Vec::new();
    for (i, (&id, values)) in graph.inputs.iter().zip(data).enumerate() {
        let expected = graph.tensors[id].logical_len();
        let count = values.len() / expected;
        if !values.len().is_multiple_of(expected) || count == 0 || (i > 0 && count != samples.len()) {
            let input = graph.tensors[id].name.clone();
            return Err(QuantError::SampleLength { input, expected, got: values.len() });
        }
        samples.resize(count, Vec::new());
        samples.iter_mut().zip(values.chunks_exact(expected)).for_each(|(s, chunk)| s.push(chunk.to_vec()));
    }
    Ok(samples)
}

fn check(graph: &FloatGraph, samples: &[Sample], options: &QuantOptions) -> Result<(), QuantError> {
    let out_of_range = |option, got: String, expected| Err(QuantError::Option { option, got, expected });
    if samples.is_empty() {
        return Err(QuantError::NoSamples);
    }
    let bits = [("activation_bits", options.activation_bits), ("max_activation_bits", options.max_activation_bits)];
    let tensor_bits = options.tensor_bits.values().map(|bits| ("tensor_bits", *bits));
    if let Some((option, got)) = bits.into_iter().chain(tensor_bits).find(|(_, bits)| !(2..=16).contains(bits)) {
        return out_of_range(option, got.to_string(), "2 to 16");
    }
    let is_missing = |name: &&String| graph.tensors.iter().all(|tensor| tensor.name != **name);
    if let Some(name) = options.tensor_bits.keys().find(is_missing) {
        return out_of_range("tensor_bits", name.clone(), "names of the model's tensors");
    }
    if !(1..=zkml_gpu_graph::MAX_SHIFT).contains(&options.shift) {
        return out_of_range("shift", options.shift.to_string(), "1 to 20");
    }
    if !(1.0..=16.0).contains(&options.headroom) {
        return out_of_range("headroom", options.headroom.to_string(), "1 to 16");
    }
    Ok(())
}

/// Compares the quantised outputs with the float ones on all samples.
fn measure(
    source: &FloatGraph,
    graph: &Graph,
    samples: &[Sample],
    observations: &Observations,
    activation_bits: u32,
) -> Result<QuantReport, QuantError> {
    let ranges: Vec<f32> = source.outputs.iter().map(|&id| output_range(observations, samples.len(), id)).collect();
    let (mut max_error, mut squares, mut count) = (0f32, 0f64, 0usize);
    for (i, sample) in samples.iter().enumerate() {
        let execution = graph.run(&graph.quantise_inputs(sample))?;
        for (k, (&id, &float_id)) in graph.outputs.iter().zip(&source.outputs).enumerate() {
            let format = graph.tensors[id].format;
            for (&v, &expected) in execution.values[id].iter().zip(observations.output(i, float_id)) {
                let error = (format.dequantise(v) - expected).abs() / ranges[k];
                max_error = max_error.max(error);
                squares += f64::from(error).powi(2);
                count += 1;
            }
        }
    }
    let rms_error = (squares / count.max(1) as f64).sqrt() as f32;
    Ok(QuantReport { activation_bits, samples: samples.len(), max_error, rms_error })
}

/// Extent of an output over the samples; its magnitude where it never changes.
fn output_range(observations: &Observations, samples: usize, tensor: usize) -> f32 {
    let values = || (0..samples).flat_map(|i| observations.output(i, tensor));
    let start = Spread { min: f32::INFINITY, max: f32::NEG_INFINITY };
    let spread = values().fold(start, |s, &v| Spread { min: s.min.min(v), max: s.max.max(v) });
    convert::extent(spread, spread.max)
}
