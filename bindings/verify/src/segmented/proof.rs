//! `proof.json` of a model in segments.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use halo2curves::bn256::G1Affine;
use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::keys::point_to_hex;
use zkml_gpu_circuit::system::Port;
use zkml_gpu_graph::End;

use super::SegmentedKey;
use crate::backend_name::is_backend;
use crate::bundle::{
    MAX_PROOF_BYTES, NO_SUCH, PROOF_HINT, expect, expect_commitment, expect_hash, is_hex, other_commitment, other_hash,
    pairs, shown,
};
use crate::files::read_bounded;
use crate::key::{is_one, one};
use crate::{Error, Expected, Pair, ProofBundle, PublicTensor, Rejection};

/// Value of [`SegmentedProof::format`].
const FORMAT: &str = "zkml-gpu proof of segments";
/// Value of [`SegmentedProof::version`].
const VERSION: u32 = 1;

/// Proofs of all segments of a model, and what they prove together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentedProof {
    /// Always `zkml-gpu proof of segments`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// Name of the model, as in the verifying key.
    pub model: String,
    /// Digest of `model.vk`.
    pub verifying_key: String,
    /// The back end that proved; for the record only.
    pub backend: String,
    /// How the weights are bound.
    pub weights: String,
    /// What the verifier knows of them.
    pub note: String,
    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub insecure_srs: bool,
    /// What the key's owner says of the model's error against the float model.
    pub max_error: f64,
    /// Inferences that the proof is of.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub inferences: u64,
    /// The model's inputs.
    pub inputs: Vec<PublicTensor>,
    /// The proved outputs.
    pub outputs: Vec<PublicTensor>,
    /// Commitments to what lies between segments, one a column: compressed points in lower-case hexadecimal.
    pub between: Vec<Vec<String>>,
    /// The segments' proofs, in their order: base64 with padding.
    pub proofs: Vec<String>,
    /// Blake2b digest of all other fields: finds damage, not fraud.
    pub checksum: String,
}

impl SegmentedProof {
    /// The bundle of proofs for this key, for whoever proves: of each segment its own, and the points of what lies between
    /// them. Whether it holds is for [`SegmentedKey::verify`].
    ///
    /// # Errors
    /// [`Error::Internal`] where the proofs are not those of the key's segments.
    pub fn new(key: &SegmentedKey, segments: &[ProofBundle], between: &[Vec<G1Affine>]) -> Result<Self, Error> {
        let [first, ..] = segments else { return Err(Error::Internal("a proof of no segment".into())) };
        if segments.len() != key.segments().len() || between.len() != key.wiring().between() {
            return Err(Error::Internal("proofs of other segments".into()));
        }
        let tensor = |place: super::wiring::Place| {
            let segment = &segments[place.segment];
            segment.inputs.iter().chain(&segment.outputs).nth(place.port).cloned()
        };
        let wiring = key.wiring();
        let missing = || Error::Internal("a segment's proof has other inputs and outputs".into());
        let inputs = (0..wiring.inputs()).map(|number| tensor(wiring.input(number)).ok_or_else(missing));
        let outputs = (0..wiring.outputs()).map(|number| tensor(wiring.output(number)).ok_or_else(missing));
        let mut this = Self {
            format: FORMAT.into(),
            version: VERSION,
            model: key.model().into(),
            verifying_key: key.digest().into(),
            backend: first.backend.clone(),
            weights: key.weights().into(),
            note: key.note().into(),
            insecure_srs: key.is_insecure(),
            max_error: key.accuracy().max_error,
            inferences: key.inferences() as u64,
            inputs: inputs.collect::<Result<_, _>>()?,
            outputs: outputs.collect::<Result<_, _>>()?,
            between: between.iter().map(|points| points.iter().map(point_to_hex).collect()).collect(),
            proofs: segments.iter().map(|segment| segment.proof.clone()).collect(),
            checksum: String::new(),
        };
        this.seal();
        Ok(this)
    }

    /// Reads `proof.json`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`] where the file is no such bundle.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_json(&read_bounded(path, MAX_PROOF_BYTES)?, &path.display().to_string())
    }

    /// As [`read`](Self::read), from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem| Error::Artifact { file: file.into(), problem, hint: PROOF_HINT };
        let this: Self = serde_json::from_slice(bytes).map_err(|error| fail(format!("not a proof: {error}")))?;
        if this.format != FORMAT || this.version != VERSION {
            let found = format!("format {:?} version {}", this.format, this.version);
            return Err(fail(format!("{found}, this program reads {FORMAT:?} version {VERSION}")));
        }
        for (field, text) in [("verifying_key", &this.verifying_key), ("checksum", &this.checksum)] {
            if !is_hex(text) {
                return Err(fail(format!("field '{field}' is not lower-case hexadecimal")));
            }
        }
        if this.proofs.iter().any(|proof| STANDARD.decode(proof).is_err()) {
            return Err(fail("a proof in field 'proofs' is not base64".into()));
        }
        Ok(this)
    }

    /// Whether a text says of itself that it is such a bundle, in whatever version.
    pub fn is_one(bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Own {
            format: String,
        }
        serde_json::from_slice(bytes).is_ok_and(|own: Own| own.format == FORMAT)
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`Error::Internal`] where a real number is not finite.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec(self).map_err(|error| Error::Internal(format!("proof.json: {error}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// The pairs that are proved, as [`ProofBundle::pairs`].
    pub fn pairs(&self) -> Vec<Pair> {
        pairs(self.inferences, &self.inputs, &self.outputs)
    }

    /// The segments' proofs, in their order; empty where a field is not base64.
    pub fn segment_bytes(&self) -> Vec<Vec<u8>> {
        self.proofs.iter().map(|proof| STANDARD.decode(proof).unwrap_or_default()).collect()
    }

    /// Number of bytes of all proofs together.
    pub fn proof_bytes(&self) -> usize {
        self.segment_bytes().iter().map(Vec::len).sum()
    }

    /// Recomputes the checksum, after a change of another field.
    pub fn seal(&mut self) {
        self.checksum = self.digest();
    }

    fn digest(&self) -> String {
        let content = Self { checksum: String::new(), ..self.clone() };
        let text = serde_json::to_vec(&content).unwrap_or_default();
        let hash = blake2b_simd::Params::new().hash_length(32).personal(b"zkml-gpu segment").hash(&text);
        hash.to_hex().to_string()
    }

    /// Whether tensors have these commitments and hashes, by the names of inputs and outputs: for a proof that
    /// [holds](SegmentedKey::verify).
    ///
    /// # Errors
    /// [`Rejection::OtherCommitment`] and [`Rejection::OtherHash`] with the first that has not.
    pub fn expect(&self, key: &SegmentedKey, expected: &Expected) -> Result<(), Rejection> {
        let claimed = |end| match end {
            End::Input(number) => self.inputs.get(number),
            End::Output(number) => self.outputs.get(number),
            End::Between(_) => None,
        };
        for (name, commitment) in &expected.commitments {
            let (end, own, port) = key.named(name).ok_or_else(|| other_commitment(name, NO_SUCH.into()))?;
            expect_commitment((own, port), claimed(end), (name, commitment))?;
        }
        for (name, hash) in &expected.hashes {
            let (end, _, port) = key.named(name).ok_or_else(|| other_hash(name, NO_SUCH.into()))?;
            expect_hash(port, claimed(end), (name, hash))?;
        }
        Ok(())
    }

    /// Checks every field against the key, then the proofs.
    pub(super) fn check(&self, key: &SegmentedKey) -> Result<(), Rejection> {
        // Before anything that takes memory by the lengths.
        for (place, tensors, ports) in
            [("inputs", &self.inputs, key.inputs()), ("outputs", &self.outputs, key.outputs())]
        {
            expect(&format!("{place}.length"), tensors.len(), ports.len())?;
            for (i, (tensor, port)) in tensors.iter().zip(ports).enumerate() {
                let hidden = port.visibility().is_hidden();
                let (got, expected) = (tensor.values.len(), if hidden { 0 } else { port.logical_len() });
                if got != expected {
                    return Err(Rejection::Length { tensor: format!("{place}[{i}]"), got, expected });
                }
            }
        }
        if self.digest() != self.checksum {
            return Err(Rejection::Checksum);
        }
        expect("format", &self.format, FORMAT)?;
        expect("version", self.version, VERSION)?;
        expect("model", &self.model, key.model())?;
        expect("verifying_key", &self.verifying_key, key.digest())?;
        expect("weights", &self.weights, key.weights())?;
        expect("note", &self.note, key.note())?;
        expect("insecure_srs", self.insecure_srs, key.is_insecure())?;
        expect("max_error", self.max_error, key.accuracy().max_error)?;
        expect("inferences", self.inferences, key.inferences() as u64)?;
        expect("between.length", self.between.len(), key.wiring().between())?;
        expect("proofs.length", self.proofs.len(), key.segments().len())?;
        if !is_backend(&self.backend) {
            let (field, got) = ("backend".into(), shown(&self.backend));
            return Err(Rejection::Field { field, got, expected: "a back end's name".into() });
        }
        for (segment, own) in key.segments().iter().enumerate() {
            let rejected = |reason| Rejection::Segment { segment: segment + 1, reason: Box::new(reason) };
            own.verify(&self.segment(key, segment)).map_err(rejected)?;
        }
        Ok(())
    }

    /// The proof of one segment: what the key says of it, the claimed tensors of the whole, and the commitments to what
    /// lies between. Two segments that share a tensor get the same claim of it, since there is one.
    fn segment(&self, key: &SegmentedKey, segment: usize) -> ProofBundle {
        let (own, wire) = (&key.segments()[segment], &key.wiring().wires()[segment]);
        let statement = own.keys().statement();
        let mut bundle = ProofBundle::new(own, &self.backend, &[], &[], &[]);
        bundle.inputs = wire.inputs.iter().zip(&statement.inputs).map(|(end, port)| self.tensor(*end, port)).collect();
        bundle.outputs =
            wire.outputs.iter().zip(&statement.outputs).map(|(end, port)| self.tensor(*end, port)).collect();
        bundle.proof = self.proofs.get(segment).cloned().unwrap_or_default();
        bundle.seal();
        bundle
    }

    /// What is claimed of a segment's input or output.
    fn tensor(&self, end: End, port: &Port) -> PublicTensor {
        let claimed = match end {
            End::Input(number) => self.inputs.get(number),
            End::Output(number) => self.outputs.get(number),
            End::Between(number) => {
                let commitments = self.between.get(number).cloned().unwrap_or_default();
                return PublicTensor { commitments, ..PublicTensor::without_values(port) };
            }
        };
        claimed.cloned().unwrap_or_else(|| PublicTensor::without_values(port))
    }
}
