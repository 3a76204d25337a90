//! Halo2 prover over interchangeable back ends.

pub mod backend;
pub mod bench;
mod committer;
pub mod cost;
pub mod encoding;
pub mod error;
pub mod keygen;
pub mod prover;
mod spans;
pub mod srs;
pub mod transcript;

pub use committer::{Committer, batch_columns};
pub use error::BackendError;
pub use keygen::{CircuitKey, KeygenError, keygen};
pub use prover::{Challenges, Opening, ProofOutput, Prover, ProverError, ProverOptions, create_proof};
