//! From a model to a circuit, or to those of its segments.

use zkml_gpu_circuit::layout::{Layout, needs, without_weights};
use zkml_gpu_circuit::placement::{LayoutError, lower};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_graph::{Graph, Visibilities};
use zkml_gpu_onnx::quant::{Alike, Precision, QuantOptions, Quantised, Sample, requantise, tie};

use super::{SegmentChoice, SegmentedModel};
use crate::memory::limit_bytes;
use crate::{CompileOptions, Compiled, CompiledModel, Error, Model};

impl Model {
    /// As [`compile`](Self::compile), and in segments where it does not fit the memory in one piece, or where a number of
    /// them is asked for.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); [`Error::SegmentsWouldNotFit`] where no cuts make segments that fit.
    pub fn compile_within(
        &self,
        samples: &[Sample],
        options: &CompileOptions,
        choice: SegmentChoice,
    ) -> Result<Compiled, Error> {
        let (quantised, given, visibility) = self.integers(samples, options)?;
        // What is tied needs no weights: there is one copy of them.
        let outline = Quantised {
            graph: without_weights(&quantised.graph),
            report: quantised.report.clone(),
            sources: quantised.sources.clone(),
            calibration: quantised.calibration.clone(),
            options: quantised.options.clone(),
        };
        let (about, graph) = self.described(quantised, samples, (options, &given), &visibility)?;
        let alone = choice.segments.is_none_or(|segments| segments == 1);
        let mut refusal = None;
        if alone && graph_fits(&graph, options, choice)? {
            let whole = lower(graph.clone());
            let layout = Layout::compile(&whole, &options.layout)?;
            let model = CompiledModel { about: about.clone(), graph: whole, layout };
            match model.memory_budget(choice.max_memory_bytes) {
                Err(error) if choice.segments.is_none() => refusal = Some(error),
                _ => return Ok(Compiled::Whole(Box::new(model))),
            }
        }
        let found = SegmentedModel::cheapest(&about, &graph, &options.layout, choice);
        let (segmented, cuts) = found.map_err(|error| match (error, refusal) {
            // What one circuit needs, and which layers do, says more than that no cuts help.
            (Error::SegmentsWouldNotFit { .. }, Some(refusal)) => refusal,
            (error, _) => error,
        })?;
        drop(graph);
        let tied = self.tied(&outline, (samples, options, &given), &visibility, (&cuts, segmented.k(), choice))?;
        Ok(Compiled::Segmented(Box::new(match tied {
            Some(tied) if tied.circuits() < segmented.circuits() => tied,
            _ => segmented,
        })))
    }

    /// The segments with one scale for those that compute the same, so that they share a circuit, where the error and the
    /// memory allow it.
    fn tied(
        &self,
        quantised: &Quantised,
        (samples, options, given): (&[Sample], &CompileOptions, &QuantOptions),
        visibility: &Visibilities,
        (cuts, k, choice): (&[usize], u32, SegmentChoice),
    ) -> Result<Option<SegmentedModel>, Error> {
        // Embedded weights are part of the circuit, and several inferences have tensors of their own.
        if options.layout.weights == WeightMode::Embedded || options.inferences != 1 || samples.is_empty() {
            return Ok(None);
        }
        let alike = alike(&quantised.graph, visibility, cuts)?;
        let Some((calibration, tied)) = tie(self.float.graph(), quantised, &alike).filter(|_| !alike.is_empty()) else {
            return Ok(None);
        };
        let before = quantised.report.max_error;
        for more in 0..=MOST_TIED_BITS {
            let precision = Precision {
                activation_bits: tied.activation_bits,
                tensor_bits: tied.tensor_bits.clone(),
                ..Precision::default()
            };
            // The shift stays: bits alone make up for scales that are coarser for some.
            let with = tied.clone().with_precision(&precision.raised(more, tied.shift));
            let Ok(found) = requantise(self.float.graph(), &calibration, samples, &with) else { continue };
            if found.report.max_error > given.error_target.max(before) {
                continue;
            }
            let (about, graph) = self.described(found, samples, (options, given), visibility)?;
            let sized = options.layout.clone().with_sizes(k, options.layout.max_k);
            let Ok(made) = SegmentedModel::of(about, &graph, cuts, &sized) else { return Ok(None) };
            let fits = made.most_memory()? <= limit_bytes(choice.max_memory_bytes);
            return Ok(fits.then_some(made));
        }
        Ok(None)
    }

    /// As [`compile`](Self::compile), in segments that are cut after so many layers each.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); [`Error::Cut`] where it cannot be cut there.
    pub fn compile_segments(
        &self,
        samples: &[Sample],
        options: &CompileOptions,
        cuts: &[usize],
    ) -> Result<SegmentedModel, Error> {
        let (about, graph) = self.quantised(samples, options)?;
        SegmentedModel::of(about, &graph, cuts, &options.layout)
    }
}

/// Bits that tensors of segments that share a scale may have more than those of each alone.
const MOST_TIED_BITS: u32 = 2;

/// The tensors of those segments that compute the same, segment by segment.
fn alike(graph: &Graph, visibility: &Visibilities, cuts: &[usize]) -> Result<Vec<Alike>, Error> {
    let outline = Graph { visibility: visibility.clone(), ..graph.clone() };
    let mut forms: Vec<(String, Alike)> = Vec::new();
    for part in outline.parts(cuts)? {
        let form = part.graph.form();
        match forms.iter_mut().find(|(known, _)| *known == form) {
            Some((_, tensors)) => tensors.push(part.tensors),
            None => forms.push((form, vec![part.tensors])),
        }
    }
    Ok(forms.into_iter().map(|(_, tensors)| tensors).filter(|tensors| tensors.len() > 1).collect())
}

/// Whether a graph that is not lowered may fit in one piece, by bounds. One that is asked for in one piece is refused
/// with the numbers where it does not.
fn graph_fits(graph: &Graph, options: &CompileOptions, choice: SegmentChoice) -> Result<bool, Error> {
    match needs(&lower(without_weights(graph)), &options.layout) {
        Ok(needs) => Ok(choice.segments == Some(1) || needs.bytes <= limit_bytes(choice.max_memory_bytes)),
        Err(LayoutError::WouldNotFit { .. }) if choice.segments.is_none() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
