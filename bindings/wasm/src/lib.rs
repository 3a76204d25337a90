//! The library for JavaScript: what a worker's script calls. The package in `npm/` has the interface that pages see.
//!
//! Values cross as typed arrays and as JSON text. An error is thrown as JSON text too, with a `kind`, a `class` by
//! whose move it is, a message and a hint. Where the module traps, its memory is in no order any more: [`fault`] tells
//! why, and the caller makes a new instance.

#[cfg(feature = "checks")]
mod checks;
#[cfg(feature = "checks")]
#[path = "../../../tests/src/conformance/mod.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, unused_macros, reason = "it is the crate's of tests")]
mod conformance;
mod failure;
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "other targets have no use for the allocator"))]
mod fault;
#[cfg(feature = "checks")]
#[path = "../../../tests/src/naive.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "it is the crate's of tests"
)]
mod naive;
#[cfg(feature = "prove")]
mod progress;
#[cfg(feature = "prove")]
mod prover;
mod table;
mod verifier;

#[cfg(feature = "checks")]
pub use checks::{Operations, conformance, operations};
pub use fault::{fault, peak_bytes, start};
#[cfg(feature = "prove")]
pub use prover::{Proved, Prover, inspect, new_salt};
pub use table::small_scalars;
pub use verifier::Verifier;
