//! A model as tract has read it.

use tract_onnx::prelude::TypedModel;

use super::learned::Learned;

/// A typed model and what error messages need of its source.
pub(super) struct Source {
    /// The file, or the name given with the bytes.
    pub(super) file: String,
    /// Digest of everything that it was read from.
    pub(super) digest: String,
    /// Name of the graph.
    pub(super) name: String,
    /// Whether the weights are declared private.
    pub(super) private: bool,
    /// The model after type inference and decluttering.
    pub(super) model: TypedModel,
    /// Name and operator of each ONNX node.
    pub(super) origins: Vec<(String, String)>,
    /// Which constants are learned.
    pub(super) learned: Learned,
}
