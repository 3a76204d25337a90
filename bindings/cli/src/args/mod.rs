//! The arguments.

mod bench;
mod doctor;
#[cfg(feature = "evm")]
mod evm;
mod keys;
#[cfg(feature = "serve")]
mod serve;
mod srs;
mod values;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use zkml_gpu::{Hasher, VerifiedBy, WeightMode};

#[cfg(feature = "cuda")]
pub(crate) use bench::BenchThroughputOptions;
pub(crate) use bench::{Backends, BenchCommand, BenchOpsOptions, BenchProveOptions, Output, Peers};
pub(crate) use doctor::{CompletionsOptions, DoctorOptions};
#[cfg(feature = "evm")]
pub(crate) use evm::{CalldataOptions, ContractOptions, EvmCommand, GasOptions, VerifierOptions};
pub(crate) use keys::{
    AuditOptions, CacheOptions, CircuitOptions, CommitOptions, CompileOptions, InspectOptions, MachineOptions,
    OpenOptions, PointsOptions, ProveOptions, RetrainOptions, SetupOptions,
};
#[cfg(feature = "serve")]
pub(crate) use serve::ServeOptions;
pub(crate) use srs::{SrsCommand, SrsFileOptions, SrsFormat, SrsImportOptions, SrsNewOptions, SrsOutput};
#[cfg(feature = "cuda")]
use values::architecture;
pub(crate) use values::most_bits;
use values::{MOST_JOINT, bytes, dimension, max_error, named_file, place_of_weights};

/// Prove that a quantised neural network produced an output
#[derive(Debug, Parser)]
#[command(name = "zkml-gpu", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) log: LogOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is told besides results, on stderr.
#[derive(Debug, Args)]
pub(crate) struct LogOptions {
    /// Tell each step with its time
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Tell errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Write all steps with their times to a file, for chrome://tracing or ui.perfetto.dev
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prove inferences of an ONNX model, or with a proving key
    Prove(ProveOptions),
    /// Quantise an ONNX model and lay out its circuit: NAME.zkml
    Compile(CompileOptions),
    /// Make the keys of a compiled model: NAME.pk to keep, NAME.vk to publish
    Setup(SetupOptions),
    /// Make the keys of a retrained model under the same circuit key
    Retrain(RetrainOptions),
    /// Check that a verifying key is that of a model, whoever made it, and tell what it proves
    Audit(AuditOptions),
    /// Tell what a file is: a compiled model, a key or a proof
    Inspect(InspectOptions),
    /// Commit to a tensor, before proofs that refer to it
    Commit(CommitOptions),
    /// Check that an opening is of a commitment
    Open(OpenOptions),
    /// Tell what a proof will cost, in all and by layer, without proving
    Plan(PlanOptions),
    /// Compare the integers that would be proved with the float model on many samples
    Evaluate(EvaluateOptions),
    /// Search the fewest bits of each tensor that keep the error under a bound
    Calibrate(CalibrateOptions),
    /// Verify a proof
    Verify(VerifyOptions),
    /// Write the contract that verifies proofs of a model, the calls of it, and measure its gas
    #[cfg(feature = "evm")]
    #[command(subcommand)]
    Evm(EvmCommand),
    /// List the devices that proofs can run on, and those that cannot be used with the reason
    Devices(DevicesOptions),
    /// Tell what of this machine proofs can use, and how to install what is missing
    Doctor(DoctorOptions),
    /// Make, import, check and tell apart reference strings
    #[command(subcommand)]
    Srs(SrsCommand),
    /// Serve a model over HTTP: the output at once, its proof when it is made
    #[cfg(feature = "serve")]
    Serve(ServeOptions),
    /// Print a script with which a shell completes this program's arguments
    Completions(CompletionsOptions),
    /// Compile CUDA kernels beforehand, for a machine without NVRTC
    #[cfg(feature = "cuda")]
    CompileKernels(CompileKernelsOptions),
    /// Measure this machine beside others' code
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Debug, Args)]
pub(crate) struct DevicesOptions {
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "cuda")]
#[derive(Debug, Args)]
pub(crate) struct CompileKernelsOptions {
    /// The devices' architecture, such as sm_90
    #[arg(value_name = "sm_NN", value_parser = architecture)]
    pub(crate) architecture: Architecture,
    /// Where the files go: zkml-gpu/cuda in the folder for caches of the user on the other machine
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// A compute capability: major, minor.
#[cfg(feature = "cuda")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Architecture(pub(crate) (i32, i32));

/// Where proofs are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CircuitTarget {
    /// By this program, or any other
    Native,
    /// By a contract
    Evm,
}

impl From<CircuitTarget> for VerifiedBy {
    fn from(by: CircuitTarget) -> Self {
        match by {
            CircuitTarget::Native => Self::Native,
            CircuitTarget::Evm => Self::Evm,
        }
    }
}

/// What challenges are hashed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TranscriptHash {
    /// Halo2's own transcript, with the shorter proofs
    Blake2b,
    /// The transcript of contracts
    Keccak,
}

impl From<TranscriptHash> for Hasher {
    fn from(hash: TranscriptHash) -> Self {
        match hash {
            TranscriptHash::Blake2b => Self::Blake2b,
            TranscriptHash::Keccak => Self::Keccak,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weights {
    /// Hidden behind a commitment; retraining keeps the circuit's keys
    Committed,
    /// Public, behind a commitment without blinding: whoever has the model's file checks that the key is of it (verify
    /// --model), and retraining keeps the circuit's keys
    Public,
    /// Public, in the circuit's own key: the stock Halo2 verifier is enough, and every model has keys of its own
    Embedded,
}

impl From<Weights> for WeightMode {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Committed | Weights::Public => Self::Committed,
            Weights::Embedded => Self::Embedded,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PlanOptions {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// The input, {"input_data": [[...], ...]}: one flat list for each input of the model
    #[arg(value_name = "INPUT.json")]
    pub(crate) input: PathBuf,
    /// Inputs of each proof
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_JOINT))]
    pub(crate) joint: u32,
    #[command(flatten)]
    pub(crate) circuit: CircuitOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// Also a page with charts and all figures, an HTML file that stands alone
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateOptions {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// The samples, {"input_data": [[...], ...]}: whole samples one after another in one flat list for each input of
    /// the model
    #[arg(value_name = "DATA.json")]
    pub(crate) data: PathBuf,
    /// What is wanted
    #[arg(long, value_name = "TARGET", value_enum, default_value = "speed")]
    pub(crate) target: Target,
    /// Error on the samples, as a part of the output's range, that is to be kept
    #[arg(long, value_name = "E", default_value_t = 0.016, value_parser = max_error)]
    pub(crate) max_error: f32,
    /// Fewest bits of a tensor
    #[arg(long, value_name = "BITS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) min_bits: u32,
    /// Most bits of a tensor [default: 16, or --min-bits where those are more]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) max_bits: Option<u32>,
    /// Write the bits to a file, for --precision of prove, plan and evaluate
    #[arg(long, value_name = "FILE.json")]
    pub(crate) out: Option<PathBuf>,
    /// Size of a symbolic dimension of the model, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a calibration is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Target {
    /// The least error, but for a tenth of it, and then the fewest bits
    Accuracy,
    /// The fewest bits that keep the error
    Speed,
}

impl From<Target> for zkml_gpu::Target {
    fn from(target: Target) -> Self {
        match target {
            Target::Accuracy => Self::Accuracy,
            Target::Speed => Self::Speed,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateOptions {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// The samples, {"input_data": [[...], ...]}: whole samples one after another in one flat list for each input of
    /// the model
    #[arg(value_name = "DATA.json")]
    pub(crate) data: PathBuf,
    /// Samples for calibration, in the data's format; without it, the data itself
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Bits of tensors, as calibrate writes them, instead of a search
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bits", "max_bits", "max_error"])]
    pub(crate) precision: Option<PathBuf>,
    /// Bits of activations to begin with
    #[arg(long, value_name = "BITS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) bits: u32,
    /// Most bits of activations [default: 10, or --bits where those are more]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) max_bits: Option<u32>,
    /// Error on the calibration's samples, as a part of the output's range, above which activations get more bits
    #[arg(long, value_name = "E", default_value_t = 0.016, value_parser = max_error)]
    pub(crate) max_error: f32,
    /// Size of a symbolic dimension of the model, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
    /// Also a page with charts and all figures, an HTML file that stands alone
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where prices come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CostsSource {
    Measured,
    Reference,
    File(PathBuf),
}

impl From<&str> for CostsSource {
    fn from(text: &str) -> Self {
        match text {
            "measured" => Self::Measured,
            "reference" => Self::Reference,
            path => Self::File(path.into()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// The proof; several are verified together, and the command fails where one of them is rejected
    #[arg(value_name = "PROOF.json", required = true, num_args = 1..)]
    pub(crate) proofs: Vec<PathBuf>,
    /// The model's verifying key, from someone you trust
    #[arg(long, value_name = "model.vk")]
    pub(crate) vk: PathBuf,
    /// The commitment that a committed input or output must have; may be repeated
    #[arg(long = "commitment", value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) commitments: Vec<(String, PathBuf)>,
    /// The hash that a hashed input or output must have, as commit writes it; may be repeated
    #[arg(long = "hash", value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) hashes: Vec<(String, PathBuf)>,
    /// The model's own file, where its weights are public: audits the key, and checks that its weights are the file's
    #[arg(long, value_name = "MODEL.onnx")]
    pub(crate) model: Option<PathBuf>,
    /// The model without its weights, as setup writes it [default: NAME.public.zkml beside the key]
    #[arg(long, value_name = "NAME.public.zkml", requires = "model")]
    pub(crate) public: Option<PathBuf>,
    /// Samples on which the integers are compared with the file; without it, the proof's own input, where it is public
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) samples: Option<PathBuf>,
    /// The reference string that the key was made with, as for audit
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) srs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn prices_come_from_a_clock_the_program_or_a_file() {
        assert_eq!(CostsSource::from("measured"), CostsSource::Measured);
        assert_eq!(CostsSource::from("reference"), CostsSource::Reference);
        assert_eq!(CostsSource::from("./measured"), CostsSource::File("./measured".into()));
    }
}
