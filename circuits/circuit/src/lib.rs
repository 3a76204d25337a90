//! Quantised neural networks as Halo2 circuits.
//!
//! ```text
//! graph -> placement, layout (rows and columns) -> gates + trace (witness) -> Halo2 circuit
//!       -> commit (model commitment, link proof)
//! ```
//!
//! The modules are floors: each uses those above it in this list only.

#![deny(clippy::wildcard_enum_match_arm)]

pub mod batch;
pub mod check;
pub mod circuit;
pub mod commit;
mod gates;
pub mod hash;
pub mod keccak;
pub mod keys;
pub mod layout;
pub mod placement;
pub mod prove;
mod rows;
pub mod scalar;
mod secret;
pub mod system;
pub mod trace;
pub mod verify;
pub mod weights;
