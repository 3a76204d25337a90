//! `model.vk` of a model in segments.
//!
//! A [container](zkml_gpu_files::container): `about`, what the key's owner says, with the wiring; for each circuit a
//! section `circ0000` and following, its key and statement; for each segment `modl0000`, its model commitment, and
//! `wght0000`, the proof of its weights. Segments of one architecture share a circuit.

use std::io::Cursor;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::keys::VerifyingKeys;
use zkml_gpu_circuit::system::{Port, Statement, WeightMode};
use zkml_gpu_circuit::weights::WeightsProof;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName, Writer, numbered};
use zkml_gpu_graph::End;

use super::proof::SegmentedProof;
use super::wiring::{Wire, Wiring, port};
use crate::files::read_bounded;
use crate::key::{MAX_NAME_BYTES, is_false, is_one, one};
use crate::text::is_printable;
use crate::{About, Accuracy, Error, ModelKey, Rejection, bundle};

/// The kind of file that `model.vk` of a model in segments is.
pub const SEGMENTED_KEY: Kind = Kind { magic: *b"zkmlgpuv", version: 1, what: "a model.vk of segments" };
/// Most segments of a model.
pub const MAX_SEGMENTS: usize = 256;
/// Largest file that is read.
pub(crate) const MAX_BYTES: u64 = 1 << 30;
const ABOUT: SectionName = *b"about\0\0\0";
const HINT: &str =
    "model.vk is written by `zkml-gpu setup` and `prove`; fetch it again from whoever published the model";

/// What a key's owner says of the model, and how its segments are wired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentedAbout {
    /// The model's name.
    pub model: String,
    /// Inferences in each proof.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub inferences: u64,
    /// Whether the committed weights are public.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public_weights: bool,
    /// How far the integers that are proved are from the float model, over all segments.
    pub accuracy: Accuracy,
    /// For each segment the number of its circuit.
    pub circuits: Vec<usize>,
    /// For each segment the digest of its architecture, lower-case hexadecimal.
    pub architectures: Vec<String>,
    /// For each segment what its inputs and outputs are.
    pub wires: Vec<Wire>,
}

/// The verifying key of a model in segments.
#[derive(Clone, Debug)]
pub struct SegmentedKey {
    about: SegmentedAbout,
    segments: Vec<ModelKey>,
    wiring: Wiring,
    bytes: Vec<u8>,
    digest: String,
}

/// Whether the circuits of segments are numbered as they are first used.
pub fn are_numbered(circuits: &[usize]) -> bool {
    let mut next = 0;
    circuits.iter().all(|circuit| {
        let is_known = *circuit <= next;
        next = next.max(circuit.saturating_add(1));
        is_known
    })
}

/// The names of all sections, in their order.
fn names(circuits: usize, segments: usize) -> Vec<SectionName> {
    let mut names = vec![ABOUT];
    names.extend((0..circuits).map(|number| numbered(*b"circ", number)));
    for segment in 0..segments {
        names.extend([numbered(*b"modl", segment), numbered(*b"wght", segment)]);
    }
    names
}

impl SegmentedAbout {
    /// What a segment's own key says.
    fn of_segment(&self, segment: usize) -> About {
        About {
            model: format!("{}, segment {} of {}", self.model, segment + 1, self.circuits.len()),
            inferences: self.inferences,
            public_weights: self.public_weights,
            accuracy: self.accuracy,
            architecture: self.architectures[segment].clone(),
        }
    }

    /// Whether the numbers are those of segments that there are.
    fn check(&self) -> Result<(), String> {
        let segments = self.circuits.len();
        if segments == 0 || segments > MAX_SEGMENTS {
            return Err(format!("it has {segments} segments, at most {MAX_SEGMENTS} are read"));
        }
        if self.architectures.len() != segments || self.wires.len() != segments {
            return Err("its lists of segments have different lengths".into());
        }
        // Numbered as they are first used: one key, one file.
        if !are_numbered(&self.circuits) {
            return Err("its circuits are not numbered in the order of their segments".into());
        }
        if !is_printable(&self.model) || self.model.len() > MAX_NAME_BYTES {
            return Err("the model's name is not printable text".into());
        }
        if !self.architectures.iter().all(|digest| bundle::is_hex(digest)) {
            return Err("an architecture's digest is none".into());
        }
        if self.accuracy.is_sound() { Ok(()) } else { Err("the error that it tells is no number".into()) }
    }
}

impl SegmentedKey {
    /// The key of a model, for whoever makes keys: of each segment its keys, and the proof of its weights where there is
    /// one. The digests of architectures and numbers of circuits in `about` are those of the segments.
    ///
    /// # Errors
    /// [`Error::Internal`] where the segments are not those of a model.
    pub fn new(about: SegmentedAbout, segments: Vec<(VerifyingKeys, Option<WeightsProof>)>) -> Result<Self, Error> {
        let internal = |problem: String| Error::Internal(format!("model.vk: {problem}"));
        about.check().map_err(internal)?;
        if segments.len() != about.circuits.len() {
            return Err(internal(format!("{} segments of {}", segments.len(), about.circuits.len())));
        }
        let segments = segments.into_iter().enumerate();
        let segments = segments.map(|(segment, (keys, proof))| ModelKey::new(about.of_segment(segment), keys, proof));
        let segments: Vec<ModelKey> = segments.collect::<Result<_, _>>()?;
        let wiring = Wiring::new(about.wires.clone(), &keys_of(&segments)).map_err(internal)?;
        let bytes = encode(&about, &segments).map_err(|error| internal(error.to_string()))?;
        Self::with_digest(about, segments, wiring, bytes).map_err(|error| internal(error.to_string()))
    }

    /// Reads `model.vk`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`]: nothing in the file is believed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_bytes(&read_bounded(path, MAX_BYTES)?, &path.display().to_string())
    }

    /// As [`read`](Self::read), from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem: String| Error::Artifact { file: file.into(), problem, hint: HINT };
        let damaged = |error: ContainerError| fail(error.to_string());
        let mut container = Container::open(Cursor::new(bytes), SEGMENTED_KEY).map_err(damaged)?;
        let about = container.section(ABOUT, MAX_BYTES).map_err(damaged)?;
        let about: SegmentedAbout = serde_json::from_slice(&about).map_err(|error| fail(error.to_string()))?;
        about.check().map_err(fail)?;
        // Each segment has its circuit's key in memory, however many share it.
        let mut together = 0u64;
        for (segment, circuit) in about.circuits.iter().enumerate() {
            for section in [numbered(*b"circ", *circuit), numbered(*b"modl", segment), numbered(*b"wght", segment)] {
                together = together.saturating_add(container.section_len(section).map_err(damaged)?);
            }
        }
        if together > MAX_BYTES {
            return Err(fail(format!("its segments take more than {MAX_BYTES} bytes together")));
        }
        let mut circuits: Vec<(Vec<u8>, VerifyingKeys)> = Vec::new();
        let mut segments = Vec::new();
        for (segment, circuit) in about.circuits.iter().enumerate() {
            let model = container.section(numbered(*b"modl", segment), MAX_BYTES).map_err(damaged)?;
            let keys = match circuits.get(*circuit) {
                Some((_, known)) => known.with_model_part(&model),
                None => {
                    let bytes = container.section(numbered(*b"circ", *circuit), MAX_BYTES).map_err(damaged)?;
                    let keys = VerifyingKeys::from_parts(&bytes, &model);
                    if let Ok(keys) = &keys {
                        circuits.push((bytes, keys.clone()));
                    }
                    keys
                }
            };
            let keys = keys.map_err(|error| fail(format!("segment {segment}: {error}")))?;
            let proof = match &container.section(numbered(*b"wght", segment), MAX_BYTES).map_err(damaged)?[..] {
                [] => None,
                _ if keys.weights() == WeightMode::Embedded => {
                    return Err(fail("embedded weights have no proof of their own".into()));
                }
                bytes => Some(WeightsProof::from_bytes(bytes).map_err(|error| fail(error.to_string()))?),
            };
            if about.public_weights && keys.weights() == WeightMode::Embedded {
                return Err(fail("embedded weights are public without a word".into()));
            }
            segments.push(ModelKey::new(about.of_segment(segment), keys, proof)?);
        }
        let wiring = Wiring::new(about.wires.clone(), &keys_of(&segments)).map_err(fail)?;
        let statements = statements_of(&segments);
        if about.inferences != 1 {
            let ports = (0..wiring.inputs()).map(|number| wiring.input(number));
            let mut ports = ports.chain((0..wiring.outputs()).map(|number| wiring.output(number)));
            let several =
                |place| port(&statements, place).logical_shape.first().is_some_and(|n| *n as u64 == about.inferences);
            if !ports.all(several) {
                return Err(fail("its public tensors are not of as many inferences as it tells".into()));
            }
        }
        // One key, one file.
        if encode(&about, &segments).map_err(damaged)? != bytes {
            return Err(fail("the key is not in its canonical form".into()));
        }
        Self::with_digest(about, segments, wiring, bytes.to_vec()).map_err(damaged)
    }

    fn with_digest(
        about: SegmentedAbout,
        segments: Vec<ModelKey>,
        wiring: Wiring,
        bytes: Vec<u8>,
    ) -> Result<Self, ContainerError> {
        let digest = hex::encode(Container::open(Cursor::new(&bytes), SEGMENTED_KEY)?.digest());
        Ok(Self { about, segments, wiring, bytes, digest })
    }

    /// Takes the proofs of weights to hold, for whoever made them and has kept them to itself ever since.
    #[must_use]
    pub fn with_own_weights_proofs(self) -> Self {
        let segments = self.segments.into_iter().map(ModelKey::with_own_weights_proof).collect();
        Self { segments, ..self }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks every field of a proof, and the proofs of all segments. All trusted values come from this key.
    ///
    /// # Errors
    /// [`Rejection`] says what is wrong with the proof.
    pub fn verify(&self, proof: &SegmentedProof) -> Result<(), Rejection> {
        proof.check(self)
    }

    /// What its owner says.
    pub fn about(&self) -> &SegmentedAbout {
        &self.about
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.about.model
    }

    /// What its owner says of the model's error.
    pub fn accuracy(&self) -> &Accuracy {
        &self.about.accuracy
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> usize {
        usize::try_from(self.about.inferences).unwrap_or(usize::MAX)
    }

    /// The keys of the segments, in their order.
    pub fn segments(&self) -> &[ModelKey] {
        &self.segments
    }

    /// What the inputs and outputs of the segments are of the whole.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// The model's inputs, each as its first reader has it.
    pub fn inputs(&self) -> Vec<&Port> {
        let statements = statements_of(&self.segments);
        (0..self.wiring.inputs()).map(|number| port(&statements, self.wiring.input(number))).collect()
    }

    /// The model's outputs.
    pub fn outputs(&self) -> Vec<&Port> {
        let statements = statements_of(&self.segments);
        (0..self.wiring.outputs()).map(|number| port(&statements, self.wiring.output(number))).collect()
    }

    /// What of the model has a name, by which segment and as which port; none where an input and an output have it, of which
    /// only one can be meant. Names of what lies between segments are no names of the model.
    pub(crate) fn named(&self, name: &str) -> Option<(End, &ModelKey, &Port)> {
        let statements = statements_of(&self.segments);
        let inputs = (0..self.wiring.inputs()).map(|number| (End::Input(number), self.wiring.input(number)));
        let outputs = (0..self.wiring.outputs()).map(|number| (End::Output(number), self.wiring.output(number)));
        let mut found = inputs.chain(outputs).filter(|(_, place)| port(&statements, *place).name == name);
        let (end, place) = found.next()?;
        found.next().is_none().then(|| (end, &self.segments[place.segment], port(&statements, place)))
    }

    /// An input or output of the model by its name; none where several have it, of which only one can be meant.
    pub fn port(&self, name: &str) -> Option<&Port> {
        Some(self.named(name)?.2)
    }

    /// The key of the first segment that has an input or output of the model.
    pub fn segment_of(&self, name: &str) -> Option<&ModelKey> {
        Some(self.named(name)?.1)
    }

    /// Digest of the whole key, lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// log2 of the rows of every segment's circuit.
    pub fn k(&self) -> u32 {
        self.segments[0].keys().k()
    }

    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub fn is_insecure(&self) -> bool {
        self.segments[0].is_insecure()
    }

    /// How the weights are bound: as of the segments, which are alike.
    pub fn weights(&self) -> &'static str {
        self.segments[0].weights()
    }

    /// Whether committed weights are said to be public.
    pub fn has_public_weights(&self) -> bool {
        self.about.public_weights
    }

    /// Where the learned values stand.
    pub fn weight_mode(&self) -> WeightMode {
        self.segments[0].weight_mode()
    }

    /// What a proof says of the weights: the least that it says of any segment's.
    pub fn note(&self) -> &'static str {
        let unproven = self.segments.iter().find(|key| key.weights_proof().is_none());
        unproven.unwrap_or(&self.segments[0]).note()
    }
}

/// The keys inside those of segments.
fn statements_of(segments: &[ModelKey]) -> Vec<&Statement> {
    segments.iter().map(|segment| segment.keys().statement()).collect()
}

fn keys_of(segments: &[ModelKey]) -> Vec<&VerifyingKeys> {
    segments.iter().map(ModelKey::keys).collect()
}

fn encode(about: &SegmentedAbout, segments: &[ModelKey]) -> Result<Vec<u8>, ContainerError> {
    let circuits = about.circuits.iter().max().map_or(0, |last| last + 1);
    let json = serde_json::to_vec(about).map_err(std::io::Error::from)?;
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, SEGMENTED_KEY, &names(circuits, segments.len()))?;
    writer.section(&json[..])?;
    for circuit in 0..circuits {
        let of = about.circuits.iter().position(|own| *own == circuit).unwrap_or(0);
        let [bytes, _] = segments[of].keys().to_parts();
        writer.section(&bytes[..])?;
    }
    for segment in segments {
        let [_, model] = segment.keys().to_parts();
        writer.section(&model[..])?;
        writer.section(&segment.weights_proof().map(WeightsProof::to_bytes).unwrap_or_default()[..])?;
    }
    writer.finish()?;
    Ok(file.into_inner())
}
