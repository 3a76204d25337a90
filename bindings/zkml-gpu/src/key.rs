//! `NAME.pk`: everything that proofs of one model share, in a file of the prover's own.
//!
//! A [container](zkml_gpu_files::container) of the sections of a [compiled model](crate::compiled) and four more:
//! `key`, which is `NAME.vk`; `blinds`, the blinding rows of the model commitment; `powers` and `lagrange`, the points
//! of the reference string. What is quick to compute is not there: the circuit's columns follow from the layout.
//!
//! **The file is private.** It holds the weights, and with the blinding anybody could test guesses of them; it is
//! written for its owner alone. It is trusted, too: its digests guard against damage, and no more.

use std::path::{Path, PathBuf};

use halo2curves::bn256::{Fr, G1Affine};
use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuit::commit::{Bank, ModelOpening};
use zkml_gpu_circuit::keys::{Hiding, ProvingKeys, recommit, setup};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_circuit::weights::{WeightsOpening, prove_weights};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::prover::ProverError;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_files::container::{Container, ContainerError, Kind, SectionName, Writer};
use zkml_gpu_files::{Access, NewFolder, Staged};
use zkml_gpu_verify::{About, ModelKey};

use crate::compiled::{
    IN_MEMORY, MODEL_SECTIONS, ModelAbout, container_bytes, container_of_bytes, read_container, stage_container,
};
use crate::encoding::{ELEMENT_BYTES, point_section, read_elements, write_elements, write_points};
use crate::public::architecture_digest;
use crate::{BackendChoice, CompiledModel, Error, FileError, MemoryBudget, ModelProver};

/// The kind of file that `NAME.pk` is.
pub const PROVING_KEY: Kind = Kind { magic: *b"zkmlgpuP", version: 6, what: "a proving key" };
/// Its sections, in their order; the first says to whoever looks into the file what it is.
const SECTIONS: [SectionName; 8] = [
    *b"PRIVATE\0",
    MODEL_SECTIONS[0],
    MODEL_SECTIONS[1],
    MODEL_SECTIONS[2],
    *b"key\0\0\0\0\0",
    *b"blinds\0\0",
    *b"powers\0\0",
    *b"lagrange",
];
const NOTICE: &[u8] = b"zkml-gpu proving key. Private: it holds the model's weights and what hides them. \
Publish the verifying key (NAME.vk) instead.\n";
/// Largest verifying key inside.
const MAX_KEY_BYTES: u64 = 256 << 20;
const HINT: &str = "NAME.pk is written by `zkml-gpu setup`; run it again, or copy the file again";

/// The keys of a model: what a prover keeps to itself, and the verifying key to publish.
#[derive(Clone, Debug)]
pub struct ProverKey {
    pub(crate) model: CompiledModel,
    pub(crate) keys: ProvingKeys,
    pub(crate) key: ModelKey,
    pub(crate) powers: Vec<G1Affine>,
    pub(crate) lagrange: Vec<G1Affine>,
}

impl CompiledModel {
    /// Makes the model's keys on a back end: proves that the layout says what the graph says, commits to the circuit's
    /// columns, and, where they are not embedded, to the weights, of which it proves that they are integers of their
    /// widths and 0 where the architecture has none.
    ///
    /// `rng` blinds the weights' commitments: it must be cryptographically secure.
    ///
    /// # Errors
    /// [`Error::MissingBackend`], [`Error::Key`] where the reference string does not fit or keys cannot be made,
    /// [`Error::Weights`] where the weights cannot be proved, [`Error::Prover`] where the device fails.
    pub fn setup<R: RngCore + CryptoRng>(
        self,
        srs: &Srs,
        backend: &BackendChoice,
        mut rng: R,
    ) -> Result<ProverKey, Error> {
        self.setup_unproven(srs, backend, &mut rng)?.with_proven_weights(backend, rng)
    }

    /// As [`setup`](Self::setup), without a proof about the weights: to those who verify they are field elements
    /// ([`ModelKey::note`]).
    ///
    /// # Errors
    /// As [`setup`](Self::setup).
    pub fn setup_unproven<R: RngCore + CryptoRng>(
        self,
        srs: &Srs,
        backend: &BackendChoice,
        rng: R,
    ) -> Result<ProverKey, Error> {
        let backend = backend.resolve()?.open()?;
        // Tables of multiples pay over many proofs: keys are made once.
        let committer = Committer::new(backend, srs, 0).map_err(ProverError::Backend)?;
        let hiding = if self.about.public_weights { Hiding::Nothing } else { Hiding::Drawn(rng) };
        let (_, keys) = setup(&self.graph, &self.layout, srs, &committer, hiding)?;
        let about = self.key_about()?;
        let key = ModelKey::new(about, keys.verifying.clone(), None)?;
        let (powers, lagrange) = (srs.g().to_vec(), srs.lagrange().to_vec());
        Ok(ProverKey { model: self, keys, key, powers, lagrange })
    }

    /// What its key says of it.
    fn key_about(&self) -> Result<About, Error> {
        let architecture = architecture_digest(&self.graph)?;
        let ModelAbout { name, inferences, public_weights, accuracy, .. } = &self.about;
        Ok(About {
            model: name.clone(),
            inferences: *inferences as u64,
            public_weights: *public_weights,
            accuracy: *accuracy,
            architecture,
        })
    }

    /// Makes keys without a proof about the weights and loads them, for proofs of this process alone. It spends what
    /// memory is available, by the rule of [`memory_budget`](Self::memory_budget).
    ///
    /// # Errors
    /// [`Error::WouldNotFit`], and those of [`setup`](Self::setup) and [`ProverKey::prover`].
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
        self.setup_unproven(srs, backend, rng)?.prover(backend, budget)
    }
}

/// The files of a pair of keys: `NAME.pk` and `NAME.vk`.
pub fn pair(folder: impl AsRef<Path>, name: &str) -> [PathBuf; 2] {
    ["pk", "vk"].map(|kind| folder.as_ref().join(format!("{name}.{kind}")))
}

/// Writes a pair of keys, as [`ProverKey::write_pair`] says.
pub(crate) fn write_staged_pair(
    folder: &Path,
    name: &str,
    verifying_key: &[u8],
    stage: impl FnOnce(&Path) -> Result<Staged, Error>,
) -> Result<[PathBuf; 2], Error> {
    let [pk, vk] = pair(folder, name);
    let made = NewFolder::make(folder).map_err(|source| FileError::unwritten(folder, source))?;
    let private = stage(&pk)?;
    let public = Staged::new(&vk, verifying_key, Access::Public).map_err(|source| FileError::unwritten(&vk, source))?;
    match std::fs::remove_file(&vk) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(FileError::unwritten(&vk, source).into());
        }
        _ => {}
    }
    private.publish().map_err(|source| FileError::unwritten(&pk, source))?;
    public.publish().map_err(|source| FileError::unwritten(&vk, source))?;
    made.keep();
    Ok([pk, vk])
}

impl ProverKey {
    /// The keys with a proof that the weights are integers of their widths, and 0 where the architecture has none; as
    /// they are where the weights are embedded. The verifying key is another one then: proofs name it by its digest.
    ///
    /// # Errors
    /// [`Error::MissingBackend`], [`Error::Weights`] where the weights cannot be proved.
    pub fn with_proven_weights<R: RngCore + CryptoRng>(self, backend: &BackendChoice, rng: R) -> Result<Self, Error> {
        let Self { model, keys, key, powers, lagrange } = self;
        if keys.verifying.weights() == WeightMode::Embedded {
            return Ok(Self { model, keys, key, powers, lagrange });
        }
        let backend = backend.resolve()?.open()?;
        let opening = WeightsOpening::new(&model.graph, &model.layout, &keys.verifying, &keys.model);
        let committer = || Committer::from_points(backend.clone(), &powers, &lagrange, 0);
        let proof = prove_weights(opening, committer, rng)?;
        let about = model.key_about()?;
        let key = ModelKey::new(about, keys.verifying.clone(), Some(proof))?;
        // What leaves is verified.
        key.verify_weights().map_err(|rejection| Error::Internal(rejection.to_string()))?;
        Ok(Self { model, keys, key, powers, lagrange })
    }

    /// Writes `NAME.pk`, whole or not at all, readable by the user alone.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        Ok(self.stage(path)?.publish().map_err(|source| FileError::unwritten(path, source))?)
    }

    /// Writes `NAME.pk` and, for everybody to read, `NAME.vk` into a folder, which is made where it is missing.
    ///
    /// Both are on the disk before either gets its name, and an older `NAME.vk` goes first: at no time does the folder
    /// hold a proving key beside another one's verifying key.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write_pair(&self, folder: impl AsRef<Path>, name: &str) -> Result<[PathBuf; 2], Error> {
        write_staged_pair(folder.as_ref(), name, self.key.to_bytes(), |path| self.stage(path))
    }

    fn stage(&self, path: &Path) -> Result<Staged, Error> {
        stage_container(path, Access::Private, PROVING_KEY, &SECTIONS, |writer| self.write_sections(writer))
    }

    /// The bytes of `NAME.pk`, as private as the file.
    ///
    /// # Errors
    /// [`Error::Internal`], if it has no bytes after all.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        container_bytes(PROVING_KEY, &SECTIONS, |writer| self.write_sections(writer))
    }

    /// As [`read`](Self::read), from memory.
    ///
    /// # Errors
    /// [`Error::File`] where they are not what [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        container_of_bytes(bytes, PROVING_KEY, HINT, |container| Self::read_sections(container, IN_MEMORY))
    }

    fn write_sections<W: std::io::Write + std::io::Seek>(&self, writer: &mut Writer<W>) -> Result<(), ContainerError> {
        writer.section(NOTICE)?;
        self.model.write_sections(writer)?;
        writer.section(self.key.to_bytes())?;
        writer.section_with(|out| self.keys.model.blinds.iter().try_for_each(|blinds| write_elements(blinds, out)))?;
        writer.section_with(|out| write_points(&self.powers, out))?;
        writer.section_with(|out| write_points(&self.lagrange, out))
    }

    /// Reads `NAME.pk`.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or is not what [`write`](Self::write) wrote.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        read_container(path, PROVING_KEY, HINT, |container| Self::read_sections(container, &path.display().to_string()))
    }

    fn read_sections<R: std::io::Read + std::io::Seek>(
        container: &mut Container<R>,
        file: &str,
    ) -> Result<Self, ContainerError> {
        let damaged = |problem: &str| ContainerError::Damaged(problem.into());
        let model = CompiledModel::read_sections(container)?;
        let key = container.section(SECTIONS[4], MAX_KEY_BYTES)?;
        let key = ModelKey::from_bytes(&key, file).map_err(|error| ContainerError::Damaged(error.to_string()))?;
        // The file is trusted: what made it has verified the proof.
        let key = key.with_own_weights_proof();
        let verifying = key.keys().clone();
        let rows = verifying.blinding_rows();
        let columns = verifying.model_commitment().len();
        let blinds = container.section(SECTIONS[5], (rows * columns * ELEMENT_BYTES) as u64)?;
        let blinds = read_elements(&blinds).filter(|blinds| blinds.len() == rows * columns);
        let blinds = blinds.ok_or_else(|| damaged("the blinding does not fit the model commitment"))?;
        let blinds: Vec<Vec<Fr>> = blinds.chunks(rows.max(1)).map(<[Fr]>::to_vec).collect();
        let mut points = |name| point_section(container, name, verifying.k());
        let (powers, lagrange) = (points(SECTIONS[6])?, points(SECTIONS[7])?);
        // Those points hide the weights: they are the verifying key's own.
        if lagrange[lagrange.len() - rows..] != *verifying.blinding_points() || powers[0] != G1Affine::generator() {
            return Err(damaged("the reference string is not the verifying key's"));
        }
        model.check_numbers().map_err(ContainerError::Damaged)?;
        if model.k() != verifying.k() || model.layout.architecture != *verifying.architecture() {
            return Err(damaged("the layout is not the verifying key's"));
        }
        let bank = Bank::new(&model.layout, &model.graph);
        let opening = ModelOpening { bank, blinds };
        // What calls its weights hidden hides them, whoever made it.
        let is_committed = verifying.weights() == WeightMode::Committed;
        let said = [model.about.public_weights, key.has_public_weights()];
        if is_committed && said != [opening.is_public(); 2] {
            return Err(damaged("what it says of who sees the weights is not so"));
        }
        let keys = ProvingKeys { model: opening, verifying };
        Ok(Self { model, keys, key, powers, lagrange })
    }

    /// Loads the keys to a back end, for any number of proofs, within a budget of this model's.
    ///
    /// # Errors
    /// [`Error::MissingBackend`], [`Error::Key`] and [`Error::Prover`] where the device fails.
    pub fn prover(self, backend: &BackendChoice, budget: &MemoryBudget) -> Result<ModelProver, Error> {
        ModelProver::new(self, backend, budget)
    }

    /// The verifying key to publish.
    pub fn key(&self) -> &ModelKey {
        &self.key
    }

    /// The compiled model.
    pub fn model(&self) -> &CompiledModel {
        &self.model
    }

    /// The Lagrange points of the reference string: what commitments to tensors are made of.
    pub fn lagrange(&self) -> &[G1Affine] {
        &self.lagrange
    }
}

impl ProverKey {
    /// Makes keys for a retrained model under this key's circuit: the reference string and the circuit's key are the
    /// same, the model commitment is another, and its weights are proved where this key's are. `model` is one of [`Model::compile_like`](crate::Model::compile_like)'s.
    ///
    /// `rng` blinds the weights' commitments, unless the weights are public: it must be cryptographically secure.
    ///
    /// # Errors
    /// [`Error::OtherArchitecture`] where the model has another graph, [`Error::EmbeddedWeights`] where the weights are
    /// part of the circuit, [`Error::Arguments`] where the one's weights are public and the other's are not, [`Error::Key`] and [`Error::Prover`] where the device fails.
    pub fn retrain<R: RngCore + CryptoRng>(
        &self,
        model: CompiledModel,
        choice: &BackendChoice,
        mut rng: R,
    ) -> Result<ProverKey, Error> {
        if let Some(difference) = self.model.graph.difference(&model.graph) {
            return Err(Error::OtherArchitecture { model: model.name().into(), difference });
        }
        if self.keys.verifying.model_commitment().is_empty() {
            return Err(Error::EmbeddedWeights { model: model.name().into() });
        }
        if self.model.about.public_weights != model.about.public_weights {
            let problem = "weights are public in one of the models and hidden in the other".into();
            return Err(Error::Arguments { problem, hint: "retrain keeps what the key says of them" });
        }
        // The layout is this key's, whatever came with the model: the circuit's key is that of this layout.
        let model = CompiledModel { layout: self.model.layout.clone(), ..model };
        let backend = choice.resolve()?.open()?;
        let committer =
            Committer::from_points(backend, &self.powers, &self.lagrange, 0).map_err(ProverError::Backend)?;
        let hiding = if model.about.public_weights { Hiding::Nothing } else { Hiding::Drawn(&mut rng) };
        let keys = recommit(&self.keys, &model.graph, &model.layout, &committer, hiding)?;
        let about = model.key_about()?;
        let key = ModelKey::new(about, keys.verifying.clone(), None)?;
        let new = ProverKey { model, keys, key, powers: self.powers.clone(), lagrange: self.lagrange.clone() };
        if self.key.weights_proof().is_some() { new.with_proven_weights(choice, rng) } else { Ok(new) }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;
    use zkml_gpu_onnx::import::ImportOptions;

    use super::*;
    use crate::{Artifact, CompileOptions, Model, read_samples};

    #[test]
    fn models_and_keys_in_memory_are_those_of_files() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/ops/gemm_plain.onnx");
        let bytes = std::fs::read(&file).expect("the model");
        let options = ImportOptions::default();
        let model = Model::from_bytes(&bytes, "gemm_plain", &options).expect("a model");
        assert_eq!(model.digest(), Model::load(&file, &options).expect("a model").digest());
        let samples = read_samples(file.with_extension("json"), &model.inputs()).expect("samples");
        let joint = CompileOptions::default().with_allow_error(true).with_inferences(2);
        let joint = model.compile(&samples, &joint).expect("compiled");
        assert_eq!(model.input_shapes(), joint.input_shapes(), "shapes are those of one inference");

        let compiled = model.compile(&samples, &CompileOptions::default().with_allow_error(true)).expect("compiled");
        let folder = tempfile::tempdir().expect("a folder");
        let [zkml, pk] = ["m.zkml", "m.pk"].map(|name| folder.path().join(name));
        compiled.write(&zkml).expect("written");
        let bytes = compiled.to_bytes().expect("bytes");
        assert_eq!(bytes, std::fs::read(&zkml).expect("the file"));
        let compiled = CompiledModel::from_bytes(&bytes).expect("read");
        let srs = Srs::development(compiled.k(), OsRng).expect("a reference string");
        let key = compiled.setup(&srs, &BackendChoice::Cpu, OsRng).expect("keys");
        key.write(&pk).expect("written");
        let bytes = key.to_bytes().expect("bytes");
        assert_eq!(bytes, std::fs::read(&pk).expect("the file"));
        assert_eq!(ProverKey::from_bytes(&bytes).expect("read").key().digest(), key.key().digest());

        // Cut, changed, or of another kind: refused, with words for bytes that are in no file.
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        for bad in [&bytes[..bytes.len() - 1], &bytes[..20], &[], &changed, &compiled_bytes(&zkml)] {
            let message = ProverKey::from_bytes(bad).expect_err("refused").to_string();
            assert!(message.starts_with("bytes in memory: ") && message.contains("hint:"), "{message}");
        }
        assert!(CompiledModel::from_bytes(&bytes).is_err() && Model::from_bytes(&bytes, "m", &options).is_err());

        assert!(matches!(Artifact::read(&pk), Ok(Artifact::ProvingKey(_))));
        assert_eq!(Artifact::read(&zkml).expect("read").to_json().expect("JSON")["kind"], "compiled model");
        assert!(matches!(Artifact::read(&file), Err(Error::Arguments { .. })), "a file of another program");
    }

    fn compiled_bytes(file: &Path) -> Vec<u8> {
        std::fs::read(file).expect("the file")
    }
}
