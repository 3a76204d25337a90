//! An imported model, with the float reference.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;

use super::error::ImportError;
use super::float::{FloatGraph, FloatTensor};
use super::fold::fold;
use super::guard::{chain, guarded};
use super::options::ImportOptions;
use super::read::{read, read_file};
use super::translate::translate;
use super::units;

/// An imported model: its float graph, and tract's plan of the whole model as the reference.
pub struct FloatModel {
    graph: FloatGraph,
    digest: String,
    private: bool,
    plan: Arc<TypedRunnableModel>,
}

impl fmt::Debug for FloatModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FloatModel").field("name", &self.graph.name).finish_non_exhaustive()
    }
}

impl FloatModel {
    /// Reads an ONNX file; weights in external files must lie in its folder or below.
    ///
    /// # Errors
    ///
    /// [`ImportError`] where the file is not a valid ONNX model, or holds what is not supported.
    pub fn load(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self, ImportError> {
        let path = path.as_ref();
        Self::read(&read_file(path)?, &path.display().to_string(), path.parent(), options)
    }

    /// Reads an ONNX model from memory; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// As [`FloatModel::load`].
    pub fn from_bytes(bytes: &[u8], name: &str, options: &ImportOptions) -> Result<Self, ImportError> {
        Self::read(bytes, name, None, options)
    }

    fn read(bytes: &[u8], name: &str, folder: Option<&Path>, options: &ImportOptions) -> Result<Self, ImportError> {
        let _span = tracing::info_span!(target: "zkml_gpu::compile", "import").entered();
        let source = read(bytes, name, folder, options)?;
        let mut graph = translate(&source)?;
        // Before the weights are multiplied with each other, and after.
        graph.check_finite()?;
        fold(&mut graph);
        graph.check_finite()?;
        units::settle(&mut graph);
        graph.check_finite()?;
        let invalid = |cause| ImportError::Invalid { file: name.into(), cause };
        let plan = guarded(|| source.model.into_optimized().and_then(IntoRunnable::into_runnable));
        let plan = plan.map_err(invalid)?.map_err(|e| invalid(chain(&e)))?;
        Ok(Self { graph, digest: source.digest, private: source.private, plan })
    }

    /// The operations to be proved.
    pub fn graph(&self) -> &FloatGraph {
        &self.graph
    }

    /// Blake2b-256 of everything that the model was read from, weights in other files included; lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the file declares its weights private: `zkml-gpu.weights = private` among its `metadata_props`.
    pub const fn is_declared_private(&self) -> bool {
        self.private
    }

    /// Runs the model in tract: the float reference. Inputs and outputs are flat, in the model's axis order.
    ///
    /// # Errors
    ///
    /// [`ImportError::Inputs`] where the inputs do not fit, [`ImportError::Run`] where tract fails.
    pub fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, ImportError> {
        self.graph.check_inputs(inputs)?;
        let failed = |cause| ImportError::Run { model: self.graph.name.clone(), cause };
        guarded(|| self.run_plan(inputs)).map_err(failed)?.map_err(|e| failed(chain(&e)))
    }

    fn run_plan(&self, inputs: &[Vec<f32>]) -> TractResult<Vec<Vec<f32>>> {
        let tensors = self.graph.inputs.iter().map(|&id| &self.graph.tensors[id]);
        let input = |(i, (tensor, x)): (usize, (&FloatTensor, &Vec<f32>))| -> TractResult<TValue> {
            let datum_type = self.plan.model().input_fact(i)?.datum_type;
            let x = Tensor::from_shape(&tensor.logical_shape, x)?;
            Ok(x.cast_to_dt(datum_type)?.into_owned().into_tvalue())
        };
        let inputs: TractResult<TVec<TValue>> = tensors.zip(inputs).enumerate().map(input).collect();
        let outputs = self.plan.run(inputs?)?;
        let floats = |y: &TValue| -> TractResult<Vec<f32>> {
            // Indices of maxima are whole numbers; as floats they are exact.
            Ok(y.cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        outputs.iter().map(floats).collect()
    }
}
