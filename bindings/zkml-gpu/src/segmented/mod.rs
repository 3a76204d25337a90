//! Models in segments: what is too large for one circuit is proved as several, one after the other, whose boundaries are
//! committed and tied to both sides (`docs/protocol.md`, section 15).
//!
//! A segment is read when it is needed and dropped when it is proved, so memory is what the largest of them takes.

mod choose;
#[cfg(feature = "onnx")]
mod compile;
mod key;
mod model;
mod prover;
mod public;
mod store;
mod task;

pub use choose::SegmentChoice;
pub use key::{SEGMENTED_PROVING_KEY, SegmentedProverKey};
#[cfg(feature = "onnx")]
pub(crate) use model::Cutting;
pub use model::{SEGMENTED_MODEL, SegmentSummary, SegmentedModel};
pub use prover::{SegmentTimes, SegmentedProved, SegmentedProver};
pub use public::{SEGMENTED_PUBLIC_MODEL, SegmentedPublicModel};
pub use task::{SEGMENT_TASK, SegmentProof, SegmentTask, SegmentedJob};
