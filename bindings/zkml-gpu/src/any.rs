//! Models, proving keys and provers of whichever kind: of a model in one piece, or in segments.

use std::path::{Path, PathBuf};

use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuit::hash::Salt;
use zkml_gpu_engine::srs::Srs;
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::{AnyKey, AnyProof, ModelKey, PublicTensor};

use crate::inspect::magic;
use crate::opening::of_segments;
use crate::saturation::{Saturation, saturation};
use crate::segmented::{SEGMENTED_MODEL, SEGMENTED_PROVING_KEY};
use crate::{
    BackendChoice, CompiledModel, Error, MemoryBudget, ModelAbout, ModelInput, ModelProver, Opening, Proved, ProverKey,
    SegmentedModel, SegmentedProved, SegmentedProver, SegmentedProverKey,
};

/// What both kinds have alike.
macro_rules! of_either {
    ($self:expr, $own:ident => $value:expr) => {
        match $self {
            Self::Whole($own) => $value,
            Self::Segmented($own) => $value,
        }
    };
}

/// A model with its circuit, or with those of its segments.
#[derive(Debug)]
pub enum Compiled {
    /// In one piece.
    Whole(Box<CompiledModel>),
    /// In segments.
    Segmented(Box<SegmentedModel>),
}

/// A compiled model of either kind, wherever it is.
#[derive(Clone, Copy, Debug)]
pub enum AnyModel<'m> {
    /// In one piece.
    Whole(&'m CompiledModel),
    /// In segments.
    Segmented(&'m SegmentedModel),
}

/// A proving key of either kind.
#[derive(Clone, Debug)]
pub enum AnyProverKey {
    /// Of a model in one piece.
    Whole(Box<ProverKey>),
    /// Of a model in segments.
    Segmented(Box<SegmentedProverKey>),
}

/// A prover of either kind.
#[derive(Debug)]
pub enum AnyProver {
    /// Of a model in one piece.
    Whole(Box<ModelProver>),
    /// Of a model in segments, which are proved one after the other.
    Segmented(Box<SegmentedProver>),
}

/// A proof of either kind, with what its maker keeps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AnyProved {
    /// The proof with its public values.
    pub bundle: AnyProof,
    /// Openings of committed inputs and outputs, by their names. Secret, and the only ones.
    pub openings: Vec<(String, Opening)>,
    /// Wall time of the inference in integers and of the witness, in milliseconds; of segments that of all.
    pub witness_ms: f64,
}

impl Compiled {
    /// Reads `NAME.zkml`, from whoever; of segments what is not needed at once stays in the file.
    ///
    /// # Errors
    /// As [`CompiledModel::read`] and [`SegmentedModel::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(match magic(path)? {
            Some(magic) if magic == SEGMENTED_MODEL.magic => Self::Segmented(Box::new(SegmentedModel::open(path)?)),
            _ => Self::Whole(Box::new(CompiledModel::read(path)?)),
        })
    }

    /// As [`read`](Self::read), from memory.
    ///
    /// # Errors
    /// As [`CompiledModel::from_bytes`] and [`SegmentedModel::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(if bytes.starts_with(&SEGMENTED_MODEL.magic) {
            Self::Segmented(Box::new(SegmentedModel::from_bytes(bytes.to_vec())?))
        } else {
            Self::Whole(Box::new(CompiledModel::from_bytes(bytes)?))
        })
    }

    /// The model.
    pub fn model(&self) -> AnyModel<'_> {
        match self {
            Self::Whole(model) => AnyModel::Whole(model),
            Self::Segmented(model) => AnyModel::Segmented(model),
        }
    }

    /// Makes the model's keys, with a proof of its weights unless `unproven_weights`. Whether there is memory for them is
    /// for [`AnyModel::check_memory`].
    ///
    /// `rng` blinds the weights' commitments: it must be cryptographically secure.
    ///
    /// # Errors
    /// As [`CompiledModel::setup`] and [`SegmentedModel::setup`].
    pub fn setup<R: RngCore + CryptoRng>(
        self,
        srs: &Srs,
        backend: &BackendChoice,
        unproven_weights: bool,
        rng: R,
    ) -> Result<AnyProverKey, Error> {
        match self {
            Self::Whole(model) if unproven_weights => model.setup_unproven(srs, backend, rng).map(AnyProverKey::from),
            Self::Whole(model) => model.setup(srs, backend, rng).map(AnyProverKey::from),
            Self::Segmented(model) => model.setup(srs, backend, unproven_weights, rng).map(AnyProverKey::from),
        }
    }
}

impl AnyModel<'_> {
    /// Refuses a model whose keys and proof, with the proof of its weights unless `unproven_weights`, do not fit what may
    /// be used; of one in segments a segment's.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where they need more, [`Error::File`] where a segment cannot be read.
    pub fn check_memory(&self, max_memory_bytes: Option<u64>, unproven_weights: bool) -> Result<(), Error> {
        match self {
            Self::Whole(model) => {
                model.memory_budget(max_memory_bytes)?;
                if unproven_weights { Ok(()) } else { model.check_weights_memory(max_memory_bytes) }
            }
            Self::Segmented(model) => {
                model.memory_budgets(max_memory_bytes)?;
                let mut segments = (0..model.segments()).filter(|_| !unproven_weights);
                segments.try_for_each(|segment| model.segment(segment)?.check_weights_memory(max_memory_bytes))
            }
        }
    }

    /// A model of its own; segments in a file stay there.
    pub fn to_compiled(&self) -> Compiled {
        match self {
            Self::Whole(model) => Compiled::Whole(Box::new((*model).clone())),
            Self::Segmented(model) => Compiled::Segmented(Box::new((*model).clone())),
        }
    }

    /// What the model is, and what it was made from.
    pub fn about(&self) -> &ModelAbout {
        of_either!(self, model => model.about())
    }

    /// Number of segments; none of a model in one piece.
    pub fn segments(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Segmented(model) => Some(model.segments()),
        }
    }

    /// log2 of the rows of each circuit: the power that the reference string needs.
    pub fn k(&self) -> u32 {
        of_either!(self, model => model.k())
    }

    /// Inferences in each proof.
    pub fn inferences(&self) -> usize {
        of_either!(self, model => model.inferences())
    }

    /// Number of learned values.
    pub fn parameters(&self) -> usize {
        of_either!(self, model => model.parameters())
    }

    /// Multiplications of one inference.
    pub fn macs(&self) -> usize {
        of_either!(self, model => model.macs())
    }

    /// What each input takes for one inference.
    pub fn inputs(&self) -> Vec<ModelInput<'_>> {
        of_either!(self, model => model.inputs())
    }

    /// The shape of each input for one inference, as the model's file has it.
    pub fn input_shapes(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Whole(model) => model.input_shapes(),
            Self::Segmented(model) => model.input_shapes().into_iter().map(<[usize]>::to_vec).collect(),
        }
    }

    /// The inputs of one proof: samples one after the other, as many as it is for.
    ///
    /// # Errors
    /// [`Error::Inferences`] where they are more or fewer.
    pub fn together(&self, samples: &[Sample]) -> Result<Sample, Error> {
        of_either!(self, model => model.together(samples))
    }

    /// How much of a sample is clamped.
    pub fn saturation(&self, sample: &Sample) -> Option<Saturation> {
        match self {
            Self::Whole(model) => saturation(model, sample),
            Self::Segmented(model) => model.saturation(sample),
        }
    }

    /// Proves that each circuit says what its graph says.
    ///
    /// # Errors
    /// [`Error::Key`] where a layout is refused, [`Error::File`] where a segment cannot be read.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Whole(model) => model.check().map(drop),
            Self::Segmented(model) => model.check(),
        }
    }

    /// Writes `NAME.zkml`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        of_either!(self, model => model.write(path))
    }

    /// The bytes of `NAME.zkml`, as private as the file.
    ///
    /// # Errors
    /// [`Error::File`] where a segment cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        of_either!(self, model => model.to_bytes())
    }

    /// Writes `NAME.public.zkml`, the model without its weights where these are hidden.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write_public(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        match self {
            Self::Whole(model) => model.public().write(path),
            Self::Segmented(model) => model.public()?.write(path),
        }
    }
}

impl AnyProverKey {
    /// Reads `NAME.pk`; of segments what is not needed at once stays in the file.
    ///
    /// # Errors
    /// As [`ProverKey::read`] and [`SegmentedProverKey::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(match magic(path)? {
            Some(magic) if magic == SEGMENTED_PROVING_KEY.magic => {
                Self::Segmented(Box::new(SegmentedProverKey::open(path)?))
            }
            _ => Self::Whole(Box::new(ProverKey::read(path)?)),
        })
    }

    /// As [`read`](Self::read), from memory.
    ///
    /// # Errors
    /// As [`ProverKey::from_bytes`] and [`SegmentedProverKey::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(if bytes.starts_with(&SEGMENTED_PROVING_KEY.magic) {
            Self::Segmented(Box::new(SegmentedProverKey::from_bytes(bytes.to_vec())?))
        } else {
            Self::Whole(Box::new(ProverKey::from_bytes(bytes)?))
        })
    }

    /// Writes `NAME.pk`, whole or not at all, readable by the user alone.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        of_either!(self, key => key.write(path))
    }

    /// The bytes of `NAME.pk`, as private as the file.
    ///
    /// # Errors
    /// [`Error::File`] where a segment cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        of_either!(self, key => key.to_bytes())
    }

    /// Writes `NAME.pk` and `NAME.vk` into a folder, as [`ProverKey::write_pair`] does.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write_pair(&self, folder: impl AsRef<Path>, name: &str) -> Result<[PathBuf; 2], Error> {
        of_either!(self, key => key.write_pair(folder, name))
    }

    /// What the model is, and what it was made from.
    pub fn about(&self) -> &ModelAbout {
        of_either!(self, key => key.model().about())
    }

    /// The compiled model.
    pub fn model(&self) -> AnyModel<'_> {
        match self {
            Self::Whole(key) => AnyModel::Whole(key.model()),
            Self::Segmented(key) => AnyModel::Segmented(key.model()),
        }
    }

    /// The verifying key that has an input or output of the model, as [`key_of_tensor`](crate::key_of_tensor).
    ///
    /// # Errors
    /// [`Error::Arguments`] where no segment has it.
    pub fn key_of_tensor(&self, name: &str) -> Result<&ModelKey, Error> {
        match self {
            Self::Whole(key) => Ok(key.key()),
            Self::Segmented(key) => of_segments(key.key(), name),
        }
    }

    /// The verifying key to publish.
    pub fn key(&self) -> AnyKey {
        match self {
            Self::Whole(key) => AnyKey::Whole(Box::new(key.key().clone())),
            Self::Segmented(key) => AnyKey::Segmented(Box::new(key.key().clone())),
        }
    }
}

impl AnyProver {
    /// Proves one inference, or several whose inputs follow each other, as [`ModelProver::prove_opened`] and
    /// [`SegmentedProver::prove`] do.
    ///
    /// `rng` makes the proof zero knowledge: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// Theirs.
    pub fn prove<R: RngCore + CryptoRng + Send>(
        &self,
        sample: &Sample,
        openings: &[(String, Opening)],
        salts: &[(String, Salt)],
        rng: R,
    ) -> Result<AnyProved, Error> {
        match self {
            Self::Whole(prover) => Ok(prover.prove_opened(sample, openings, salts, rng)?.into()),
            Self::Segmented(prover) => Ok(prover.prove(sample, openings, salts, rng, |_| ())?.into()),
        }
    }

    /// What a proof of this sample has as inputs.
    ///
    /// # Errors
    /// As [`SegmentedProver::public_inputs`].
    pub fn public_inputs(&self, sample: &Sample) -> Result<Vec<PublicTensor>, Error> {
        match self {
            Self::Whole(prover) => Ok(prover.public_inputs(sample)),
            Self::Segmented(prover) => prover.public_inputs(sample),
        }
    }

    /// What a proof of this sample will have as outputs, from the same integers and without a proof.
    ///
    /// # Errors
    /// As [`ModelProver::infer`] and [`SegmentedProver::infer`].
    pub fn infer(&self, sample: &Sample) -> Result<Vec<PublicTensor>, Error> {
        of_either!(self, prover => prover.infer(sample))
    }

    /// Verifies a proof of its own before it leaves; it is read back from its bytes first, as a verifier would.
    ///
    /// # Errors
    /// [`Error::Internal`] where it does not hold, or is of the other kind.
    pub fn check(&self, proof: &AnyProof) -> Result<(), Error> {
        match (self, proof) {
            (Self::Whole(prover), AnyProof::Whole(proof)) => prover.check(proof),
            (Self::Segmented(prover), AnyProof::Segmented(proof)) => prover.check(proof),
            (Self::Whole(_), AnyProof::Segmented(_)) | (Self::Segmented(_), AnyProof::Whole(_)) => {
                Err(Error::Internal("a proof of another prover".into()))
            }
        }
    }

    /// The compiled model.
    pub fn model(&self) -> AnyModel<'_> {
        match self {
            Self::Whole(prover) => AnyModel::Whole(prover.model()),
            Self::Segmented(prover) => AnyModel::Segmented(prover.proving_key().model()),
        }
    }

    /// The verifying key to publish.
    pub fn key(&self) -> AnyKey {
        match self {
            Self::Whole(prover) => AnyKey::Whole(Box::new(prover.key().clone())),
            Self::Segmented(prover) => AnyKey::Segmented(Box::new(prover.key().clone())),
        }
    }

    /// Name of the back end.
    pub fn backend(&self) -> String {
        match self {
            Self::Whole(prover) => prover.backend().into(),
            Self::Segmented(prover) => prover.backend(),
        }
    }

    /// Its device in words.
    pub fn device(&self) -> String {
        of_either!(self, prover => prover.device())
    }

    /// The memory that it may use; of segments that of the largest.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where a segment's is there no more.
    pub fn budget(&self) -> Result<MemoryBudget, Error> {
        match self {
            Self::Whole(prover) => Ok(*prover.budget()),
            Self::Segmented(prover) => prover.budget(),
        }
    }
}

impl From<Proved> for AnyProved {
    fn from(proved: Proved) -> Self {
        let bundle = AnyProof::Whole(Box::new(proved.bundle));
        Self { bundle, openings: proved.openings, witness_ms: proved.witness_ms }
    }
}

impl From<SegmentedProved> for AnyProved {
    fn from(proved: SegmentedProved) -> Self {
        let witness_ms = proved.times.iter().map(|times| times.witness_ms).sum();
        let bundle = AnyProof::Segmented(Box::new(proved.bundle));
        Self { bundle, openings: proved.openings, witness_ms }
    }
}

impl From<ModelProver> for AnyProver {
    fn from(prover: ModelProver) -> Self {
        Self::Whole(Box::new(prover))
    }
}

impl From<SegmentedProver> for AnyProver {
    fn from(prover: SegmentedProver) -> Self {
        Self::Segmented(Box::new(prover))
    }
}

impl From<ProverKey> for AnyProverKey {
    fn from(key: ProverKey) -> Self {
        Self::Whole(Box::new(key))
    }
}

impl From<SegmentedProverKey> for AnyProverKey {
    fn from(key: SegmentedProverKey) -> Self {
        Self::Segmented(Box::new(key))
    }
}
