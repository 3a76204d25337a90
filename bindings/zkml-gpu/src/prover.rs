//! Keys, and proofs with them.

use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuits::keys::{ProvingKeys, setup};
use zkml_gpu_circuits::prove::{Proof, ProveError, prove};
use zkml_gpu_circuits::quant::Sample;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::{Backend, Cpu, Dual, MemoryOps};
use zkml_gpu_engine::prover::{Prover, ProverError, ProverOptions};
use zkml_gpu_engine::srs::Srs;

use crate::backend::{Available, BackendChoice};
use crate::{CompiledModel, Error, MemoryBudget, ModelKey, ProofBundle};

/// A model ready to prove: keys made, weights committed, points and key resident on the back end.
#[derive(Debug)]
pub struct ModelProver {
    model: CompiledModel,
    keys: ProvingKeys,
    key: ModelKey,
    backend: Available,
    engine: Engine,
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

/// The engine's prover over each back end of this build.
#[derive(Debug)]
enum Engine {
    Cpu(Box<Prover<Cpu>>),
    DualCpu(Box<Prover<Dual<Cpu, Cpu>>>),
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
        let (engine, keys) = match backend {
            Available::Cpu => {
                let (prover, keys) = load(Cpu::new(), &model, srs, budget, rng)?;
                (Engine::Cpu(prover), keys)
            }
            Available::DualCpu => {
                let (prover, keys) = load(Dual::new(Cpu::new(), Cpu::new()), &model, srs, budget, rng)?;
                (Engine::DualCpu(prover), keys)
            }
        };
        let key = ModelKey::new(&model.name, keys.verifying.clone());
        Ok(Self { model, keys, key, backend, engine, budget: *budget })
    }

    /// Proves one inference; input and output become public. Inputs beyond the calibrated range saturate.
    ///
    /// `rng` makes the proof zero knowledge: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// [`Error::Prove`] where the device fails or a value has no place in the circuit's tables.
    pub fn prove<R: RngCore + CryptoRng>(&self, sample: &Sample, rng: R) -> Result<Proved, Error> {
        let inputs = self.model.quantised.graph.quantise_inputs(sample);
        let proof = match &self.engine {
            Engine::Cpu(prover) => self.run(prover, &inputs, rng)?,
            Engine::DualCpu(prover) => self.run(prover, &inputs, rng)?,
        };
        let bundle = ProofBundle::new(&self.key, self.backend.name(), &inputs, &proof.outputs, &proof.bytes);
        Ok(Proved { bundle, witness_ms: proof.witness_ms })
    }

    fn run<B: Backend, R: RngCore + CryptoRng>(
        &self,
        prover: &Prover<B>,
        inputs: &[Vec<i64>],
        rng: R,
    ) -> Result<Proof, ProveError> {
        let CompiledModel { quantised, layout, .. } = &self.model;
        prove(prover, &self.keys, layout, &quantised.graph, inputs, rng)
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
        match &self.engine {
            Engine::Cpu(prover) => prover.backend().description(),
            Engine::DualCpu(prover) => prover.backend().description(),
        }
    }

    /// The memory that it may use.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Bytes of the tables of multiples of the reference string's points, both bases together; `None` where the back end
    /// does not tell.
    pub fn table_bytes(&self) -> Option<u64> {
        let bytes = match &self.engine {
            Engine::Cpu(prover) => prover.table_bytes(),
            Engine::DualCpu(prover) => prover.table_bytes(),
        };
        bytes.and_then(|bytes| u64::try_from(bytes).ok())
    }

    /// Name of the back end.
    pub fn backend(&self) -> &'static str {
        self.backend.name()
    }
}

/// Keys, and the engine's prover with them: points are loaded once, for both.
fn load<B: Backend, R: RngCore + CryptoRng>(
    backend: B,
    model: &CompiledModel,
    srs: &Srs,
    budget: &MemoryBudget,
    rng: R,
) -> Result<(Box<Prover<B>>, ProvingKeys), Error> {
    let committer = Committer::new(backend, srs, budget.table_bytes_per_basis()).map_err(ProverError::Backend)?;
    let (circuit, keys) = setup(&model.quantised.graph, &model.layout, srs, &committer, rng)?;
    let mut options = ProverOptions::default();
    options.coset_budget_bytes = budget.coset_bytes();
    Ok((Box::new(Prover::with_key(committer, circuit, &options)?), keys))
}
