//! How the widths of a layout were chosen.

use serde::{Deserialize, Serialize};

use crate::placement::Widths;

/// How the widths of a layout were chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Choice {
    /// The widths.
    pub widths: Widths,
    /// Their cost by the prices of the choice, prover and verifier, in milliseconds of one thread; for contracts with the
    /// gas of a transaction, a unit for a millisecond.
    pub cost_ms: f64,
    /// The cheapest of the others that were placed.
    pub runner_up: Option<Alternative>,
    /// Combinations that fit.
    pub considered: usize,
    /// Combinations that were placed.
    pub placed: usize,
}

/// Widths that were not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alternative {
    /// The widths.
    pub widths: Widths,
    /// log2 of the number of rows.
    pub k: u32,
    /// As [`Choice::cost_ms`].
    pub cost_ms: f64,
}

/// What every layout of a network needs at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// log2 of the number of rows.
    pub k: u32,
    /// Peak memory in bytes, as [`MemoryNeeds::least_bytes`](super::MemoryNeeds::least_bytes).
    pub bytes: u64,
}
