//! ONNX models as float graphs.
//!
//! tract reads the file, infers types and shapes, folds constants and writes layers in a normal form; this module
//! translates that form to a [`FloatGraph`] of the operations that can be proved. tract's own run of the same model
//! is the float reference against which quantisation is measured.
//!
//! Without the feature `tract` nothing is read: there are the float graph and its functions.
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

#[cfg(feature = "tract")]
mod analyse;
#[cfg(feature = "tract")]
mod attention;
#[cfg(feature = "tract")]
mod check;
#[cfg(feature = "tract")]
mod cumulative;
#[cfg(feature = "tract")]
mod elementwise;
#[cfg(feature = "tract")]
mod embedding;
mod error;
mod execute;
#[cfg(feature = "tract")]
mod expand;
#[cfg(feature = "tract")]
mod external;
#[cfg(feature = "tract")]
mod facts;
mod float;
#[cfg(feature = "tract")]
mod fold;
mod function;
#[cfg(feature = "tract")]
mod guard;
#[cfg(feature = "tract")]
mod inputs;
#[cfg(feature = "tract")]
mod layers;
#[cfg(feature = "tract")]
mod learned;
#[cfg(feature = "tract")]
mod matrices;
#[cfg(feature = "tract")]
mod model;
#[cfg(feature = "tract")]
mod movement;
#[cfg(feature = "tract")]
mod numbers;
#[cfg(feature = "tract")]
mod one_hot;
mod operators;
mod options;
#[cfg(feature = "tract")]
mod product;
#[cfg(feature = "tract")]
mod protos;
#[cfg(feature = "tract")]
mod quantised;
#[cfg(feature = "tract")]
mod quirks;
#[cfg(feature = "tract")]
mod read;
#[cfg(feature = "tract")]
mod reduce;
#[cfg(feature = "tract")]
mod repeats;
#[cfg(feature = "tract")]
mod rewrite;
#[cfg(feature = "tract")]
mod rounding;
#[cfg(feature = "tract")]
mod select;
#[cfg(feature = "tract")]
mod source;
#[cfg(feature = "tract")]
mod tidy;
#[cfg(feature = "tract")]
mod translate;
#[cfg(feature = "tract")]
mod translator;
#[cfg(feature = "tract")]
mod units;
#[cfg(feature = "tract")]
mod unroll;
#[cfg(feature = "tract")]
mod view;
#[cfg(feature = "tract")]
mod wire;
mod written;

pub use error::ImportError;
pub use float::{
    FloatGraph, FloatLinear, FloatMatMul, FloatNode, FloatNormalise, FloatOp, FloatOrigin, FloatSoftmax, FloatTensor,
};
pub use function::{Angle, Comparison, Composed, Function};
#[cfg(feature = "tract")]
pub use model::FloatModel;
pub use operators::{LEARNER_OPERATORS, SUPPORTED_OPERATORS};
pub use options::ImportOptions;
pub(crate) use written::MASKED;
pub use written::is_written;
