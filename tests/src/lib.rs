//! Test support: the oracle back end, the conformance suite, the circuit zoo.

pub mod audit;
pub mod carry;
pub mod conformance;
pub mod cplusplus;
pub mod cuda;
pub mod device;
pub mod gpu;
pub mod lies;
pub mod models;
pub mod mutants;
pub mod naive;
pub mod networks;
pub mod random;
pub mod rewrite;
pub mod trial;
pub mod zoo;
