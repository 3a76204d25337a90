//! What a run of `bench` measured, as `--json` prints and `--compare` reads it: names and meaning are part of the
//! command line's contract, and a change of either is a new [`FORMAT_VERSION`].
//!
//! Times are wall time in milliseconds unless the name says `cpu`: user and system time of all threads. Sizes are in
//! bytes.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zkml_gpu::Costs;
use zkml_gpu::engine::backend::Counts;

use super::statistics::Spread;
use crate::resources::machine;

/// Version of the format.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Where and when something was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setting {
    /// [`FORMAT_VERSION`].
    pub(super) format_version: u32,
    /// What was measured: `prove` or `ops`.
    pub(super) bench: String,
    /// The machine in words.
    pub(super) machine: String,
    /// Threads of the processor in use.
    pub(super) threads: usize,
    /// Memory that was free; null where the system does not tell.
    pub(super) available_memory_bytes: Option<u64>,
    /// Seconds since 1970, in UTC.
    pub(super) started_unix_s: u64,
    /// The program's version.
    pub(super) version: String,
    /// Whether it was built without optimisation: its figures then say nothing.
    pub(super) unoptimised: bool,
}

impl Setting {
    /// This machine, now.
    pub(super) fn here(bench: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            format_version: FORMAT_VERSION,
            bench: bench.into(),
            machine: machine(),
            threads: rayon::current_num_threads(),
            available_memory_bytes: zkml_gpu::available_bytes(),
            started_unix_s: since.as_secs(),
            version: env!("CARGO_PKG_VERSION").into(),
            unoptimised: cfg!(debug_assertions),
        }
    }
}

/// `bench prove`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProveRecord {
    #[serde(flatten)]
    pub(super) setting: Setting,
    /// Of random inputs, reference string, key and proofs.
    pub(super) seed: u64,
    /// Proofs of each before those that are measured.
    pub(super) warm_ups: u16,
    /// One for each model and prover.
    pub(super) rows: Vec<ProveRow>,
    /// One for each program of others.
    #[serde(default)]
    pub(super) programs: Vec<ProgramRow>,
}

/// One model by a program of others, beside ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProgramRow {
    pub(super) model: String,
    pub(super) program: String,
    /// Why it made no more proofs; null where it made all.
    pub(super) failed: Option<String>,
    /// What came once, before the first proof; null where that failed.
    pub(super) setup_ms: Option<f64>,
    /// Medians and the like of the runs; null where there is none, and where neither the program nor the system tells.
    pub(super) prove_ms: Option<Spread>,
    pub(super) prove_cpu_ms: Option<Spread>,
    pub(super) verify_ms: Option<Spread>,
    /// The greatest of the runs'.
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) proof_bytes: Option<u64>,
    /// The largest difference of an output's element from the float model's, the greatest of the runs'.
    pub(super) max_abs_error: Option<f64>,
    /// Ours with bits for that error, on each back end; empty where it is not known.
    pub(super) ours: Vec<ProveRow>,
    /// Every run.
    pub(super) runs: Vec<ProgramRun>,
}

/// One proof of such a program.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ProgramRun {
    /// As the program tells it, or of its processes from start to end.
    pub(super) prove_ms: f64,
    pub(super) prove_cpu_ms: Option<f64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) verify_ms: Option<f64>,
    pub(super) proof_bytes: Option<u64>,
    pub(super) max_abs_error: Option<f64>,
}

impl ProgramRow {
    /// A row of what there is.
    pub(super) fn new(
        (model, program): (&str, &str),
        setup_ms: Option<f64>,
        runs: Vec<ProgramRun>,
        failed: Option<String>,
        ours: Vec<ProveRow>,
    ) -> Self {
        let spread = |of: fn(&ProgramRun) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| Spread::of(values))
        };
        Self {
            model: model.into(),
            program: program.into(),
            failed,
            setup_ms,
            prove_ms: spread(|run| Some(run.prove_ms)),
            prove_cpu_ms: spread(|run| run.prove_cpu_ms),
            verify_ms: spread(|run| run.verify_ms),
            peak_rss_bytes: runs.iter().filter_map(|run| run.peak_rss_bytes).max(),
            proof_bytes: runs.iter().filter_map(|run| run.proof_bytes).max(),
            max_abs_error: runs.iter().filter_map(|run| run.max_abs_error).max_by(f64::total_cmp),
            ours,
            runs,
        }
    }
}

/// One model on one back end, or by somebody else's prover.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProveRow {
    #[serde(flatten)]
    pub(super) circuit: Circuit,
    /// Name of the back end, or whose prover it is.
    pub(super) backend: String,
    /// Its device in words.
    pub(super) device: String,
    /// Digest of `proof.json`'s proof, BLAKE2b-256 in hexadecimal: equal on all back ends. Null for provers whose
    /// proofs differ from run to run.
    pub(super) proof_digest: Option<String>,
    pub(super) proof_bytes: usize,
    /// Reading, calibration and layout.
    pub(super) compile_ms: f64,
    /// The reference string.
    pub(super) srs_ms: f64,
    /// Keys, model commitment, and what is loaded to the device.
    pub(super) keys_ms: f64,
    /// From parsed input to proof.
    pub(super) prove_ms: Spread,
    pub(super) prove_cpu_ms: Spread,
    pub(super) verify_ms: Spread,
    /// The part of it that is there once for many proofs.
    #[serde(default)]
    pub(super) read_key_ms: Spread,
    /// Medians of the parts of `prove_ms`, in their order; empty for others' provers.
    pub(super) steps: Vec<Step>,
    /// The process's greatest resident memory, model reader and keys included.
    pub(super) peak_rss_bytes: u64,
    /// The most device memory in use at a time; null where the back end does not tell or has none of its own.
    pub(super) peak_device_bytes: Option<u64>,
    /// What the device was asked for in the last run.
    #[serde(default)]
    pub(super) counts: Option<Counts>,
    /// The largest difference of an output's element from the float model's; null for others' provers.
    #[serde(default)]
    pub(super) max_abs_error: Option<f64>,
    /// Inference of the same model and input in floating point, on one thread of this processor.
    pub(super) float_ms: Spread,
    /// `prove_ms / float_ms`, of the medians.
    pub(super) overhead: f64,
    /// What the cost model says; null for others' provers.
    pub(super) estimate: Option<Estimate>,
    /// Figures of others for the same network, on their machines.
    pub(super) published: Vec<Published>,
    /// Every measured run.
    pub(super) runs: Vec<Run>,
}

/// What is proved: the same for every back end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Circuit {
    pub(super) model: String,
    /// `random, seed N`, or the file.
    pub(super) input: String,
    /// How the weights are bound, as in `proof.json`.
    pub(super) weights: String,
    /// Digest of the circuit's Halo2 key: equal for all provers.
    pub(super) circuit_digest: String,
    /// Digest of `model.vk`, which fixes circuit, weights and reference string; null for others' provers.
    pub(super) key_digest: Option<String>,
    pub(super) parameters: usize,
    /// Multiplications of one inference.
    pub(super) macs: usize,
    pub(super) k: u32,
    pub(super) advice_columns: usize,
    pub(super) fixed_columns: usize,
    pub(super) lookups: usize,
}

impl Circuit {
    /// Cells of all columns: what the size of a circuit is measured by in plots.
    pub(super) fn cells(&self) -> f64 {
        (self.advice_columns + self.fixed_columns) as f64 * f64::from(self.k).exp2()
    }
}

/// A step of the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) ms: f64,
    /// The process's greatest resident memory in the first proof's step, steps inside it left out; null where the
    /// system does not tell, and for what is no step.
    pub(super) peak_rss_bytes: Option<u64>,
}

/// One proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) prove_ms: f64,
    pub(super) prove_cpu_ms: f64,
    /// From the bytes of key and proof.
    pub(super) verify_ms: f64,
    /// The part of it that reads the key and verifies the weights' proof: once for many proofs.
    #[serde(default)]
    pub(super) read_key_ms: f64,
    pub(super) steps: Vec<Step>,
    /// What the device was asked for; null where the back end does not count, or is the processor.
    #[serde(default)]
    pub(super) counts: Option<Counts>,
}

/// An estimate by prices measured on the back end just before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Estimate {
    pub(super) prove_ms: f64,
    pub(super) prove_cpu_ms: f64,
    pub(super) memory_bytes: u64,
    /// Quantities of work, by kind, that the prices are for.
    pub(super) work: BTreeMap<String, f64>,
    pub(super) prices: Costs,
}

/// Somebody else's figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Published {
    /// Whose, and where it stands.
    pub(super) source: String,
    /// Of what: wall or CPU time.
    pub(super) what: String,
    pub(super) seconds: f64,
}

impl ProveRow {
    /// What a row is found again by in another run.
    pub(super) fn name(&self) -> String {
        format!("{} on {}", self.circuit.model, self.backend)
    }
}

/// `bench ops`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpsRecord {
    #[serde(flatten)]
    pub(super) setting: Setting,
    /// One for each operation, size, back end and peer.
    pub(super) rows: Vec<OpsRow>,
    pub(super) backends: Vec<Device>,
    /// The points' tables, for each size.
    pub(super) tables: Vec<Table>,
    /// What the table of each basis may take.
    pub(super) table_budget_bytes: u64,
}

/// One operation beside one peer; nulls where it has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpsRow {
    pub(super) op: String,
    pub(super) log_n: u32,
    pub(super) backend: String,
    /// Elements that it works on.
    pub(super) elements: usize,
    /// Median of `spread`.
    pub(super) ms: f64,
    pub(super) spread: Spread,
    pub(super) peer: Option<String>,
    pub(super) peer_ms: Option<f64>,
    /// `peer_ms / ms`: how many times faster ours is.
    pub(super) ratio: Option<f64>,
}

impl OpsRow {
    /// What a row is found again by in another run.
    pub(super) fn name(&self) -> String {
        format!("{} of 2^{} on {}", self.op, self.log_n, self.backend)
    }

    /// Nanoseconds for each element.
    pub(super) fn ns_per_element(&self) -> f64 {
        self.ms * 1e6 / self.elements.max(1) as f64
    }
}

/// A back end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) name: String,
    /// In words, with the instructions or the device in use.
    pub(super) device: String,
}

/// Multiples of the points that multi-scalar multiplications were given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) log_n: u32,
    pub(super) backend: String,
    /// Null where the back end does not tell.
    pub(super) table_bytes: Option<usize>,
    /// Time to make points and table resident.
    pub(super) build_ms: f64,
}
