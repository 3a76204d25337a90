//! Keys whose weights are public, checked against the model's own file.

use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_graph::Graph;
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::ModelKey;
use zkml_gpu_verify::report::plural;

use crate::public::{Audit, AuditedFile, Measured, Recipe, committer};
use crate::retrain::Recalled;
use crate::{BackendChoice, Error, Model, PublicModel};

impl PublicModel {
    /// As [`audit`](Self::audit), and checks that the weights are those of a model's own file: quantises them by the
    /// scales that this public model tells, and compares what follows bit for bit, the model commitment where they are
    /// committed and the circuit's columns where they are embedded. `model` is loaded with
    /// [`import_options`](Self::import_options).
    ///
    /// The scales are the choice of the key's owner, who could choose them so badly that nothing is left of a layer. So it
    /// refuses layers of which no weight is left, and measures the error of the integers against the file on `samples`;
    /// without any [`AuditedFile::measured`] is none, and all that is known is that the integers are the file's under
    /// these scales.
    ///
    /// # Errors
    /// Those of [`audit`](Self::audit); [`Error::Arguments`] where the weights are not public,
    /// [`Error::OtherArchitecture`], [`Error::Quantise`] and [`Error::Audit`] where the file is another model's.
    pub fn audit_file(
        &self,
        key: &ModelKey,
        model: &Model,
        samples: &[Sample],
        srs: &Srs,
        backend: &BackendChoice,
    ) -> Result<Audit, Error> {
        let recipe = self.recipe.as_ref().ok_or_else(|| hidden(NO_RECIPE))?;
        if key.weight_mode() == WeightMode::Committed && !key.has_public_weights() {
            return Err(hidden(HIDDEN_WEIGHTS));
        }
        let inferences = usize::try_from(self.about.inferences).unwrap_or(usize::MAX);
        let recalled = recipe.recall(model, samples)?;
        let whole = Graph { visibility: self.graph.visibility.clone(), ..recalled.graph.clone() }.joint(inferences)?;
        let graph = model.graph_like(&self.graph, whole)?;
        model.expect_architecture(&self.graph, &graph)?;
        let learned = self.clone().with_graph(graph);
        let committer = committer(srs, backend)?;
        // Weights that are compared one by one need no proof that they are integers.
        let audit = learned.audit_on(key, srs, &committer, true)?;
        learned.compare_weights(key, model.file(), &committer)?;
        Ok(audit.of_file(model, &recalled))
    }
}

impl Recipe {
    /// The integers that a model's file has by it. Layers of which no weight is left are refused.
    pub(crate) fn recall(&self, model: &Model, samples: &[Sample]) -> Result<Recalled, Error> {
        let recalled = model.recalled((&self.calibration, &self.quantisation), samples)?;
        if recalled.empty_layers > 0 {
            let layers = plural(recalled.empty_layers, "layer");
            return Err(Error::Audit(format!("its scales leave no weight but 0 of {layers} of {}", model.file())));
        }
        Ok(recalled)
    }
}

impl Audit {
    /// This audit of a key whose weights were found to be those of a model's file.
    pub(crate) fn of_file(self, model: &Model, recalled: &Recalled) -> Self {
        let measured = recalled.evaluation.as_ref().map(|evaluation| {
            let all = || evaluation.outputs.iter().chain(&evaluation.layers);
            Measured {
                samples: evaluation.samples,
                max_error: evaluation.outputs.iter().map(|output| output.max_error).fold(0.0, f32::max),
                saturated: all().map(|tensor| tensor.saturated).fold(0.0, f32::max),
            }
        });
        let not_zero = recalled.not_zero;
        let file = AuditedFile { name: model.file().into(), digest: model.digest().into(), not_zero, measured };
        Self { weights: "exact integers, those of the model's file".into(), file: Some(file), ..self }
    }
}

/// Why a key's weights cannot be compared with a model's file.
pub(crate) fn hidden(problem: &str) -> Error {
    let hint = "compile --weights public makes keys that can be checked against the model's file";
    Error::Arguments { problem: problem.into(), hint }
}
/// What a public model says that does not tell how its file is quantised.
pub(crate) const NO_RECIPE: &str = "the public model does not tell how to quantise the model's file";
/// What a key says that hides its weights.
pub(crate) const HIDDEN_WEIGHTS: &str = "the key's model commitment hides the weights";
