//! Quantised neural networks as Halo2 circuits.
//!
//! The way of a model through this crate:
//!
//! ```text
//! graph -> layout (rows and columns) -> chips (gates) + trace (witness) -> Halo2 circuit
//!       -> commit (model commitment, link proof)
//! ```

pub mod check;
pub mod chips;
pub mod circuit;
pub mod commit;
pub mod keys;
mod layers;
pub mod layout;
pub mod prove;
pub mod scalar;
pub mod trace;
pub mod verify;
