//! `NAME.public.zkml` of a model in segments: its circuits without learned values, by which anybody checks a verifying
//! key.
//!
//! A [container](zkml_gpu_files::container) of `about` (JSON), with the wiring, of `recipe` (JSON), which is `null` unless
//! the weights are public, and for each circuit of its graph and its layout. Segments of one architecture have one
//! circuit. Embedded weights are in the graphs, since they are public.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::layout::Choice;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::srs::{Identity, Srs};
use zkml_gpu_files::Access;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName};
use zkml_gpu_graph::Graph;
use zkml_gpu_verify::report::port_text;
use zkml_gpu_verify::{MAX_SEGMENTS, SegmentedKey, Wire, are_numbered, model_name};

use super::model::{Cutting, SegmentedModel};
use super::store::Store;
use crate::compiled::{open_container, write_container};
use crate::public::{Audit, PublicModel, Recipe, committer};
#[cfg(feature = "onnx")]
use crate::public_file::{HIDDEN_WEIGHTS, NO_RECIPE, hidden};
use crate::{BackendChoice, Error, FileError, ImportOptions};
#[cfg(feature = "onnx")]
use crate::{Model, Sample};

/// The kind of file that `NAME.public.zkml` of a model in segments is.
pub const SEGMENTED_PUBLIC_MODEL: Kind = Kind { magic: *b"zkmlgpua", version: 1, what: "a public model of segments" };
const ABOUT: SectionName = *b"about\0\0\0";
const RECIPE: SectionName = *b"recipe\0\0";
/// Largest description that is read.
const MAX_ABOUT_BYTES: u64 = 16 << 20;
/// Most inferences of a proof.
const MAX_INFERENCES: u64 = 1 << 16;
const HINT: &str = "NAME.public.zkml is written by `zkml-gpu setup`; fetch it again from whoever published the key";

/// What a public model says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    name: String,
    inferences: u64,
    k: u32,
    circuits: Vec<usize>,
    wires: Vec<Wire>,
}

/// By what the integers of a model with public weights, and where it is cut, follow from its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentedRecipe {
    recipe: Recipe,
    cutting: Cutting,
}

/// A model in segments without its learned values, where they are committed.
#[derive(Debug)]
pub struct SegmentedPublicModel {
    about: About,
    recipe: Option<SegmentedRecipe>,
    /// Graphs and layouts by the number of the circuit.
    store: Store,
}

impl SegmentedModel {
    /// The model without its learned values, where they are committed: to be published beside its key.
    ///
    /// # Errors
    /// [`Error::File`] where a segment cannot be read.
    pub fn public(&self) -> Result<SegmentedPublicModel, Error> {
        let (mut graphs, mut layouts) = (Vec::new(), Vec::new());
        for circuit in 0..self.circuits() {
            let segment = self.about.circuits.iter().position(|own| *own == circuit).unwrap_or(0);
            let model = self.segment(segment)?;
            graphs.push(match model.weight_mode() {
                WeightMode::Committed => model.graph.architecture(),
                WeightMode::Embedded => model.graph,
            });
            let mut layout = model.layout;
            // How it was chosen tells of this machine.
            layout.choice = Choice::default();
            layouts.push(layout);
        }
        let about = About {
            name: self.name().into(),
            inferences: self.inferences() as u64,
            k: self.k(),
            circuits: self.about.circuits.clone(),
            wires: self.about.wires.clone(),
        };
        let recipe = Recipe::of(self.about()).map(|recipe| SegmentedRecipe { recipe, cutting: self.cutting().clone() });
        Ok(SegmentedPublicModel { about, recipe, store: Store::memory(graphs, layouts) })
    }
}

impl SegmentedPublicModel {
    /// Writes `NAME.public.zkml`, whole or not at all, for everybody to read.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let circuits = self.circuits();
        let names: Vec<SectionName> = [ABOUT, RECIPE].into_iter().chain(Store::names(circuits, circuits)).collect();
        write_container(path.as_ref(), Access::Public, SEGMENTED_PUBLIC_MODEL, &names, |writer| {
            let about = serde_json::to_vec(&self.about).map_err(std::io::Error::from)?;
            writer.section(&about[..])?;
            let recipe = serde_json::to_vec(&self.recipe).map_err(std::io::Error::from)?;
            writer.section(&recipe[..])?;
            self.store.write([circuits, circuits], writer)
        })
    }

    /// Opens `NAME.public.zkml`, from whoever: nothing in it is believed but what [`audit`](Self::audit) finds.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not what [`write`](Self::write) wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (container, (about, recipe)) = open_container(path.as_ref(), SEGMENTED_PUBLIC_MODEL, HINT, |container| {
            Ok((About::read(container)?, Recipe::read(container, RECIPE)?))
        })?;
        Ok(Self { about, recipe, store: Store::of(container) })
    }

    /// The model's name, as whoever wrote the file says.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// Binary logarithm of the number of rows: the power that the reference string needs.
    pub fn k(&self) -> u32 {
        self.about.k
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.about.circuits.len()
    }

    /// Number of circuits.
    pub fn circuits(&self) -> usize {
        self.about.circuits.iter().max().map_or(0, |last| last + 1)
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> u64 {
        self.about.inferences
    }

    /// Refuses a key of another number of rows, before a reference string is read.
    ///
    /// # Errors
    /// [`Error::Audit`] where it is of another.
    pub fn expect_size(&self, key: &SegmentedKey) -> Result<(), Error> {
        let [own, other] = [self.k(), key.k()];
        if own == other { Ok(()) } else { Err(Error::Audit(format!("it has 2^{other} rows instead of 2^{own}"))) }
    }

    /// The public model of a circuit.
    fn circuit(&self, circuit: usize) -> Result<PublicModel, Error> {
        let damaged = |problem: String| {
            let file = format!("circuit {circuit} of {}", self.about.name);
            Error::from(FileError::Artifact { file, problem, hint: HINT })
        };
        let io = |error: ContainerError| damaged(error.to_string());
        let (graph, layout) = (self.store.graph(circuit).map_err(io)?, self.store.layout(circuit).map_err(io)?);
        graph.validate().map_err(|error| damaged(error.to_string()))?;
        layout.check_numbers(&graph).map_err(damaged)?;
        Ok(PublicModel::of_segment(self.about.name.clone(), self.about.inferences, graph, layout))
    }

    /// Checks that a key is this model's, whoever made it, as [`PublicModel::audit`] does: of every circuit the key is
    /// derived again and compared bit for bit, of every segment the proof of its weights is verified, and the wiring is
    /// compared.
    ///
    /// # Errors
    /// As [`PublicModel::audit`].
    pub fn audit(
        &self,
        key: &SegmentedKey,
        srs: &Srs,
        backend: &BackendChoice,
        allow_unproven_weights: bool,
    ) -> Result<Audit, Error> {
        self.audit_on(key, srs, &committer(srs, backend)?, allow_unproven_weights, None)
    }

    /// As [`audit`](Self::audit), and checks that the weights of all segments are those of a model's own file, as
    /// [`PublicModel::audit_file`] does for a model in one piece. `model` is loaded with
    /// [`import_options`](Self::import_options).
    ///
    /// # Errors
    /// As [`PublicModel::audit_file`].
    #[cfg(feature = "onnx")]
    pub fn audit_file(
        &self,
        key: &SegmentedKey,
        model: &Model,
        samples: &[Sample],
        srs: &Srs,
        backend: &BackendChoice,
    ) -> Result<Audit, Error> {
        let SegmentedRecipe { recipe, cutting } = self.recipe.as_ref().ok_or_else(|| hidden(NO_RECIPE))?;
        let is_embedded = key.segments()[0].weight_mode() == WeightMode::Embedded;
        if !is_embedded && !key.has_public_weights() {
            return Err(hidden(HIDDEN_WEIGHTS));
        }
        let recalled = recipe.recall(model, samples)?;
        let inferences = usize::try_from(self.about.inferences).unwrap_or(usize::MAX);
        let parts = model.parts_like(cutting, &self.about.wires, recalled.graph.clone(), inferences)?;
        let mut graphs = Vec::with_capacity(self.segments());
        for (part, circuit) in parts.zip(&self.about.circuits) {
            let old = self.circuit(*circuit)?;
            let graph = model.graph_like(old.graph(), part)?;
            model.expect_architecture(old.graph(), &graph)?;
            graphs.push(graph);
        }
        // Weights that are compared one by one need no proof that they are integers.
        let audit = self.audit_on(key, srs, &committer(srs, backend)?, true, Some((model.file(), &graphs)))?;
        Ok(audit.of_file(model, &recalled))
    }

    /// How [`audit_file`](Self::audit_file) is to read the model's file; the default where nothing is told.
    pub fn import_options(&self) -> ImportOptions {
        Recipe::import_options(self.recipe.as_ref().map(|own| &own.recipe))
    }

    /// Whether it tells how the model's file is quantised, so that [`audit_file`](Self::audit_file) can compare.
    pub fn tells_quantisation(&self) -> bool {
        self.recipe.is_some()
    }

    /// Audits all segments; where their graphs with the weights of a model's file are given, the key's weights are
    /// compared with these.
    fn audit_on<B: Backend>(
        &self,
        key: &SegmentedKey,
        srs: &Srs,
        committer: &Committer<B>,
        allow_unproven_weights: bool,
        learned: Option<(&str, &[Graph])>,
    ) -> Result<Audit, Error> {
        let said = key.about();
        if said.circuits != self.about.circuits || said.wires != self.about.wires {
            return Err(Error::Audit("its segments are wired in another way".into()));
        }
        self.expect_size(key)?;
        let mut audits: Vec<Audit> = Vec::new();
        let mut found: Option<(usize, PublicModel, String)> = None;
        let mut order: Vec<usize> = (0..self.segments()).collect();
        order.sort_by_key(|segment| self.about.circuits[*segment]);
        for segment in order {
            let circuit = self.about.circuits[segment];
            let own = &key.segments()[segment];
            let named = |error| match error {
                Error::Audit(problem) => Error::Audit(format!("segment {}: {problem}", segment + 1)),
                error => error,
            };
            let (is_known, mut public) = match found.take() {
                Some((known, public, digest)) if known == circuit => {
                    if own.circuit_digest() != digest {
                        return Err(named(Error::Audit("its circuit is another than that of its like".into())));
                    }
                    (true, public)
                }
                _ => (false, self.circuit(circuit)?),
            };
            if let Some((_, graphs)) = learned {
                public = public.with_graph(graphs[segment].clone());
            }
            if !is_known {
                public.audit_circuit(own, srs, committer).map_err(named)?;
            }
            audits.push(public.audit_weights(own, committer, allow_unproven_weights).map_err(named)?);
            if let Some((file, _)) = learned {
                public.compare_weights(own, file, committer).map_err(named)?;
            }
            found = Some((circuit, public, own.circuit_digest().into()));
        }
        self.told(key, audits)
    }

    /// What was found of the segments, as of one model.
    fn told(&self, key: &SegmentedKey, audits: Vec<Audit>) -> Result<Audit, Error> {
        let mut layers = std::collections::BTreeMap::new();
        for (name, count) in audits.iter().flat_map(|audit| &audit.layers) {
            *layers.entry(name.clone()).or_insert(0) += count;
        }
        let digests = |of: fn(&Audit) -> &String| {
            let mut state = blake2b_simd::Params::new().hash_length(32).personal(b"zkml-gpu segment").to_state();
            audits.iter().for_each(|audit| {
                state.update(of(audit).as_bytes());
            });
            state.finalize().to_hex().to_string()
        };
        let bits = audits
            .iter()
            .fold([u32::MAX, 0], |[least, most], audit| [least.min(audit.bits[0]), most.max(audit.bits[1])]);
        // The proofs' errors add up.
        let error: f64 = audits.iter().map(|audit| (-audit.soundness_bits).exp2()).sum();
        let first = audits.first().ok_or_else(|| Error::Internal("an audit of no segment".into()))?;
        Ok(Audit {
            model: key.model().into(),
            architecture: digests(|audit| &audit.architecture),
            circuit_key: digests(|audit| &audit.circuit_key),
            model_commitment: digests(|audit| &audit.model_commitment),
            weights: key.note().into(),
            file: None,
            inferences: self.about.inferences,
            parameters: audits.iter().map(|audit| audit.parameters).sum(),
            layers: layers.into_iter().collect(),
            bits,
            k: self.k(),
            inputs: key.inputs().into_iter().map(port_text).collect(),
            outputs: key.outputs().into_iter().map(port_text).collect(),
            reference_string: Identity::of(key.segments()[0].keys().s_g2()).to_string(),
            insecure_srs: first.insecure_srs,
            soundness_bits: -error.log2(),
            segments: Some(audits.len()),
        })
    }
}

impl About {
    fn read<R: std::io::Read + std::io::Seek>(container: &mut Container<R>) -> Result<Self, ContainerError> {
        let damaged = |problem: String| ContainerError::Damaged(problem);
        let about = container.section(ABOUT, MAX_ABOUT_BYTES)?;
        let this: Self = serde_json::from_slice(&about).map_err(|error| damaged(error.to_string()))?;
        let segments = this.circuits.len();
        let numbered = are_numbered(&this.circuits);
        if segments == 0 || segments > MAX_SEGMENTS || this.wires.len() != segments || !numbered {
            return Err(damaged("its segments are not numbered or wired".into()));
        }
        if model_name(&this.name) != this.name || !(1..=MAX_INFERENCES).contains(&this.inferences) {
            return Err(damaged("what it says of itself is no name or number".into()));
        }
        Ok(this)
    }
}
