//! Post-training quantisation: calibration on samples, conversion, and the error that is left.

use serde::{Deserialize, Serialize};
use zkml_gpu_graph::{Graph, Storage, TensorId};

use super::calibrate::{Calibration, Observations, Spread};
use super::convert::convert;
use super::error::QuantError;
use super::group::{Group, group};
use super::ops::{ScaleOf, scale_of};
use super::options::{MAX_TENSOR_BITS, QuantOptions};
use super::search::Precision;
use crate::import::{FloatGraph, FloatOp};

/// Shift where a model's file tells its integers. With 11 some of four small networks had 98 % of their outputs within one
/// unit of onnxruntime's, with 12 all of them 99 % and more; more bits are more limbs.
const TOLD_SHIFT: u32 = 12;

/// One inference's inputs, flat and in the model's axis order, one list an input.
pub type Sample = Vec<Vec<f32>>;

/// What quantisation chose and how well it does on the samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantReport {
    /// Bits of an activation.
    pub activation_bits: u32,
    /// Number of samples.
    pub samples: usize,
    /// Largest error of an output element, as a part of that output's range over the samples; 0 without any.
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
    /// What the scales follow from.
    pub calibration: Calibration,
    /// How it was quantised, with the bits that were found: with them it is found again.
    pub options: QuantOptions,
}

/// A float graph, samples, and what was observed of the one on the others: any number of quantisations follow from it.
#[derive(Debug)]
pub struct Observed<'a> {
    pub(super) source: &'a FloatGraph,
    pub(super) samples: &'a [Sample],
    pub(super) observations: Observations,
}

impl<'a> Observed<'a> {
    /// Runs the graph on the samples.
    ///
    /// # Errors
    /// [`QuantError`] where a sample does not fit the graph, or what it computes is not finite.
    pub fn new(source: &'a FloatGraph, samples: &'a [Sample]) -> Result<Self, QuantError> {
        Ok(Self { source, samples, observations: Observations::collect(source, samples)? })
    }

    /// As [`quantise()`].
    ///
    /// # Errors
    /// Those of [`quantise()`].
    pub fn quantise(&self, options: &QuantOptions) -> Result<Quantised, QuantError> {
        check(self.source, self.samples, options)?;
        let groups = group(self.source, &options.hidden_outputs);
        let mut best: Option<Quantised> = None;
        for bits in options.activation_bits..=options.max_activation_bits.max(options.activation_bits) {
            let found = match self.quantise_to(&groups, options, bits) {
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

    /// Quantises with `options.activation_bits`; `None` where the error on some sample is above `options.error_target`,
    /// and what follows that sample is not run.
    ///
    /// # Errors
    /// Those of [`quantise()`].
    pub fn quantise_within(&self, options: &QuantOptions) -> Result<Option<Quantised>, QuantError> {
        check(self.source, self.samples, options)?;
        let groups = group(self.source, &options.hidden_outputs);
        self.attempt(&groups, options, options.activation_bits, options.error_target)
    }

    /// Quantises with a fixed number of bits.
    pub(super) fn quantise_to(
        &self,
        groups: &[Group],
        options: &QuantOptions,
        bits: u32,
    ) -> Result<Quantised, QuantError> {
        self.attempt(groups, options, bits, f32::INFINITY)?.ok_or(QuantError::NoSamples)
    }

    /// Quantises with a fixed number of bits, unless the error is above a bound.
    pub(super) fn attempt(
        &self,
        groups: &[Group],
        options: &QuantOptions,
        bits: u32,
        bound: f32,
    ) -> Result<Option<Quantised>, QuantError> {
        let _span = tracing::info_span!(target: "zkml_gpu::compile", "quantise", bits).entered();
        let Self { source, samples, observations } = self;
        let (graph, sources) = shifted(source, groups, observations, options, bits)?;
        let Some(report) = measure(source, &graph, samples, observations, bits, bound)? else { return Ok(None) };
        tracing::debug!(bits, max_error = report.max_error, rms_error = report.rms_error, "quantised");
        let calibration = observations.calibration(source);
        let precision =
            Precision { activation_bits: bits, tensor_bits: options.tensor_bits.clone(), shift: None, file: None };
        Ok(Some(Quantised { graph, report, sources, calibration, options: options.with_precision(&precision) }))
    }
}

/// Quantises a float graph with scales from samples.
///
/// # Errors
///
/// [`QuantError`] where an option is out of range, a sample does not fit the model, or weights or activations are
/// not finite.
pub fn quantise(graph: &FloatGraph, samples: &[Sample], options: &QuantOptions) -> Result<Quantised, QuantError> {
    check(graph, samples, options)?;
    Observed::new(graph, samples)?.quantise(options)
}

/// Quantises retrained weights to the scales of an earlier calibration, so that they keep their circuit: with
/// `options.activation_bits` for tensors that are not named, and no search. The error is that on these samples.
///
/// Whether the graph is of the same architecture is for [`Graph::difference`] to tell, and whether activations saturate
/// for [`evaluate`](super::evaluate()).
///
/// # Errors
/// As [`quantise`]; [`QuantError::OtherTensors`] and [`QuantError::Saturates`] where the calibration does not suit.
pub fn requantise(
    graph: &FloatGraph,
    calibration: &Calibration,
    samples: &[Sample],
    options: &QuantOptions,
) -> Result<Quantised, QuantError> {
    check(graph, samples, options)?;
    let observations = Observations::collect(graph, samples)?.recall(graph, calibration, options.headroom)?;
    let groups = group(graph, &options.hidden_outputs);
    Observed { source: graph, samples, observations }.quantise_to(&groups, options, options.activation_bits)
}

/// The integers of weights under the scales of an earlier calibration, as [`requantise`] finds them, and nothing measured:
/// no samples are needed.
///
/// # Errors
/// As [`requantise`].
pub fn recall(graph: &FloatGraph, calibration: &Calibration, options: &QuantOptions) -> Result<Graph, QuantError> {
    check_options(graph, options)?;
    let observations = Observations::default().recall(graph, calibration, options.headroom)?;
    let groups = group(graph, &options.hidden_outputs);
    let bits = options.activation_bits;
    Ok(shifted(graph, &groups, &observations, options, bits)?.0)
}

/// Converts with the greatest shift that suits: where the file tells integers, weights have all the bits that they can.
fn shifted(
    source: &FloatGraph,
    groups: &[Group],
    observations: &Observations,
    options: &QuantOptions,
    bits: u32,
) -> Result<(Graph, Vec<(TensorId, TensorId)>), QuantError> {
    let least = options.shift_for(bits);
    let is_told = source.tensors.iter().any(|tensor| tensor.integers.is_some());
    let fine = QuantOptions { shift: least.max(TOLD_SHIFT), ..options.clone() };
    if is_told {
        match convert(source, groups, observations, &fine, bits) {
            Err(QuantError::Scale { .. }) => {}
            result => return result,
        }
    }
    convert(source, groups, observations, &QuantOptions { shift: least, ..options.clone() }, bits)
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

/// Whether scales follow from samples, and not from the model's file alone: what is computed has the integers that the
/// file tells, or is shares, indices, or accumulators that are shown as they are.
pub fn needs_samples(graph: &FloatGraph, options: &QuantOptions) -> bool {
    let told = |id: TensorId| graph.tensors[id].integers.is_some();
    let given = |id: &TensorId| told(*id) || graph.tensors[*id].storage == Storage::OneHot;
    let scaled = |group: &Group| {
        let op = &graph.nodes[group.head].op;
        // The range of a function's argument is seen, unless it is an operand.
        let is_bare = group.function.is_none() || matches!(op, FloatOp::Activation(_));
        match scale_of(op) {
            ScaleOf::Accumulator | ScaleOf::Function => group.raw || told(group.output) && is_bare,
            ScaleOf::Operand | ScaleOf::Moved | ScaleOf::Shares | ScaleOf::Indices => true,
        }
    };
    !graph.inputs.iter().all(given) || !group(graph, &options.hidden_outputs).iter().all(scaled)
}

/// Checks options and samples before anything is computed.
pub(super) fn check(graph: &FloatGraph, samples: &[Sample], options: &QuantOptions) -> Result<(), QuantError> {
    if samples.is_empty() && needs_samples(graph, options) {
        return Err(QuantError::NoSamples);
    }
    check_options(graph, options)
}

/// Checks options.
fn check_options(graph: &FloatGraph, options: &QuantOptions) -> Result<(), QuantError> {
    let out_of_range = |option, got: String, expected| Err(QuantError::Option { option, got, expected });
    let bits = [("activation_bits", options.activation_bits), ("max_activation_bits", options.max_activation_bits)];
    let tensor_bits = options.tensor_bits.values().map(|bits| ("tensor_bits", *bits));
    let is_far = |bits: u32| !(2..=MAX_TENSOR_BITS).contains(&bits);
    if let Some((option, got)) = bits.into_iter().chain(tensor_bits).find(|(_, bits)| is_far(*bits)) {
        return out_of_range(option, got.to_string(), "2 to 16");
    }
    let is_missing = |name: &&String| graph.tensors.iter().all(|tensor| tensor.name != **name);
    if let Some(name) = options.tensor_bits.keys().find(is_missing) {
        return Err(QuantError::UnknownTensor { tensor: name.clone(), file: options.precision_file.clone() });
    }
    if options.error_target.is_nan() || options.error_target < 0.0 {
        return out_of_range("error_target", options.error_target.to_string(), "0 or more");
    }
    if !(1..=zkml_gpu_graph::MAX_SHIFT).contains(&options.shift) {
        return out_of_range("shift", options.shift.to_string(), "1 to 20");
    }
    if !(1.0..=16.0).contains(&options.headroom) {
        return out_of_range("headroom", options.headroom.to_string(), "1 to 16");
    }
    Ok(())
}

/// Compares the quantised outputs with the float ones on all samples, or up to the first with an error above the bound.
fn measure(
    source: &FloatGraph,
    graph: &Graph,
    samples: &[Sample],
    observations: &Observations,
    activation_bits: u32,
    bound: f32,
) -> Result<Option<QuantReport>, QuantError> {
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
        if max_error > bound {
            return Ok(None);
        }
    }
    let rms_error = (squares / count.max(1) as f64).sqrt() as f32;
    Ok(Some(QuantReport { activation_bits, samples: samples.len(), max_error, rms_error }))
}

/// Extent of an output over the samples; its magnitude where it never changes.
fn output_range(observations: &Observations, samples: usize, tensor: usize) -> f32 {
    let values = || (0..samples).flat_map(|i| observations.output(i, tensor));
    let start = Spread { min: f32::INFINITY, max: f32::NEG_INFINITY };
    let spread = values().fold(start, |s, &v| Spread { min: s.min.min(v), max: s.max.max(v) });
    extent(spread, spread.max)
}

/// The extent of a spread; a constant is measured against its magnitude instead.
fn extent(Spread { min, max }: Spread, constant: f32) -> f32 {
    if max > min {
        max - min
    } else if constant != 0.0 {
        constant.abs()
    } else {
        1.0
    }
}
