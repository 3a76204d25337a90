//! Keys, and proofs with them.

use std::fmt::Debug;

use rand_core::{CryptoRng, CryptoRngCore, RngCore};
use zkml_gpu_circuits::circuit::derived_columns;
use zkml_gpu_circuits::keys::{ProvingKeys, setup};
use zkml_gpu_circuits::prove::{Proof, ProveError, prove};
use zkml_gpu_circuits::quant::Sample;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::prover::{Prover, ProverError, ProverOptions};
use zkml_gpu_engine::srs::Srs;

use crate::{BackendChoice, CompiledModel, Error, MemoryBudget, ModelKey, OnBackend, ProofBundle};

/// A model ready to prove: keys made, weights committed, points and key resident on the back end.
#[derive(Debug)]
pub struct ModelProver {
    model: CompiledModel,
    keys: ProvingKeys,
    key: ModelKey,
    /// Its name, as in proofs.
    backend: String,
    engine: Box<dyn Engine>,
    budget: MemoryBudget,
}

/// A proof, and how long a part of it took.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The proof with its public values.
    pub bundle: ProofBundle,
    /// Wall time of the inference in integers and of the witness, in milliseconds.
    pub witness_ms: f64,
}

/// The engine's prover, over whichever back end.
trait Engine: Debug + Send + Sync {
    fn prove(
        &self,
        keys: &ProvingKeys,
        model: &CompiledModel,
        inputs: &[Vec<i64>],
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Proof, ProveError>;

    /// The device in words.
    fn device(&self) -> String;

    /// Bytes of the tables of multiples.
    fn table_bytes(&self) -> Option<usize>;

    /// The most bytes of device memory that were in use at a time.
    fn peak_device_bytes(&self) -> Option<u64>;
}

impl<B: Backend + 'static> Engine for Prover<B> {
    fn prove(
        &self,
        keys: &ProvingKeys,
        model: &CompiledModel,
        inputs: &[Vec<i64>],
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Proof, ProveError> {
        prove(self, keys, &model.layout, &model.quantised.graph, inputs, rng)
    }

    fn device(&self) -> String {
        self.backend().description()
    }

    fn table_bytes(&self) -> Option<usize> {
        self.table_bytes()
    }

    fn peak_device_bytes(&self) -> Option<u64> {
        self.backend().peak_bytes()
    }
}

/// Keys, and the engine's prover with them: points are loaded once, for both.
struct Load<'a, R> {
    model: &'a CompiledModel,
    srs: &'a Srs,
    budget: &'a MemoryBudget,
    rng: R,
}

impl<R: RngCore + CryptoRng> OnBackend for Load<'_, R> {
    type Output = (Box<dyn Engine>, ProvingKeys);

    fn run<B: Backend + 'static>(self, backend: B) -> Result<Self::Output, Error> {
        let Self { model, srs, budget, rng } = self;
        let is_host = backend.is_host();
        let committer = Committer::new(backend, srs, budget.table_bytes_per_basis()).map_err(ProverError::Backend)?;
        let (circuit, keys) = setup(&model.quantised.graph, &model.layout, srs, &committer, rng)?;
        let mut options = ProverOptions::default();
        options.coset_budget_bytes = budget.coset_bytes();
        if !is_host {
            options.derived = derived_columns(&model.layout);
        }
        Ok((Box::new(Prover::with_key(committer, circuit, &options)?), keys))
    }
}

impl ModelProver {
    pub(crate) fn new<R: RngCore + CryptoRng>(
        model: CompiledModel,
        srs: &Srs,
        backend: &BackendChoice,
        budget: &MemoryBudget,
        rng: R,
    ) -> Result<Self, Error> {
        let backend = backend.resolve()?;
        let (engine, keys) = backend.run(Load { model: &model, srs, budget, rng })?;
        let key = ModelKey::new(&model.name, keys.verifying.clone());
        Ok(Self { model, keys, key, backend: backend.to_string(), engine, budget: *budget })
    }

    /// Proves one inference; input and output become public. Inputs beyond the calibrated range saturate.
    ///
    /// `rng` makes the proof zero knowledge: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// [`Error::Prove`] where the device fails or a value has no place in the circuit's tables.
    pub fn prove<R: RngCore + CryptoRng>(&self, sample: &Sample, mut rng: R) -> Result<Proved, Error> {
        let inputs = self.model.quantised.graph.quantise_inputs(sample);
        let proof = self.engine.prove(&self.keys, &self.model, &inputs, &mut rng)?;
        let bundle = ProofBundle::new(&self.key, &self.backend, &inputs, &proof.outputs, &proof.bytes);
        Ok(Proved { bundle, witness_ms: proof.witness_ms })
    }

    /// The verifying key to publish.
    pub fn key(&self) -> &ModelKey {
        &self.key
    }

    /// The compiled model.
    pub fn model(&self) -> &CompiledModel {
        &self.model
    }

    /// The back end's device in words.
    pub fn device(&self) -> String {
        self.engine.device()
    }

    /// The memory that it may use.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Bytes of the tables of multiples of the reference string's points, both bases together; `None` where the back end
    /// does not tell.
    pub fn table_bytes(&self) -> Option<u64> {
        self.engine.table_bytes().and_then(|bytes| u64::try_from(bytes).ok())
    }

    /// The most bytes of device memory that were in use at a time since the device was opened; `None` where the back end does not
    /// tell, or has the processor's memory.
    pub fn peak_device_bytes(&self) -> Option<u64> {
        self.engine.peak_device_bytes()
    }

    /// Name of the back end.
    pub fn backend(&self) -> &str {
        &self.backend
    }
}
