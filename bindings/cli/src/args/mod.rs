//! The arguments.

mod bench;
mod doctor;
mod srs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use zkml_gpu::{BackendChoice, WeightMode};

#[cfg(feature = "cuda")]
pub(crate) use bench::BenchThroughputOptions;
pub(crate) use bench::{Backends, BenchCommand, BenchOpsOptions, BenchProveOptions, Output};
pub(crate) use doctor::{CompletionsOptions, DoctorOptions};
pub(crate) use srs::{SrsCommand, SrsFileOptions, SrsFormat, SrsImportOptions, SrsNewOptions, SrsOutput};

/// Prove that a quantised neural network produced an output
#[derive(Debug, Parser)]
#[command(name = "zkml-gpu", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prove one inference of an ONNX model
    Prove(ProveOptions),
    /// Tell what a proof will cost, in all and by layer, without proving
    Plan(PlanOptions),
    /// Compare the integers that would be proved with the float model on many samples
    Evaluate(EvaluateOptions),
    /// Search the fewest bits of each tensor that keep the error under a bound
    Calibrate(CalibrateOptions),
    /// Verify a proof
    Verify(VerifyOptions),
    /// List the devices that proofs can run on, and those that cannot be used with the reason
    Devices(DevicesOptions),
    /// Tell what of this machine proofs can use, and how to install what is missing
    Doctor(DoctorOptions),
    /// Make, import, check and tell apart reference strings
    #[command(subcommand)]
    Srs(SrsCommand),
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

#[cfg(feature = "cuda")]
fn architecture(text: &str) -> Result<Architecture, String> {
    let number = text.strip_prefix("sm_").and_then(|digits| digits.parse::<u8>().ok());
    // The last digit is the minor version.
    let capability =
        number.filter(|number| *number >= 10).map(|number| (i32::from(number) / 10, i32::from(number) % 10));
    capability
        .map(Architecture)
        .ok_or_else(|| format!("'{text}' is no architecture\nhint: sm_80, sm_90 or sm_120, for instance"))
}

/// A model, an input, and how they become a circuit.
#[derive(Debug, Args)]
pub(crate) struct ModelOptions {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// The input, {"input_data": [[...], ...]}: one flat list for each input of the model
    #[arg(value_name = "INPUT.json")]
    pub(crate) input: PathBuf,
    /// Samples for calibration, in the input's format; without it, the input itself
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Bits of tensors, as calibrate writes them; without it, the fewest that one width for all needs
    #[arg(long, value_name = "FILE")]
    pub(crate) precision: Option<PathBuf>,
    /// Where the weights stand
    #[arg(long, value_name = "MODE", value_enum, default_value = "committed")]
    pub(crate) weights: Weights,
    /// The weights are private: refuse what would publish them. A model says so itself by zkml-gpu.weights = private in
    /// its metadata
    #[arg(long)]
    pub(crate) private: bool,
    /// auto, cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B to compare two
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) backend: BackendChoice,
    /// Threads of the processor; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Size of a symbolic dimension of the model, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
    /// Prices that the circuit is chosen by: measured (on the back end), reference, or a file with the `costs` of a
    /// plan
    #[arg(long, value_name = "SOURCE", default_value = "measured")]
    pub(crate) costs: CostsSource,
    /// Use this much memory at most, such as 512MiB or 2GiB, to prove faster; refuse what needs more. Without it, what
    /// is free
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_memory: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ProveOptions {
    #[command(flatten)]
    pub(crate) source: ModelOptions,
    /// Structured reference string of a ceremony (.ptau, or Halo2 parameters); without it, an insecure one is made
    #[arg(long, value_name = "FILE")]
    pub(crate) srs: Option<PathBuf>,
    /// Folder for proof.json and model.vk [default: ./MODEL.proof]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Weights {
    /// Hidden behind a commitment; retraining keeps the circuit's keys
    Committed,
    /// Public, in the circuit's own key: the stock Halo2 verifier is enough, and every model has keys of its own
    Embedded,
}

impl From<Weights> for WeightMode {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Committed => Self::Committed,
            Weights::Embedded => Self::Embedded,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PlanOptions {
    #[command(flatten)]
    pub(crate) source: ModelOptions,
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
    #[arg(long, value_name = "E", default_value_t = 0.016)]
    pub(crate) max_error: f32,
    /// Fewest bits of a tensor
    #[arg(long, value_name = "BITS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) min_bits: u32,
    /// Most bits of a tensor
    #[arg(long, value_name = "BITS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) max_bits: u32,
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
    /// Most bits of activations
    #[arg(long, value_name = "BITS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) max_bits: u32,
    /// Error on the calibration's samples, as a part of the output's range, above which activations get more bits
    #[arg(long, value_name = "E", default_value_t = 0.016)]
    pub(crate) max_error: f32,
    /// Size of a symbolic dimension of the model, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
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
    /// The proof
    #[arg(value_name = "PROOF.json")]
    pub(crate) proof: PathBuf,
    /// The model's verifying key, from someone you trust
    #[arg(long, value_name = "model.vk")]
    pub(crate) vk: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("expected NAME=SIZE")?;
    match size.parse() {
        Ok(size) if size > 0 && !name.is_empty() => Ok((name.into(), size)),
        _ => Err("expected NAME=SIZE with a positive size".into()),
    }
}

/// A number of bytes, with a unit or without.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let unit = UNITS.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?, *size)));
    let (number, size) = unit.unwrap_or((text, 1));
    let count = number.trim().parse::<u64>().ok().and_then(|count| count.checked_mul(size));
    count.ok_or_else(|| "expected a number of bytes, such as 1500000000, 512MiB or 2GiB".into())
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
    fn bytes_are_numbers_with_units() {
        for (text, expected) in [("0", 0), ("7", 7), ("2GiB", 2 << 30), ("512 MiB", 512 << 20), ("3kB", 3000)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "2gib", "2G", "99999999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prices_come_from_a_clock_the_program_or_a_file() {
        assert_eq!(CostsSource::from("measured"), CostsSource::Measured);
        assert_eq!(CostsSource::from("reference"), CostsSource::Reference);
        assert_eq!(CostsSource::from("./measured"), CostsSource::File("./measured".into()));
    }

    #[test]
    fn dimensions_are_names_with_positive_sizes() {
        assert_eq!(dimension("seq=16"), Ok(("seq".into(), 16)));
        for text in ["seq", "=1", "seq=", "seq=0", "seq=-1", "seq=x"] {
            assert!(dimension(text).is_err(), "{text}");
        }
    }
}
