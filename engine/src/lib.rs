//! Halo2 prover over interchangeable back ends.

pub mod backend;
pub mod error;
pub mod srs;

pub use error::BackendError;
