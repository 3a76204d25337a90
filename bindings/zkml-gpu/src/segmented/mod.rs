//! Models in segments: what is too large for one circuit is proved as several, one after the other, whose boundaries are
//! committed and tied to both sides (`docs/protocol.md`, section 15).
//!
//! A segment is read when it is needed and dropped when it is proved, so memory is what the largest of them takes.

mod key;
mod model;
mod prover;
mod store;

pub use key::{SEGMENTED_PROVING_KEY, SegmentedProverKey};
pub use model::{SEGMENTED_MODEL, SegmentSummary, SegmentedInput, SegmentedModel};
pub use prover::{SegmentTimes, SegmentedProved, SegmentedProver};
