//! Models in floating point, and compiled ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rand_core::OsRng;
use serde::Serialize;
use zkml_gpu::circuit::keys::KeyError;
use zkml_gpu::segmented::SegmentSummary;
use zkml_gpu::verify::MAX_SEGMENTS;
use zkml_gpu::{
    AnyModel, AnyProverKey, BackendChoice, CompileOptions, Compiled, Costs, Error, Evaluation, FileError,
    ImportOptions, MemoryBudget, Plan, Precision, QuantOptions, SegmentChoice, Target, Visibility, WeightMode,
    read_costs, read_precision,
};

use crate::arrays::{Wanted, samples, singles};
use crate::boundary::run;
use crate::error::Failure;
use crate::json::{from_python, to_python};
use crate::keys::{ProvingKey, SrsLike};
use crate::progress;
use crate::source::Source;

/// Bits of tensors that a search ends with, unless others are asked for.
const DEFAULT_MOST_BITS: u32 = 16;
/// Bits of activations that an evaluation ends with.
const EVALUATION_MOST_BITS: u32 = 10;
/// Bits that a tensor may have.
const BITS: std::ops::RangeInclusive<u32> = 2..=16;
/// Most inferences of a proof.
const MOST_INFERENCES: usize = 1 << 16;
/// Most rows of a circuit, as a power of two.
const MOST_K: u32 = 22;

/// Parses the name of a back end.
pub(crate) fn backend(name: &str) -> Result<BackendChoice, Failure> {
    Ok(name.parse::<BackendChoice>().map_err(Error::from)?)
}

/// A model in floating point, as its ONNX file has it.
///
/// It runs by itself (`run`), becomes a circuit (`compile`), and is compared with its quantised form (`evaluate`,
/// `calibrate`). Several threads may use it at once.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct Model {
    model: Arc<zkml_gpu::Model>,
    wanted: Vec<Wanted>,
}

/// A quantised model with its circuit's layout: `NAME.zkml`. It holds the weights, so it is as private as the model.
#[pyclass(frozen, module = "zkml_gpu")]
pub(crate) struct CompiledModel {
    held: Held,
    /// The file that it was read from, whose faults are not ours.
    file: Option<String>,
}

/// Where a compiled model is.
enum Held {
    Alone(Arc<Compiled>),
    InKey(Arc<AnyProverKey>),
}

/// What a search for bits has found.
#[derive(Serialize)]
struct Calibrated<'a> {
    model: &'a str,
    error_target: f32,
    reached: bool,
    precision: &'a Precision,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    plan: &'a Plan,
}

#[pymethods]
impl Model {
    /// Reads an ONNX model.
    ///
    /// `source` is a path, or the file's bytes; weights in files beside it are found by a path only. `dimensions` has
    /// sizes of symbolic dimensions by their names. `name` names a model of bytes.
    ///
    /// Raises `FileError`, `InvalidModelError`, and `UnsupportedModelError` for operators that have no circuit.
    #[staticmethod]
    #[pyo3(signature = (source, *, dimensions = None, name = "model", progress = None))]
    fn load(
        py: Python<'_>,
        source: Source,
        dimensions: Option<BTreeMap<String, usize>>,
        name: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = ImportOptions::default().with_symbols(dimensions.unwrap_or_default().into_iter().collect());
        run(py, progress, || {
            let model = source.read(
                |path| zkml_gpu::Model::load(path, &options),
                |bytes| zkml_gpu::Model::from_bytes(bytes, name, &options),
            )?;
            let wanted = Wanted::all(&model.inputs(), model.input_shapes().into_iter().map(<[usize]>::to_vec));
            Ok(Self { model: Arc::new(model), wanted })
        })
    }

    /// The model's name.
    #[getter]
    fn name(&self) -> &str {
        self.model.name()
    }

    /// Blake2b-256 of everything that the model was read from, lower-case hexadecimal.
    #[getter]
    fn digest(&self) -> &str {
        self.model.digest()
    }

    /// Names of the inputs with the shapes of one sample, in the model's order.
    #[getter]
    fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        self.wanted.iter().map(|wanted| (wanted.name.clone(), wanted.shape.clone())).collect()
    }

    /// Names of the outputs with their shapes, in the model's order.
    #[getter]
    fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        self.model.outputs().into_iter().map(|(name, shape)| (name.into(), shape.to_vec())).collect()
    }

    /// Whether the file declares its weights private, by `zkml-gpu.weights = private` in its metadata.
    #[getter]
    fn is_declared_private(&self) -> bool {
        self.model.is_declared_private()
    }

    /// Runs the model in floating point on one sample: an array of 32-bit floats for each output, in its shape.
    ///
    /// `inputs` is one array, a list of arrays, a dictionary of arrays by names, or the path of a JSON file.
    fn run<'py>(&self, py: Python<'py>, inputs: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut samples = samples(inputs, &self.wanted)?;
        let (Some(sample), true) = (samples.pop(), samples.is_empty()) else {
            let problem = "several samples are given, and the model runs on one";
            return Err(Failure::arguments(problem, "run it on each").into());
        };
        let outputs = run(py, None, || Ok(self.model.run(&sample)?))?;
        let array = |(numbers, (_, shape)): (Vec<f32>, (&str, &[usize]))| singles(py, numbers, shape);
        outputs.into_iter().zip(self.model.outputs()).map(array).collect()
    }

    /// Chooses bits and scales of all tensors from samples, and rows and columns for everything.
    ///
    /// `zkml_gpu.compile` says what the options mean.
    #[pyo3(signature = (
        calibration = None, *, precision = None, max_error = 0.016, allow_error = false, weights = "committed",
        private = false, inputs = None, outputs = None, min_k = 0, costs = None, backend = "auto", inferences = 1,
        segments = None, max_memory = None, progress = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python gives them by their names")]
    fn compile(
        &self,
        py: Python<'_>,
        calibration: Option<&Bound<'_, PyAny>>,
        precision: Option<&Bound<'_, PyAny>>,
        max_error: f32,
        allow_error: bool,
        weights: &str,
        private: bool,
        inputs: Option<BTreeMap<String, String>>,
        outputs: Option<BTreeMap<String, String>>,
        min_k: u32,
        costs: Option<&Bound<'_, PyAny>>,
        backend: &str,
        inferences: usize,
        segments: Option<usize>,
        max_memory: Option<u64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<CompiledModel> {
        let mut choices = CompileOptions::default()
            .with_private(private)
            .with_max_error(error_bound(max_error)?)
            .with_allow_error(allow_error)
            .with_visibility(visibilities(inputs)?, visibilities(outputs)?)
            .with_inferences(inferences_of(inferences)?);
        (choices.layout.weights, choices.public_weights) = weights_of(weights)?;
        choices.layout.min_k = k_of(min_k)?;
        choices.layout.max_k = choices.layout.max_k.max(min_k);
        if let Some(precision) = precision {
            choices = choices.with_precision(&precision_of(precision)?);
        }
        let samples = match calibration {
            Some(calibration) => samples(calibration, &self.wanted)?,
            // A model that is quantised already tells its scales itself.
            None if !self.model.needs_samples(&choices) => Vec::new(),
            None => {
                let problem = "compile chooses scales by samples, and none are given";
                return Err(Failure::arguments(problem, "calibration=, typical inputs, ten or more if possible").into());
            }
        };
        let costs = CostsSource::of(costs)?;
        let backend = self::backend(backend)?;
        let choice = SegmentChoice { segments: segments.map(segments_of).transpose()?, max_memory_bytes: max_memory };
        let model = run(py, progress, || {
            match choice.segments {
                Some(1) => self.model.check_fits(&choices, max_memory)?,
                _ => self.model.check_fits_cut(&choices, max_memory)?,
            }
            choices.layout.costs = costs.get(&backend)?;
            let compiled = self.model.compile_within(&samples, &choices, choice)?;
            // A layout that does not say what the graph says is found here, where it is a bug of ours.
            progress::step("check", || compiled.model().check())?;
            Ok(compiled)
        })?;
        Ok(CompiledModel { held: Held::Alone(Arc::new(model)), file: None })
    }

    /// Quantises, and compares the integers with the float model on samples: errors by output and by layer.
    ///
    /// `zkml_gpu.evaluate` says what the options mean.
    #[pyo3(signature = (
        data, *, calibration = None, precision = None, bits = 8, max_bits = None, max_error = 0.016, progress = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python gives them by their names")]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        calibration: Option<&Bound<'py, PyAny>>,
        precision: Option<&Bound<'py, PyAny>>,
        bits: u32,
        max_bits: Option<u32>,
        max_error: f32,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let mut options = bounds([bits, most_bits(bits, max_bits, EVALUATION_MOST_BITS)?], max_error)?;
        if let Some(precision) = precision {
            options = options.with_precision(&precision_of(precision)?);
        }
        let data = samples(data, &self.wanted)?;
        let calibration = calibration.map(|value| samples(value, &self.wanted)).transpose()?;
        let evaluation =
            run(py, progress, || Ok(self.model.evaluate(calibration.as_ref().unwrap_or(&data), &data, &options)?))?;
        let found = to_python(py, &evaluation)?.cast_into::<PyDict>()?;
        found.set_item("model", self.model.name())?;
        Ok(found)
    }

    /// Searches the fewest bits of all tensors that keep an error, or those of the least error.
    ///
    /// `zkml_gpu.calibrate` says what the options mean.
    #[pyo3(signature = (
        data, *, target = "speed", max_error = 0.016, min_bits = 4, max_bits = None, progress = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python gives them by their names")]
    fn calibrate<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        target: &str,
        max_error: f32,
        min_bits: u32,
        max_bits: Option<u32>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bounds = bounds([min_bits, most_bits(min_bits, max_bits, DEFAULT_MOST_BITS)?], max_error)?;
        let target = target_of(target)?;
        let data = samples(data, &self.wanted)?;
        let (precision, evaluation, plan) = run(py, progress, || {
            let precision = self.model.search_precision(&data, &bounds, target)?;
            let quantisation = bounds.with_precision(&precision);
            let evaluation = self.model.evaluate(&data, &data, &quantisation)?;
            let mut choices =
                CompileOptions::default().with_quantisation(quantisation).with_search(false).with_allow_error(true);
            choices.layout.costs = Costs::reference();
            let plan = self.model.compile(&data, &choices)?.plan(&choices.layout.costs);
            Ok((precision, evaluation, plan))
        })?;
        let error = evaluation.outputs.iter().map(|output| output.max_error).fold(0.0, f32::max);
        to_python(
            py,
            &Calibrated {
                model: self.model.name(),
                error_target: max_error,
                reached: error <= max_error,
                precision: &precision,
                evaluation: &evaluation,
                plan: &plan,
            },
        )
    }

    fn __repr__(&self) -> String {
        format!("<zkml_gpu.Model '{}'>", self.model.name())
    }
}

#[pymethods]
impl CompiledModel {
    /// Reads `NAME.zkml`, a path or bytes, from whoever.
    ///
    /// Raises `FileError` and `ArtifactError`.
    #[staticmethod]
    fn load(py: Python<'_>, source: Source) -> PyResult<Self> {
        run(py, None, || {
            let file = match &source {
                Source::Path(path) => path.display().to_string(),
                Source::Bytes(_) => "bytes in memory".into(),
            };
            let model = source.read(|path| Compiled::read(path), Compiled::from_bytes)?;
            Ok(Self { held: Held::Alone(Arc::new(model)), file: Some(file) })
        })
    }

    /// Writes `NAME.zkml`, whole or not at all, readable by the user alone unless its weights are embedded.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(self.model().write(path)?))
    }

    /// The bytes of `NAME.zkml`.
    fn to_bytes(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        run(py, None, || Ok(self.model().to_bytes()?))
    }

    /// Writes `NAME.public.zkml`, the model without its weights where these are hidden: by it others audit a key.
    fn write_public(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, None, || Ok(self.model().write_public(path)?))
    }

    /// The model's name.
    #[getter]
    fn name(&self) -> String {
        self.model().about().name.clone()
    }

    /// log2 of the rows of each circuit: the power that the reference string needs.
    #[getter]
    fn k(&self) -> u32 {
        self.model().k()
    }

    /// Number of segments, each a circuit of its own, that the model is proved in; none of a model in one piece.
    #[getter]
    fn segments(&self) -> Option<usize> {
        self.model().segments()
    }

    /// Number of learned values.
    #[getter]
    fn parameters(&self) -> usize {
        self.model().parameters()
    }

    /// Multiplications of one inference.
    #[getter]
    fn macs(&self) -> usize {
        self.model().macs()
    }

    /// Inferences in each proof.
    #[getter]
    fn inferences(&self) -> usize {
        self.model().inferences()
    }

    /// Names of the inputs with the shapes of one sample.
    #[getter]
    fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        shapes(self.model())
    }

    /// Largest error of an output's element against the float model, as a part of the output's range on the samples.
    #[getter]
    fn max_error(&self) -> f64 {
        self.model().about().accuracy.max_error
    }

    /// What it is and what it was made from: bits, scales, errors of layers, digests.
    #[getter]
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.model().about())
    }

    /// What keys, proof and verification will cost: times in milliseconds, sizes in bytes, rows and cells by layer.
    ///
    /// `costs` is `"reference"`, `"measured"` (on `backend`), a file with prices, or a dictionary of them.
    #[pyo3(signature = (*, costs = None, backend = "auto", max_memory = None, progress = None))]
    fn plan<'py>(
        &self,
        py: Python<'py>,
        costs: Option<&Bound<'py, PyAny>>,
        backend: &str,
        max_memory: Option<u64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (costs, backend) = (CostsSource::of(costs)?, self::backend(backend)?);
        let model = self.model();
        let (found, costs) = run(py, progress, || {
            let costs = costs.get(&backend)?;
            let found = match model {
                AnyModel::Whole(model) => {
                    let budget = Box::new(model.memory_budget(max_memory)?);
                    Planned::Whole { plan: Box::new(model.plan(&costs)), budget }
                }
                AnyModel::Segmented(model) => {
                    model.memory_budgets(max_memory)?;
                    Planned::Segmented { segments: model.plan(&costs)? }
                }
            };
            Ok((found, costs))
        })?;
        let found = to_python(py, &found)?.cast_into::<PyDict>()?;
        found.set_item("model", &model.about().name)?;
        found.set_item("inferences", model.inferences())?;
        found.set_item("parameters", model.parameters())?;
        found.set_item("macs", model.macs())?;
        found.set_item("available_memory_bytes", zkml_gpu::available_bytes())?;
        found.set_item("costs", to_python(py, &costs)?)?;
        Ok(found)
    }

    /// Makes the model's keys.
    ///
    /// `zkml_gpu.setup` says what the options mean.
    #[pyo3(signature = (srs = None, *, backend = "auto", unproven_weights = false, max_memory = None, progress = None))]
    fn setup(
        &self,
        py: Python<'_>,
        srs: Option<SrsLike>,
        backend: &str,
        unproven_weights: bool,
        max_memory: Option<u64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<ProvingKey> {
        let backend = self::backend(backend)?;
        let key = run(py, progress, || {
            let model = self.model();
            model.check_memory(max_memory, unproven_weights)?;
            let srs = progress::step("reference string", || SrsLike::get(srs, model.k()))?;
            let key = model.to_compiled().setup(&srs, &backend, unproven_weights, OsRng);
            Ok(key.map_err(|error| self.refusal(error))?)
        })?;
        Ok(ProvingKey::new(key))
    }

    fn __repr__(&self) -> String {
        let model = self.model();
        let segments = model.segments().map_or_else(String::new, |segments| format!(", {segments} segments"));
        format!("<zkml_gpu.CompiledModel '{}', k = {}{segments}>", model.about().name, model.k())
    }
}

impl CompiledModel {
    /// One that is part of a key.
    pub(crate) fn of_key(key: &Arc<AnyProverKey>) -> Self {
        Self { held: Held::InKey(Arc::clone(key)), file: None }
    }

    /// The model.
    pub(crate) fn model(&self) -> AnyModel<'_> {
        match &self.held {
            Held::Alone(model) => model.model(),
            Held::InKey(key) => key.model(),
        }
    }

    /// A layout that does not say what its graph says is not our fault in a file, which may be anybody's.
    fn refusal(&self, error: Error) -> Error {
        match (error, &self.file) {
            (Error::Key(error @ KeyError::Layout(_)), Some(file)) => Error::File(FileError::Artifact {
                file: file.clone(),
                problem: error.to_string(),
                hint: "compile the model again, or have it from someone else",
            }),
            (error, _) => error,
        }
    }
}

/// What a plan says of a model of either kind.
#[derive(Serialize)]
#[serde(untagged)]
enum Planned {
    Whole {
        #[serde(flatten)]
        plan: Box<Plan>,
        #[serde(flatten)]
        budget: Box<MemoryBudget>,
    },
    Segmented {
        segments: Vec<SegmentSummary>,
    },
}

/// Names of a model's inputs with the shapes of one sample.
pub(crate) fn shapes(model: AnyModel<'_>) -> Vec<(String, Vec<usize>)> {
    let names = model.inputs().into_iter().map(|input| input.name.to_owned()).collect::<Vec<_>>();
    names.into_iter().zip(model.input_shapes()).collect()
}

/// Where prices come from.
enum CostsSource {
    Measured,
    Reference,
    File(PathBuf),
    Given(Box<Costs>),
}

impl CostsSource {
    fn of(value: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(value) = value else { return Ok(Self::Reference) };
        Ok(match value.extract::<PathBuf>() {
            Ok(word) if word.as_os_str() == "measured" => Self::Measured,
            Ok(word) if word.as_os_str() == "reference" => Self::Reference,
            Ok(path) => Self::File(path),
            Err(_) => {
                let costs: Costs = from_python(value, "costs")?;
                if !costs.is_sound() {
                    let hint = "give the costs of a plan";
                    return Err(Failure::arguments("costs: a price is not a positive number", hint).into());
                }
                Self::Given(Box::new(costs))
            }
        })
    }

    fn get(self, backend: &BackendChoice) -> Result<Costs, Failure> {
        Ok(match self {
            Self::Measured => backend.measure().map_err(Error::from)?,
            Self::Reference => Costs::reference(),
            Self::File(path) => read_costs(path)?,
            Self::Given(costs) => *costs,
        })
    }
}

/// Bits of tensors, as `calibrate` gives them, or a file of them.
fn precision_of(value: &Bound<'_, PyAny>) -> PyResult<Precision> {
    match value.extract::<PathBuf>() {
        Ok(path) => run(value.py(), None, || Ok(read_precision(path)?)),
        Err(_) => from_python(value, "precision"),
    }
}

/// Who sees tensors, by their names.
fn visibilities(named: Option<BTreeMap<String, String>>) -> Result<Vec<(String, Visibility)>, Failure> {
    let one = |(name, word): (String, String)| {
        let known = Visibility::ALL.into_iter().find(|visibility| visibility.name() == word);
        let refused = || {
            let hint = "public, private, committed or hashed";
            Failure::arguments(format!("'{word}' is no visibility for '{name}'"), hint)
        };
        known.ok_or_else(refused).map(|visibility| (name.clone(), visibility))
    };
    named.unwrap_or_default().into_iter().map(one).collect()
}

/// Where weights stand, and whether committed ones are public.
fn weights_of(word: &str) -> Result<(WeightMode, bool), Failure> {
    match word {
        "committed" => Ok((WeightMode::Committed, false)),
        "public" => Ok((WeightMode::Committed, true)),
        "embedded" => Ok((WeightMode::Embedded, false)),
        _ => Err(Failure::arguments(format!("weights = '{word}' is not known"), "committed, public or embedded")),
    }
}

fn target_of(word: &str) -> Result<Target, Failure> {
    match word {
        "accuracy" => Ok(Target::Accuracy),
        "speed" => Ok(Target::Speed),
        _ => Err(Failure::arguments(format!("target = '{word}' is not known"), "speed or accuracy")),
    }
}

fn bounds([fewest, most]: [u32; 2], max_error: f32) -> Result<QuantOptions, Failure> {
    Ok(QuantOptions::default()
        .with_activation_bits(fewest)
        .with_max_activation_bits(most)
        .with_error_target(error_bound(max_error)?))
}

fn most_bits(fewest: u32, most: Option<u32>, default: u32) -> Result<u32, Failure> {
    let most = most.unwrap_or_else(|| default.max(fewest));
    if !BITS.contains(&fewest) || !BITS.contains(&most) {
        let problem = format!("tensors of {fewest} to {most} bits are asked for");
        return Err(Failure::arguments(problem, "2 to 16 bits"));
    }
    if most < fewest {
        let problem = format!("max_bits = {most} is fewer than the least, {fewest}");
        return Err(Failure::arguments(problem, "give as many or more, or leave it out"));
    }
    Ok(most)
}

fn error_bound(error: f32) -> Result<f32, Failure> {
    match error >= 0.0 && error.is_finite() {
        true => Ok(error),
        false => Err(Failure::arguments(
            format!("max_error = {error} is no bound"),
            "a part of the output's range, such as 0.016 for 1.6 %",
        )),
    }
}

fn inferences_of(count: usize) -> Result<usize, Failure> {
    match (1..=MOST_INFERENCES).contains(&count) {
        true => Ok(count),
        false => Err(Failure::arguments(format!("inferences = {count}"), "from 1 to 65536 in a proof")),
    }
}

fn segments_of(segments: usize) -> Result<usize, Failure> {
    match (1..=MAX_SEGMENTS).contains(&segments) {
        true => Ok(segments),
        false => Err(Failure::arguments(format!("segments = {segments}"), "from 1 to 256, or None for what fits")),
    }
}

fn k_of(k: u32) -> Result<u32, Failure> {
    match k <= MOST_K {
        true => Ok(k),
        false => Err(Failure::arguments(format!("min_k = {k}"), "22 at most")),
    }
}
