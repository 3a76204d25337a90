//! From an ONNX file to a circuit: load, calibrate, lay out.

use std::path::Path;

use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuit::check::{Checked, check};
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::keys::KeyError;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions, Needs, Plan, Summary, needs};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_graph::Storage;
use zkml_gpu_onnx::import::{FloatModel, ImportError, ImportOptions};
use zkml_gpu_onnx::quant::{
    Evaluation, Precision, QuantOptions, QuantReport, Quantised, Sample, Target, evaluate, outline, quantise, search,
};
use zkml_gpu_verify::model_name;

use crate::backend::BackendChoice;
use crate::memory::check_memory;
use crate::{Error, FileError, MemoryBudget, ModelProver};

/// An imported model that runs in floating point.
#[derive(Debug)]
pub struct Model {
    name: String,
    float: FloatModel,
}

/// An input of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInput<'m> {
    /// Its name.
    pub name: &'m str,
    /// Number of elements.
    pub len: usize,
    /// Set where the elements are indices, such as tokens: the number that they are below.
    pub classes: Option<usize>,
}

/// Choices of quantisation and layout; the defaults suit most models.
///
/// ```
/// use zkml_gpu::{CompileOptions, LayoutOptions, WeightMode};
///
/// let mut layout = LayoutOptions::default();
/// layout.weights = WeightMode::Embedded;
/// let options = CompileOptions::default().with_layout(layout);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CompileOptions {
    /// Widths of integers and the target for accuracy.
    pub quantisation: QuantOptions,
    /// Where the weights stand, and bounds on the circuit.
    pub layout: LayoutOptions,
    /// Declares the weights private, as the model's own metadata may: refuses what would publish them.
    pub private: bool,
}

impl CompileOptions {
    /// These, with another quantisation.
    #[must_use]
    pub fn with_quantisation(self, quantisation: QuantOptions) -> Self {
        Self { quantisation, ..self }
    }

    /// These, with another layout.
    #[must_use]
    pub fn with_layout(self, layout: LayoutOptions) -> Self {
        Self { layout, ..self }
    }

    /// These, with weights that are declared private, or are not.
    #[must_use]
    pub fn with_private(self, private: bool) -> Self {
        Self { private, ..self }
    }
}

impl Model {
    /// Reads an ONNX file; its name without the extension is the model's.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Import`] and [`Error::Model`] for a file that is not ONNX or holds what is not
    /// supported.
    pub fn load(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let float = FloatModel::load(path, options).map_err(|error| match error {
            ImportError::File { path, source } => FileError::File { path, action: "read", source }.into(),
            // These name the file themselves.
            ImportError::NotOnnx { .. } | ImportError::Invalid { .. } => Error::Import(error),
            source => Error::Model { path: path.into(), source },
        })?;
        let stem = path.file_stem().unwrap_or_default();
        Ok(Self { name: model_name(&stem.to_string_lossy()), float })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the file declares its weights private, by `zkml-gpu.weights = private` in its metadata.
    pub fn is_declared_private(&self) -> bool {
        self.float.is_declared_private()
    }

    /// What each input takes.
    pub fn inputs(&self) -> Vec<ModelInput<'_>> {
        let graph = self.float.graph();
        let input = |&id: &usize| {
            let tensor = &graph.tensors[id];
            let classes = (tensor.storage == Storage::OneHot).then_some(tensor.shape.channels);
            ModelInput { name: &tensor.name, len: tensor.logical_len(), classes }
        };
        graph.inputs.iter().map(input).collect()
    }

    /// Runs the model in floating point: one flat list for each output.
    ///
    /// # Errors
    /// [`Error::Import`] where the sample does not fit the model.
    pub fn run(&self, sample: &Sample) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.float.run(sample)?)
    }

    /// Refuses a model that no layout fits, before anything is computed: from its shapes alone, in no time.
    ///
    /// # Errors
    /// [`Error::Layout`] where it has too many rows, [`Error::WouldNotFit`] where it needs more memory than
    /// `max_memory_bytes`, or than there is.
    pub fn check_fits(&self, options: &CompileOptions, max_memory_bytes: Option<u64>) -> Result<(), Error> {
        match self.check_rows(options)? {
            Some(needs) => check_memory(needs.bytes, max_memory_bytes),
            None => Ok(()),
        }
    }

    /// What every layout needs, where it can be told ahead.
    fn check_rows(&self, options: &CompileOptions) -> Result<Option<Needs>, Error> {
        let outline = outline(self.float.graph(), &options.quantisation).map(lower);
        Ok(outline.map(|graph| needs(&graph, &options.layout)).transpose()?)
    }

    /// Quantises with scales from `calibration`, and compares the integer reference with the float model on `samples`.
    /// No circuit is made.
    ///
    /// # Errors
    /// [`Error::Quantise`] for unusable samples or weights.
    pub fn evaluate(
        &self,
        calibration: &[Sample],
        samples: &[Sample],
        options: &QuantOptions,
    ) -> Result<Evaluation, Error> {
        let quantised = quantise(self.float.graph(), calibration, options)?;
        Ok(evaluate(self.float.graph(), &quantised, samples)?)
    }

    /// Searches the fewest bits of all tensors that keep the error on samples under `options.error_target`, within the
    /// options' widths, or those of the least error. [`QuantOptions::with_precision`] quantises with them.
    ///
    /// # Errors
    /// [`Error::Quantise`] for unusable samples or weights.
    pub fn search_precision(
        &self,
        samples: &[Sample],
        options: &QuantOptions,
        target: Target,
    ) -> Result<Precision, Error> {
        Ok(search(self.float.graph(), samples, options, target)?.0)
    }

    /// Chooses the scales of all tensors from samples, and rows and columns for everything.
    ///
    /// # Errors
    /// [`Error::PrivateWeights`] where weights declared private would be embedded, [`Error::Quantise`] for unusable
    /// samples or weights, [`Error::Layout`] for a model without a circuit.
    pub fn compile(&self, samples: &[Sample], options: &CompileOptions) -> Result<CompiledModel, Error> {
        self.check_privacy(options)?;
        self.check_rows(options)?;
        let mut quantised = quantise(self.float.graph(), samples, &options.quantisation)?;
        quantised.graph = lower(quantised.graph);
        let layout = Layout::compile(&quantised.graph, &options.layout)?;
        Ok(CompiledModel { name: self.name.clone(), quantised, layout })
    }

    /// Embedded weights are public.
    fn check_privacy(&self, options: &CompileOptions) -> Result<(), Error> {
        let declared = match (options.private, self.is_declared_private()) {
            (true, _) => "by you",
            (false, true) => "by the model's metadata",
            (false, false) => return Ok(()),
        };
        match options.layout.weights {
            WeightMode::Committed => Ok(()),
            WeightMode::Embedded => Err(Error::PrivateWeights { model: self.name.clone(), declared }),
        }
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

    /// What keys, proof and verification will cost by these prices, in all and by layer.
    pub fn plan(&self, costs: &Costs) -> Plan {
        self.layout.plan(&self.quantised.graph, costs)
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

    /// Proves that the circuit says what the quantised graph says, from the finished layout alone. Keys are made after
    /// the same check.
    ///
    /// # Errors
    /// [`Error::Key`] where the layout is refused.
    pub fn check(&self) -> Result<Checked, Error> {
        let bank = Bank::new(&self.layout, &self.quantised.graph);
        Ok(check(&self.quantised.graph, &self.layout, &bank).map_err(KeyError::from)?)
    }

    /// The integers that are proved.
    pub fn graph(&self) -> &zkml_gpu_graph::Graph {
        &self.quantised.graph
    }

    /// Makes keys, commits to the weights where they are not embedded, and loads the back end. Do it once and prove
    /// many times. It spends what memory is available, by the rule of [`memory_budget`](Self::memory_budget).
    ///
    /// `rng` blinds the weights' commitments: it must be cryptographically secure.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`], [`Error::MissingBackend`], [`Error::Key`] where the reference string does not fit or
    /// keys cannot be made, [`Error::Prover`] where the device fails.
    pub fn prover<R: RngCore + CryptoRng>(
        self,
        srs: &Srs,
        backend: &BackendChoice,
        rng: R,
    ) -> Result<ModelProver, Error> {
        let budget = self.memory_budget(None)?;
        self.prover_within(&budget, srs, backend, rng)
    }

    /// As [`prover`](Self::prover), within a budget of this model's.
    ///
    /// # Errors
    /// As [`prover`](Self::prover).
    pub fn prover_within<R: RngCore + CryptoRng>(
        self,
        budget: &MemoryBudget,
        srs: &Srs,
        backend: &BackendChoice,
        rng: R,
    ) -> Result<ModelProver, Error> {
        ModelProver::new(self, srs, backend, budget, rng)
    }
}
