//! What `bench prove` and a worker say to each other, a line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zkml_gpu::Costs;

use super::record::{Circuit, Estimate, Run};
use super::statistics::Spread;

/// What to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) model: PathBuf,
    /// Without it, a random one.
    pub(super) input: Option<PathBuf>,
    pub(super) dimensions: Vec<(String, usize)>,
    pub(super) embedded: bool,
    /// The error to keep by a search of bits; without it, one width does.
    pub(super) max_error: Option<f32>,
    pub(super) prover: ProverName,
    /// By which the circuit is chosen.
    pub(super) costs: Costs,
    pub(super) seed: u64,
    pub(super) threads: Option<u16>,
    pub(super) max_memory: Option<u64>,
}

/// Who proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProverName {
    /// This project's prover on a back end.
    Ours(String),
    /// halo2-axiom's `create_proof`.
    Stock,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Keys are made.
    Ready(Box<Ready>),
    /// A proof was made and verified.
    Proved(Proven),
    /// The input ended.
    Done(Usage),
    /// Nothing more comes.
    Failed { message: String, exit_code: u8 },
}

/// What is proved, and what came before the first proof.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) circuit: Circuit,
    pub(super) device: String,
    pub(super) compile_ms: f64,
    pub(super) srs_ms: f64,
    pub(super) keys_ms: f64,
    pub(super) float_ms: Spread,
    /// The float model's outputs, one after the other.
    pub(super) float_outputs: Vec<f32>,
    /// The extent of that output which has the greatest, 0 among its elements.
    pub(super) output_extent: f64,
    pub(super) estimate: Option<Estimate>,
}

/// A proof.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Proven {
    pub(super) run: Run,
    pub(super) proof_bytes: usize,
    pub(super) proof_digest: Option<String>,
    /// Of the outputs from the float model's, where they are read.
    pub(super) max_abs_error: Option<f64>,
}

/// What the process took in all.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) peak_rss_bytes: u64,
    pub(super) peak_device_bytes: Option<u64>,
}
