//! From an ONNX file to a circuit: load, calibrate, lay out.

use std::path::Path;

use zkml_gpu_circuit::layout::{Layout, LayoutOptions, Needs, least_cost, needs, without_weights};
use zkml_gpu_circuit::placement::{LayoutError, lower};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_graph::{Graph, Storage, Visibilities, Visibility};
use zkml_gpu_onnx::import::{FloatGraph, FloatModel, ImportError, ImportOptions};
use zkml_gpu_onnx::quant::{
    Calibration, Evaluation, Observed, Precision, QuantOptions, QuantReport, Quantised, Sample, Target, evaluate,
    needs_samples, outline, quantise, recall, search,
};
use zkml_gpu_verify::{Accuracy, model_name};

use crate::compiled::{CompiledModel, ModelAbout, ModelSource};
use crate::memory::check_memory;
use crate::{Error, FileError, ModelInput};

/// Widths that are searched for tensors unless others are asked for. Fewer bits make no limb less; more make tables of
/// functions longer than most circuits are.
const FEWEST_BITS: u32 = 4;
const MOST_BITS: u32 = 16;
/// Shifts that are tried besides: all but the last have fewer bits for weights than the one that bits are searched under.
const SHIFTS: [u32; 6] = [8, 9, 10, 12, 13, 14];
/// Layers that a refusal names.
const WORST_LAYERS: usize = 3;
/// Significant bits of published extremes that are tried, before all of them are.
const FEW_BITS: [u32; 4] = [1, 3, 6, 12];
/// An imported model that runs in floating point.
#[derive(Debug)]
pub struct Model {
    name: String,
    /// Name of the file, without its folder.
    file: String,
    dimensions: Vec<(String, usize)>,
    pub(crate) float: FloatModel,
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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompileOptions {
    /// Widths of integers and the target for accuracy.
    pub quantisation: QuantOptions,
    /// Where the weights stand, and bounds on the circuit.
    pub layout: LayoutOptions,
    /// Declares the weights private, as the model's own metadata may: refuses what would publish them.
    pub private: bool,
    /// Publishes committed weights: nothing hides them in the model commitment, so whoever has the model's file checks that
    /// it is theirs ([`PublicModel::audit_file`](crate::PublicModel::audit_file)).
    pub public_weights: bool,
    /// Searches the fewest bits of each tensor, from `quantisation.activation_bits` to
    /// `quantisation.max_activation_bits`, that keep the error on the samples under `quantisation.error_target`;
    /// otherwise one width does for all tensors that are not named.
    pub search: bool,
    /// Who sees inputs, by their names; what is not named is public.
    pub inputs: Vec<(String, Visibility)>,
    /// Who sees outputs, likewise.
    pub outputs: Vec<(String, Visibility)>,
    /// Goes on where the error on the samples is above `quantisation.error_target`. It is written into the key.
    pub allow_error: bool,
    /// Inferences in each proof. Samples, scales and the error are those of one.
    pub inferences: usize,
}

impl Default for CompileOptions {
    fn default() -> Self {
        let quantisation =
            QuantOptions::default().with_activation_bits(FEWEST_BITS).with_max_activation_bits(MOST_BITS);
        Self {
            quantisation,
            layout: LayoutOptions::default(),
            private: false,
            public_weights: false,
            search: true,
            inputs: Vec::new(),
            outputs: Vec::new(),
            allow_error: false,
            inferences: 1,
        }
    }
}

impl CompileOptions {
    /// These, with the bits of a file or of an earlier search, and no other search.
    #[must_use]
    pub fn with_precision(self, precision: &Precision) -> Self {
        Self { quantisation: self.quantisation.with_precision(precision), search: false, ..self }
    }

    /// These, with an error on the samples that is to be kept, as a part of the output's range.
    #[must_use]
    pub fn with_max_error(self, error: f32) -> Self {
        Self { quantisation: self.quantisation.with_error_target(error), ..self }
    }

    /// These, going on above that error, or refusing.
    #[must_use]
    pub fn with_allow_error(self, allow_error: bool) -> Self {
        Self { allow_error, ..self }
    }

    /// These, with a search of bits tensor by tensor, or without.
    #[must_use]
    pub fn with_search(self, search: bool) -> Self {
        Self { search, ..self }
    }

    /// These, with one width for all tensors, as few bits as keep the error from 8 to 10, and whatever error is left: for
    /// measurements, which shall not depend on a search.
    #[must_use]
    pub fn with_one_width(self) -> Self {
        Self { quantisation: QuantOptions::default(), search: false, allow_error: true, ..self }
    }

    /// These, with so many inferences in each proof.
    #[must_use]
    pub fn with_inferences(self, inferences: usize) -> Self {
        Self { inferences, ..self }
    }

    /// These, with inputs and outputs that are not public, by their names.
    #[must_use]
    pub fn with_visibility(self, inputs: Vec<(String, Visibility)>, outputs: Vec<(String, Visibility)>) -> Self {
        Self { inputs, outputs, ..self }
    }

    /// Whether something is hidden.
    pub fn hides(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).any(|(_, visibility)| visibility.is_hidden())
    }

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

    /// These, with committed weights that are public, or are hidden.
    #[must_use]
    pub fn with_public_weights(self, public_weights: bool) -> Self {
        Self { public_weights, ..self }
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
        let [stem, file] = [path.file_stem(), path.file_name()].map(|name| name.unwrap_or_default().to_string_lossy());
        Ok(Self { name: model_name(&stem), file: model_name(&file), dimensions: options.symbols.clone(), float })
    }

    /// Reads an ONNX model from memory, weights included; `name` is the model's.
    ///
    /// # Errors
    /// As [`load`](Self::load), [`Error::Model`] with the name in the place of a file.
    pub fn from_bytes(bytes: &[u8], name: &str, options: &ImportOptions) -> Result<Self, Error> {
        let float = FloatModel::from_bytes(bytes, name, options).map_err(|error| match error {
            ImportError::NotOnnx { .. } | ImportError::Invalid { .. } => Error::Import(error),
            source => Error::Model { path: name.into(), source },
        })?;
        let name = model_name(name);
        Ok(Self { file: name.clone(), name, dimensions: options.symbols.clone(), float })
    }

    /// Blake2b-256 of everything that the model was read from, weights in other files included; lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        self.float.digest()
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

    /// The shape of each input, as the model's file has it.
    pub fn input_shapes(&self) -> Vec<&[usize]> {
        let graph = self.float.graph();
        graph.inputs.iter().map(|&id| &graph.tensors[id].logical_shape[..]).collect()
    }

    /// The name and the shape of each output, as the model's file has them.
    pub fn outputs(&self) -> Vec<(&str, &[usize])> {
        let graph = self.float.graph();
        let output = |&id: &usize| (&graph.tensors[id].name[..], &graph.tensors[id].logical_shape[..]);
        graph.outputs.iter().map(output).collect()
    }

    /// The extent of each output over the samples of a calibration of this model, 0 among them; 1 of one that was 0
    /// throughout.
    pub fn output_extents(&self, calibration: &Calibration) -> Vec<f64> {
        let extent = |id: &usize| {
            let extremes = calibration.tensors.get(*id).map_or([0.0, 0.0], |(_, extremes)| *extremes);
            let unit = f64::from(self.float.graph().tensors[*id].unit);
            let extent = (f64::from(extremes[1]) - f64::from(extremes[0])) * unit;
            if extent > 0.0 { extent } else { 1.0 }
        };
        self.float.graph().outputs.iter().map(extent).collect()
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

    /// As [`check_fits`](Self::check_fits), for a model that may be proved in segments: what fits in one piece does, and
    /// so does what fits when it is cut wherever it can be. The refusal is that of the whole.
    ///
    /// # Errors
    /// As [`check_fits`](Self::check_fits).
    pub fn check_fits_cut(&self, options: &CompileOptions, max_memory_bytes: Option<u64>) -> Result<(), Error> {
        let Some(graph) = self.outline(options)? else { return Ok(()) };
        let fits = |graph: Graph| check_memory(needs(&lower(graph), &options.layout)?.bytes, max_memory_bytes);
        let Err(refusal) = fits(graph.clone()) else { return Ok(()) };
        let cuts: Vec<usize> = graph.cuts().iter().map(|cut| cut.at).collect();
        if cuts.is_empty() {
            Err(refusal)
        } else {
            graph.parts(&cuts)?.into_iter().try_for_each(|part| fits(part.graph)).map_err(|_| refusal)
        }
    }

    /// The graph that will be laid out, without its numbers, where it can be told ahead.
    fn outline(&self, options: &CompileOptions) -> Result<Option<Graph>, Error> {
        let visibility = self.visibility(options)?;
        let quantisation = self.quantisation(options, &visibility);
        let Some(outline) = outline(self.float.graph(), &quantisation) else { return Ok(None) };
        Ok(Some(Graph { visibility, ..outline }.joint(options.inferences)?))
    }

    /// What every layout needs, where it can be told ahead.
    fn check_rows(&self, options: &CompileOptions) -> Result<Option<Needs>, Error> {
        let outline = self.outline(options)?;
        outline.map(|graph| Ok(needs(&lower(graph), &options.layout)?)).transpose()
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

    /// The cheapest of what was found and of other shifts that keep the error's bound, with the same bits of all tensors
    /// or one more. A shift is a number of bits that a circuit cuts into limbs, and the fewer limbs the better.
    fn cheapest(
        &self,
        found: Quantised,
        observed: &Observed<'_>,
        (given, options): (&QuantOptions, &CompileOptions),
        visibility: &Visibilities,
    ) -> Result<Quantised, Error> {
        let mut cuts: Option<Vec<usize>> = None;
        let mut cost = |quantised: &Quantised| {
            // Of one inference, so that several in one proof have the integers that each alone has.
            let graph = Graph { visibility: visibility.clone(), ..quantised.graph.clone() };
            match least_cost(&lower(without_weights(&graph)), &options.layout) {
                // What is too large in one piece is proved in segments.
                Err(LayoutError::WouldNotFit { .. }) => {
                    let cuts = cuts.get_or_insert_with(|| even_cuts(&graph));
                    let parts = without_weights(&graph).parts(cuts)?;
                    let costs = parts.into_iter().map(|part| Ok(least_cost(&lower(part.graph), &options.layout)?));
                    costs.sum::<Result<f64, Error>>()
                }
                cost => Ok(cost?),
            }
        };
        let keeps = |quantised: &Quantised| quantised.report.max_error <= given.error_target;
        if !keeps(&found) {
            return Ok(found);
        }
        let precision = Precision {
            activation_bits: found.options.activation_bits,
            tensor_bits: found.options.tensor_bits.clone(),
            ..Precision::default()
        };
        let mut best = (cost(&found)?, found);
        for shift in SHIFTS {
            for bits in [0, 1] {
                let with = given.with_precision(&precision.raised(bits, shift));
                let Ok(Some(other)) = observed.quantise_within(&with) else { continue };
                if other.graph.shift == best.1.graph.shift {
                    continue;
                }
                // What was found may be the only one that fits.
                let Ok(cost) = cost(&other) else { continue };
                if cost < best.0 {
                    best = (cost, other);
                }
                break;
            }
        }
        Ok(best.1)
    }

    /// Chooses bits and scales of all tensors from samples, and rows and columns for everything.
    ///
    /// # Errors
    /// [`Error::PrivateWeights`] where weights declared private would be embedded, [`Error::Quantise`] for unusable
    /// samples or weights, [`Error::Inaccurate`] where the error on the samples is above the bound,
    /// [`Error::Joint`] where it cannot be one of several inferences, [`Error::Layout`] for a model without a circuit.
    pub fn compile(&self, samples: &[Sample], options: &CompileOptions) -> Result<CompiledModel, Error> {
        self.check_rows(options)?;
        let (about, graph) = self.quantised(samples, options)?;
        let graph = lower(graph);
        let layout = Layout::compile(&graph, &options.layout)?;
        Ok(CompiledModel { about, graph, layout })
    }

    /// The integers, and what they were made from.
    pub(crate) fn quantised(&self, samples: &[Sample], options: &CompileOptions) -> Result<(ModelAbout, Graph), Error> {
        let (quantised, given, visibility) = self.integers(samples, options)?;
        self.described(quantised, samples, (options, &given), &visibility)
    }

    /// The integers of one inference, with the options that they were searched by and who sees inputs and outputs.
    pub(crate) fn integers(
        &self,
        samples: &[Sample],
        options: &CompileOptions,
    ) -> Result<(Quantised, QuantOptions, Visibilities), Error> {
        self.check_privacy(options)?;
        let visibility = self.visibility(options)?;
        let (float, given) = (self.float.graph(), self.quantisation(options, &visibility));
        let quantised = if options.search {
            let observed = Observed::new(float, samples)?;
            let found = observed.search(&given, Target::Speed)?.1;
            self.cheapest(found, &observed, (&given, options), &visibility)?
        } else {
            quantise(float, samples, &given)?
        };
        Ok((quantised, given, visibility))
    }

    /// The graph of all inferences of a proof, and what is said of it.
    pub(crate) fn described(
        &self,
        quantised: Quantised,
        samples: &[Sample],
        (options, given): (&CompileOptions, &QuantOptions),
        visibility: &Visibilities,
    ) -> Result<(ModelAbout, Graph), Error> {
        let float = self.float.graph();
        // A model that tells its own integers needs no samples, and then nothing is measured.
        let evaluation = if samples.is_empty() { Evaluation::default() } else { evaluate(float, &quantised, samples)? };
        check_error(&quantised, &evaluation, options)?;
        let is_published = options.public_weights || options.layout.weights == WeightMode::Embedded;
        let published = is_published.then(|| coarse(float, &quantised));
        let graph = Graph { visibility: visibility.clone(), ..quantised.graph }.joint(options.inferences)?;
        let source = self.source(samples, &options.layout.costs);
        let about = ModelAbout {
            name: self.name.clone(),
            private: options.private || self.is_declared_private(),
            public_weights: options.public_weights && options.layout.weights == WeightMode::Committed,
            inferences: options.inferences,
            accuracy: accuracy(&quantised.report, given.error_target),
            source,
            quantisation: quantised.options,
            evaluation,
            calibration: quantised.calibration,
            published,
            told_inputs: self.told_inputs(),
        };
        Ok((about, graph))
    }

    /// Inputs of which the file tells integers.
    pub(crate) fn told_inputs(&self) -> Vec<String> {
        let graph = self.float.graph();
        let told = graph.inputs.iter().map(|id| &graph.tensors[*id]).filter(|tensor| tensor.integers.is_some());
        told.map(|tensor| tensor.name.clone()).collect()
    }

    /// Whether [`compile`](Self::compile) chooses scales by samples. A model that is quantised already may tell all of them
    /// itself.
    pub fn needs_samples(&self, options: &CompileOptions) -> bool {
        let options = self.visibility(options).map(|visibility| self.quantisation(options, &visibility));
        options.is_ok_and(|options| needs_samples(self.float.graph(), &options))
    }

    /// Name of the model's file, without its folder.
    pub fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn source(&self, samples: &[Sample], costs: &Costs) -> ModelSource {
        ModelSource {
            program: env!("CARGO_PKG_VERSION").into(),
            file: self.file.clone(),
            file_digest: self.digest().into(),
            dimensions: self.dimensions.clone(),
            samples: samples.len(),
            samples_digest: samples_digest(samples),
            costs: costs.clone(),
        }
    }

    /// What is visible of this model's inputs and outputs.
    fn visibility(&self, options: &CompileOptions) -> Result<Visibilities, Error> {
        let graph = self.float.graph();
        let mut all = Visibilities::default();
        for (what, named, tensors) in
            [("input", &options.inputs, &graph.inputs), ("output", &options.outputs, &graph.outputs)]
        {
            for (name, visibility) in named {
                let places: Vec<usize> =
                    (0..tensors.len()).filter(|index| graph.tensors[tensors[*index]].name == *name).collect();
                if places.is_empty() {
                    let names: Vec<String> =
                        tensors.iter().map(|id| format!("'{}'", graph.tensors[*id].name.escape_debug())).collect();
                    let problem =
                        format!("the model has no {what} '{}': it has {}", name.escape_debug(), names.join(", "));
                    return Err(Error::Arguments { problem, hint: "take one of these names" });
                }
                for index in places {
                    match what {
                        "input" => all.set_input(index, *visibility),
                        _ => all.set_output(index, *visibility),
                    }
                }
            }
        }
        Ok(all)
    }

    /// The quantisation of what is visible like this.
    fn quantisation(&self, options: &CompileOptions, visibility: &Visibilities) -> QuantOptions {
        let graph = self.float.graph();
        let outputs = graph.outputs.iter().enumerate();
        let hidden = outputs.filter(|(index, _)| visibility.output(*index).is_hidden());
        let hidden = hidden.map(|(_, id)| graph.tensors[*id].name.clone()).collect();
        options.quantisation.clone().with_hidden_outputs(hidden)
    }

    /// Embedded weights are public, and so are those that are said to be.
    fn check_privacy(&self, options: &CompileOptions) -> Result<(), Error> {
        let declared = match (options.private, self.is_declared_private()) {
            (true, _) => "by you",
            (false, true) => "by the model's metadata",
            (false, false) => return Ok(()),
        };
        match options.layout.weights {
            WeightMode::Committed if !options.public_weights => Ok(()),
            WeightMode::Committed | WeightMode::Embedded => {
                Err(Error::PrivateWeights { model: self.name.clone(), declared })
            }
        }
    }
}

/// The extremes of a calibration with as few bits as lead to the same integers: what is published tells no more of the
/// samples than that.
pub(crate) fn coarse(float: &FloatGraph, quantised: &Quantised) -> Calibration {
    let same = |calibration: &Calibration| {
        recall(float, calibration, &quantised.options).is_ok_and(|graph| graph == quantised.graph)
    };
    // Least magnitudes only where a function needs them.
    let without = Calibration { least: vec![0.0; quantised.calibration.least.len()], ..quantised.calibration.clone() };
    let all = [&without, &quantised.calibration].map(|calibration| FEW_BITS.map(|bits| calibration.rounded(bits)));
    all.into_iter().flatten().chain([without]).find(same).unwrap_or_else(|| quantised.calibration.clone())
}

/// Segments by which what is too large in one piece is priced while bits are searched.
const PRICED_SEGMENTS: usize = 16;

/// The narrowest cut of each of so many parts of a graph.
fn even_cuts(graph: &Graph) -> Vec<usize> {
    let cuts = graph.cuts();
    let parts = cuts.chunks(cuts.len().div_ceil(PRICED_SEGMENTS).max(1));
    parts.filter_map(|part| part.iter().min_by_key(|cut| cut.elements)).map(|cut| cut.at).collect()
}

/// Refuses an error above the bound, unless it is allowed.
pub(crate) fn check_error(
    quantised: &Quantised,
    evaluation: &Evaluation,
    options: &CompileOptions,
) -> Result<(), Error> {
    let (error, bound) = (quantised.report.max_error, options.quantisation.error_target);
    if error <= bound || options.allow_error {
        return Ok(());
    }
    let worst = evaluation.layers.iter().take(WORST_LAYERS);
    let layers = worst.map(|layer| (layer.name.clone(), layer.max_error, layer.bits)).collect();
    Err(Error::Inaccurate { error, bound, samples: evaluation.samples, layers })
}

pub(crate) fn accuracy(report: &QuantReport, bound: f32) -> Accuracy {
    // Decimal digits of a 32-bit float, so that nobody reads more into the error than is there.
    let decimal = |value: f32| value.to_string().parse().unwrap_or_else(|_| f64::from(value));
    Accuracy { max_error: decimal(report.max_error), bound: decimal(bound), samples: report.samples as u64 }
}

/// Blake2b-256 of samples: of their numbers, and of how these are grouped; lower-case hexadecimal.
pub fn samples_digest(samples: &[Sample]) -> String {
    let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
    for list in samples.iter().flatten() {
        state.update(&(list.len() as u64).to_le_bytes());
        list.iter().for_each(|value| {
            state.update(&value.to_le_bytes());
        });
    }
    state.finalize().to_hex().to_string()
}
