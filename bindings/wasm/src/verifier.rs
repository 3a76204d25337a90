//! Verifying.

use std::path::Path;

use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;
use zkml_gpu_verify::{AnyKey, AnyProof, Expected, TensorCommitment, Verdict};

use crate::failure::Failure;

const PROOF: &str = "the proof";

/// A verifying key.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Verifier(AnyKey);

#[wasm_bindgen]
impl Verifier {
    /// Reads `NAME.vk`.
    ///
    /// # Errors
    /// Those of the library, as text.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8]) -> Result<Verifier, wasm_bindgen::JsValue> {
        Ok(Self(AnyKey::from_bytes(bytes, "the verifying key").map_err(Failure::from)?))
    }

    /// What the key is, as JSON.
    pub fn about(&self) -> String {
        let (model, digest, weights, note, insecure) = match &self.0 {
            AnyKey::Whole(key) => (key.model(), key.digest(), key.weights(), key.note(), key.is_insecure()),
            AnyKey::Segmented(key) => (key.model(), key.digest(), key.weights(), key.note(), key.is_insecure()),
        };
        let tensor = |port: &zkml_gpu_verify::Port| {
            let visibility = port.visibility().name();
            json!({ "name": port.name, "shape": port.logical_shape, "visibility": visibility })
        };
        let (inputs, outputs): (Vec<_>, Vec<_>) = match &self.0 {
            AnyKey::Whole(key) => {
                let statement = key.keys().statement();
                (statement.inputs.iter().map(tensor).collect(), statement.outputs.iter().map(tensor).collect())
            }
            AnyKey::Segmented(key) => {
                (key.inputs().into_iter().map(tensor).collect(), key.outputs().into_iter().map(tensor).collect())
            }
        };
        json!({
            "model": model,
            "digest": digest,
            "weights": weights,
            "note": note,
            "insecure_srs": insecure,
            "inputs": inputs,
            "outputs": outputs,
        })
        .to_string()
    }

    /// The verdict on a proof as the JSON object of `zkml-gpu verify --json`. `commitments` and `hashes` are JSON
    /// objects by names of tensors: of commitments, and of hashes.
    ///
    /// # Errors
    /// Those of the library, as text. That a proof is rejected is a verdict, no error.
    pub fn verify(&self, proof: &[u8], commitments: &str, hashes: &str) -> Result<String, wasm_bindgen::JsValue> {
        Ok(self.verdict(proof, commitments, hashes)?)
    }
}

impl Verifier {
    fn verdict(&self, proof: &[u8], commitments: &str, hashes: &str) -> Result<String, Failure> {
        let proof = AnyProof::from_json(proof, PROOF)?;
        let hint = "give an object by names of inputs and outputs";
        let object = |text: &str| -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
            serde_json::from_str(text).map_err(|error| Failure::arguments(&error.to_string(), hint))
        };
        let mut expected = Expected::default();
        for (name, commitment) in object(commitments)? {
            let text = commitment.to_string();
            expected.commitments.push((name, TensorCommitment::from_json(text.as_bytes(), "the commitment")?));
        }
        for (name, hash) in object(hashes)? {
            let read = hash.as_str().and_then(|text| text.trim_end().parse().ok());
            let read = read.ok_or_else(|| {
                Failure::arguments(&format!("what is given as the hash of '{name}' is none"), "hashes are 64 digits")
            })?;
            expected.hashes.push((name, read));
        }
        Ok(Verdict::of_any(&self.0, &proof, &expected, Path::new(PROOF))?.to_json()?)
    }
}
