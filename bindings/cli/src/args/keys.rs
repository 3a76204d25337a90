//! Arguments of the commands that make and use keys.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use zkml_gpu::{BackendChoice, Visibility};

use super::values::{MOST_JOINT, bytes, dimension, max_error, named_file, visibility};
use super::{CircuitTarget, CostsSource, TranscriptHash, Weights};

/// How a model becomes a circuit.
#[derive(Debug, Args)]
pub(crate) struct CircuitOptions {
    /// Samples for calibration, in the input's format; without it, the input itself
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Bits of tensors, as calibrate writes them; without it, the fewest that keep the error, tensor by tensor
    #[arg(long, value_name = "FILE")]
    pub(crate) precision: Option<PathBuf>,
    /// Error on the calibration's samples, as a part of the output's range, above which nothing is made [default: 0.016]
    #[arg(long, value_name = "E", value_parser = max_error)]
    pub(crate) max_error: Option<f32>,
    /// Go on above that error, and write it into key and proof
    #[arg(long)]
    pub(crate) allow_error: bool,
    /// Where the weights stand [default: committed]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) weights: Option<Weights>,
    /// The weights are private: refuse what would publish them. A model says so itself by zkml-gpu.weights = private in
    /// its metadata
    #[arg(long)]
    pub(crate) private: bool,
    /// Who sees an input: public, private, committed or hashed; may be repeated [default: public]
    #[arg(long = "input", value_name = "NAME=VISIBILITY", value_parser = visibility)]
    pub(crate) input_visibility: Vec<(String, Visibility)>,
    /// Who sees an output, likewise
    #[arg(long = "output", value_name = "NAME=VISIBILITY", value_parser = visibility)]
    pub(crate) output_visibility: Vec<(String, Visibility)>,
    /// Least size of the circuit, as log2 of its rows: models that share commitments to tensors have one size
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=22))]
    pub(crate) min_k: Option<u32>,
    /// Size of a symbolic dimension of the model, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
    /// Prove in so many circuits, one after the other, tied by commitments to what lies between them. Without it in one,
    /// or in as many as the memory demands
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) segments: Option<u32>,
    /// Where proofs are verified: native (by a program), or evm (by a contract), for which the circuit has few columns
    /// [default: native]
    #[arg(long, value_name = "WHERE", value_enum)]
    pub(crate) target: Option<CircuitTarget>,
    /// Prices that the circuit is chosen by: measured (on the back end), reference, or a file with the `costs` of a
    /// plan [default: reference for compile, else measured]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) costs: Option<CostsSource>,
}

/// Where and with what it runs.
#[derive(Debug, Args)]
pub(crate) struct MachineOptions {
    /// auto, cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B to compare two
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) backend: BackendChoice,
    /// Threads of the processor; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Use this much memory at most, such as 512MiB or 2GiB, to prove faster; refuse what needs more. Without it, what
    /// is free
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_memory: Option<u64>,
}

/// Where keys of models are kept.
#[derive(Debug, Args)]
pub(crate) struct CacheOptions {
    /// Make keys and reference strings anew and keep none: without it, they are kept in the user's folder for caches
    #[arg(long, env = "ZKML_GPU_NO_CACHE", value_parser = FalseyValueParser::new())]
    pub(crate) no_cache: bool,
    /// Folder for kept keys, instead of the user's
    #[arg(long, value_name = "DIR", env = "ZKML_GPU_CACHE", conflicts_with = "no_cache")]
    pub(crate) cache: Option<PathBuf>,
    /// Most bytes of kept keys, such as 2GiB: those used longest ago go first [default: 8GiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) cache_size: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ProveOptions {
    /// The model, an ONNX file; or its proving key, NAME.pk, as setup writes it
    #[arg(value_name = "MODEL.onnx|NAME.pk")]
    pub(crate) source: PathBuf,
    /// Inputs, {"input_data": [[...], ...]}: one flat list for each input of the model, whole samples one after another.
    /// Several files, or folders of .json files, are proved with one load of the keys
    #[arg(value_name = "INPUT.json", required_unless_present = "joint", num_args = 1..)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Prove all samples of this file together, in one proof of all pairs of input and output
    #[arg(long, value_name = "FILE", conflicts_with = "inputs")]
    pub(crate) joint: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) circuit: CircuitOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    /// Structured reference string of a ceremony (.ptau, or Halo2 parameters); without it, an insecure one is made
    #[arg(long, value_name = "FILE")]
    pub(crate) srs: Option<PathBuf>,
    /// Do without the proof that the weights are integers and fit the architecture, where keys are made: proofs say that
    /// they are not
    #[arg(long)]
    pub(crate) unproven_weights: bool,
    /// What challenges are hashed with: blake2b, or keccak, which contracts take [default: blake2b]
    #[arg(long, value_name = "HASH", value_enum)]
    pub(crate) transcript: Option<TranscriptHash>,
    /// Folder for proofs and model.vk [default: ./MODEL.proof]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace a model.vk of other keys that is in that folder
    #[arg(long)]
    pub(crate) replace: bool,
    /// Proofs at a time, as far as memory allows
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Share of an input's values that may lie beyond the calibrated range, where they are clamped
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub(crate) max_saturation: f64,
    /// Opening of a committed input or output, whose commitment the proof shall have; may be repeated. Without it a
    /// fresh commitment is made, and its opening written beside the proof
    #[arg(long = "opening", value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) openings: Vec<(String, PathBuf)>,
    /// Salt of a hashed input or output, as `commit --salt` writes it; may be repeated. Without it the hash has none
    #[arg(long = "salt", value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) salts: Vec<(String, PathBuf)>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the points of a reference string are. A hash takes none.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct PointsOptions {
    /// A proving key that was made with the reference string
    #[arg(long, value_name = "NAME.pk")]
    pub(crate) pk: Option<PathBuf>,
    /// The reference string's file
    #[arg(long, value_name = "FILE")]
    pub(crate) srs: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CommitOptions {
    /// The numbers, {"input_data": [[...]]}: one flat list
    #[arg(value_name = "FILE.json")]
    pub(crate) file: PathBuf,
    /// The verifying key of a model that has the tensor; a proving key has its own
    #[arg(long, value_name = "NAME.vk", conflicts_with = "pk", required_unless_present = "pk")]
    pub(crate) vk: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) points: PointsOptions,
    /// The committed or hashed input that the numbers are of
    #[arg(long, value_name = "NAME", conflicts_with = "output", required_unless_present = "output")]
    pub(crate) input: Option<String>,
    /// The committed or hashed output that the numbers are of
    #[arg(long, value_name = "NAME")]
    pub(crate) output: Option<String>,
    /// Draw a salt, which hides a hashed tensor that could be guessed; a commitment hides without
    #[arg(long)]
    pub(crate) salt: bool,
    /// Folder for NAME.commitment.json to publish and NAME.opening to keep; of a hashed tensor NAME.hash and NAME.salt
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OpenOptions {
    /// The commitment, or a hash
    #[arg(value_name = "NAME.commitment.json|NAME.hash")]
    pub(crate) commitment: PathBuf,
    /// Its opening; of a hash the numbers, {"input_data": [[...]]}: one flat list
    #[arg(value_name = "NAME.opening|FILE.json")]
    pub(crate) opening: PathBuf,
    #[command(flatten)]
    pub(crate) points: PointsOptions,
    /// The verifying key of a model that has the hashed tensor
    #[arg(long, value_name = "NAME.vk")]
    pub(crate) vk: Option<PathBuf>,
    /// The hashed input that the numbers are of
    #[arg(long, value_name = "NAME", conflicts_with = "output", requires = "vk")]
    pub(crate) input: Option<String>,
    /// The hashed output that the numbers are of
    #[arg(long, value_name = "NAME", requires = "vk")]
    pub(crate) output: Option<String>,
    /// The salt of the hash, as commit --salt wrote it
    #[arg(long, value_name = "FILE", requires = "vk")]
    pub(crate) salt: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompileOptions {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// Inputs of each proof, of which prove --joint takes as many; the model's file is of one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_JOINT))]
    pub(crate) joint: u32,
    #[command(flatten)]
    pub(crate) circuit: CircuitOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// The compiled model, which holds the quantised weights [default: ./MODEL.zkml]
    #[arg(long, value_name = "NAME.zkml")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetupOptions {
    /// The compiled model
    #[arg(value_name = "NAME.zkml")]
    pub(crate) model: PathBuf,
    /// Structured reference string of a ceremony (.ptau, or Halo2 parameters); without it, an insecure one is made
    #[arg(long, value_name = "FILE")]
    pub(crate) srs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    /// Folder for NAME.pk, NAME.vk and NAME.public.zkml
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Do without the proof that the weights are integers and fit the architecture: proofs say that they are not
    #[arg(long)]
    pub(crate) unproven_weights: bool,
    /// Replace keys of that name that are in the folder: proofs can no longer be made under the old NAME.vk
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditOptions {
    /// The verifying key
    #[arg(value_name = "NAME.vk")]
    pub(crate) key: PathBuf,
    /// The model that it is said to be of, without its weights, as setup writes it
    #[arg(long, value_name = "NAME.public.zkml")]
    pub(crate) model: PathBuf,
    /// The reference string that the key was made with, from where you trust it: a ceremony's. Without it, NAME.srs beside
    /// the key is taken if it says of itself that it was made on one machine, whose owner could forge proofs
    #[arg(long, value_name = "FILE")]
    pub(crate) srs: Option<PathBuf>,
    /// Go on where nothing proves that the committed weights are integers that fit the architecture
    #[arg(long)]
    pub(crate) allow_unproven_weights: bool,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetrainOptions {
    /// The proving key of the model before
    #[arg(value_name = "NAME.pk")]
    pub(crate) key: PathBuf,
    /// The retrained model, of the same architecture
    #[arg(value_name = "NEW.onnx")]
    pub(crate) model: PathBuf,
    /// Samples on which the new error is measured
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: PathBuf,
    /// Error on those samples, as a part of the output's range, above which nothing is made
    #[arg(long, value_name = "E", default_value_t = 0.016, value_parser = max_error)]
    pub(crate) max_error: f32,
    /// Go on above that error, and write it into key and proof
    #[arg(long)]
    pub(crate) allow_error: bool,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// Folder for the new NAME.pk and NAME.vk
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace keys of that name that are in the folder: proofs can no longer be made under the old NAME.vk
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectOptions {
    /// A compiled model, proving key, verifying key, proof, or reference string
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
