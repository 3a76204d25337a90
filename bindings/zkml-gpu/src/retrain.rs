//! A model under a calibration that is there: other weights for an old circuit, and the integers that a file's are under
//! the scales of a key's owner.

use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_graph::{Graph, Node, Op, Part};
use zkml_gpu_onnx::quant::{Calibration, Evaluation, QuantOptions, Sample, TensorError, evaluate, recall, requantise};
use zkml_gpu_verify::Wire;

use crate::model::{accuracy, check_error, coarse};
use crate::segmented::Cutting;
use crate::{CompileOptions, CompiledModel, Error, Model, ModelAbout, SegmentedModel};

/// Share of a tensor's values on the samples that may lie beyond its scale after retraining: none that shows, but for
/// outliers of one in a thousand.
const MAX_SATURATED: f32 = 0.001;

impl Model {
    /// Quantises this model, a retrained one, to the scales of a compiled one, and keeps its circuit. The error is that
    /// on these samples.
    ///
    /// # Errors
    /// [`Error::OtherArchitecture`] with the first difference; [`Error::Saturates`] where activations leave the scales;
    /// [`Error::Inaccurate`] above the bound, unless it is allowed; [`Error::PrivateWeights`] where the weights are
    /// embedded, and so part of the circuit.
    pub fn compile_like(
        &self,
        old: &CompiledModel,
        samples: &[Sample],
        options: &CompileOptions,
    ) -> Result<CompiledModel, Error> {
        let (about, graph) = self.like((old.about(), old.weight_mode()), samples, options)?;
        let whole = Graph { visibility: old.graph.visibility.clone(), ..graph }.joint(about.inferences);
        let graph = self.graph_like(&old.graph, whole?)?;
        self.expect(&old.graph, &graph)?;
        Ok(CompiledModel { about, graph, layout: old.layout.clone() })
    }

    /// As [`compile_like`](Self::compile_like), for a model in segments: it is cut where the old one is, and keeps its
    /// circuits.
    ///
    /// # Errors
    /// As [`compile_like`](Self::compile_like); [`Error::File`] where a segment cannot be read.
    pub fn compile_segments_like(
        &self,
        old: &SegmentedModel,
        samples: &[Sample],
        options: &CompileOptions,
    ) -> Result<SegmentedModel, Error> {
        let (about, graph) = self.like((old.about(), old.weight_mode()?), samples, options)?;
        let mut graphs = Vec::with_capacity(old.segments());
        for (segment, part) in self.parts_like(old.cutting(), old.wires(), graph, about.inferences)?.enumerate() {
            let old = old.segment(segment)?.graph;
            let graph = self.graph_like(&old, part)?;
            self.expect(&old, &graph)?;
            graphs.push(graph);
        }
        old.with_graphs(about, graphs)
    }

    /// The integers of this model, a retrained one, under a compiled one's calibration, not lowered; and what is told of
    /// the two.
    fn like(
        &self,
        (about, weights): (&ModelAbout, WeightMode),
        samples: &[Sample],
        options: &CompileOptions,
    ) -> Result<(ModelAbout, Graph), Error> {
        if weights == WeightMode::Embedded {
            return Err(Error::EmbeddedWeights { model: about.name.clone() });
        }
        let float = self.float.graph();
        let quantisation = about.quantisation.clone().with_error_target(options.quantisation.error_target);
        let quantised = requantise(float, &about.calibration, samples, &quantisation)?;
        let evaluation = evaluate(float, &quantised, samples)?;
        check_error(&quantised, &evaluation, options)?;
        if let Some(worst) = saturated(&evaluation) {
            return Err(Error::Saturates { tensor: worst.name.clone(), share: worst.saturated });
        }
        if about.public_weights && self.is_declared_private() {
            return Err(Error::PrivateWeights { model: self.name().into(), declared: "by the model's metadata" });
        }
        let published = about.published.is_some().then(|| coarse(float, &quantised));
        let about = ModelAbout {
            // Proofs name the model: it is the same one, with other weights.
            name: about.name.clone(),
            private: about.private || self.is_declared_private(),
            public_weights: about.public_weights,
            inferences: about.inferences,
            accuracy: accuracy(&quantised.report, quantisation.error_target),
            source: self.source(samples, &about.source.costs),
            quantisation: about.quantisation.clone(),
            evaluation,
            calibration: about.calibration.clone(),
            published,
            told_inputs: self.told_inputs(),
        };
        Ok((about, quantised.graph))
    }

    /// A graph as one of an old circuit, its accumulators as wide as the old one's.
    pub(crate) fn graph_like(&self, old: &Graph, graph: Graph) -> Result<Graph, Error> {
        let mut graph = lower(graph);
        graph.name.clone_from(&old.name);
        graph.take_widths(old);
        graph.validate().map_err(|error| self.other(error.to_string()))?;
        Ok(graph)
    }

    /// The parts of this model's integers, which are not lowered, that lie where an old model is cut.
    pub(crate) fn parts_like(
        &self,
        cutting: &Cutting,
        wires: &[Wire],
        quantised: Graph,
        inferences: usize,
    ) -> Result<impl Iterator<Item = Graph> + use<>, Error> {
        let whole = Graph { visibility: cutting.visibility.clone(), ..quantised }.joint(inferences)?;
        let parts = whole.parts(&cutting.cuts).map_err(|error| self.other(error.to_string()))?;
        if parts.len() != wires.len() {
            return Err(self.other(format!("{} segments instead of {}", parts.len(), wires.len())));
        }
        let is_wired = |(part, wire): (&Part, &Wire)| [&part.inputs, &part.outputs] == [&wire.inputs, &wire.outputs];
        if let Some(segment) = parts.iter().zip(wires).position(|both| !is_wired(both)) {
            return Err(self.other(format!("segment {} with other inputs and outputs", segment + 1)));
        }
        Ok(parts.into_iter().map(|part| part.graph))
    }

    /// Refuses a graph that is another than an old one but for learned values.
    fn expect(&self, old: &Graph, graph: &Graph) -> Result<(), Error> {
        old.difference(graph).map_or(Ok(()), |difference| Err(self.other(difference)))
    }

    /// As [`Error::OtherArchitecture`] of an old graph's architecture and a graph's.
    pub(crate) fn expect_architecture(&self, old: &Graph, graph: &Graph) -> Result<(), Error> {
        self.expect(&old.architecture(), &graph.architecture())
    }

    fn other(&self, difference: String) -> Error {
        Error::OtherArchitecture { model: self.name().into(), difference }
    }

    /// The integers of this model under an earlier calibration; and how near they are to its own numbers on samples,
    /// where there are some.
    pub(crate) fn recalled(
        &self,
        (calibration, options): (&Calibration, &QuantOptions),
        samples: &[Sample],
    ) -> Result<Recalled, Error> {
        let float = self.float.graph();
        let graph = recall(float, calibration, options)?;
        let [own_values, own_empty] = float.learned();
        let evaluation = match samples {
            [] => None,
            samples => Some(evaluate(float, &requantise(float, calibration, samples, options)?, samples)?),
        };
        let not_zero = [own_values, not_zero(&graph)];
        let empty_layers = empty_layers(&graph).saturating_sub(own_empty);
        Ok(Recalled { graph, not_zero, empty_layers, evaluation })
    }
}

/// A model's integers under an earlier calibration.
pub(crate) struct Recalled {
    /// Not lowered, and of one inference; nothing is said of who sees what.
    pub(crate) graph: Graph,
    /// Learned values that are not 0: of the model, and as integers.
    pub(crate) not_zero: [usize; 2],
    /// Layers of which no weight is left that the model has.
    pub(crate) empty_layers: usize,
    /// The error on samples, where there are some.
    pub(crate) evaluation: Option<Evaluation>,
}

/// Learned values of a graph that are not 0.
fn not_zero(graph: &Graph) -> usize {
    let count = |values: &[i64]| values.iter().filter(|value| **value != 0).count();
    let values = |node: &Node| match &node.op {
        Op::Linear(linear) => linear.weights.iter().filter(|weight| **weight != 0).count() + count(&linear.bias),
        op => summands(op).map_or(0, count),
    };
    graph.nodes.iter().map(values).sum()
}

/// Products of a graph that have no weight but 0, and sums that have no other summand.
fn empty_layers(graph: &Graph) -> usize {
    let is_empty = |node: &&Node| match &node.op {
        Op::Linear(linear) => linear.weights.iter().all(|weight| *weight == 0),
        op => summands(op).is_some_and(|summands| summands.iter().all(|summand| *summand == 0)),
    };
    graph.nodes.iter().filter(is_empty).count()
}

/// The summands of a sum or a product of activations that has any.
fn summands(op: &Op) -> Option<&[i64]> {
    let summands = match op {
        Op::Combine { offset, .. } => offset,
        Op::MatMul(product) => &product.summands,
        _ => return None,
    };
    (!summands.is_empty()).then_some(summands)
}

/// The tensor with the greatest share of values beyond its scale, where that is more than may be.
fn saturated(evaluation: &Evaluation) -> Option<&TensorError> {
    let tensors = evaluation.outputs.iter().chain(&evaluation.layers);
    let worst = tensors.max_by(|a, b| a.saturated.total_cmp(&b.saturated));
    worst.filter(|tensor| tensor.saturated > MAX_SATURATED)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zkml_gpu_onnx::import::{FloatOp, ImportOptions};

    use super::*;
    use crate::read_samples;

    #[test]
    fn scales_that_leave_nothing_of_a_layer_are_found_out() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/learned_residual.onnx");
        let model = Model::load(&path, &ImportOptions::default()).expect("the model");
        let samples = read_samples(path.with_extension("json"), &model.inputs()).expect("its samples");
        let options = CompileOptions::default().with_allow_error(true).with_public_weights(true);
        let compiled = model.compile(&samples, &options).expect("compiled");
        let about = compiled.about();
        let published = about.published.as_ref().expect("public weights");
        let [told, known] = [published, &about.calibration].map(|calibration| calibration.tensors.iter());
        assert!(told.zip(known).any(|(told, known)| told != known), "exact extremes are published");
        let recalled = |old: &Graph, calibration: &Calibration, samples: &[Sample]| {
            let found = model.recalled((calibration, &about.quantisation), samples)?;
            let graph = model.graph_like(old, found.graph)?;
            model.expect_architecture(old, &graph)?;
            Ok::<_, Error>(Recalled { graph, ..found })
        };
        let honest = recalled(&compiled.graph, published, &samples).expect("the same architecture");
        assert_eq!((honest.graph.architecture(), honest.empty_layers), (compiled.graph.architecture(), 0));
        assert!(honest.not_zero[0] >= honest.not_zero[1] && honest.not_zero[1] > 0);
        assert!(honest.evaluation.is_some_and(|evaluation| evaluation.samples == samples.len()));
        // An owner who says that a tensor is huge, and compiles accordingly.
        let float = model.float.graph();
        let last = float.nodes.iter().rev().find(|node| matches!(node.op, FloatOp::Linear(_))).expect("a layer");
        let name = &float.tensors[last.inputs[0]].name;
        let mut hostile = about.calibration.clone();
        for (_, extremes) in hostile.tensors.iter_mut().filter(|(tensor, _)| tensor == name) {
            *extremes = [0.0, 1e15];
        }
        let graph = recall(model.float.graph(), &hostile, &about.quantisation).expect("integers");
        let graph = lower(graph);
        let found = recalled(&graph, &hostile, &[]).expect("the same architecture");
        assert!(found.empty_layers > 0 && found.not_zero[1] < honest.not_zero[1], "{:?}", found.not_zero);
        assert!(recalled(&compiled.graph, &hostile, &[]).is_err(), "another architecture");
    }
}
