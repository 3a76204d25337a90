//! ONNX models as float graphs.
//!
//! tract reads the file, infers types and shapes, folds constants and writes layers in a normal form; this module
//! translates that form to a [`FloatGraph`] of the operations that can be proved. tract's own run of the same model
//! is the float reference against which quantisation is measured.
//!
//! ```no_run
//! use zkml_gpu_onnx::import::{FloatModel, ImportOptions};
//!
//! # fn main() -> Result<(), zkml_gpu_onnx::import::ImportError> {
//! let model = FloatModel::load("model.onnx", &ImportOptions::default())?;
//! let logits = &model.run(&[vec![0.0; 784]])?[0];
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;

mod analyse;
mod attention;
mod check;
mod elementwise;
mod embedding;
mod error;
mod execute;
mod external;
mod float;
mod fold;
mod function;
mod inputs;
mod layers;
mod learned;
mod matrices;
mod movement;
mod product;
mod quirks;
mod read;
mod reduce;
mod select;
mod tidy;
mod translate;
mod view;
mod wire;

pub use error::ImportError;
pub use float::{
    FloatGraph, FloatLinear, FloatMatMul, FloatNode, FloatNormalise, FloatOp, FloatOrigin, FloatSoftmax, FloatTensor,
};
pub use function::{Composed, Function};
pub use learned::is_written;

/// ONNX operators that can be imported, some with limits that error messages explain: `Max` and `Min` take one activation and one
/// constant, `Pow` a constant exponent that is not learned, `Resize` the mode `nearest`, `Where` a choice by sign or by a constant mask.
pub const SUPPORTED_OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// ONNX operators that compute shapes and constants, which tract folds away. `Max` and `Min` with a constant are clamps; over other
/// activations each is refused by its name. What stands in neither list never reaches tract; `Range` does not, because it is
/// computed while its shape is inferred.
pub(crate) const FOLDED_OPERATORS: &[&str] = &[
    "Cast",
    "Ceil",
    "Concat",
    "ConstantOfShape",
    "Equal",
    "Expand",
    "Floor",
    "Gather",
    "Greater",
    "Less",
    "Max",
    "Min",
    "Pad",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Shape",
    "Sign",
    "Size",
    "Slice",
    "Split",
    "Sum",
    "Where",
];

/// What a model does not say itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Sizes of symbolic dimensions, by name. A leading dimension without a size is a batch, of size 1.
    pub symbols: Vec<(String, usize)>,
}

/// An imported model: its float graph, and tract's plan of the whole model as the reference.
pub struct FloatModel {
    graph: FloatGraph,
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
        Self::read(&read::read_file(path)?, &path.display().to_string(), path.parent(), options)
    }

    /// Reads an ONNX model from memory; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// As [`FloatModel::load`].
    pub fn from_bytes(bytes: &[u8], name: &str, options: &ImportOptions) -> Result<Self, ImportError> {
        Self::read(bytes, name, None, options)
    }

    fn read(bytes: &[u8], name: &str, folder: Option<&Path>, options: &ImportOptions) -> Result<Self, ImportError> {
        let source = read::read(bytes, name, folder, options)?;
        let mut graph = translate::translate(&source)?;
        // Before the weights are multiplied with each other, and after.
        graph.check_finite()?;
        fold::fold(&mut graph);
        graph.check_finite()?;
        let invalid = |cause| ImportError::Invalid { file: name.into(), cause };
        let plan = read::guarded(|| source.model.into_optimized().and_then(IntoRunnable::into_runnable));
        let plan = plan.map_err(invalid)?.map_err(|e| invalid(read::chain(&e)))?;
        Ok(Self { graph, private: source.private, plan })
    }

    /// The operations to be proved.
    pub fn graph(&self) -> &FloatGraph {
        &self.graph
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
        read::guarded(|| self.run_plan(inputs)).map_err(failed)?.map_err(|e| failed(read::chain(&e)))
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
