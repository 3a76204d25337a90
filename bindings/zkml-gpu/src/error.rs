//! What can go wrong, sorted by what the user can do about it.

use std::path::PathBuf;

use zkml_gpu_circuit::hash::HashError;
use zkml_gpu_circuit::keys::KeyError;
use zkml_gpu_circuit::placement::LayoutError;
use zkml_gpu_circuit::prove::ProveError;
use zkml_gpu_circuit::weights::WeightsError;
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::prover::ProverError;
use zkml_gpu_engine::srs::SrsError;
use zkml_gpu_graph::{CutError, JointError};
use zkml_gpu_onnx::import::ImportError;
use zkml_gpu_onnx::quant::QuantError;
use zkml_gpu_verify::report::{bytes_text, bytes_texts, plural};
use zkml_gpu_verify::{Error as FileError, ErrorClass};

/// A failure of the library. [`Error::class`] says whose move it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written, or is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// Arguments that do not go together.
    #[error("{problem}\nhint: {hint}")]
    Arguments {
        /// What does not fit.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// An input or calibration file is not in EZKL's format.
    #[error("{}: {problem}\nhint: the format is {{\"input_data\": [[...], ...]}}, one flat list of finite numbers for each input of the model", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// A back end's name that does not exist.
    #[error(
        "back end '{name}' does not exist\nhint: auto, cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B with two of them"
    )]
    UnknownBackend {
        /// The name given.
        name: String,
    },
    /// An environment variable that chooses nothing.
    #[error("{problem}\nhint: the processor's instructions are found out without it")]
    Environment {
        /// The variable, its value, and the values that are known.
        problem: String,
    },
    /// A device that this machine does not have, or that cannot be used.
    #[error("back end '{name}' has no device to run on: {reason}\nhint: zkml-gpu devices lists what there is")]
    NoDevice {
        /// The name given.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// A back end that this program was built without.
    #[error("back end '{name}' is not part of this build\nhint: use --backend cpu")]
    MissingBackend {
        /// The name given.
        name: String,
    },
    /// The proof would need more memory than there is.
    #[error(
        "keys and proof need about {}{}\nhint: use a machine with more memory, or a smaller model; --max-memory overrides what is free",
        needs(*needed_bytes, *available_bytes),
        largest(layers)
    )]
    WouldNotFit {
        /// Estimate for keys and proof.
        needed_bytes: u64,
        /// What the caller permits, or the system offers.
        available_bytes: u64,
        /// The largest layers with their rows, where they are placed already.
        layers: Vec<(String, usize)>,
    },
    /// Measurements would need more memory than there is.
    #[error(
        "operations on 2^{log_n} rows need about {}\nhint: measure smaller sizes with --log-n",
        needs(*needed_bytes, *available_bytes)
    )]
    OperationsWouldNotFit {
        /// The size, as a power of two.
        log_n: u32,
        /// Estimate for the inputs and results of the largest operation, ours and a peer's.
        needed_bytes: u64,
        /// What the system offers.
        available_bytes: u64,
    },
    /// Weights declared private would become public.
    #[error(
        "the weights of '{model}' are declared private {declared}, but embedded or public weights are not hidden: whoever has model.vk can check guesses of them\nhint: leave them committed (--weights committed, the default), which hides them"
    )]
    PrivateWeights {
        /// The model.
        model: String,
        /// By whom.
        declared: &'static str,
    },
    /// The quantised model is further from the float one than it may be.
    #[error(
        "the integers differ from the float model by {:.1} % of the output's range on {}, the bound is {:.1} %{}\nhint: give more samples (--calibration), a greater bound (--max-error), or go on with --allow-error, which writes the error into key and proof",
        100.0 * error, plural(*samples, "sample"), 100.0 * bound, worst(layers)
    )]
    Inaccurate {
        /// The error, as a part of the output's range.
        error: f32,
        /// The bound.
        bound: f32,
        /// Number of samples.
        samples: usize,
        /// The worst layers: name, error and bits.
        layers: Vec<(String, f32, u32)>,
    },
    /// A retrained model is not of the same architecture.
    #[error("'{model}' is another architecture: {difference}\nhint: compile it, and set it up, as a model of its own")]
    OtherArchitecture {
        /// The new model.
        model: String,
        /// The first difference.
        difference: String,
    },
    /// Activations of a retrained model lie beyond the scales that they are to keep.
    #[error("{:.1} % of the values of '{tensor}' lie beyond the scale that the circuit has for them\nhint: compile the retrained model anew", 100.0 * share)]
    Saturates {
        /// The tensor.
        tensor: String,
        /// The share of its values.
        share: f32,
    },
    /// Embedded weights are part of the circuit.
    #[error(
        "the weights of '{model}' are embedded in its circuit, which a retrained model cannot share\nhint: compile with --weights committed to retrain under one key"
    )]
    EmbeddedWeights {
        /// The model.
        model: String,
    },
    /// A model file cannot be imported.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ImportError,
    },
    /// The model cannot be imported, or does not take these inputs.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The model cannot be quantised.
    #[error(transparent)]
    Quantise(#[from] QuantError),
    /// The model cannot be one of several inferences.
    #[error(transparent)]
    Joint(#[from] JointError),
    /// Another number of inputs than a proof is for.
    #[error(
        "{}, but a proof of '{model}' is of {expected}\nhint: {}",
        plural(*given, "input"),
        inferences_hint(*expected)
    )]
    Inferences {
        /// The model.
        model: String,
        /// Inputs given.
        given: usize,
        /// Inputs of a proof.
        expected: usize,
    },
    /// No cuts make segments that fit.
    #[error(
        "no cuts make {} that fit {}\nhint: --max-memory takes more, and a model whose layers are smaller takes less",
        segments.map_or("segments".into(), |segments| plural(segments, "segment")),
        bytes_text(*available_bytes)
    )]
    SegmentsWouldNotFit {
        /// How many were asked for.
        segments: Option<usize>,
        /// The bytes that a segment may take.
        available_bytes: u64,
    },
    /// The model cannot be cut into these segments.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The model has no circuit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The reference string was refused.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// Keys cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The weights cannot be proved to be integers.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A key is not that of a model.
    #[error("the key is not this model's: {0}\nhint: do not trust proofs under this key")]
    Audit(String),
    /// The back end cannot be loaded.
    #[error(transparent)]
    Prover(#[from] ProverError),
    /// A tensor has no hash.
    #[error("input {input}: {source}")]
    Hash {
        /// Which input, from 0.
        input: usize,
        /// What is wrong.
        source: HashError,
    },
    /// The proof cannot be made.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A promise of this library was broken.
    #[error("internal error: {0}\nhint: this is a bug; please report it with the command that you ran")]
    Internal(String),
}

fn needs(needed_bytes: u64, available_bytes: u64) -> String {
    let [needed, available] = bytes_texts([needed_bytes, available_bytes]);
    format!("{needed} of memory, {available} may be used")
}

fn inferences_hint(expected: usize) -> String {
    match expected {
        1 => "zkml-gpu compile --joint N makes a model that proves N inputs together".into(),
        _ => format!("prove --joint FILE takes a file of {expected} samples"),
    }
}

fn largest(layers: &[(String, usize)]) -> String {
    let names: Vec<String> = layers.iter().map(|(name, rows)| format!("'{name}' {rows} rows")).collect();
    if names.is_empty() { String::new() } else { format!("; largest layers: {}", names.join(", ")) }
}

fn worst(layers: &[(String, f32, u32)]) -> String {
    let layer = |(name, error, bits): &(String, f32, u32)| format!("'{name}' {:.1} % at {bits} bits", 100.0 * error);
    let names: Vec<String> = layers.iter().map(layer).collect();
    if names.is_empty() { String::new() } else { format!("; worst layers: {}", names.join(", ")) }
}

impl Error {
    /// Whose move it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::File(error) => error.class(),
            Self::Arguments { .. }
            | Self::Input { .. }
            | Self::Hash { .. }
            | Self::UnknownBackend { .. }
            | Self::PrivateWeights { .. }
            | Self::Inaccurate { .. }
            | Self::OtherArchitecture { .. }
            | Self::Saturates { .. }
            | Self::EmbeddedWeights { .. }
            | Self::Inferences { .. }
            | Self::Environment { .. }
            | Self::Cut(CutError::Places { .. } | CutError::Name { .. })
            | Self::Srs(_) => ErrorClass::BadInput,
            Self::MissingBackend { .. } | Self::NoDevice { .. } => ErrorClass::Unsupported,
            Self::WouldNotFit { .. } | Self::SegmentsWouldNotFit { .. } | Self::OperationsWouldNotFit { .. } => {
                ErrorClass::WouldNotFit
            }
            Self::Import(error) | Self::Model { source: error, .. } => import_class(error),
            Self::Quantise(error) => quantise_class(error),
            Self::Prover(error) | Self::Prove(ProveError::Prover(error)) => prover_class(error),
            Self::Key(KeyError::Malformed(_) | KeyError::Differs(_)) | Self::Audit(_) => ErrorClass::BadInput,
            Self::Weights(WeightsError::TooMany { .. }) => ErrorClass::WouldNotFit,
            Self::Weights(WeightsError::Prover(error)) => prover_class(error),
            Self::Layout(
                LayoutError::WouldNotFit { .. } | LayoutError::PublicValues { .. } | LayoutError::Bounds(_),
            ) => ErrorClass::WouldNotFit,
            Self::Layout(LayoutError::Unsupported { .. }) | Self::Joint(JointError::Several { .. }) => {
                ErrorClass::Unsupported
            }
            Self::Cut(_) => ErrorClass::Unsupported,
            Self::Joint(JointError::Empty) => ErrorClass::BadInput,
            Self::Joint(_) => ErrorClass::WouldNotFit,
            Self::Layout(_) | Self::Key(_) | Self::Weights(_) | Self::Prove(_) | Self::Internal(_) => ErrorClass::Bug,
        }
    }
}

fn prover_class(error: &ProverError) -> ErrorClass {
    match error {
        ProverError::Backend(BackendError::Device { .. }) => ErrorClass::Unsupported,
        _ => ErrorClass::Bug,
    }
}

fn import_class(error: &ImportError) -> ErrorClass {
    match error {
        ImportError::UnsupportedOperator { .. }
        | ImportError::UnsupportedForm { .. }
        | ImportError::Several { .. }
        | ImportError::ElementType { .. } => ErrorClass::Unsupported,
        ImportError::Run { .. } => ErrorClass::Bug,
        _ => ErrorClass::BadInput,
    }
}

fn quantise_class(error: &QuantError) -> ErrorClass {
    match error {
        QuantError::Sample(error) => import_class(error),
        QuantError::Graph(_) | QuantError::Execute(_) => ErrorClass::Bug,
        _ => ErrorClass::BadInput,
    }
}
