//! From an ONNX file to a circuit: load, calibrate, lay out.

use std::path::Path;

use zkml_gpu_circuits::import::{FloatModel, ImportError, ImportOptions};
use zkml_gpu_circuits::layout::{Layout, LayoutOptions, Summary, lower};
use zkml_gpu_circuits::quant::{QuantOptions, QuantReport, Quantised, Sample, quantise};
use zkml_gpu_engine::srs::Srs;

use rand_core::{CryptoRng, RngCore};

use crate::backend::BackendChoice;
use crate::key::MAX_NAME_BYTES;
use crate::text::printable;
use crate::{Error, ModelProver};

/// An imported model that runs in floating point.
#[derive(Debug)]
pub struct Model {
    name: String,
    float: FloatModel,
}

/// Choices of quantisation and layout; the defaults suit most models.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Widths of integers and the target for accuracy.
    pub quantisation: QuantOptions,
    /// Bounds on the circuit.
    pub layout: LayoutOptions,
}

impl Model {
    /// Reads an ONNX file; its name without the extension is the model's.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Import`] and [`Error::Model`] for a file that is not ONNX or holds what is not supported.
    pub fn load(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let float = FloatModel::load(path, options).map_err(|error| match error {
            ImportError::File { path, source } => Error::File { path, action: "read", source },
            // These name the file themselves.
            ImportError::NotOnnx { .. } | ImportError::Invalid { .. } => Error::Import(error),
            source => Error::Model { path: path.into(), source },
        })?;
        Ok(Self { name: model_name(path), float })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and number of elements of each input.
    pub fn input_sizes(&self) -> Vec<(&str, usize)> {
        let graph = self.float.graph();
        let tensors = graph.inputs.iter().map(|&id| &graph.tensors[id]);
        tensors.map(|tensor| (tensor.name.as_str(), tensor.shape.len())).collect()
    }

    /// Runs the model in floating point: one flat list for each output.
    ///
    /// # Errors
    /// [`Error::Import`] where the sample does not fit the model.
    pub fn run(&self, sample: &Sample) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.float.run(sample)?)
    }

    /// Chooses the scales of all tensors from samples, and rows and columns for everything.
    ///
    /// # Errors
    /// [`Error::Quantise`] for unusable samples or weights, [`Error::Layout`] for a model without a circuit.
    pub fn compile(&self, samples: &[Sample], options: &CompileOptions) -> Result<CompiledModel, Error> {
        let mut quantised = quantise(self.float.graph(), samples, &options.quantisation)?;
        quantised.graph = lower(quantised.graph);
        let layout = Layout::compile(&quantised.graph, &options.layout)?;
        Ok(CompiledModel { name: self.name.clone(), quantised, layout })
    }
}

/// A quantised model with its circuit's layout.
#[derive(Debug)]
pub struct CompiledModel {
    pub(crate) name: String,
    pub(crate) quantised: Quantised,
    pub(crate) layout: Layout,
}

impl CompiledModel {
    /// Binary logarithm of the number of rows: the power that the reference string needs.
    pub fn k(&self) -> u32 {
        self.layout.k()
    }

    /// The layout in numbers.
    pub fn summary(&self) -> Summary {
        self.layout.summary()
    }

    /// Widths chosen and error on the samples.
    pub fn report(&self) -> &QuantReport {
        &self.quantised.report
    }

    /// Number of learned values.
    pub fn parameters(&self) -> usize {
        self.quantised.graph.parameters()
    }

    /// Multiplications of one inference.
    pub fn macs(&self) -> usize {
        self.quantised.graph.macs()
    }

    /// The integers that are proved.
    pub fn graph(&self) -> &zkml_gpu_circuits::graph::Graph {
        &self.quantised.graph
    }

    /// Makes keys, commits to the weights and loads the back end. Do it once and prove many times.
    ///
    /// `rng` blinds the weights' commitments: it must be cryptographically secure.
    ///
    /// # Errors
    /// [`Error::MissingBackend`], [`Error::Key`] where the reference string does not fit, [`Error::Prove`] where the device
    /// fails.
    pub fn prover<R: RngCore + CryptoRng>(
        self,
        srs: &Srs,
        backend: &BackendChoice,
        rng: R,
    ) -> Result<ModelProver, Error> {
        ModelProver::new(self, srs, backend, rng)
    }
}

fn model_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let mut name = printable(&stem);
    while name.len() > MAX_NAME_BYTES {
        name.pop();
    }
    if name.is_empty() { "model".into() } else { name }
}
