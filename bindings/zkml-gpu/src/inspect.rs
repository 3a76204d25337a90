//! What a file is, by its first bytes: any artifact of this project, or a reference string.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use zkml_gpu_engine::srs::{FileInfo, FileKind, Identity, inspect};
use zkml_gpu_files::container;
use zkml_gpu_verify::{
    Accuracy, AnyKey, AnyProof, ProofBundle, PublicTensor, SEGMENTED_KEY, SegmentedKey, SegmentedProof,
    TensorCommitment, VERIFYING_KEY, read_hash,
};

use crate::compiled::{COMPILED_MODEL, CompiledModel, IN_MEMORY};
use crate::key::{PROVING_KEY, ProverKey};
use crate::opening::{OPENING, Opening};
use crate::public::{PUBLIC_MODEL, PublicModel};
use crate::segmented::{
    SEGMENTED_MODEL, SEGMENTED_PROVING_KEY, SEGMENTED_PUBLIC_MODEL, SegmentedModel, SegmentedProverKey,
    SegmentedPublicModel,
};
use crate::{Error, FileError, ModelKey, WeightMode};

/// A file that was read, as what it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Artifact {
    /// `NAME.zkml`.
    CompiledModel(Box<CompiledModel>),
    /// `NAME.pk`.
    ProvingKey(Box<ProverKey>),
    /// `NAME.vk`.
    VerifyingKey(Box<ModelKey>),
    /// `NAME.public.zkml`.
    PublicModel(Box<PublicModel>),
    /// `NAME.zkml` of a model in segments.
    SegmentedModel(Box<SegmentedModel>),
    /// `NAME.pk` of a model in segments.
    SegmentedProvingKey(Box<SegmentedProverKey>),
    /// `NAME.vk` of a model in segments.
    SegmentedVerifyingKey(Box<SegmentedKey>),
    /// `NAME.public.zkml` of a model in segments.
    SegmentedPublicModel(Box<SegmentedPublicModel>),
    /// `proof.json` of a model in segments, which is not verified.
    SegmentedProof(Box<SegmentedProof>),
    /// `NAME.opening`.
    Opening(Box<Opening>),
    /// `NAME.commitment.json`.
    Commitment(Box<TensorCommitment>),
    /// `proof.json`, which is not verified.
    Proof(Box<ProofBundle>),
    /// A hash and a salt are the same number of digits: which it is only its owner knows, so that the digits are not
    /// kept.
    HashOrSalt,
    /// A reference string in snarkjs' format or the own one; its points are not checked.
    ReferenceString {
        /// The file.
        file: PathBuf,
        /// Its size.
        bytes: u64,
        /// What it says of itself.
        info: FileInfo,
    },
}

/// The first bytes of a file; none of what is no regular file, which the reader of its kind refuses by name.
///
/// # Errors
/// [`Error::File`] where it cannot be read.
pub fn magic(path: impl AsRef<Path>) -> Result<Option<[u8; 8]>, Error> {
    let path = path.as_ref();
    let fail = |source| FileError::File { path: path.into(), action: "read", source };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    Ok(File::open(path).and_then(container::magic).map_err(fail)?)
}

impl Artifact {
    /// Reads a file, from whoever.
    ///
    /// # Errors
    /// [`Error::Arguments`] for a file of another program, and those of the reader of its kind.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(match magic(path)? {
            Some(magic) if magic == COMPILED_MODEL.magic => Self::CompiledModel(Box::new(CompiledModel::read(path)?)),
            Some(magic) if magic == PROVING_KEY.magic => Self::ProvingKey(Box::new(ProverKey::read(path)?)),
            Some(magic) if magic == VERIFYING_KEY.magic => Self::VerifyingKey(Box::new(ModelKey::read(path)?)),
            Some(magic) if magic == PUBLIC_MODEL.magic => Self::PublicModel(Box::new(PublicModel::read(path)?)),
            Some(magic) if magic == SEGMENTED_MODEL.magic => {
                Self::SegmentedModel(Box::new(SegmentedModel::open(path)?))
            }
            Some(magic) if magic == SEGMENTED_PROVING_KEY.magic => {
                Self::SegmentedProvingKey(Box::new(SegmentedProverKey::open(path)?))
            }
            Some(magic) if magic == SEGMENTED_KEY.magic => {
                Self::SegmentedVerifyingKey(Box::new(SegmentedKey::read(path)?))
            }
            Some(magic) if magic == SEGMENTED_PUBLIC_MODEL.magic => {
                Self::SegmentedPublicModel(Box::new(SegmentedPublicModel::open(path)?))
            }
            Some(magic) if magic == OPENING.magic => Self::Opening(Box::new(Opening::read(path)?)),
            // A commitment and a proof are JSON, and a commitment says so of itself.
            Some(magic) if magic.starts_with(b"{") => match TensorCommitment::is_one(path)? {
                true => Self::Commitment(Box::new(TensorCommitment::read(path)?)),
                false => match AnyProof::read(path)? {
                    AnyProof::Whole(proof) => Self::Proof(proof),
                    AnyProof::Segmented(proof) => Self::SegmentedProof(proof),
                },
            },
            Some(magic) if magic.iter().all(u8::is_ascii_hexdigit) && read_hash(path).is_ok() => Self::HashOrSalt,
            Some(magic) if magic.starts_with(b"ptau") || magic == *b"zkmlgpuS" => {
                let fail = |source| FileError::File { path: path.into(), action: "read", source };
                let bytes = std::fs::metadata(path).map_err(fail)?.len();
                Self::ReferenceString { file: path.into(), bytes, info: inspect(path)? }
            }
            Some(_) | None => {
                return Err(Error::Arguments {
                    problem: format!("{} is no file of this program", path.display()),
                    hint: "inspect takes NAME.zkml, NAME.public.zkml, NAME.pk, NAME.vk, proof.json, commitments, openings, hashes and reference strings; srs info takes Halo2's, too",
                });
            }
        })
    }

    /// As [`read`](Self::read), of a file in memory: keys, compiled models, proofs and commitments of tensors. Of models in
    /// segments there are the verifying key and proofs; the other files of theirs are read piece by piece, from a disk.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::Arguments`] for other files.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let kind = container::magic(bytes).ok().flatten().unwrap_or_default();
        Ok(if kind == COMPILED_MODEL.magic {
            Self::CompiledModel(Box::new(CompiledModel::from_bytes(bytes)?))
        } else if kind == PROVING_KEY.magic {
            Self::ProvingKey(Box::new(ProverKey::from_bytes(bytes)?))
        } else if kind == VERIFYING_KEY.magic || kind == SEGMENTED_KEY.magic {
            match AnyKey::from_bytes(bytes, IN_MEMORY)? {
                AnyKey::Whole(key) => Self::VerifyingKey(key),
                AnyKey::Segmented(key) => Self::SegmentedVerifyingKey(key),
            }
        } else if !kind.starts_with(b"{") {
            return Err(Error::Arguments {
                problem: format!("{IN_MEMORY} are no file that can be inspected there"),
                hint: "inspect takes the bytes of NAME.zkml, NAME.pk, NAME.vk, proof.json or a commitment",
            });
        } else if let Ok(commitment) = TensorCommitment::from_json(bytes, IN_MEMORY) {
            Self::Commitment(Box::new(commitment))
        } else {
            match AnyProof::from_json(bytes, IN_MEMORY)? {
                AnyProof::Whole(proof) => Self::Proof(proof),
                AnyProof::Segmented(proof) => Self::SegmentedProof(proof),
            }
        })
    }

    /// What it is as a JSON object, whose `kind` names it. Names and meaning are part of the command line's contract.
    ///
    /// # Errors
    /// [`Error::Internal`], if a graph has no digest after all.
    pub fn to_json(&self) -> Result<Value, Error> {
        Ok(match self {
            Self::CompiledModel(model) => json!({
                "kind": "compiled model",
                "version": COMPILED_MODEL.version,
                "model": model_json(model),
            }),
            Self::ProvingKey(key) => json!({
                "kind": "proving key",
                "version": PROVING_KEY.version,
                "private": true,
                "model": model_json(key.model()),
                "verifying_key": key_json(key.key()),
            }),
            Self::VerifyingKey(key) => {
                let mut json = key_json(key);
                json["kind"] = "verifying key".into();
                json["version"] = VERIFYING_KEY.version.into();
                json
            }
            Self::PublicModel(model) => json!({
                "kind": "public model",
                "version": PUBLIC_MODEL.version,
                "model": model.name(),
                "architecture": model.architecture_digest()?,
                "inferences": model.inferences(),
                "layers": model.layers(),
                "k": model.k(),
                "tells_quantisation": model.tells_quantisation(),
                "statement": model.statement(),
            }),
            Self::SegmentedModel(model) => json!({
                "kind": "compiled model of segments",
                "version": SEGMENTED_MODEL.version,
                "model": segmented_model_json(model),
            }),
            Self::SegmentedProvingKey(key) => json!({
                "kind": "proving key of segments",
                "version": SEGMENTED_PROVING_KEY.version,
                "private": true,
                "model": segmented_model_json(key.model()),
                "verifying_key": segmented_key_json(key.key()),
            }),
            Self::SegmentedVerifyingKey(key) => {
                let mut json = segmented_key_json(key);
                json["kind"] = "verifying key of segments".into();
                json["version"] = SEGMENTED_KEY.version.into();
                json
            }
            Self::SegmentedPublicModel(model) => json!({
                "kind": "public model of segments",
                "version": SEGMENTED_PUBLIC_MODEL.version,
                "model": model.name(),
                "inferences": model.inferences(),
                "segments": model.segments(),
                "circuits": model.circuits(),
                "k": model.k(),
            }),
            Self::SegmentedProof(proof) => json!({
                "kind": "proof of segments",
                "version": proof.version,
                "model": proof.model,
                "verifying_key": proof.verifying_key,
                "weights": proof.weights,
                "note": proof.note,
                "backend": proof.backend,
                "insecure_srs": proof.insecure_srs,
                "max_error": proof.max_error,
                "proof_bytes": proof.proof_bytes(),
                "segments": proof.proofs.len(),
                "inferences": proof.inferences,
                "inputs": tensors_json(&proof.inputs),
                "outputs": tensors_json(&proof.outputs),
            }),
            Self::Opening(opening) => json!({
                "kind": "opening",
                "version": OPENING.version,
                "private": true,
                "commitment": opening.commitment(),
            }),
            Self::Commitment(commitment) => json!({ "kind": "commitment", "commitment": commitment }),
            Self::Proof(proof) => proof_json(proof),
            Self::HashOrSalt => json!({ "kind": "hash or salt" }),
            Self::ReferenceString { file, bytes, info } => reference_json(file, *bytes, info),
        })
    }
}

/// Where a compiled model's weights will stand.
pub fn weights_text(model: &CompiledModel) -> &'static str {
    match (model.weight_mode(), model.has_public_weights()) {
        (WeightMode::Committed, true) => "to be committed, public",
        (WeightMode::Committed, false) => "to be committed, hiding",
        (WeightMode::Embedded, _) => "to be embedded, public",
    }
}

fn model_json(model: &CompiledModel) -> Value {
    let summary = model.summary();
    json!({
        "about": model.about(),
        "weights": weights_text(model),
        "parameters": model.parameters(),
        "macs": model.macs(),
        "k": summary.k,
        "advice_columns": summary.advice_columns,
        "fixed_columns": summary.fixed_columns,
        "lookups": summary.lookups,
    })
}

fn key_json(key: &ModelKey) -> Value {
    #[derive(Serialize)]
    struct Key<'a> {
        model: &'a str,
        digest: &'a str,
        circuit_key: &'a str,
        model_commitment: &'a str,
        k: u32,
        weights: &'a str,
        note: &'a str,
        accuracy: &'a Accuracy,
        srs: String,
        insecure_srs: bool,
        statement: &'a crate::circuit::system::Statement,
    }
    json!(Key {
        model: key.model(),
        digest: key.digest(),
        circuit_key: key.circuit_digest(),
        model_commitment: key.model_digest(),
        k: key.keys().k(),
        weights: key.weights(),
        note: key.note(),
        accuracy: key.accuracy(),
        srs: Identity::of(key.keys().s_g2()).to_string(),
        insecure_srs: key.is_insecure(),
        statement: key.keys().statement(),
    })
}

fn segmented_model_json(model: &SegmentedModel) -> Value {
    json!({
        "about": model.about(),
        "parameters": model.parameters(),
        "macs": model.macs(),
        "segments": model.segments(),
        "circuits": model.circuits(),
        "wires": model.wires(),
        "k": model.k(),
    })
}

fn segmented_key_json(key: &SegmentedKey) -> Value {
    json!({
        "model": key.model(),
        "digest": key.digest(),
        "about": key.about(),
        "k": key.k(),
        "weights": key.weights(),
        "note": key.note(),
        "srs": Identity::of(key.segments()[0].keys().s_g2()).to_string(),
        "insecure_srs": key.is_insecure(),
        "inputs": key.inputs(),
        "outputs": key.outputs(),
    })
}

fn tensors_json(tensors: &[PublicTensor]) -> Vec<Value> {
    let tensor = |tensor: &PublicTensor| {
        json!({
            "name": tensor.name,
            "shape": tensor.shape,
            "reals": tensor.reals(),
            "visibility": tensor.visibility,
            "commitments": tensor.commitments,
            "hash": tensor.hash,
        })
    };
    tensors.iter().map(tensor).collect()
}

fn proof_json(proof: &ProofBundle) -> Value {
    json!({
        "kind": "proof",
        "version": proof.version,
        "model": proof.model,
        "verifying_key": proof.verifying_key,
        "weights": proof.weights,
        "note": proof.note,
        "backend": proof.backend,
        "insecure_srs": proof.insecure_srs,
        "max_error": proof.max_error,
        "proof_bytes": proof.proof_bytes().len(),
        "inferences": proof.inferences,
        "inputs": tensors_json(&proof.inputs),
        "outputs": tensors_json(&proof.outputs),
    })
}

fn reference_json(file: &Path, bytes: u64, info: &FileInfo) -> Value {
    let format = match info.kind {
        FileKind::Ptau => "ptau",
        FileKind::Halo2 => "halo2",
        FileKind::Ours => "own",
        _ => "other",
    };
    json!({
        "kind": "reference string",
        "file": file.display().to_string(),
        "format": format,
        "bytes": bytes,
        "power": info.k,
        "prepared": info.prepared,
        "identity": info.identity.to_string(),
        "contributions": info.contributions,
        "insecure_srs": info.insecure,
        "checked": false,
    })
}
