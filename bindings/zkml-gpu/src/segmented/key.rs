//! `NAME.pk` of a model in segments: what its proofs share, in a file of the prover's own.
//!
//! A [container](zkml_gpu_files::container) of a notice, the sections of a [compiled model](super::model), `key`, which is
//! `NAME.vk`, a section `blds0000` for each segment with the blinding rows of its model commitment, and `powers` and
//! `lagrange`, the points of the reference string. **The file is private**, as that of a model in one piece is.

use std::path::{Path, PathBuf};

use halo2curves::bn256::{Fr, G1Affine};
use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuit::commit::{Bank, ModelOpening};
use zkml_gpu_circuit::keys::{Hiding, ProvingKeys, VerifyingKeys, recommit, setup};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_circuit::weights::{WeightsOpening, WeightsProof, prove_weights};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::prover::ProverError;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName, Writer, numbered};
use zkml_gpu_files::{Access, Staged};
use zkml_gpu_verify::SegmentedKey;

use super::model::{About, SegmentedModel};
use super::store::Store;
use crate::compiled::{IN_MEMORY, container_bytes, open_bytes, open_container, stage_container};
use crate::encoding::{ELEMENT_BYTES, point_section, read_elements, write_elements, write_points};
use crate::key::write_staged_pair;
use crate::public::architecture_digest;
use crate::{BackendChoice, CompiledModel, Error, FileError};

/// The kind of file that `NAME.pk` of a model in segments is.
pub const SEGMENTED_PROVING_KEY: Kind = Kind { magic: *b"zkmlgpup", version: 1, what: "a proving key of segments" };
const NOTICE_NAME: SectionName = *b"PRIVATE\0";
const KEY: SectionName = *b"key\0\0\0\0\0";
const BLINDS: [u8; 4] = *b"blds";
const POWERS: SectionName = *b"powers\0\0";
const LAGRANGE: SectionName = *b"lagrange";
const NOTICE: &[u8] = b"zkml-gpu proving key. Private: it holds the model's weights and what hides them. \
Publish the verifying key (NAME.vk) instead.\n";
/// Largest verifying key inside.
const MAX_KEY_BYTES: u64 = 1 << 30;
const HINT: &str = "NAME.pk is written by `zkml-gpu setup`; run it again, or copy the file again";

/// The keys of a model in segments: what a prover keeps to itself, and the verifying key to publish.
#[derive(Clone, Debug)]
pub struct SegmentedProverKey {
    pub(super) model: SegmentedModel,
    pub(super) key: SegmentedKey,
    /// Of each segment the blinding rows of its model commitment.
    pub(super) blinds: Vec<Vec<Vec<Fr>>>,
    pub(super) powers: Vec<G1Affine>,
    pub(super) lagrange: Vec<G1Affine>,
}

impl SegmentedModel {
    /// Makes the keys, as [`CompiledModel::setup`] does for a model in one piece, segment by segment: one circuit key for
    /// all segments of an architecture, and for each segment a model commitment and a proof of its weights, unless
    /// `unproven_weights`.
    ///
    /// `rng` blinds the weights' commitments: it must be cryptographically secure.
    ///
    /// # Errors
    /// As [`CompiledModel::setup`]; [`Error::File`] where a segment cannot be read.
    pub fn setup<R: RngCore + CryptoRng>(
        self,
        srs: &Srs,
        backend: &BackendChoice,
        unproven_weights: bool,
        mut rng: R,
    ) -> Result<SegmentedProverKey, Error> {
        // Before anything that takes time: the file may be anybody's.
        self.check_wiring()?;
        let backend = backend.resolve()?.open()?;
        let segments = self.segments();
        let mut keys = vec![None; segments];
        let mut blinds = vec![Vec::new(); segments];
        let mut architectures = vec![String::new(); segments];
        let committer = || Committer::new(backend.clone(), srs, 0);
        let own = committer().map_err(ProverError::Backend)?;
        for circuit in 0..self.circuits() {
            let mut first: Option<ProvingKeys> = None;
            for segment in (0..segments).filter(|segment| self.about.circuits[*segment] == circuit) {
                let CompiledModel { about, graph, layout } = self.segment(segment)?;
                let hiding = if about.public_weights { Hiding::Nothing } else { Hiding::Drawn(&mut rng) };
                let made = match &first {
                    None => setup(&graph, &layout, srs, &own, hiding)?.1,
                    Some(first) => recommit(first, &graph, &layout, &own, hiding)?,
                };
                architectures[segment] = architecture_digest(&graph)?;
                let proven = made.verifying.weights() == WeightMode::Committed && !unproven_weights;
                let proof = if proven {
                    let opening = WeightsOpening::new(&graph, &layout, &made.verifying, &made.model);
                    Some(prove_weights(opening, committer, &mut rng)?)
                } else {
                    None
                };
                blinds[segment].clone_from(&made.model.blinds);
                keys[segment] = Some((made.verifying.clone(), proof));
                first.get_or_insert(made);
            }
        }
        let key = self.verified_key(architectures, keys.into_iter().flatten().collect())?;
        let (powers, lagrange) = (srs.g().to_vec(), srs.lagrange().to_vec());
        Ok(SegmentedProverKey { model: self, key, blinds, powers, lagrange })
    }

    /// The verifying key of these segments: what leaves is verified.
    fn verified_key(&self, architectures: Vec<String>, segments: Vec<SegmentKeys>) -> Result<SegmentedKey, Error> {
        let key = SegmentedKey::new(self.key_about(architectures), segments)?;
        for segment in key.segments() {
            segment.verify_weights().map_err(|rejection| Error::Internal(rejection.to_string()))?;
        }
        Ok(key)
    }
}

/// A segment's verifying keys, and the proof of its weights.
type SegmentKeys = (VerifyingKeys, Option<WeightsProof>);

impl SegmentedProverKey {
    /// The verifying key to publish.
    pub fn key(&self) -> &SegmentedKey {
        &self.key
    }

    /// The compiled model.
    pub fn model(&self) -> &SegmentedModel {
        &self.model
    }

    /// A segment with its keys. It is read where the key is in a file.
    pub(super) fn segment(&self, segment: usize) -> Result<(CompiledModel, ProvingKeys), Error> {
        let model = self.model.segment(segment)?;
        let verifying = self.key.segments()[segment].keys().clone();
        let damaged = |problem: &str| FileError::Artifact {
            file: format!("segment {} of {}", segment + 1, self.model.name()),
            problem: problem.into(),
            hint: HINT,
        };
        if model.layout.k() != verifying.k() || model.layout.architecture != *verifying.architecture() {
            return Err(damaged("the layout is not the verifying key's").into());
        }
        let bank = Bank::new(&model.layout, &model.graph);
        let opening = ModelOpening { bank, blinds: self.blinds[segment].clone() };
        // What calls its weights hidden hides them.
        let is_committed = verifying.weights() == WeightMode::Committed && !verifying.model_commitment().is_empty();
        if is_committed && self.key.has_public_weights() != opening.is_public() {
            return Err(damaged("what it says of who sees the weights is not so").into());
        }
        Ok((model, ProvingKeys { model: opening, verifying }))
    }

    /// Makes keys for a retrained model under the circuits of this key, as [`ProverKey::retrain`](crate::ProverKey::retrain)
    /// does for a model in one piece. `model` is one of
    /// [`Model::compile_segments_like`](crate::Model::compile_segments_like)'s.
    ///
    /// `rng` blinds the weights' commitments, unless the weights are public: it must be cryptographically secure.
    ///
    /// # Errors
    /// As [`ProverKey::retrain`](crate::ProverKey::retrain); [`Error::File`] where a segment cannot be read.
    pub fn retrain<R: RngCore + CryptoRng>(
        &self,
        model: SegmentedModel,
        backend: &BackendChoice,
        mut rng: R,
    ) -> Result<Self, Error> {
        let other = |difference: String| Error::OtherArchitecture { model: model.name().into(), difference };
        if model.wires() != self.model.wires() || model.about.circuits != self.model.about.circuits {
            return Err(other("other segments".into()));
        }
        if model.about.model.public_weights != self.model.about.model.public_weights {
            let problem = "weights are public in one of the models and hidden in the other".into();
            return Err(Error::Arguments { problem, hint: "retrain keeps what the key says of them" });
        }
        let backend = backend.resolve()?.open()?;
        let committer = || Committer::from_points(backend.clone(), &self.powers, &self.lagrange, 0);
        let own = committer().map_err(ProverError::Backend)?;
        let (mut made, mut blinds, mut graphs) = (Vec::new(), Vec::new(), Vec::new());
        for segment in 0..model.segments() {
            let (old, keys) = self.segment(segment)?;
            let graph = model.segment(segment)?.graph;
            if let Some(difference) = old.graph.difference(&graph) {
                return Err(other(difference));
            }
            if keys.verifying.model_commitment().is_empty() && keys.verifying.weights() == WeightMode::Embedded {
                return Err(Error::EmbeddedWeights { model: model.name().into() });
            }
            let hiding = if model.about.model.public_weights { Hiding::Nothing } else { Hiding::Drawn(&mut rng) };
            // The layout is this key's, whatever came with the model.
            let new = recommit(&keys, &graph, &old.layout, &own, hiding)?;
            let proof = match self.key.segments()[segment].weights_proof() {
                Some(_) => {
                    let opening = WeightsOpening::new(&graph, &old.layout, &new.verifying, &new.model);
                    Some(prove_weights(opening, committer, &mut rng)?)
                }
                None => None,
            };
            blinds.push(new.model.blinds);
            made.push((new.verifying, proof));
            graphs.push(graph);
        }
        let model = self.model.with_graphs(model.about.model, graphs)?;
        let key = model.verified_key(self.key.about().architectures.clone(), made)?;
        Ok(Self { model, key, blinds, powers: self.powers.clone(), lagrange: self.lagrange.clone() })
    }

    /// The Lagrange points of the reference string: what commitments to tensors are made of.
    pub fn lagrange(&self) -> &[G1Affine] {
        &self.lagrange
    }

    /// Writes `NAME.pk`, whole or not at all, readable by the user alone.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        Ok(self.stage(path)?.publish().map_err(|source| FileError::unwritten(path, source))?)
    }

    /// Writes `NAME.pk` and `NAME.vk` into a folder, as [`ProverKey::write_pair`](crate::ProverKey::write_pair) does.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write_pair(&self, folder: impl AsRef<Path>, name: &str) -> Result<[PathBuf; 2], Error> {
        write_staged_pair(folder.as_ref(), name, self.key.to_bytes(), |path| self.stage(path))
    }

    fn section_names(&self) -> Vec<SectionName> {
        let mut names = vec![NOTICE_NAME];
        names.extend(self.model.section_names());
        names.push(KEY);
        names.extend((0..self.blinds.len()).map(|segment| numbered(BLINDS, segment)));
        names.extend([POWERS, LAGRANGE]);
        names
    }

    fn stage(&self, path: &Path) -> Result<Staged, Error> {
        let names = self.section_names();
        stage_container(path, Access::Private, SEGMENTED_PROVING_KEY, &names, |writer| self.write_sections(writer))
    }

    /// The bytes of `NAME.pk`, as private as the file.
    ///
    /// # Errors
    /// [`Error::File`] where a segment cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        container_bytes(SEGMENTED_PROVING_KEY, &self.section_names(), |writer| self.write_sections(writer))
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    /// [`Error::File`] where they are not what [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let read = |container: &mut Container<_>| read_all(container, IN_MEMORY);
        let (container, parts) = open_bytes(bytes, SEGMENTED_PROVING_KEY, HINT, read)?;
        Ok(Self::of_parts(parts, Store::of(container)))
    }

    fn of_parts((about, key, blinds, powers, lagrange): Parts, store: Store) -> Self {
        Self { model: SegmentedModel { about, store }, key, blinds, powers, lagrange }
    }

    fn write_sections<W: std::io::Write + std::io::Seek>(&self, writer: &mut Writer<W>) -> Result<(), ContainerError> {
        writer.section(NOTICE)?;
        self.model.write_sections(writer)?;
        writer.section(self.key.to_bytes())?;
        for blinds in &self.blinds {
            writer.section_with(|out| blinds.iter().try_for_each(|blinds| write_elements(blinds, out)))?;
        }
        writer.section_with(|out| write_points(&self.powers, out))?;
        writer.section_with(|out| write_points(&self.lagrange, out))
    }

    /// Opens `NAME.pk`: segments are read when they are needed.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not what [`write`](Self::write) wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let (container, parts) =
            open_container(path, SEGMENTED_PROVING_KEY, HINT, |container| read_all(container, &file))?;
        Ok(Self::of_parts(parts, Store::of(container)))
    }
}

/// Everything but graphs and layouts.
type Parts = (About, SegmentedKey, Vec<Vec<Vec<Fr>>>, Vec<G1Affine>, Vec<G1Affine>);

/// Reads them.
fn read_all<R: std::io::Read + std::io::Seek>(
    container: &mut Container<R>,
    file: &str,
) -> Result<Parts, ContainerError> {
    let damaged = |problem: &str| ContainerError::Damaged(problem.into());
    let about = About::read(container)?;
    let key = container.section(KEY, MAX_KEY_BYTES)?;
    let key = SegmentedKey::from_bytes(&key, file).map_err(|error| ContainerError::Damaged(error.to_string()))?;
    // The file is trusted: what made it has verified the proofs.
    let key = key.with_own_weights_proofs();
    if key.about().circuits != about.circuits || key.about().wires != about.wires || key.k() != about.k {
        return Err(damaged("the segments are not the verifying key's"));
    }
    let mut blinds = Vec::with_capacity(key.segments().len());
    for (segment, own) in key.segments().iter().enumerate() {
        let (rows, columns) = (own.keys().blinding_rows(), own.keys().model_commitment().len());
        let bytes = container.section(numbered(BLINDS, segment), (rows * columns * ELEMENT_BYTES) as u64)?;
        let elements = read_elements(&bytes).filter(|elements| elements.len() == rows * columns);
        let elements = elements.ok_or_else(|| damaged("the blinding does not fit the model commitment"))?;
        blinds.push(elements.chunks(rows.max(1)).map(<[Fr]>::to_vec).collect());
    }
    let n = 1usize << key.k();
    let mut points = |name| point_section(container, name, key.k());
    let (powers, lagrange) = (points(POWERS)?, points(LAGRANGE)?);
    // Those points hide weights and boundaries: they are the verifying key's own.
    let own = key.segments().iter().map(|own| own.keys().blinding_points());
    let is_own = own.into_iter().all(|points| lagrange[n - points.len()..] == *points);
    if !is_own || powers[0] != G1Affine::generator() {
        return Err(damaged("the reference string is not the verifying key's"));
    }
    Ok((about, key, blinds, powers, lagrange))
}
