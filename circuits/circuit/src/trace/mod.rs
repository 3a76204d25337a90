//! The witness, phase by phase.
//!
//! Each phase is a function of the layout, the integer execution and the challenges so far; the formulas over a row are
//! those of the gates (`rows`, `system::formulas`).

mod cross_terms;
mod dense;
mod first;
mod second;
mod third;
mod witness;

pub use first::FirstPhase;
pub(crate) use second::SecondPhase;
pub(crate) use third::{Before, third_phase};
pub use witness::Witness;
