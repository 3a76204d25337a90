//! Halo2 prover over interchangeable back ends.

pub mod backend;
pub mod bench;
pub mod cost;
pub mod encoding;
pub mod error;
pub mod file;
pub mod prover;
pub mod srs;
pub mod transcript;

pub use error::BackendError;
pub use prover::{Challenges, Opening, ProofOutput, Prover, ProverError, ProverOptions, create_proof};
