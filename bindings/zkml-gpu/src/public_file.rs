//! Keys whose weights are public, checked against the model's own file.

use zkml_gpu_circuit::keys::public_commitment;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::ModelKey;
use zkml_gpu_verify::report::plural;

use crate::model::Recalled;
use crate::public::{Audit, AuditedFile, Measured, committer};
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
        let hidden = |problem: &str| Error::Arguments {
            problem: problem.into(),
            hint: "compile --weights public makes keys that can be checked against the model's file",
        };
        let recipe = self.recipe.as_ref();
        let recipe = recipe.ok_or_else(|| hidden("the public model does not tell how to quantise the model's file"))?;
        if key.weight_mode() == WeightMode::Committed && !key.has_public_weights() {
            return Err(hidden("the key's model commitment hides the weights"));
        }
        let inferences = usize::try_from(self.about.inferences).unwrap_or(usize::MAX);
        let recalled = model.recalled(&self.graph, (&recipe.calibration, &recipe.quantisation), samples, inferences)?;
        let Recalled { graph, not_zero, empty_layers, evaluation } = recalled;
        if empty_layers > 0 {
            let layers = plural(empty_layers, "layer");
            return Err(Error::Audit(format!("its scales leave no weight but 0 of {layers} of {}", model.file())));
        }
        let learned = Self { graph, ..self.clone() };
        let committer = committer(srs, backend)?;
        // Weights that are compared one by one need no proof that they are integers.
        let audit = learned.audit_on(key, srs, &committer, true)?;
        let own = public_commitment(key.keys(), &learned.graph, &learned.layout, &committer)?;
        let committed = key.keys().model_commitment();
        if own.len() != committed.len() {
            return Err(Error::Audit("its model commitment has another number of columns".into()));
        }
        if let Some(column) = own.iter().zip(committed).position(|(own, key)| own != key) {
            let problem = format!("column {column} of the model commitment is not that of {}'s weights", model.file());
            return Err(Error::Audit(problem));
        }
        let measured = evaluation.map(|evaluation| {
            let all = || evaluation.outputs.iter().chain(&evaluation.layers);
            Measured {
                samples: evaluation.samples,
                max_error: evaluation.outputs.iter().map(|output| output.max_error).fold(0.0, f32::max),
                saturated: all().map(|tensor| tensor.saturated).fold(0.0, f32::max),
            }
        });
        let file = AuditedFile { name: model.file().into(), digest: model.digest().into(), not_zero, measured };
        Ok(Audit { weights: "exact integers, those of the model's file".into(), file: Some(file), ..audit })
    }
}
