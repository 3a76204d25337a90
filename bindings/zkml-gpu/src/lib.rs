//! Prove that a quantised neural network produced an output, with a Halo2 zero-knowledge proof.
//!
//! ```no_run
//! use rand_core::OsRng;
//! use zkml_gpu::{BackendChoice, CompileOptions, ImportOptions, Model, ProverKey, Srs, read_samples};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::load("lenet.onnx", &ImportOptions::default())?;
//! let samples = read_samples("seven.json", &model.inputs())?;
//! let compiled = model.compile(&samples, &CompileOptions::default())?;
//!
//! let srs = Srs::read("powers.ptau", compiled.k())?;
//! let key = compiled.setup(&srs, &BackendChoice::Auto, OsRng)?;
//! key.write("lenet.pk")?; // to keep: whoever has it has the weights
//! key.key().write("lenet.vk")?; // to publish
//!
//! let key = ProverKey::read("lenet.pk")?;
//! let budget = key.model().memory_budget(None)?;
//! let prover = key.prover(&BackendChoice::Auto, &budget)?;
//! let proof = prover.prove(&samples[0], OsRng)?.bundle;
//! prover.key().verify(&proof)?;
//! proof.write("proof.json")?;
//! # Ok(())
//! # }
//! ```
//!
//! Authors of Halo2 circuits need [`engine::create_proof`] only, a faster drop-in for the stock function.
//!
//! What is proven, with input and output public, depends on where the weights stand ([`WeightMode`]):
//!
//! - **Committed**, the default: whoever made the proof knows weights under the commitment in `model.vk` for which the
//!   quantised network, laid out as in `model.vk`, maps the input to the output. The weights stay hidden. A proof in
//!   `model.vk` says that they are integers of their widths, and zero where the architecture has none; keys that were
//!   made without it ([`CompiledModel::setup_unproven`]) hold [field-valued](ModelKey::note) ones. That `model.vk` is the
//!   architecture's at all is checked by [`PublicModel::audit`].
//! - **Embedded** ([`LayoutOptions::weights`]): the quantised network whose integers are fixed cells of the circuit in
//!   `model.vk` maps the input to the output. The stock verifier of Halo2 is enough, and the weights are public; a
//!   model [declared private](CompileOptions::private) is refused.

// Lengths in files have 64 bits; machines may have 32.
#![warn(clippy::cast_possible_truncation)]

mod any;
mod available;
mod backend;
pub mod cache;
pub mod compiled;
mod costs;
mod devices;
mod encoding;
mod error;
mod hash;
mod input;
mod inspect;
pub mod key;
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "what compiles models asks it, too"))]
mod memory;
#[cfg(feature = "onnx")]
mod model;
pub mod opening;
mod precision;
mod prover;
pub mod public;
#[cfg(feature = "onnx")]
mod public_file;
#[cfg(feature = "onnx")]
mod retrain;
mod saturation;
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "a part of it cuts models, which are read first"))]
pub mod segmented;

pub use any::{AnyModel, AnyProved, AnyProver, AnyProverKey, Compiled};
pub use available::available_bytes;
pub use backend::BackendChoice;
pub use cache::{DEFAULT_CACHE_BYTES, Kept, KeyCache, Origin};
pub use compiled::{COMPILED_MODEL, CompiledModel, ModelAbout, ModelSource};
pub use costs::read_costs;
#[cfg(feature = "cuda")]
pub use devices::compile_cuda_kernels;
pub use devices::{Device, Limits, devices};
pub use error::Error;
pub use hash::{hash_numbers, hash_sample, read_salt, write_salt};
pub use input::{ModelInput, parse_samples, read_samples, sample_of_numbers};
pub use inspect::{Artifact, magic, weights_text};
pub use key::{PROVING_KEY, ProverKey};
pub use memory::MemoryBudget;
#[cfg(feature = "onnx")]
pub use model::{CompileOptions, Model, samples_digest};
pub use opening::{OPENING, Opening, ReferencePoints, key_of_tensor};
pub use precision::read_precision;
pub use prover::{ModelProver, Proved};
pub use public::{Audit, AuditedFile, Measured, PUBLIC_MODEL, PublicModel};
pub use saturation::{Saturation, saturation};
pub use segmented::{SegmentChoice, SegmentedModel, SegmentedProved, SegmentedProver, SegmentedProverKey};

pub use zkml_gpu_circuit::hash::{HashError, Poseidon, Salt, TensorHash, hash_tensor};
pub use zkml_gpu_circuit::keccak::Hasher;
pub use zkml_gpu_circuit::layout::{
    Alternative, Choice, FunctionPlan, LayerPlan, LayoutOptions, Plan, Summary, VerifiedBy,
};
pub use zkml_gpu_circuit::placement::Widths;
pub use zkml_gpu_circuit::system::WeightMode;
pub use zkml_gpu_engine::cost::Costs;
pub use zkml_gpu_engine::srs::{Srs, SrsError};
pub use zkml_gpu_graph::Visibility;
pub use zkml_gpu_onnx::import::ImportOptions;
pub use zkml_gpu_onnx::quant::{
    Evaluation, MOST_OFF_BY_LINES, Precision, QuantOptions, QuantReport, Sample, Target, TensorError,
};
pub use zkml_gpu_verify::{
    About, Accuracy, AnyKey, AnyProof, Error as FileError, ErrorClass, Expected, ModelKey, Pair, ProofBundle,
    PublicTensor, Rejection, SEGMENTED_KEY, SegmentedKey, SegmentedProof, TensorCommitment, VERIFYING_KEY,
    read_bounded, read_hash, write_whole,
};

pub use zkml_gpu_circuit as circuit;
pub use zkml_gpu_engine as engine;
pub use zkml_gpu_graph as graph;
pub use zkml_gpu_onnx as onnx;
pub use zkml_gpu_verify as verify;
