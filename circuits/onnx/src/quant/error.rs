//! What can go wrong in quantisation.

use std::path::PathBuf;

use zkml_gpu_graph::{ExecuteError, ValidateError};

use crate::import::ImportError;

/// Why a model could not be quantised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// An option outside its range.
    #[error("{option} is {got}, expected {expected}\nhint: the defaults suit most models")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// Bits of a tensor that the model does not have.
    #[error(
        "{}bits are given for the tensor '{}', which the model does not have\nhint: bits belong to the model that they were searched for: search them again with `zkml-gpu calibrate`",
        .file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default(),
        .tensor.escape_debug()
    )]
    UnknownTensor {
        /// The first such tensor.
        tensor: String,
        /// The file that says so, where it is one.
        file: Option<PathBuf>,
    },
    /// Calibration without samples.
    #[error("calibration needs at least one sample\nhint: give some typical inputs, ten or more if possible")]
    NoSamples,
    /// A list of samples that is no whole number of them.
    #[error(
        "input '{input}' has {got} calibration values, expected a positive multiple of {expected}, the same for all inputs\nhint: concatenate whole samples in one flat list for each input"
    )]
    SampleLength {
        /// The input.
        input: String,
        /// Elements of one sample.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// A sample that does not fit the model.
    #[error(transparent)]
    Sample(#[from] ImportError),
    /// A weight or an activation that is infinite or not a number.
    #[error(
        "node '{node}' has {what} that are not finite\nhint: check the exported weights and the calibration samples"
    )]
    NotFinite {
        /// The node or tensor.
        node: String,
        /// Weights, or activations.
        what: &'static str,
    },
    /// Magnitudes that no scale reconciles.
    #[error(
        "node '{node}' needs {what} beyond what a circuit holds\nhint: rescale the model, its layers differ by too many orders of magnitude"
    )]
    Scale {
        /// The node.
        node: String,
        /// Weights, or factors.
        what: &'static str,
    },
    /// A calibration of another model, or none.
    #[error(
        "the calibration is of a model with other tensors\nhint: take a model of the same architecture, exported the same way"
    )]
    OtherTensors,
    /// Retrained rows of a table that leave the scale they are to keep.
    #[error(
        "tensor '{tensor}': rows of the retrained table lie beyond the range of the calibration, and would saturate\nhint: compile the retrained model anew"
    )]
    Saturates {
        /// The tensor.
        tensor: String,
    },
    /// The quantised graph breaks an invariant.
    #[error(transparent)]
    Graph(#[from] ValidateError),
    /// The quantised graph failed to run on a sample.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}
