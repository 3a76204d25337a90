//! Verify that a quantised neural network produced an output: all that a verifier needs, and no prover.
//!
//! ```no_run
//! use zkml_gpu_verify::{ModelKey, ProofBundle};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = ModelKey::read("model.vk")?;
//! let proof = ProofBundle::read("proof.json")?;
//! key.verify(&proof)?;
//! println!("{} gave {:?}", key.model(), proof.outputs[0].reals());
//! # Ok(())
//! # }
//! ```
//!
//! Get `model.vk` from someone you trust: it holds all that the verifier trusts. Of the proof nothing is believed. What
//! an accepted proof says of the model's weights is [`ModelKey::note`].
//!
//! The program `zkml-gpu-verify` does the same and prints what `zkml-gpu verify` prints: both print a [`Verdict`].

// Lengths in files have 64 bits; machines may have 32.
#![warn(clippy::cast_possible_truncation)]

mod any;
mod backend_name;
mod batch;
mod bundle;
mod commitment;
mod error;
mod expected;
mod files;
mod key;
mod order;
#[cfg(feature = "write")]
mod place;
pub mod program;
pub mod report;
mod segmented;
mod text;
mod verdict;
#[cfg(feature = "write")]
mod write;

pub use any::{AnyKey, AnyProof};
pub use backend_name::is_backend;
pub use bundle::{Pair, ProofBundle, PublicTensor, Rejection};
pub use commitment::{TensorCommitment, names, port};
pub use error::{Error, ErrorClass};
pub use expected::{Expected, read_hash};
pub use files::read_bounded;
pub use key::{About, Accuracy, ModelKey, VERIFYING_KEY, model_name};
pub use order::{hash_stored, stored_places};
#[cfg(feature = "write")]
pub use place::try_place;
pub use segmented::{
    MAX_SEGMENTS, SEGMENTED_KEY, SegmentedAbout, SegmentedKey, SegmentedProof, Wire, Wiring, are_numbered,
};
pub use verdict::Verdict;
#[cfg(feature = "write")]
pub use write::write_whole;
pub use zkml_gpu_circuit::system::Port;
