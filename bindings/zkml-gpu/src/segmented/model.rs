//! `NAME.zkml` of a model in segments: graphs, layouts, and how they are wired.
//!
//! A [container](zkml_gpu_files::container): `about` (JSON) with the wiring, a section `grph0000` for each segment, and
//! `layt0000` for each circuit, of which several segments may have one. It holds the quantised weights, so it is as
//! private as the model.

use std::io::Seek;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::check::check;
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::keys::KeyError;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions, Plan};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_circuit::system::{Statement, WeightMode};
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_files::Access;
use zkml_gpu_files::container::{ContainerError, Kind, SectionName, Writer};
use zkml_gpu_graph::{End, Format, Graph, Node, Op, Part, Storage, Tensor, Visibilities, Visibility, share_widths};
use zkml_gpu_onnx::quant::{Calibration, Evaluation, Sample};
use zkml_gpu_verify::{MAX_SEGMENTS, SegmentedAbout, Wire, Wiring, are_numbered, model_name};

use super::store::Store;
use crate::compiled::{container_bytes, open_bytes, open_container, write_container};
use crate::public::architecture_digest;
use crate::saturation::{Saturation, worst};
use crate::{CompiledModel, Error, FileError, MemoryBudget, ModelAbout, ModelInput};

/// The kind of file that `NAME.zkml` of a model in segments is.
pub const SEGMENTED_MODEL: Kind = Kind { magic: *b"zkmlgpum", version: 1, what: "a compiled model of segments" };
/// Largest description that is read.
const MAX_ABOUT_BYTES: u64 = 64 << 20;
const ABOUT: SectionName = *b"about\0\0\0";
const HINT: &str = "NAME.zkml is written by `zkml-gpu compile`; compile the model again";

/// What the file says beside graphs and layouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    pub(super) model: ModelAbout,
    /// For each segment the number of its circuit.
    pub(super) circuits: Vec<usize>,
    /// For each segment what its inputs and outputs are.
    pub(super) wires: Vec<Wire>,
    pub(super) inputs: Vec<SegmentedInput>,
    pub(super) cutting: Cutting,
    /// Multiplications of one inference, and learned values.
    pub(super) macs: usize,
    pub(super) parameters: usize,
    /// Binary logarithm of the number of rows of every circuit.
    pub(super) k: u32,
}

/// Where a graph that is not lowered is cut: what leads from the integers of a model's file to those of its segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cutting {
    /// After so many nodes each.
    pub(crate) cuts: Vec<usize>,
    /// Who sees inputs and outputs of the whole.
    pub(crate) visibility: Visibilities,
}

/// A quantised model in segments, each with its circuit's layout.
#[derive(Clone, Debug)]
pub struct SegmentedModel {
    pub(super) about: About,
    pub(super) store: Store,
}

/// A segment in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SegmentSummary {
    /// Its first and its last layer.
    pub layers: [String; 2],
    /// The number of its circuit: segments of one architecture share it.
    pub circuit: usize,
    /// Learned values.
    pub parameters: usize,
    /// Multiplications of one inference.
    pub macs: usize,
    /// Elements of the tensors between it and others.
    pub between: usize,
    /// What its keys, proof and verification cost.
    pub plan: Plan,
    /// The memory that its proof needs at least.
    pub memory_bytes: u64,
}

impl SegmentedModel {
    /// The segments of a quantised graph that is not lowered, cut after so many nodes each.
    ///
    /// # Errors
    /// [`Error::Cut`] where it cannot be cut there, [`Error::Layout`] where a segment has no circuit.
    pub(crate) fn of(model: ModelAbout, graph: &Graph, cuts: &[usize], options: &LayoutOptions) -> Result<Self, Error> {
        let parts = graph.parts(cuts)?;
        if parts.len() > MAX_SEGMENTS {
            return Err(Error::Internal(format!("{} segments", parts.len())));
        }
        let (macs, parameters) = (graph.macs(), graph.parameters());
        let inputs = graph.inputs.iter().enumerate();
        let inputs = inputs.map(|(index, id)| {
            SegmentedInput::of(&graph.tensors[*id], graph.visibility.input(index), model.inferences)
        });
        let inputs = inputs.collect();
        let wires =
            parts.iter().map(|Part { inputs, outputs, .. }| Wire { inputs: inputs.clone(), outputs: outputs.clone() });
        let wires = wires.collect();
        let mut graphs: Vec<Graph> = parts.into_iter().map(|part| lower(part.graph)).collect();
        // Embedded weights are part of the circuit.
        let shares = options.weights == WeightMode::Committed;
        let circuits = if shares { share_circuits(&mut graphs)? } else { (0..graphs.len()).collect() };
        let layouts = layouts(&graphs, &circuits, options)?;
        let k = layouts.first().map_or(0, Layout::k);
        let cutting = Cutting { cuts: cuts.to_vec(), visibility: graph.visibility.clone() };
        let about = About { model, circuits, wires, inputs, cutting, macs, parameters, k };
        Ok(Self { about, store: Store::memory(graphs, layouts) })
    }

    /// These circuits with a retrained model's values, segment by segment.
    pub(crate) fn with_graphs(&self, model: ModelAbout, graphs: Vec<Graph>) -> Result<Self, Error> {
        let layout = |circuit| self.store.layout(circuit).map_err(|error| self.damaged(&error));
        let layouts = (0..self.circuits()).map(layout).collect::<Result<_, _>>()?;
        Ok(Self { about: About { model, ..self.about.clone() }, store: Store::memory(graphs, layouts) })
    }

    fn damaged(&self, error: &ContainerError) -> Error {
        let file = self.name().to_owned();
        FileError::Artifact { file, problem: error.to_string(), hint: HINT }.into()
    }

    /// Where it is cut.
    pub(crate) const fn cutting(&self) -> &Cutting {
        &self.about.cutting
    }

    /// What the model is, and what it was made from.
    pub fn about(&self) -> &ModelAbout {
        &self.about.model
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.about.model.name
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.about.circuits.len()
    }

    /// Number of circuits: segments of one architecture share one.
    pub fn circuits(&self) -> usize {
        self.about.circuits.iter().max().map_or(0, |last| last + 1)
    }

    /// For each segment what its inputs and outputs are of the whole.
    pub fn wires(&self) -> &[Wire] {
        &self.about.wires
    }

    /// Names of private inputs that several segments read: proofs show a commitment to each, fresh in every proof.
    pub fn shared_private_inputs(&self) -> Vec<&str> {
        let readers =
            |number: usize| self.about.wires.iter().filter(|wire| wire.inputs.contains(&End::Input(number))).count();
        let inputs = self.about.inputs.iter().enumerate();
        let shared = inputs.filter(|(number, input)| input.private && readers(*number) > 1);
        shared.map(|(_, input)| &input.name[..]).collect()
    }

    /// Binary logarithm of the number of rows of every circuit.
    pub fn k(&self) -> u32 {
        self.about.k
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> usize {
        self.about.model.inferences
    }

    /// Number of learned values.
    pub fn parameters(&self) -> usize {
        self.about.parameters
    }

    /// Multiplications of one inference.
    pub fn macs(&self) -> usize {
        self.about.macs
    }

    /// Whether nothing hides its learned values.
    ///
    /// # Errors
    /// [`Error::File`] where a layout cannot be read.
    pub fn has_public_weights(&self) -> Result<bool, Error> {
        Ok(self.about.model.public_weights || self.weight_mode()? == WeightMode::Embedded)
    }

    /// Where its learned values will stand.
    ///
    /// # Errors
    /// [`Error::File`] where a layout cannot be read.
    pub fn weight_mode(&self) -> Result<WeightMode, Error> {
        Ok(self.segment(0)?.weight_mode())
    }

    /// A segment, as a compiled model of its own. It is read where the model is in a file.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not well formed.
    pub fn segment(&self, segment: usize) -> Result<CompiledModel, Error> {
        let damaged = |error: ContainerError| {
            let file = format!("segment {} of {}", segment + 1, self.name());
            Error::from(FileError::Artifact { file, problem: error.to_string(), hint: HINT })
        };
        let circuit = *self.about.circuits.get(segment).ok_or_else(|| Error::Internal("no such segment".into()))?;
        let graph = self.store.graph(segment).map_err(damaged)?;
        let layout = self.store.layout(circuit).map_err(damaged)?;
        let checked = graph.validate().map_err(|error| error.to_string());
        checked
            .and_then(|()| layout.check_numbers(&graph))
            .and_then(|()| self.check_wire(segment, &graph))
            .and_then(|()| self.check_size(&layout))
            .map_err(|problem| damaged(ContainerError::Damaged(problem)))?;
        let whole = &self.about.model;
        let about = ModelAbout {
            name: format!("{}, segment {} of {}", whole.name, segment + 1, self.segments()),
            private: whole.private,
            public_weights: whole.public_weights,
            inferences: whole.inferences,
            accuracy: whole.accuracy,
            source: whole.source.clone(),
            quantisation: whole.quantisation.clone(),
            // Those are the whole's.
            evaluation: Evaluation::default(),
            calibration: Calibration::default(),
            published: None,
            told_inputs: Vec::new(),
        };
        Ok(CompiledModel { about, graph, layout })
    }

    fn check_wire(&self, segment: usize, graph: &Graph) -> Result<(), String> {
        let Wire { inputs, outputs } = &self.about.wires[segment];
        let fits = [inputs.len(), outputs.len()] == [graph.inputs.len(), graph.outputs.len()];
        if fits { Ok(()) } else { Err("a segment has other inputs and outputs than are wired".into()) }
    }

    fn check_size(&self, layout: &Layout) -> Result<(), String> {
        let [own, told] = [layout.k(), self.about.k];
        if own == told { Ok(()) } else { Err(format!("a segment has 2^{own} rows instead of 2^{told}")) }
    }

    /// Whether the segments are wired to be the model: as keys of them have to be.
    pub(super) fn check_wiring(&self) -> Result<(), Error> {
        let statement = |segment| Ok(self.segment(segment)?.layout.statement);
        let statements = (0..self.segments()).map(statement).collect::<Result<Vec<Statement>, Error>>()?;
        let wiring = Wiring::of(self.about.wires.clone(), &statements.iter().collect::<Vec<_>>());
        wiring.map(drop).map_err(|problem| self.damaged(&ContainerError::Damaged(problem)))
    }

    /// Proves of every segment that its circuit says what its graph says, and that they are wired to be a model.
    ///
    /// # Errors
    /// [`Error::Key`] where a layout is refused, [`Error::File`] where the wiring is that of no model.
    pub fn check(&self) -> Result<(), Error> {
        self.check_wiring()?;
        for segment in 0..self.segments() {
            let model = self.segment(segment)?;
            let bank = Bank::new(&model.layout, &model.graph);
            check(&model.graph, &model.layout, &bank).map_err(KeyError::from)?;
        }
        Ok(())
    }

    /// The segments in numbers, by these prices.
    ///
    /// # Errors
    /// [`Error::File`] where a segment cannot be read.
    pub fn plan(&self, costs: &Costs) -> Result<Vec<SegmentSummary>, Error> {
        (0..self.segments()).map(|segment| self.summary(segment, costs)).collect()
    }

    fn summary(&self, segment: usize, costs: &Costs) -> Result<SegmentSummary, Error> {
        let model = self.segment(segment)?;
        let graph = &model.graph;
        let name = |node: Option<&Node>| node.map(|node| node.name.clone()).unwrap_or_default();
        // What enters a circuit has nodes of its own.
        let is_layer = |node: &&Node| !matches!(node.op, Op::Enter);
        let mut layers = graph.nodes.iter().filter(is_layer);
        let first = name(layers.next());
        let last = name(layers.next_back());
        let last = if last.is_empty() { first.clone() } else { last };
        let wire = &self.about.wires[segment];
        let ends = wire.inputs.iter().zip(&graph.inputs).chain(wire.outputs.iter().zip(&graph.outputs));
        let between = ends.filter(|(end, _)| matches!(end, End::Between(_)));
        Ok(SegmentSummary {
            layers: [first, last],
            circuit: self.about.circuits[segment],
            parameters: graph.parameters(),
            macs: graph.macs(),
            between: between.map(|(_, tensor)| graph.tensors[*tensor].shape.len()).sum(),
            plan: model.plan(costs),
            memory_bytes: model.layout.memory(graph).least_bytes,
        })
    }

    /// The memory that keys and proofs of each segment may use, as [`CompiledModel::memory_budget`] has it: segments are
    /// proved one after the other.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where a segment needs more.
    pub fn memory_budgets(&self, max_memory_bytes: Option<u64>) -> Result<Vec<MemoryBudget>, Error> {
        (0..self.segments()).map(|segment| self.segment(segment)?.memory_budget(max_memory_bytes)).collect()
    }

    /// What each input takes for one inference.
    pub fn inputs(&self) -> Vec<ModelInput<'_>> {
        let inputs = self.about.inputs.iter();
        inputs.map(|input| ModelInput { name: &input.name, len: input.len, classes: input.classes }).collect()
    }

    /// How much of a sample is clamped, as [`saturation`](crate::saturation()) has it.
    pub fn saturation(&self, sample: &Sample) -> Option<Saturation> {
        let told = &self.about.model.told_inputs;
        let inputs = self.about.inputs.iter().zip(sample);
        let numbers = inputs.filter(|(input, _)| input.classes.is_none() && !told.contains(&input.name));
        worst(numbers.map(|(input, values)| (&input.name[..], input.format, input.hidden, &values[..])))
    }

    /// The shape of each input for one inference, as the model's file has it.
    pub fn input_shapes(&self) -> Vec<&[usize]> {
        self.about.inputs.iter().map(|input| &input.shape[..]).collect()
    }

    /// The inputs of one proof: samples one after the other, as many as it is for.
    ///
    /// # Errors
    /// [`Error::Inferences`] where they are more or fewer.
    pub fn together(&self, samples: &[Sample]) -> Result<Sample, Error> {
        let (given, expected) = (samples.len(), self.inferences());
        if given != expected {
            return Err(Error::Inferences { model: self.name().into(), given, expected });
        }
        let inputs = samples.first().map_or(0, Vec::len);
        Ok((0..inputs)
            .map(|i| samples.iter().filter_map(|sample| sample.get(i)).flatten().copied().collect())
            .collect())
    }

    /// Writes `NAME.zkml`, whole or not at all; readable by the user alone unless its weights are embedded.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let embedded = self.weight_mode()? == WeightMode::Embedded;
        let access = if embedded { Access::Public } else { Access::Private };
        let names = self.section_names();
        write_container(path.as_ref(), access, SEGMENTED_MODEL, &names, |writer| self.write_sections(writer))
    }

    pub(super) fn write_sections<W: std::io::Write + Seek>(
        &self,
        writer: &mut Writer<W>,
    ) -> Result<(), ContainerError> {
        let about = serde_json::to_vec(&self.about).map_err(std::io::Error::from)?;
        writer.section(&about[..])?;
        self.store.write([self.segments(), self.circuits()], writer)
    }

    /// The names of the sections that it writes.
    pub(super) fn section_names(&self) -> Vec<SectionName> {
        [ABOUT].into_iter().chain(Store::names(self.segments(), self.circuits())).collect()
    }

    /// Opens `NAME.zkml`, from whoever: segments are read when they are needed.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not what [`write`](Self::write) wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let (container, about) = open_container(path, SEGMENTED_MODEL, HINT, About::read)?;
        Ok(Self { about, store: Store::of(container) })
    }

    /// The bytes of `NAME.zkml`, as private as the file.
    ///
    /// # Errors
    /// [`Error::File`] where a segment cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        container_bytes(SEGMENTED_MODEL, &self.section_names(), |writer| self.write_sections(writer))
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    /// [`Error::File`] where they are not what [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let (container, about) = open_bytes(bytes, SEGMENTED_MODEL, HINT, About::read)?;
        Ok(Self { about, store: Store::of(container) })
    }

    /// What a verifying key of it says, but for digests of architectures.
    pub(super) fn key_about(&self, architectures: Vec<String>) -> SegmentedAbout {
        let About { model, circuits, wires, .. } = &self.about;
        SegmentedAbout {
            model: model.name.clone(),
            inferences: model.inferences as u64,
            public_weights: model.public_weights,
            accuracy: model.accuracy,
            circuits: circuits.clone(),
            architectures,
            wires: wires.clone(),
        }
    }
}

/// An input of a model in segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentedInput {
    pub(super) name: String,
    /// Number of elements for one inference.
    pub(super) len: usize,
    /// Set where the elements are indices: the number that they are below.
    pub(super) classes: Option<usize>,
    /// The shape for one inference.
    pub(super) shape: Vec<usize>,
    /// What its integers are.
    pub(super) format: Format,
    /// Whether it is the prover's alone.
    pub(super) hidden: bool,
    /// Whether it was asked to be private.
    pub(super) private: bool,
}

impl SegmentedInput {
    fn of(tensor: &Tensor, visibility: Visibility, inferences: usize) -> Self {
        let inferences = inferences.max(1);
        let mut shape = tensor.logical_shape.clone();
        // Inferences follow each other on the first axis.
        if let Some(axis) = shape.first_mut().filter(|_| inferences > 1) {
            *axis /= inferences;
        }
        Self {
            name: tensor.name.clone(),
            len: tensor.storage.logical_len(tensor.shape) / inferences,
            classes: (tensor.storage == Storage::OneHot).then_some(tensor.shape.channels),
            shape,
            format: tensor.format,
            hidden: visibility.is_hidden(),
            private: visibility == Visibility::Private,
        }
    }
}

impl About {
    /// Reads and checks the description.
    pub(super) fn read<R: std::io::Read + Seek>(
        container: &mut zkml_gpu_files::container::Container<R>,
    ) -> Result<Self, ContainerError> {
        let damaged = |problem: String| ContainerError::Damaged(problem);
        let about = container.section(ABOUT, MAX_ABOUT_BYTES)?;
        let this: Self = serde_json::from_slice(&about).map_err(|error| damaged(error.to_string()))?;
        let segments = this.circuits.len();
        if segments == 0 || segments > MAX_SEGMENTS || this.wires.len() != segments {
            return Err(damaged(format!("it tells of {segments} segments and {} wirings", this.wires.len())));
        }
        if !are_numbered(&this.circuits) {
            return Err(damaged("its circuits are not numbered in the order of their segments".into()));
        }
        let is_text = |text: &str| model_name(text) == text;
        if !is_text(&this.model.name) || !this.model.accuracy.is_sound() || this.model.inferences == 0 {
            return Err(damaged("what it says of itself is no name or number".into()));
        }
        Ok(this)
    }
}

/// Gives segments that compute the same of other learned values one architecture, and numbers the circuits.
fn share_circuits(graphs: &mut [Graph]) -> Result<Vec<usize>, Error> {
    // Whatever the accumulators' widths are: they will be those of the widest.
    let digest = |graph: &Graph| {
        let mut alike = graph.architecture();
        alike.forget_widths();
        architecture_digest(&alike)
    };
    let mut known: Vec<String> = Vec::new();
    let mut circuits = Vec::with_capacity(graphs.len());
    for graph in graphs.iter() {
        let own = digest(graph)?;
        let number = known.iter().position(|other| *other == own).unwrap_or(known.len());
        if number == known.len() {
            known.push(own);
        }
        circuits.push(number);
    }
    for circuit in 0..known.len() {
        let own = graphs.iter_mut().zip(&circuits).filter(|(_, of)| **of == circuit);
        share_widths(&mut own.map(|(graph, _)| graph).collect::<Vec<_>>());
    }
    Ok(circuits)
}

/// A layout for each circuit, all of one size.
fn layouts(graphs: &[Graph], circuits: &[usize], options: &LayoutOptions) -> Result<Vec<Layout>, Error> {
    let count = circuits.iter().max().map_or(0, |last| last + 1);
    let first = |circuit: usize| circuits.iter().position(|of| *of == circuit).map_or(0, |segment| segment);
    let mut options = options.clone();
    let mut layouts: Vec<Option<Layout>> = vec![None; count];
    let mut circuit = 0;
    while circuit < count {
        if layouts[circuit].as_ref().is_some_and(|layout| layout.k() == options.min_k) {
            circuit += 1;
            continue;
        }
        let layout = Layout::compile(&graphs[first(circuit)], &options)?;
        if layout.k() > options.min_k {
            // What was laid out before has fewer rows: all have as many.
            options.min_k = layout.k();
            layouts[circuit] = Some(layout);
            circuit = 0;
        } else {
            layouts[circuit] = Some(layout);
            circuit += 1;
        }
    }
    Ok(layouts.into_iter().flatten().collect())
}
