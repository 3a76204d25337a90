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

mod analyse;
mod attention;
mod check;
mod cumulative;
mod elementwise;
mod embedding;
mod error;
mod execute;
mod expand;
mod external;
mod facts;
mod float;
mod fold;
mod function;
mod guard;
mod inputs;
mod layers;
mod learned;
mod matrices;
mod model;
mod movement;
mod numbers;
mod one_hot;
mod operators;
mod options;
mod product;
mod protos;
mod quantised;
mod quirks;
mod read;
mod reduce;
mod repeats;
mod rewrite;
mod rounding;
mod select;
mod source;
mod tidy;
mod translate;
mod translator;
mod units;
mod unroll;
mod view;
mod wire;
mod written;

pub use error::ImportError;
pub use float::{
    FloatGraph, FloatLinear, FloatMatMul, FloatNode, FloatNormalise, FloatOp, FloatOrigin, FloatSoftmax, FloatTensor,
};
pub use function::{Angle, Comparison, Composed, Function};
pub use model::FloatModel;
pub use operators::{LEARNER_OPERATORS, SUPPORTED_OPERATORS};
pub use options::ImportOptions;
pub(crate) use written::MASKED;
pub use written::is_written;
