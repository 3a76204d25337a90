//! Halo2 prover over interchangeable back ends.
//!
//! The circuits are those of halo2-axiom, whose frontend and verifier are used as published: [`halo2_proofs`] and
//! [`halo2curves`] are the versions that fit, so that a circuit's author needs this dependency and no other.
//! `examples/own_circuit.rs` has a program from the circuit to the verified proof.

pub mod backend;
pub mod bench;
mod committer;
pub mod cost;
pub mod encoding;
pub mod error;
pub mod keygen;
pub mod prover;
pub mod secret;
mod spans;
pub mod srs;
pub mod transcript;

pub use committer::{Committer, batch_columns};
pub use error::BackendError;
pub use keygen::{CircuitKey, KeygenError, keygen};
pub use prover::{
    Challenges, Opening, ProofOutput, Prover, ProverError, ProverOptions, Provers, create_proof, create_proof_on,
    try_create_proof,
};

pub use {halo2_proofs, halo2curves, rand_core};
