//! `NAME.public.zkml`: a compiled model without its learned values, by which anybody checks a verifying key.
//!
//! A [container](zkml_gpu_files::container) of four sections: `about` (JSON), `graph`, `layout`, and `recipe` (JSON). Of a
//! model whose weights are committed the graph has 0 for every learned value, no names but those of inputs and outputs,
//! and nothing of the calibration but what every verifying key holds too: scales, shifts, ranges, and the declared
//! widths of accumulators (`docs/protocol.md`, section 11). Of a model whose weights are embedded they are there, since
//! they are public.
//!
//! The recipe is `null` unless the weights are public, embedded or committed: then it says by which scales the integers
//! follow from the model's own file, so that whoever has the file finds the key's ([`PublicModel::audit_file`]).

use std::io::{Read, Seek};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::keys::{KeyError, audit, public_commitment};
use zkml_gpu_circuit::layout::{Choice, Layout};
use zkml_gpu_circuit::system::{Statement, WeightMode};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::{Any, Backend};
use zkml_gpu_engine::prover::ProverError;
use zkml_gpu_engine::srs::{Identity, Srs};
use zkml_gpu_files::Access;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName};
use zkml_gpu_graph::{Graph, Op};
use zkml_gpu_onnx::import::ImportOptions;
use zkml_gpu_onnx::quant::{Calibration, QuantOptions};
use zkml_gpu_verify::report::port_text;
use zkml_gpu_verify::{ModelKey, model_name};

use crate::compiled::{read_container, write_container};
use crate::{BackendChoice, CompiledModel, Error, FileError, ModelAbout, encoding};

/// The kind of file that `NAME.public.zkml` is.
pub const PUBLIC_MODEL: Kind = Kind { magic: *b"zkmlgpuA", version: 6, what: "a public model" };
/// Its sections, in their order.
const SECTIONS: [SectionName; 4] = [*b"about\0\0\0", *b"graph\0\0\0", *b"layout\0\0", *b"recipe\0\0"];
/// Largest description that is read.
const MAX_ABOUT_BYTES: u64 = 1 << 20;
/// Most inferences of a proof.
const MAX_INFERENCES: u64 = 1 << 16;
/// Largest recipe that is read: extremes of some ten thousand tensors.
const MAX_RECIPE_BYTES: u64 = 64 << 20;
const HINT: &str = "NAME.public.zkml is written by `zkml-gpu setup`; fetch it again from whoever published the key";

/// What a public model says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicAbout {
    /// The model's name.
    name: String,
    /// Inferences in each proof.
    pub(crate) inferences: u64,
}

/// By what the integers of a model with public weights follow from its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    /// Sizes of symbolic dimensions.
    dimensions: Vec<(String, usize)>,
    /// How it was quantised: bits of all tensors.
    pub(crate) quantisation: QuantOptions,
    /// Extremes of all tensors over the samples.
    pub(crate) calibration: Calibration,
}

impl Recipe {
    /// That of a model, where its weights are public.
    pub(crate) fn of(about: &ModelAbout) -> Option<Self> {
        about.published.clone().map(|calibration| Self {
            dimensions: about.source.dimensions.clone(),
            quantisation: about.quantisation.clone(),
            calibration,
        })
    }

    /// How a model's file is to be read; the default where nothing is told.
    pub(crate) fn import_options(recipe: Option<&Self>) -> ImportOptions {
        let dimensions = recipe.map(|recipe| recipe.dimensions.clone());
        ImportOptions::default().with_symbols(dimensions.unwrap_or_default())
    }

    /// Reads a section of one, or of `null`.
    pub(crate) fn read<T: DeserializeOwned, R: Read + Seek>(
        container: &mut Container<R>,
        name: SectionName,
    ) -> Result<Option<T>, ContainerError> {
        let recipe = container.section(name, MAX_RECIPE_BYTES)?;
        serde_json::from_slice(&recipe).map_err(|error| ContainerError::Damaged(error.to_string()))
    }
}

/// A compiled model without its learned values, where they are committed and hidden.
#[derive(Clone, Debug)]
pub struct PublicModel {
    pub(crate) about: PublicAbout,
    pub(crate) graph: Graph,
    pub(crate) layout: Layout,
    pub(crate) recipe: Option<Recipe>,
}

/// What an audit found a key to prove.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// The model's name.
    pub model: String,
    /// Digest of the architecture.
    pub architecture: String,
    /// Digest of the circuit's part of the key, which was derived again bit for bit.
    pub circuit_key: String,
    /// Digest of the model commitment.
    pub model_commitment: String,
    /// What is known of the weights: [`ModelKey::note`]. A proof of them was verified against masks that were derived
    /// again.
    pub weights: String,
    /// The model's file that the weights are those of, with its digest, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<AuditedFile>,
    /// Inferences in each proof, as the first axis of every input and output counts them: key and model agree on it.
    pub inferences: u64,
    /// Number of learned values.
    pub parameters: usize,
    /// Layers by operation: how many of each, in the order of their names.
    pub layers: Vec<(String, usize)>,
    /// Least and most bits of a tensor's range.
    pub bits: [u32; 2],
    /// Binary logarithm of the number of rows.
    pub k: u32,
    /// Of each input its name, its shape, who sees it, and its range.
    pub inputs: Vec<String>,
    /// Likewise of each output.
    pub outputs: Vec<String>,
    /// The reference string's identity.
    pub reference_string: String,
    /// Whether it was made on one machine, whose owner could forge proofs.
    pub insecure_srs: bool,
    /// Bits of the statistical error of the circuit's identities and lookups; of segments that of all together.
    pub soundness_bits: f64,
    /// Segments that the model is proved in, where they are several circuits: the digests are then those of all of them,
    /// one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<usize>,
}

/// A model's file whose weights a key's were found to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditedFile {
    /// Its name, without its folder.
    pub name: String,
    /// Blake2b-256 of it and of those that hold its weights, lower-case hexadecimal.
    pub digest: String,
    /// Learned values that are not 0: in the file, and as integers under the scales of the key's owner.
    pub not_zero: [usize; 2],
    /// How far the integers are from the file on samples; none without samples.
    pub measured: Option<Measured>,
}

/// The error of integers against a file's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// Number of samples.
    pub samples: usize,
    /// Largest error of an output's element, as a part of that output's range over the samples.
    pub max_error: f32,
    /// Largest share of a tensor's values that lie beyond its scale.
    pub saturated: f32,
}

/// Digest of an architecture: Blake2b-256, personalised `zkml-gpu arch-1`, of the postcard encoding of
/// [`Graph::architecture`]; lower-case hexadecimal.
pub(crate) fn architecture_digest(graph: &Graph) -> Result<String, Error> {
    let bytes = postcard::to_allocvec(&graph.architecture())
        .map_err(|error| Error::Internal(format!("an architecture's digest: {error}")))?;
    let hash = blake2b_simd::Params::new().hash_length(32).personal(b"zkml-gpu arch-1").hash(&bytes);
    Ok(hash.to_hex().to_string())
}

impl CompiledModel {
    /// The model without its learned values, where they are committed: to be published beside its key.
    pub fn public(&self) -> PublicModel {
        let graph = match self.layout.architecture.weights {
            WeightMode::Committed => self.graph.architecture(),
            WeightMode::Embedded => self.graph.clone(),
        };
        let mut layout = self.layout.clone();
        // How it was chosen tells of this machine.
        layout.choice = Choice::default();
        let about = &self.about;
        PublicModel {
            about: PublicAbout { name: self.name().into(), inferences: about.inferences as u64 },
            graph,
            layout,
            recipe: Recipe::of(about),
        }
    }
}

impl PublicModel {
    /// Writes `NAME.public.zkml`, whole or not at all, for everybody to read.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_container(path.as_ref(), Access::Public, PUBLIC_MODEL, &SECTIONS, |writer| {
            let about = serde_json::to_vec(&self.about).map_err(std::io::Error::from)?;
            writer.section(&about[..])?;
            writer.section_with(|out| encoding::write(&self.graph, out))?;
            writer.section_with(|out| encoding::write(&self.layout, out))?;
            let recipe = serde_json::to_vec(&self.recipe).map_err(std::io::Error::from)?;
            writer.section(&recipe[..])
        })
    }

    /// Reads `NAME.public.zkml`, from whoever: nothing in it is believed but what [`audit`](Self::audit) finds.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not what [`write`](Self::write) wrote.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let model = read_container(path, PUBLIC_MODEL, HINT, |container| {
            let about = container.section(SECTIONS[0], MAX_ABOUT_BYTES)?;
            let damaged = |error: serde_json::Error| ContainerError::Damaged(error.to_string());
            let about = serde_json::from_slice(&about).map_err(damaged)?;
            let limit = encoding::limit();
            let graph = container.section(SECTIONS[1], limit)?;
            let layout = container.section(SECTIONS[2], limit)?;
            let recipe = Recipe::read(container, SECTIONS[3])?;
            Ok(Self { about, graph: encoding::read(&graph, limit)?, layout: encoding::read(&layout, limit)?, recipe })
        })?;
        let fail = |problem| FileError::Artifact { file: path.display().to_string(), problem, hint: HINT };
        if model_name(&model.about.name) != model.about.name {
            return Err(fail("a name in it is not printable text".into()).into());
        }
        model.graph.validate().map_err(|error| fail(error.to_string()))?;
        model.layout.check_numbers(&model.graph).map_err(fail)?;
        let inferences = model.about.inferences;
        let ports = model.graph.inputs.iter().chain(&model.graph.outputs);
        let mut axes = ports.map(|&id| model.graph.tensors[id].logical_shape.first());
        let counted = axes.all(|axis| axis.is_some_and(|axis| *axis as u64 == inferences));
        if !(1..=MAX_INFERENCES).contains(&inferences) || inferences > 1 && !counted {
            return Err(fail("its inputs and outputs are not those of as many inferences as it tells".into()).into());
        }
        Ok(model)
    }

    /// The model's name, as whoever wrote the file says.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// Binary logarithm of the number of rows: the power that the reference string needs.
    pub fn k(&self) -> u32 {
        self.layout.k()
    }

    /// Refuses a key of another number of rows, before a reference string is read.
    ///
    /// # Errors
    /// [`Error::Audit`] where it is of another.
    pub fn expect_size(&self, key: &ModelKey) -> Result<(), Error> {
        let [own, other] = [self.k(), key.keys().k()];
        if own == other { Ok(()) } else { Err(Error::Audit(format!("it has 2^{other} rows instead of 2^{own}"))) }
    }

    /// The quantised network without learned values, where these are committed.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Digest of the architecture, by which keys and proofs name it.
    ///
    /// # Errors
    /// [`Error::Internal`], if the graph has no bytes after all.
    pub fn architecture_digest(&self) -> Result<String, Error> {
        architecture_digest(&self.graph)
    }

    /// Checks that a key is this model's, whoever made it: proves that the layout says what the graph says, derives the
    /// circuit's key with the reference string and compares it bit for bit, derives the masks of the weights' proof and
    /// verifies it. Of the key nothing is taken on trust but the model commitment and what its owner says of name and
    /// error. The reference string is the auditor's: its secret must be nobody's.
    ///
    /// A key whose committed weights are not proved is refused unless `allow_unproven_weights`.
    ///
    /// # Errors
    /// [`Error::Key`] and [`Error::Audit`] where the key is another's, [`Error::MissingBackend`] and [`Error::Prover`]
    /// where a device fails.
    pub fn audit(
        &self,
        key: &ModelKey,
        srs: &Srs,
        backend: &BackendChoice,
        allow_unproven_weights: bool,
    ) -> Result<Audit, Error> {
        self.audit_on(key, srs, &committer(srs, backend)?, allow_unproven_weights)
    }

    /// Refuses a key whose model commitment is not that of these weights, which are those of a model's file.
    pub(crate) fn compare_weights<B: Backend>(
        &self,
        key: &ModelKey,
        file: &str,
        committer: &Committer<B>,
    ) -> Result<(), Error> {
        let own = public_commitment(key.keys(), &self.graph, &self.layout, committer)?;
        let committed = key.keys().model_commitment();
        if own.len() != committed.len() {
            return Err(Error::Audit("its model commitment has another number of columns".into()));
        }
        if let Some(column) = own.iter().zip(committed).position(|(own, key)| own != key) {
            let problem = format!("column {column} of the model commitment is not that of {file}'s weights");
            return Err(Error::Audit(problem));
        }
        Ok(())
    }

    /// How [`audit_file`](Self::audit_file) is to read the model's file; the default where it tells nothing.
    pub fn import_options(&self) -> ImportOptions {
        Recipe::import_options(self.recipe.as_ref())
    }

    /// The public model of a segment's circuit.
    pub(crate) fn of_segment(name: String, inferences: u64, graph: Graph, layout: Layout) -> Self {
        Self { about: PublicAbout { name, inferences }, graph, layout, recipe: None }
    }

    /// This circuit with other learned values.
    pub(crate) fn with_graph(self, graph: Graph) -> Self {
        Self { graph, ..self }
    }

    pub(crate) fn audit_on<B: Backend>(
        &self,
        key: &ModelKey,
        srs: &Srs,
        committer: &Committer<B>,
        allow_unproven_weights: bool,
    ) -> Result<Audit, Error> {
        self.audit_circuit(key, srs, committer)?;
        self.audit_weights(key, committer, allow_unproven_weights)
    }

    /// Derives the circuit's key, and compares it.
    pub(crate) fn audit_circuit<B: Backend>(
        &self,
        key: &ModelKey,
        srs: &Srs,
        committer: &Committer<B>,
    ) -> Result<(), Error> {
        let circuit = audit(key.keys(), &self.graph, &self.layout, srs, committer);
        circuit.map_err(|error| match error {
            KeyError::Differs(difference) => Error::Audit(difference),
            // The layout is the owner's, and no fault of ours.
            KeyError::Layout(refusal) => {
                Error::Audit(format!("its public model has a layout that is refused: {refusal}"))
            }
            error => error.into(),
        })
    }

    /// What else a key of this circuit says: of the architecture, and of its weights.
    pub(crate) fn audit_weights<B: Backend>(
        &self,
        key: &ModelKey,
        committer: &Committer<B>,
        allow_unproven_weights: bool,
    ) -> Result<Audit, Error> {
        let architecture = self.architecture_digest()?;
        if architecture != key.architecture_digest() {
            return Err(Error::Audit("it names another architecture's digest".into()));
        }
        let (model, claimed) = (self.about.inferences, key.inferences() as u64);
        if model != claimed {
            return Err(Error::Audit(format!("its proofs are of {claimed} inferences, the model's of {model}")));
        }
        match key.weights_proof() {
            Some(proof) => {
                if !proof.has_keys_of(&self.graph, &self.layout, committer)? {
                    return Err(Error::Audit("the weights' proof has other masks".into()));
                }
                key.verify_weights().map_err(|rejection| Error::Audit(rejection.to_string()))?;
            }
            None if key.weight_mode() == WeightMode::Committed && !allow_unproven_weights => {
                return Err(Error::Audit(
                    "nothing proves that its weights are integers that fit the architecture".into(),
                ));
            }
            None => {}
        }
        let statement = key.keys().statement();
        Ok(Audit {
            model: key.model().into(),
            architecture,
            circuit_key: key.circuit_digest().into(),
            model_commitment: key.model_digest().into(),
            weights: key.note().into(),
            file: None,
            inferences: self.about.inferences,
            parameters: self.graph.parameters(),
            layers: self.layers(),
            bits: self.bits(),
            k: self.k(),
            inputs: statement.inputs.iter().map(port_text).collect(),
            outputs: statement.outputs.iter().map(port_text).collect(),
            reference_string: Identity::of(key.keys().s_g2()).to_string(),
            insecure_srs: key.is_insecure(),
            soundness_bits: self.layout.soundness_bits_of_cells(),
            segments: None,
        })
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> u64 {
        self.about.inferences
    }

    /// Whether it tells how the model's file is quantised, so that [`audit_file`](Self::audit_file) can compare.
    pub fn tells_quantisation(&self) -> bool {
        self.recipe.is_some()
    }

    /// What proofs say of each input and each output, as the file claims.
    pub fn statement(&self) -> &Statement {
        &self.layout.statement
    }

    /// Layers by operation: how many of each, in the order of their names.
    pub fn layers(&self) -> Vec<(String, usize)> {
        let mut layers = std::collections::BTreeMap::new();
        for node in &self.graph.nodes {
            *layers.entry(operation(&node.op).to_string()).or_insert(0) += 1;
        }
        layers.into_iter().collect()
    }

    /// Least and most bits that a tensor's range takes.
    fn bits(&self) -> [u32; 2] {
        let bits = self
            .graph
            .tensors
            .iter()
            .map(|tensor| u64::BITS - tensor.format.max.abs_diff(tensor.format.min).leading_zeros());
        bits.fold([u32::MAX, 0], |[least, most], bits| [least.min(bits), most.max(bits)])
    }
}

/// Commits by this reference string on a back end.
pub(crate) fn committer(srs: &Srs, backend: &BackendChoice) -> Result<Committer<Any>, Error> {
    let backend = backend.resolve()?.open()?;
    Ok(Committer::new(backend, srs, 0).map_err(ProverError::Backend)?)
}

/// What an operation is called.
const fn operation(op: &Op) -> &'static str {
    match op {
        Op::Linear(_) => "linear",
        Op::Combine { .. } => "combination",
        Op::MaxPool(_) => "maximum pooling",
        Op::AveragePool { .. } => "average pooling",
        Op::Reshape => "reshape",
        Op::Rearrange { .. } => "rearrangement",
        Op::MatMul(_) => "matrix product",
        Op::Multiply(_) => "product",
        Op::Softmax(_) => "softmax",
        Op::Normalise(_) => "normalisation",
        Op::ArgMax { .. } => "index of maximum",
        Op::Enter => "hidden input",
    }
}

#[cfg(all(test, feature = "onnx"))]
mod tests {
    use super::*;
    use crate::{CompileOptions, Model, read_samples};

    #[test]
    fn a_public_model_of_so_many_inferences_says_so_in_its_tensors() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain.onnx");
        let model = Model::load(&path, &ImportOptions::default()).expect("the model");
        let samples = read_samples(path.with_extension("json"), &model.inputs()).expect("its samples");
        let options = CompileOptions::default().with_allow_error(true).with_inferences(3);
        let public = model.compile(&samples, &options).expect("compiled").public();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("model.public.zkml");
        for (inferences, is_read) in [(3, true), (0, false), (1, true), (2, false), (1 << 40, false), (u64::MAX, false)]
        {
            let about = PublicAbout { inferences, ..public.about.clone() };
            PublicModel { about, ..public.clone() }.write(&file).expect("written");
            assert_eq!(PublicModel::read(&file).is_ok(), is_read, "{inferences}");
        }
    }
}
