//! What can be wrong with a graph, and with what it is run on.

use crate::limits::MAX_SHIFT;
use crate::tensor::TensorId;

/// Why a graph is not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidateError {
    /// The shift is outside `1..=20`.
    #[error(
        "graph '{graph}' has the requantisation shift {got}, expected 1..={MAX_SHIFT}\nhint: quantise the model again"
    )]
    Shift {
        /// Name of the graph.
        graph: String,
        /// The shift.
        got: u32,
    },
    /// A tensor that does not exist.
    #[error("{place} names tensor {got}, but the graph has {tensors}\nhint: the graph is damaged, quantise it again")]
    UnknownTensor {
        /// The node, or the list of inputs or outputs.
        place: String,
        /// The index.
        got: TensorId,
        /// Number of tensors.
        tensors: usize,
    },
    /// A tensor that is read before it is computed, computed twice, or an input that is computed.
    #[error(
        "{place} {problem} tensor '{tensor}'\nhint: a node must follow the producers of its operands, and a tensor has one producer"
    )]
    Order {
        /// The node, or the list of inputs or outputs.
        place: String,
        /// What it does.
        problem: &'static str,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor whose format or shape is empty or too wide.
    #[error(
        "tensor '{tensor}' has {what} {got}, expected {expected}\nhint: quantise the model with at most 16 activation bits"
    )]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// The property.
        what: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        expected: String,
    },
    /// A node whose attributes or shapes contradict each other.
    #[error("node '{node}' has {what} {got}, expected {expected}\nhint: the graph is damaged, quantise it again")]
    Node {
        /// Name of the node.
        node: String,
        /// The property.
        what: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        expected: String,
    },
    /// More inputs or outputs have a visibility than there are.
    #[error(
        "graph '{graph}': visibility of {got}, which it does not have\nhint: this is a bug in the importer; please report it with the model"
    )]
    Visibility {
        /// Name of the graph.
        graph: String,
        /// What has one.
        got: String,
    },
}

/// Why an inference could not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The graph itself is malformed.
    #[error(transparent)]
    Invalid(#[from] ValidateError),
    /// A wrong number of input tensors.
    #[error(
        "the graph takes {expected} input tensors, got {got}\nhint: give one list of values per input of the model"
    )]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        got: usize,
    },
    /// An input of the wrong length.
    #[error(
        "input '{tensor}' has {got} values, expected {expected}\nhint: values come in channels, height, width order"
    )]
    InputLength {
        /// Name of the input.
        tensor: String,
        /// Elements of the tensor.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// An input value outside its format's range.
    #[error(
        "input '{tensor}' holds {got} at index {index}, expected {min}..={max}\nhint: quantise inputs with the tensor's format, which saturates"
    )]
    InputRange {
        /// Name of the input.
        tensor: String,
        /// Position in stored order.
        index: usize,
        /// The value.
        got: i64,
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
    },
    /// A value of a hidden input outside its format's range, which is not told.
    #[error(
        "the hidden input '{tensor}' holds a value outside {min}..={max}\nhint: quantise inputs with the tensor's format, which saturates"
    )]
    HiddenRange {
        /// Name of the input.
        tensor: String,
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
    },
    /// An accumulator that is exposed as it is lies outside the range of its tensor.
    #[error(
        "node '{node}': accumulator {got} at index {index} is outside the output's range {min}..={max}\nhint: the range of a raw output must cover the accumulator's bounds"
    )]
    RawRange {
        /// Name of the node.
        node: String,
        /// Position in stored order.
        index: usize,
        /// The accumulator.
        got: i64,
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
    },
}
