//! Values of an input that lie beyond the range it was calibrated for: they are clamped to its ends.

use serde::Serialize;
use zkml_gpu_graph::{Format, Storage};
use zkml_gpu_onnx::quant::Sample;

use crate::CompiledModel;

/// How much of an input is clamped.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Saturation {
    /// The input with the greatest share of clamped values.
    pub input: String,
    /// That share.
    pub share: f64,
    /// The real numbers that the input's integers reach.
    pub range: [f64; 2],
    /// The value that lies farthest beyond; none where the input is hidden.
    pub farthest: Option<f64>,
}

/// The input with the greatest share of values that lie a step or more beyond its range; `None` where none do. What the
/// model itself clamps is no loss.
pub fn saturation(model: &CompiledModel, sample: &Sample) -> Option<Saturation> {
    let graph = model.graph();
    let tensor = |(index, id): (usize, &usize)| (&graph.tensors[*id], graph.visibility.input(index).is_hidden());
    let inputs = graph.inputs.iter().enumerate().map(tensor).zip(sample);
    let told = &model.about().told_inputs;
    let numbers = inputs.filter(|((tensor, _), _)| tensor.storage != Storage::OneHot && !told.contains(&tensor.name));
    worst(numbers.map(|((tensor, hidden), values)| (&tensor.name[..], tensor.format, hidden, &values[..])))
}

/// The input with the greatest share of such values, of inputs with their names and formats, whether they are hidden, and
/// their values.
pub(crate) fn worst<'i>(inputs: impl Iterator<Item = (&'i str, Format, bool, &'i [f32])>) -> Option<Saturation> {
    let clamped = inputs.filter_map(|(name, format, hidden, values)| {
        let [low, high] = [format.min, format.max].map(|value| f64::from(format.dequantise(value)));
        let step = f64::from(format.dequantise(1));
        let excess = |value: &f32| (f64::from(*value) - high).max(low - f64::from(*value));
        let beyond = values.iter().filter(|value| excess(value) >= step);
        let count = beyond.clone().count();
        let farthest = beyond.max_by(|a, b| excess(a).total_cmp(&excess(b)))?;
        Some(Saturation {
            input: name.into(),
            share: count as f64 / values.len().max(1) as f64,
            range: [low, high],
            farthest: (!hidden).then(|| f64::from(*farthest)),
        })
    });
    clamped.max_by(|a, b| a.share.total_cmp(&b.share))
}
