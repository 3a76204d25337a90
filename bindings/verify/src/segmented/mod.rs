//! Models in segments: several circuits, one after the other, that together say what one circuit would.
//!
//! What one segment computes and another reads lies between them: it is committed, and both proofs are about the same
//! commitment, so about the same integers (`docs/protocol.md`, section 15). `model.vk` holds the keys of all segments
//! and which of their inputs and outputs are one; `proof.json` holds a proof for each.

mod key;
mod proof;
mod wiring;

pub(crate) use key::MAX_BYTES as MAX_KEY_BYTES;
pub use key::{MAX_SEGMENTS, SEGMENTED_KEY, SegmentedAbout, SegmentedKey, are_numbered};
pub use proof::SegmentedProof;
pub use wiring::{Wire, Wiring};
