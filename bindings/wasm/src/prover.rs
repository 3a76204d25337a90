//! Proving.

use js_sys::{Array, Float32Array, Function, Object, Reflect, Uint8Array};
use rand_core::{CryptoRng, OsRng, RngCore};
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use zkml_gpu::{
    Artifact, BackendChoice, CompiledModel, ModelProver, Opening, ProverKey, PublicTensor, Salt, Sample, Saturation,
    sample_of_numbers, saturation,
};

use crate::failure::Failure;
use crate::progress;

const INPUT: &str = "the input";

/// A proving key that is loaded, for any number of proofs.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Prover(ModelProver);

/// A proof, and what is known of it besides.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Proved {
    proof: Vec<u8>,
    about: String,
    openings: Vec<(String, Vec<u8>)>,
}

#[wasm_bindgen]
impl Prover {
    /// Loads `NAME.pk` on a back end: `cpu`, or `auto`.
    ///
    /// # Errors
    /// Those of the library, as text.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>, backend: &str, progress: Option<Function>) -> Result<Prover, JsValue> {
        Ok(progress::with(progress, || Self::load(bytes, backend))?)
    }

    /// What the key is, as JSON: the model, its inputs with their shapes, the verifying key's digest, the memory that
    /// proofs take.
    pub fn about(&self) -> String {
        let (model, key) = (self.0.model(), self.0.key());
        let statement = key.keys().statement();
        let shapes = model.input_shapes();
        let names = model.inputs();
        let inputs = names.iter().zip(&shapes).zip(&statement.inputs).map(|((input, shape), port)| {
            json!({
                "name": input.name,
                "shape": shape,
                "length": input.len,
                "classes": input.classes,
                "visibility": port.visibility().name(),
            })
        });
        let outputs = statement.outputs.iter().map(
            |port| json!({ "name": port.name, "shape": port.logical_shape, "visibility": port.visibility().name() }),
        );
        json!({
            "model": model.name(),
            "inputs": inputs.collect::<Vec<_>>(),
            "outputs": outputs.collect::<Vec<_>>(),
            "inferences": model.inferences(),
            "parameters": model.parameters(),
            "k": model.k(),
            "verifying_key": key.digest(),
            "weights": key.weights(),
            "note": key.note(),
            "insecure_srs": key.is_insecure(),
            "backend": self.0.backend(),
            "device": self.0.device(),
            "memory_bytes": self.0.budget().memory_bytes,
        })
        .to_string()
    }

    /// The bytes of `NAME.vk`, to publish.
    pub fn verifying_key(&self) -> Vec<u8> {
        self.0.key().to_bytes().to_vec()
    }

    /// Proves one inference: a `Float32Array` for each input, flat, in the order of the model's axes. `salts` is a JSON
    /// object of salts of hashed tensors by their names; `openings` an object of `Uint8Array`s of committed ones.
    ///
    /// # Errors
    /// Those of the library, as text.
    pub fn prove(
        &self,
        inputs: Vec<Float32Array>,
        salts: &str,
        openings: &Object,
        progress: Option<Function>,
    ) -> Result<Proved, JsValue> {
        Ok(self.proved(&inputs, salts, openings, progress, OsRng)?)
    }

    /// As [`prove`](Self::prove), from a seed: **hides nothing**, and is in no module that is not made for tests.
    ///
    /// # Errors
    /// Those of the library, as text.
    #[cfg(feature = "checks")]
    pub fn prove_seeded(&self, inputs: Vec<Float32Array>, seed: u32) -> Result<Proved, JsValue> {
        let rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(seed.into());
        Ok(self.proved(&inputs, "{}", &Object::new(), None, rng)?)
    }

    /// The outputs of an inference without a proof, as JSON.
    ///
    /// # Errors
    /// Those of the library, as text.
    pub fn infer(&self, inputs: Vec<Float32Array>) -> Result<String, JsValue> {
        let run = || -> Result<String, Failure> {
            let sample = self.sample(&inputs)?;
            let outputs: Vec<_> = self.0.infer(&sample)?.iter().map(tensor).collect();
            Ok(json!({ "outputs": outputs, "saturation": self.saturation(&sample) }).to_string())
        };
        Ok(run()?)
    }
}

#[wasm_bindgen]
impl Proved {
    /// The bytes of `proof.json`.
    pub fn proof(&self) -> Vec<u8> {
        self.proof.clone()
    }

    /// Inputs and outputs as the proof has them, and how much of the input was clamped, as JSON.
    pub fn about(&self) -> String {
        self.about.clone()
    }

    /// Openings of the committed tensors by their names, as `[name, Uint8Array]`. Secret, and the only ones.
    pub fn openings(&self) -> Array {
        let pair = |(name, bytes): &(String, Vec<u8>)| {
            Array::of2(&JsValue::from_str(name), &Uint8Array::from(&bytes[..]).into())
        };
        self.openings.iter().map(pair).collect()
    }
}

/// What the bytes of a file are, as the JSON object of `zkml-gpu inspect --json`.
///
/// # Errors
/// Those of the library, as text.
#[wasm_bindgen]
pub fn inspect(bytes: &[u8]) -> Result<String, JsValue> {
    let json = Artifact::from_bytes(bytes).and_then(|artifact| artifact.to_json());
    Ok(json.map_err(Failure::from)?.to_string())
}

/// A new salt: 64 hexadecimal digits. Secret.
#[wasm_bindgen]
pub fn new_salt() -> String {
    Salt::random(OsRng).reveal()
}

impl Prover {
    fn load(bytes: Vec<u8>, backend: &str) -> Result<Self, Failure> {
        let backend: BackendChoice = backend.parse().map_err(zkml_gpu::Error::from)?;
        let key = ProverKey::from_bytes(&bytes)?;
        drop(bytes);
        let budget = key.model().memory_budget(None)?;
        Ok(Self(key.prover(&backend, &budget)?))
    }

    fn sample(&self, inputs: &[Float32Array]) -> Result<Sample, Failure> {
        let model: &CompiledModel = self.0.model();
        let lists: Vec<Vec<f32>> = inputs.iter().map(Float32Array::to_vec).collect();
        let mut wanted = model.inputs();
        wanted.iter_mut().for_each(|input| input.len *= model.inferences());
        Ok(sample_of_numbers(&lists, INPUT, &wanted)?)
    }

    fn saturation(&self, sample: &Sample) -> Option<Saturation> {
        saturation(self.0.model(), sample)
    }

    fn proved<R: RngCore + CryptoRng + Send>(
        &self,
        inputs: &[Float32Array],
        salts: &str,
        openings: &Object,
        function: Option<Function>,
        rng: R,
    ) -> Result<Proved, Failure> {
        let sample = self.sample(inputs)?;
        let (salts, openings) = (read_salts(salts)?, read_openings(openings)?);
        let proved = progress::with(function, || self.0.prove_opened(&sample, &openings, &salts, rng))?;
        let bundle = &proved.bundle;
        let about = json!({
            "inputs": bundle.inputs.iter().map(tensor).collect::<Vec<_>>(),
            "outputs": bundle.outputs.iter().map(tensor).collect::<Vec<_>>(),
            "witness_ms": proved.witness_ms,
            "saturation": self.saturation(&sample),
        });
        let openings = proved.openings.iter().map(|(name, opening)| Ok((name.clone(), opening.to_bytes()?)));
        let openings = openings.collect::<Result<_, zkml_gpu::Error>>()?;
        Ok(Proved { proof: bundle.to_json()?, about: about.to_string(), openings })
    }
}

/// A tensor as JSON: numbers that are hidden are not there.
fn tensor(tensor: &PublicTensor) -> serde_json::Value {
    let reals = (!tensor.visibility.is_hidden()).then(|| tensor.reals());
    json!({
        "name": tensor.name,
        "shape": tensor.shape,
        "visibility": tensor.visibility.name(),
        "values": reals,
        "hash": tensor.hash,
        "commitments": tensor.commitments,
    })
}

fn read_salts(text: &str) -> Result<Vec<(String, Salt)>, Failure> {
    let hint = "give an object of salts by names of hashed inputs and outputs";
    let salts: std::collections::BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| Failure::arguments("the salts are no object of texts", hint))?;
    let salt = |(name, text): (String, String)| match text.parse() {
        Ok(salt) => Ok((name, salt)),
        // Not which: it is secret.
        Err(_) => Err(Failure::arguments(&format!("the salt for '{name}' is none"), "salts are what newSalt() gives")),
    };
    salts.into_iter().map(salt).collect()
}

fn read_openings(object: &Object) -> Result<Vec<(String, Opening)>, Failure> {
    let opening = |name: JsValue| {
        let bytes = Reflect::get(object, &name).map(|value| Uint8Array::new(&value).to_vec()).unwrap_or_default();
        Ok((name.as_string().unwrap_or_default(), Opening::from_bytes(&bytes)?))
    };
    Object::keys(object).iter().map(opening).collect()
}
