//! What a verifier says of a proof.

use std::fmt;

use serde::Serialize;
use web_time::Instant;
use zkml_gpu_circuit::hash::TensorHash;
use zkml_gpu_circuit::system::Port;

use crate::bundle::pairs;
use crate::report::{elapsed_ms, guarantee_lines, proof_lines, segmented_guarantee_lines, segmented_proof_lines};
use crate::{Error, Expected, ModelKey, Pair, ProofBundle, PublicTensor, Rejection, SegmentedKey, SegmentedProof};

/// The code that a program ends with after a proof that was rejected.
const REJECTED: u8 = 1;

/// A proof that was checked against a key: as text for people, as a JSON object for programs. Names and meaning of the
/// object's fields are part of the programs' contract.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Verdict<'a> {
    /// Whether the proof holds.
    pub accepted: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Name of the model, from the key.
    pub model: &'a str,
    /// Real numbers, one list for each input, in the order of the model's axes.
    pub input: Vec<Vec<f64>>,
    /// Likewise.
    pub output: Vec<Vec<f64>>,
    /// Inferences that the proof is of: each of those lists holds one after the other.
    pub inferences: u64,
    /// The inferences apart; none where there is one, or the proof does not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    /// `public`, `private`, `committed` or `hashed`, by the key, for each input: hidden ones have no numbers.
    pub input_visibility: Vec<&'static str>,
    /// Likewise.
    pub output_visibility: Vec<&'static str>,
    /// The hash of each input that is hashed.
    pub input_hash: Vec<Option<TensorHash>>,
    /// Likewise.
    pub output_hash: Vec<Option<TensorHash>>,
    /// How the weights are bound, as in `proof.json`.
    pub weights: &'static str,
    /// What an accepted proof says of the weights: [`ModelKey::note`].
    pub note: &'static str,
    /// Digest of `model.vk`, by which a proof names it.
    pub verifying_key: String,
    /// Whether the reference string was made on one machine, whose owner could forge proofs.
    pub insecure_srs: bool,
    /// Wall time of the check, in milliseconds.
    pub verify_ms: f64,
    /// Segments that the model is proved in; none where it is one circuit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<usize>,
    /// What is proved and what it says, for people.
    #[serde(skip)]
    lines: String,
}

impl<'a> Verdict<'a> {
    /// Checks the proof.
    pub fn new(key: &'a ModelKey, proof: &ProofBundle) -> Self {
        Self::expecting(key, proof, &Expected::default())
    }

    /// Checks the proof, and that tensors have these commitments and hashes.
    pub fn expecting(key: &'a ModelKey, proof: &ProofBundle, expected: &Expected) -> Self {
        let start = Instant::now();
        let verdict = key.verify(proof);
        Self::of_result(key, proof, verdict, expected, start)
    }

    /// Checks proofs together ([`ModelKey::verify_all`]), and that each has these commitments and hashes. Each verdict
    /// tells the time of all.
    pub fn of_all(key: &'a ModelKey, proofs: &[ProofBundle], expected: &Expected) -> Vec<Self> {
        let start = Instant::now();
        let verdicts = key.verify_all(proofs).into_iter().zip(proofs);
        verdicts.map(|(verdict, proof)| Self::of_result(key, proof, verdict, expected, start)).collect()
    }

    /// What is said of a proof that was checked since `start`.
    fn of_result(
        key: &'a ModelKey,
        proof: &ProofBundle,
        verdict: Result<(), Rejection>,
        expected: &Expected,
        start: Instant,
    ) -> Self {
        let verdict = verdict
            .and_then(|()| proof.expect_commitments(key, &expected.commitments))
            .and_then(|()| proof.expect_hashes(key, &expected.hashes));
        let verify_ms = elapsed_ms(start);
        let statement = key.keys().statement();
        Self {
            input_visibility: visibility(&statement.inputs),
            output_visibility: visibility(&statement.outputs),
            model: key.model(),
            weights: key.weights(),
            note: key.note(),
            verifying_key: key.digest().into(),
            insecure_srs: key.is_insecure(),
            lines: proof_lines(proof) + &guarantee_lines(key),
            ..Self::of_claim(verdict, verify_ms, proof.inferences, (&proof.inputs, &proof.outputs))
        }
    }

    /// What is said of any proof by what it claims; of its key nothing yet.
    fn of_claim(
        verdict: Result<(), Rejection>,
        verify_ms: f64,
        inferences: u64,
        (inputs, outputs): (&[PublicTensor], &[PublicTensor]),
    ) -> Self {
        let several = verdict.is_ok() && inferences > 1;
        let reals = |tensors: &[PublicTensor]| tensors.iter().map(PublicTensor::reals).collect();
        let hashes = |tensors: &[PublicTensor]| tensors.iter().map(|tensor| tensor.hash).collect();
        Self {
            inferences,
            pairs: if several { pairs(inferences, inputs, outputs) } else { Vec::new() },
            accepted: verdict.is_ok(),
            reason: verdict.err().map(|rejection| rejection.to_string()),
            input: reals(inputs),
            output: reals(outputs),
            input_hash: hashes(inputs),
            output_hash: hashes(outputs),
            verify_ms,
            ..Self::default()
        }
    }

    /// Checks the proofs of a model in segments, and that tensors have these commitments and hashes.
    pub fn of_segments(key: &'a SegmentedKey, proof: &SegmentedProof, expected: &Expected) -> Self {
        let start = Instant::now();
        let verdict = key.verify(proof).and_then(|()| proof.expect(key, expected));
        let verify_ms = elapsed_ms(start);
        Self {
            input_visibility: visibility(key.inputs()),
            output_visibility: visibility(key.outputs()),
            model: key.model(),
            weights: key.weights(),
            note: key.note(),
            verifying_key: key.digest().into(),
            insecure_srs: key.is_insecure(),
            segments: Some(key.segments().len()),
            lines: segmented_proof_lines(proof) + &segmented_guarantee_lines(key),
            ..Self::of_claim(verdict, verify_ms, proof.inferences, (&proof.inputs, &proof.outputs))
        }
    }

    /// Rejects for a reason that lies outside proof and key.
    pub fn reject(&mut self, reason: String) {
        self.accepted = false;
        self.pairs.clear();
        self.reason = Some(reason);
    }

    /// The JSON object, on a line.
    ///
    /// # Errors
    /// [`Error::Internal`], if it has no JSON after all.
    pub fn to_json(&self) -> Result<String, Error> {
        let text =
            serde_json::to_string(self).map_err(|error| Error::Internal(format!("the result as JSON: {error}")))?;
        Ok(text + "\n")
    }

    /// The code that a program ends with.
    pub fn exit_code(&self) -> u8 {
        if self.accepted { 0 } else { REJECTED }
    }
}

/// Who sees each of some inputs or outputs.
fn visibility<'p>(ports: impl IntoIterator<Item = &'p Port>) -> Vec<&'static str> {
    ports.into_iter().map(|port| port.visibility().name()).collect()
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.reason {
            return writeln!(f, "rejected: {reason}");
        }
        let gave = if self.inferences > 1 { "these outputs" } else { "this output" };
        writeln!(f, "accepted: {} gave {gave} ({:.1} ms)", self.model, self.verify_ms)?;
        f.write_str(&self.lines)
    }
}
