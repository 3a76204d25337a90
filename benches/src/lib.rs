//! What the Criterion benchmarks share: models of this repository, and whether they are only tried out.

use std::error::Error;
use std::path::{Path, PathBuf};

use zkml_gpu::{CompileOptions, CompiledModel, ImportOptions, Model, Sample, WeightMode, read_samples};

/// Seed of reference strings, keys and proofs.
pub const SEED: u64 = 1;

/// Why a benchmark cannot run.
pub type Failure = Box<dyn Error>;

/// Whether every benchmark runs once, untimed, as in `cargo test --bench '*'`: sizes should then be small.
pub fn is_test() -> bool {
    let flags: Vec<String> = std::env::args().collect();
    let given = |flag: &str| flags.iter().any(|other| other == flag);
    !given("--bench") || given("--test")
}

/// A model of this repository with an input, ready to be compiled.
#[derive(Debug)]
pub struct Subject {
    /// The model's name.
    pub name: String,
    model: Model,
    /// The input, also of calibration.
    pub sample: Sample,
}

impl Subject {
    /// Reads a model and an input; paths are relative to the repository.
    ///
    /// # Errors
    /// As [`Model::load`] and [`read_samples`].
    pub fn read(model: &str, input: &str) -> Result<Self, Failure> {
        let model = Model::load(repository(model), &ImportOptions::default())?;
        let sample = read_samples(repository(input), &model.inputs())?.swap_remove(0);
        Ok(Self { name: model.name().into(), model, sample })
    }

    /// Lays it out by the reference processor's prices, so that every machine has the same circuit.
    ///
    /// # Errors
    /// As [`Model::compile`].
    pub fn compile(&self, weights: WeightMode) -> Result<CompiledModel, Failure> {
        let mut options = CompileOptions::default();
        options.layout.weights = weights;
        Ok(self.model.compile(std::slice::from_ref(&self.sample), &options)?)
    }
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
