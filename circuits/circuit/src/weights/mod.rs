//! The weights' proof, made once for a model: every value that a model commitment opens to is an integer of its width,
//! and 0 where the architecture has none (`docs/protocol.md`, section 13).
//!
//! A proof of an inference shows what it shows for whatever field elements the commitment opens to, since of the
//! weights' columns only their fold is in the circuit. This circuit holds the columns themselves, over the same rows:
//! lookups bound each cell, and fixed masks say which cells there are. A link, as for the fold, ties its columns to
//! those of the model commitment. A large bank is proved in several parts, so that memory stays bounded.
//!
//! Masks and widths follow from the architecture alone, so retrained models share the parts' keys, and an auditor
//! derives them.

mod circuit;
mod masks;
mod prove;
mod shape;
mod verify;

#[doc(hidden)]
pub use prove::mock_weights;
pub use prove::{WeightsOpening, prove_weights};
pub use shape::{BIAS_BITS, WEIGHT_BITS, memory_bytes};
pub use verify::{WeightsPart, WeightsProof, verify_weights, weights_keys};

use thiserror::Error;
use zkml_gpu_engine::prover::ProverError;
use zkml_gpu_engine::{BackendError, KeygenError};

use crate::check::CheckError;
use crate::commit::LinkError;

/// Why a weights' proof cannot be made, or is rejected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The layout's list of weights is not the graph's.
    #[error(transparent)]
    Layout(#[from] CheckError),
    /// There are more biases and summands than rows.
    #[error(
        "{values} biases and summands are to be proved on {rows} rows\nhint: --unproven-weights does without the proof"
    )]
    TooMany {
        /// Biases and summands of one part.
        values: usize,
        /// Rows in use.
        rows: usize,
    },
    /// The circuit has fewer blinding rows than the weights' proof.
    #[error("the weights' proof needs {needed} blinding rows, the circuit has {got}")]
    BlindingRows {
        /// Of the weights' proof.
        needed: usize,
        /// Of the circuit.
        got: usize,
    },
    /// Key generation failed.
    #[error("the weights' keys: {0}")]
    Keygen(#[from] KeygenError),
    /// The prover failed.
    #[error("the weights' proof: {0}")]
    Prover(#[from] ProverError),
    /// A back end failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The transcript cannot be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// Bytes that are no weights' proof.
    #[error("the weights' proof: {0}")]
    Malformed(String),
    /// The proof does not hold.
    #[error("the weights' proof does not hold ({0:?})")]
    Proof(halo2_proofs::plonk::Error),
    /// The columns of the proof are not those of the model commitment.
    #[error("the weights' proof is of other weights: {0}")]
    Link(LinkError),
}
