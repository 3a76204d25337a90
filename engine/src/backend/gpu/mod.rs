//! What back ends on GPUs share, whatever drives the device: how scalars travel (`limbs.rs`) and are cut in windows
//! (`pippenger.rs`), how programs are cut in kernels (`segments.rs`) or written for an interpreter (`steps.rs`),
//! parameters of kernels (`domain.rs`, `factors.rs`), and counts of what was done (`counters.rs`).

pub(super) mod counters;
mod domain;
pub(super) mod factors;
mod limbs;
pub(super) mod pippenger;
mod programs;
pub(super) mod segments;
pub(super) mod steps;

pub use counters::Counters;
pub use limbs::ScalarWords;
pub use programs::Programs;
