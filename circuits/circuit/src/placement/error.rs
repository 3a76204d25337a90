//! Why a graph has no layout.

use thiserror::Error;

/// Why a graph has no layout.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The circuit is larger than the largest one that may be built.
    #[error(
        "the circuit needs {rows} rows, more than the {limit} usable rows of k = {k}; {}\n\
         hint: prove a smaller model, or the model in parts",
        largest(layers)
    )]
    WouldNotFit {
        /// Rows needed by the fullest bank.
        rows: usize,
        /// Usable rows at the largest permitted size.
        limit: usize,
        /// Largest permitted size.
        k: u32,
        /// The largest layers of that bank, with their rows.
        layers: Vec<(String, usize)>,
    },
    /// Inputs and outputs take more of the instance columns than a verifier reads.
    #[error(
        "public inputs and outputs take {cells} cells, more than {limit}\n\
         hint: the verifier handles every one; use a model with smaller inputs or outputs"
    )]
    PublicValues {
        /// Cells needed.
        cells: usize,
        /// Cells that a verifier reads.
        limit: usize,
    },
    /// The circuit's shape is beyond what a verifier builds.
    #[error(
        "the circuit is beyond what a verifier builds: {0}\nhint: use a model with fewer layers, or smaller images and windows"
    )]
    Bounds(String),
    /// The node has a form that the circuit cannot express.
    #[error("node '{node}': {reason}")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// What is in the way.
        reason: String,
    },
    /// The graph breaks one of its own invariants.
    #[error("malformed graph: {0}")]
    Malformed(String),
}

fn largest(layers: &[(String, usize)]) -> String {
    let names: Vec<String> = layers.iter().map(|(name, rows)| format!("'{name}' {rows}")).collect();
    if names.is_empty() { "they hold lookup tables".into() } else { format!("largest layers: {}", names.join(", ")) }
}
