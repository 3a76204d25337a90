//! Proofs with a model's keys.

use std::sync::Arc;

use rand_core::{CryptoRng, RngCore};
use zkml_gpu_circuit::circuit::{NetworkCircuit, derived_columns};
use zkml_gpu_circuit::hash::Salt;
use zkml_gpu_circuit::keccak::Hasher;
use zkml_gpu_circuit::keys::{KeyError, ProvingKeys};
use zkml_gpu_circuit::prove::{CommittedTensor, Openings, ProveError, prove_opened};
use zkml_gpu_circuit::system::Port;
use zkml_gpu_engine::backend::{Any, Counts, MemoryOps};
use zkml_gpu_engine::prover::{Prover, ProverError, ProverOptions};
use zkml_gpu_engine::secret::Wiped;
use zkml_gpu_engine::{CircuitKey, Committer};
use zkml_gpu_onnx::quant::Sample;

use crate::opening::{Opening, unknown};
use crate::{
    BackendChoice, CompiledModel, Error, FileError, MemoryBudget, ModelKey, ProofBundle, ProverKey, PublicTensor,
};

/// A model ready to prove: points and key resident on the back end. It proves from several threads at once.
#[derive(Debug)]
pub struct ModelProver {
    model: CompiledModel,
    keys: ProvingKeys,
    key: ModelKey,
    /// Its name, as in proofs.
    backend: String,
    engine: Prover<Any>,
    budget: MemoryBudget,
    hasher: Hasher,
}

/// A proof, and how long a part of it took.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The proof with its public values.
    pub bundle: ProofBundle,
    /// Openings of the committed tensors, by their names: those given, and fresh ones. Secret, and the only ones.
    pub openings: Vec<(String, Opening)>,
    /// Wall time of the inference in integers and of the witness, in milliseconds.
    pub witness_ms: f64,
}

impl ModelProver {
    pub(crate) fn new(key: ProverKey, backend: &BackendChoice, budget: &MemoryBudget) -> Result<Self, Error> {
        let choice = backend.resolve()?;
        let backend = choice.open()?;
        let is_host = backend.is_host();
        let ProverKey { model, keys, key, powers, lagrange } = key;
        let budget = &match backend.free_bytes() {
            Some(free) => budget.on_device(&model.layout.memory(&model.graph), free),
            None => *budget,
        };
        let committer = Committer::from_points(backend, &powers, &lagrange, budget.table_bytes_per_basis())
            .map_err(ProverError::Backend)?;
        drop((powers, lagrange));
        let circuit = NetworkCircuit::keygen(&model.layout, &keys.model.bank);
        let circuit = CircuitKey::with_vk(committer.backend(), Arc::clone(keys.verifying.vk()), &circuit);
        let circuit = circuit.map_err(KeyError::from)?;
        let mut options = ProverOptions::default();
        options.coset_budget_bytes = budget.coset_bytes();
        if !is_host {
            options.derived = derived_columns(&model.layout, &keys.model.bank);
        }
        let engine = Prover::with_key(committer, circuit, &options)?;
        let (backend, hasher) = (choice.to_string(), Hasher::default());
        Ok(Self { model, keys, key, backend, engine, budget: *budget, hasher })
    }

    /// The prover of proofs whose challenges are hashed like this: Keccak's are for contracts.
    #[must_use]
    pub fn with_hasher(self, hasher: Hasher) -> Self {
        Self { hasher, ..self }
    }

    /// Proves one inference, or several whose inputs follow each other ([`CompiledModel::together`]); what of input and
    /// output is public becomes known, and committed tensors get fresh commitments. Inputs beyond the calibrated range
    /// saturate.
    ///
    /// `rng` makes the proof zero knowledge: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// [`Error::Prove`] where the device fails or a value has no place in the circuit's tables.
    pub fn prove<R: RngCore + CryptoRng + Send>(&self, sample: &Sample, rng: R) -> Result<Proved, Error> {
        self.prove_opened(sample, &[], &[], rng)
    }

    /// As [`prove`](Self::prove), with salts of hashed tensors and openings of committed ones, by their names, whose
    /// commitments the proof has.
    /// A committed input is what its opening holds, whatever the sample has in its place.
    ///
    /// # Errors
    /// As [`prove`](Self::prove); [`Error::Arguments`] where an opening does not fit the key, [`Error::Prove`] where it
    /// is not of this inference's tensor.
    pub fn prove_opened<R: RngCore + CryptoRng + Send>(
        &self,
        sample: &Sample,
        openings: &[(String, Opening)],
        salts: &[(String, Salt)],
        rng: R,
    ) -> Result<Proved, Error> {
        let (graph, statement) = (&self.model.graph, self.key.keys().statement());
        if let Some((name, _)) = salts.iter().find(|(name, _)| !is_hashed(&self.key, name)) {
            let problem = format!("the salt for '{name}' is of no hashed input or output of the model");
            let hint = "compile the model with --input NAME=hashed or --output NAME=hashed";
            return Err(Error::Arguments { problem, hint });
        }
        let mut inputs = Wiped(graph.quantise_inputs(sample));
        for (name, opening) in openings {
            let port = zkml_gpu_verify::port(self.key.keys(), name).ok_or_else(|| unknown(&self.key, name))?;
            opening.commitment().fits(self.key.keys(), port).map_err(|problem| Error::Arguments {
                problem,
                hint: "chained models share k, reference string, shape and scale: compile with --min-k",
            })?;
            if let Some(index) = statement.inputs.iter().position(|port| port.name == *name) {
                inputs.0[index] = opening.tensor().values().to_vec();
            }
        }
        let given: Vec<_> = openings.iter().map(|(name, opening)| (name.clone(), opening.tensor().clone())).collect();
        let keys = (&self.keys, &self.model.layout, graph);
        let given = Openings { tensors: &given, known: &[], salts, hasher: self.hasher };
        // On a thread of the pool: from another one each of a proof's thousands of parallel steps would wait for the pool to
        // wake, and be woken by it.
        let proof = rayon::scope(|_| prove_opened(&self.engine, keys, &inputs.0, given, rng))?;
        let points: Vec<_> = proof.tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect();
        let bundle = ProofBundle::new(&self.key, &self.backend, &inputs.0, &proof.outputs, &proof.bytes);
        let bundle = bundle.with_commitments(&self.key, &points).with_hashes(&self.key, &proof.hashes);
        let bundle = bundle.with_transcript(self.hasher);
        let committed = statement.ports().filter(|port| port.committed_columns() > 0);
        let opening = |(port, tensor): (&Port, CommittedTensor)| {
            (port.name.clone(), Opening::of(&self.key, port, tensor.opening, &tensor.commitments))
        };
        let openings = committed.zip(proof.tensors).map(opening).collect();
        Ok(Proved { bundle, openings, witness_ms: proof.witness_ms })
    }

    /// Proves inferences together, as many as a proof of this key is of; what of all their inputs and outputs is public
    /// becomes known.
    ///
    /// `rng` as for [`prove`](Self::prove).
    ///
    /// # Errors
    /// [`Error::Inferences`] where they are more or fewer, and those of [`prove`](Self::prove).
    pub fn prove_joint<R: RngCore + CryptoRng + Send>(&self, samples: &[Sample], rng: R) -> Result<Proved, Error> {
        self.prove(&self.model.together(samples)?, rng)
    }

    /// What a proof of this sample has as inputs.
    pub fn public_inputs(&self, sample: &Sample) -> Vec<PublicTensor> {
        ProofBundle::inputs(&self.key, &self.model.graph.quantise_inputs(sample))
    }

    /// What a proof of this sample will have as outputs, from the same integers and without a proof: one tensor for each
    /// output of the model, hidden ones without values, committed and hashed ones without commitment and hash.
    ///
    /// # Errors
    /// [`Error::Prove`] where the inference fails.
    pub fn infer(&self, sample: &Sample) -> Result<Vec<PublicTensor>, Error> {
        let graph = &self.model.graph;
        let inputs = Wiped(graph.quantise_inputs(sample));
        let mut execution = graph.run(&inputs.0).map_err(ProveError::from)?;
        let outputs =
            Wiped(graph.outputs.iter().map(|&tensor| std::mem::take(&mut execution.values[tensor])).collect());
        let _cleared = [Wiped(execution.values), Wiped(execution.accumulators)];
        Ok(ProofBundle::outputs(&self.key, &outputs.0))
    }

    /// Verifies a proof of its own before it leaves; it is read back from its bytes first, as a verifier would.
    ///
    /// # Errors
    /// [`Error::Internal`] where it does not hold.
    pub fn check(&self, proof: &ProofBundle) -> Result<(), Error> {
        let unreadable = |error: FileError| Error::Internal(format!("what was just made cannot be read: {error}"));
        let read = ProofBundle::from_json(&proof.to_json()?, "proof.json").map_err(unreadable)?;
        let verdict = self.key.verify(&read);
        verdict.map_err(|rejection| Error::Internal(format!("the proof just made was rejected: {rejection}")))
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
        self.engine.backend().description()
    }

    /// The memory that it may use.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Bytes of the tables of multiples of the reference string's points, both bases together; `None` where the back
    /// end does not tell.
    pub fn table_bytes(&self) -> Option<u64> {
        self.engine.table_bytes().and_then(|bytes| u64::try_from(bytes).ok())
    }

    /// The most bytes of device memory that were in use at a time since the device was opened; `None` where the back
    /// end does not tell, or has the processor's memory.
    pub fn peak_device_bytes(&self) -> Option<u64> {
        self.engine.backend().peak_bytes()
    }

    /// What the device was asked for since it was opened; `None` where the back end does not count, or is the processor.
    pub fn counts(&self) -> Option<Counts> {
        self.engine.backend().counts()
    }

    /// What the challenges of its proofs are hashed with.
    pub const fn hasher(&self) -> Hasher {
        self.hasher
    }

    /// Name of the back end.
    pub fn backend(&self) -> &str {
        &self.backend
    }
}

/// Whether a key hashes an input or output of this name.
fn is_hashed(key: &ModelKey, name: &str) -> bool {
    zkml_gpu_verify::port(key.keys(), name).is_some_and(|port| port.hashed().is_some())
}
