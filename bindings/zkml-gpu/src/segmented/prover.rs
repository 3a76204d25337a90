//! Proofs of a model in segments.
//!
//! The whole model runs in integers first, segment by segment: that gives what lies between. Then each segment is proved
//! by itself, all of a circuit together, so that its columns are loaded once. Of the model, one segment is in memory at a
//! time where the key is in a file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use halo2curves::bn256::G1Affine;
use rand_core::{CryptoRng, RngCore};
use serde::Serialize;
use zkml_gpu_circuit::circuit::{NetworkCircuit, derived_columns};
use zkml_gpu_circuit::commit::TensorOpening;
use zkml_gpu_circuit::hash::Salt;
use zkml_gpu_circuit::keys::{KeyError, ProvingKeys};
use zkml_gpu_circuit::prove::{CommittedTensor, Openings, ProveError, prove_opened};
use zkml_gpu_circuit::system::Port;
use zkml_gpu_engine::backend::{Any, MemoryOps};
use zkml_gpu_engine::prover::{Prover, ProverError, ProverOptions};
use zkml_gpu_engine::secret::wipe_integers;
use zkml_gpu_engine::{CircuitKey, Committer};
use zkml_gpu_graph::{End, Visibility};
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::{ModelKey, ProofBundle, SegmentedKey, SegmentedProof, Wire};

use super::SegmentedProverKey;
use crate::opening::Opening;
use crate::{BackendChoice, CompiledModel, Error};

/// A model in segments that proves.
#[derive(Debug)]
pub struct SegmentedProver {
    key: SegmentedProverKey,
    choice: BackendChoice,
    /// What a segment's proof may take at most; `None` for what there is.
    max_memory_bytes: Option<u64>,
}

/// A proof of all segments.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentedProved {
    /// The proofs with their public values.
    pub bundle: SegmentedProof,
    /// Openings of the model's committed inputs and outputs, by their names. Secret, and the only ones.
    pub openings: Vec<(String, Opening)>,
    /// The segments' times, in their order.
    pub times: Vec<SegmentTimes>,
}

/// How long a segment took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SegmentTimes {
    /// Loading its circuit, in milliseconds; 0 where the segment before had the same.
    pub load_ms: f64,
    /// Its inference in integers, and its witness.
    pub witness_ms: f64,
    /// Its proof, with the witness.
    pub prove_ms: f64,
}

/// Things by the names of inputs and outputs.
type Named<'n, T> = &'n [(String, T)];

/// A circuit on the back end.
struct Loaded {
    circuit: usize,
    engine: Prover<Any>,
}

/// What one proof is of.
struct Job {
    /// The integers of inputs and of what lies between segments; they are wiped.
    values: HashMap<End, Vec<i64>>,
    /// Commitments that segments share.
    shared: HashMap<End, CommittedTensor>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.values.values_mut().for_each(|values| wipe_integers(values));
    }
}

impl SegmentedProverKey {
    /// Makes ready to prove on a back end, with at most so many bytes for a segment; without a number with what there is.
    ///
    /// # Errors
    /// [`Error::MissingBackend`], and [`Error::WouldNotFit`] where a segment needs more.
    pub fn prover(self, backend: &BackendChoice, max_memory_bytes: Option<u64>) -> Result<SegmentedProver, Error> {
        let choice = backend.resolve()?;
        self.model.memory_budgets(max_memory_bytes)?;
        Ok(SegmentedProver { key: self, choice, max_memory_bytes })
    }
}

impl SegmentedProver {
    /// The verifying key to publish.
    pub fn key(&self) -> &SegmentedKey {
        &self.key.key
    }

    /// The proving key.
    pub fn proving_key(&self) -> &SegmentedProverKey {
        &self.key
    }

    /// Name of the back end.
    pub fn backend(&self) -> String {
        self.choice.to_string()
    }

    /// Proves one inference, or several whose inputs follow each other; `done` is told after each segment how many are
    /// proved.
    ///
    /// `rng` makes the proofs zero knowledge: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// As [`ModelProver::prove_opened`](crate::ModelProver::prove_opened); [`Error::File`] where a segment cannot be read.
    pub fn prove<R: RngCore + CryptoRng + Send>(
        &self,
        sample: &Sample,
        openings: &[(String, Opening)],
        salts: &[(String, Salt)],
        mut rng: R,
        mut done: impl FnMut(usize),
    ) -> Result<SegmentedProved, Error> {
        self.check_named(openings, salts)?;
        let mut job = self.run(sample, openings)?;
        let segments = self.key.model.segments();
        let mut order: Vec<usize> = (0..segments).collect();
        order.sort_by_key(|segment| self.key.model.about.circuits[*segment]);
        let mut loaded: Option<Loaded> = None;
        let mut bundles: Vec<Option<ProofBundle>> = vec![None; segments];
        let mut times = vec![SegmentTimes::default(); segments];
        let mut own = Vec::new();
        for (count, segment) in order.into_iter().enumerate() {
            let _span = tracing::info_span!(target: "zkml_gpu::segments", "segment", number = segment + 1).entered();
            let (model, keys) = self.key.segment(segment)?;
            let start = Instant::now();
            let engine = self.load(segment, &model, &keys, &mut loaded)?;
            times[segment].load_ms = start.elapsed().as_secs_f64() * 1e3;
            let start = Instant::now();
            let made = self.prove_segment(segment, (&model, &keys), engine, &mut job, (openings, salts), &mut rng)?;
            times[segment].witness_ms = made.witness_ms;
            times[segment].prove_ms = start.elapsed().as_secs_f64() * 1e3;
            own.extend(made.openings);
            bundles[segment] = Some(made.bundle);
            done(count + 1);
        }
        let bundles: Vec<ProofBundle> = bundles.into_iter().flatten().collect();
        let between = (0..self.key().wiring().between()).map(|number| match job.shared.get(&End::Between(number)) {
            Some(tensor) => Ok(tensor.commitments.clone()),
            None => Err(Error::Internal(format!("tensor {number} between segments has no commitment"))),
        });
        let between: Vec<Vec<G1Affine>> = between.collect::<Result<_, _>>()?;
        let bundle = SegmentedProof::new(self.key(), &bundles, &between)?;
        Ok(SegmentedProved { bundle, openings: own, times })
    }

    /// Refuses openings and salts of what the model does not have.
    fn check_named(&self, openings: &[(String, Opening)], salts: &[(String, Salt)]) -> Result<(), Error> {
        // Of an input and an output of one name only one could be meant.
        let port = |name: &str| self.key().port(name);
        for (name, _) in openings {
            if port(name).is_none_or(|port| port.committed_columns() == 0) {
                let problem = format!("the opening for '{name}' is of no committed input or output of the model");
                let hint = "compile the model with --input NAME=committed or --output NAME=committed";
                return Err(Error::Arguments { problem, hint });
            }
        }
        for (name, _) in salts {
            if port(name).is_none_or(|port| port.hashed().is_none()) {
                let problem = format!("the salt for '{name}' is of no hashed input or output of the model");
                let hint = "compile the model with --input NAME=hashed or --output NAME=hashed";
                return Err(Error::Arguments { problem, hint });
            }
        }
        Ok(())
    }

    /// Runs the model in integers, for what lies between its segments.
    fn run(&self, sample: &Sample, openings: &[(String, Opening)]) -> Result<Job, Error> {
        let mut job = Job { values: HashMap::new(), shared: HashMap::new() };
        let inputs = self.key().inputs();
        if sample.len() != inputs.len() {
            let problem = format!("{} inputs, but the model has {}", sample.len(), inputs.len());
            return Err(Error::Arguments { problem, hint: "give a list of numbers for each input" });
        }
        let last = self.key.model.segments().saturating_sub(1);
        for segment in 0..=last {
            let model = self.key.model.segment(segment)?;
            let Wire { inputs: ends, outputs } = &self.key.model.wires()[segment];
            for (place, end) in ends.iter().enumerate() {
                let End::Input(number) = end else { continue };
                if job.values.contains_key(end) {
                    continue;
                }
                let tensor = &model.graph.tensors[model.graph.inputs[place]];
                let given = openings.iter().find(|(name, _)| *name == tensor.name);
                let values = match given {
                    Some((_, opening)) => self.opened(segment, place, opening)?,
                    None if sample[*number].len() != tensor.storage.logical_len(tensor.shape) => {
                        let (got, expected) = (sample[*number].len(), tensor.storage.logical_len(tensor.shape));
                        let problem = format!("{got} numbers, but '{}' has {expected}", tensor.name.escape_debug());
                        return Err(Error::Arguments { problem, hint: "give a list of numbers for each input" });
                    }
                    None => {
                        let stored = tensor.to_stored(&sample[*number]);
                        stored.into_iter().map(|value| tensor.format.quantise(value)).collect()
                    }
                };
                job.values.insert(*end, values);
            }
            // Of the last segment nothing is read.
            if segment == last {
                break;
            }
            let mut own: Vec<Vec<i64>> =
                ends.iter().map(|end| job.values.get(end).cloned().unwrap_or_default()).collect();
            let execution = model.graph.run(&own).map_err(ProveError::from);
            own.iter_mut().for_each(|values| wipe_integers(values));
            let mut execution = execution?;
            for (end, tensor) in outputs.iter().zip(&model.graph.outputs) {
                if matches!(end, End::Between(_)) {
                    job.values.insert(*end, execution.values[*tensor].clone());
                }
            }
            execution.values.iter_mut().chain(&mut execution.accumulators).for_each(|values| wipe_integers(values));
        }
        Ok(job)
    }

    /// The integers of an opening, which is of this key's reference string and of the port's tensor.
    fn opened(&self, segment: usize, place: usize, opening: &Opening) -> Result<Vec<i64>, Error> {
        let key = &self.key().segments()[segment];
        fits(key, &key.keys().statement().inputs[place], opening)?;
        Ok(opening.tensor().values().to_vec())
    }

    /// The segment's circuit on the back end, which may be there from the segment before.
    fn load<'l>(
        &self,
        segment: usize,
        model: &CompiledModel,
        keys: &ProvingKeys,
        loaded: &'l mut Option<Loaded>,
    ) -> Result<&'l Prover<Any>, Error> {
        let circuit = self.key.model.about.circuits[segment];
        // On a device the columns that it derives hold the weights of one segment.
        let kept = loaded.take().filter(|own| own.circuit == circuit && own.engine.backend().is_host());
        let own = match kept {
            Some(own) => own,
            None => Loaded { circuit, engine: self.engine(model, keys)? },
        };
        Ok(&loaded.insert(own).engine)
    }

    fn engine(&self, model: &CompiledModel, keys: &ProvingKeys) -> Result<Prover<Any>, Error> {
        let budget = model.memory_budget(self.max_memory_bytes)?.for_one_proof();
        let backend = self.choice.open()?;
        let is_host = backend.is_host();
        let committer = Committer::from_points(backend, &self.key.powers, &self.key.lagrange, 0);
        let committer = committer.map_err(ProverError::Backend)?;
        let circuit = NetworkCircuit::keygen(&model.layout, &keys.model.bank);
        let circuit = CircuitKey::with_vk(committer.backend(), Arc::clone(keys.verifying.vk()), &circuit);
        let mut options = ProverOptions::default();
        options.coset_budget_bytes = budget.coset_bytes();
        if !is_host {
            options.derived = derived_columns(&model.layout, &keys.model.bank);
        }
        Ok(Prover::with_key(committer, circuit.map_err(KeyError::from)?, &options)?)
    }

    fn prove_segment<R: RngCore + CryptoRng + Send>(
        &self,
        segment: usize,
        (model, keys): (&CompiledModel, &ProvingKeys),
        engine: &Prover<Any>,
        job: &mut Job,
        (openings, salts): (Named<'_, Opening>, Named<'_, Salt>),
        mut rng: R,
    ) -> Result<MadeSegment, Error> {
        let key = &self.key().segments()[segment];
        let statement = key.keys().statement();
        let Wire { inputs: ends, outputs } = &self.key.model.wires()[segment];
        let mut inputs: Vec<Vec<i64>> =
            ends.iter().map(|end| job.values.get(end).cloned().unwrap_or_default()).collect();
        // What other segments have committed to already, and what they will: made once.
        let mut names = Vec::new();
        for (end, port) in ends.iter().chain(outputs).zip(statement.ports()) {
            let is_known = matches!(end, End::Between(_)) || job.shared.contains_key(end);
            if !is_known || port.visibility() != Visibility::Committed {
                continue;
            }
            if !job.shared.contains_key(end) {
                let values = job.values.get(end).cloned().unwrap_or_default();
                let opening = TensorOpening::new(values, keys.verifying.k(), &mut rng);
                job.shared.insert(*end, CommittedTensor::new(engine, opening, keys.verifying.k())?);
            }
            names.push((port.name.clone(), *end));
        }
        let known: Vec<(String, &CommittedTensor)> =
            names.iter().filter_map(|(name, end)| Some((name.clone(), job.shared.get(end)?))).collect();
        let salts: Vec<(String, Salt)> = salts
            .iter()
            .filter(|(name, _)| zkml_gpu_verify::port(key.keys(), name).is_some_and(|port| port.hashed().is_some()))
            .cloned()
            .collect();
        // Those that no segment has committed to yet.
        let mut tensors = Vec::new();
        for (name, opening) in openings {
            if let Some(port) = zkml_gpu_verify::port(key.keys(), name) {
                fits(key, port, opening)?;
                tensors.push((name.clone(), opening.tensor().clone()));
            }
        }
        let given = Openings { tensors: &tensors, known: &known, salts: &salts, ..Openings::default() };
        let parts = (keys, &model.layout, &model.graph);
        // On a thread of the pool, as proofs of models in one piece are.
        let proof = rayon::scope(|_| prove_opened(engine, parts, &inputs, given, &mut rng));
        let bundle = proof.map(|proof| {
            let points: Vec<_> = proof.tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect();
            let bundle = ProofBundle::new(key, &self.backend(), &inputs, &proof.outputs, &proof.bytes);
            (bundle.with_commitments(key, &points).with_hashes(key, &proof.hashes), proof)
        });
        inputs.iter_mut().for_each(|values| wipe_integers(values));
        let (bundle, proof) = bundle?;
        let openings = self.openings(key, [ends, outputs], proof.tensors, job);
        Ok(MadeSegment { bundle, openings, witness_ms: proof.witness_ms })
    }

    /// The openings of the model's own tensors, each from the segment that has it first; what other segments will commit
    /// to is kept for them.
    fn openings(
        &self,
        key: &ModelKey,
        [inputs, outputs]: [&[End]; 2],
        tensors: Vec<CommittedTensor>,
        job: &mut Job,
    ) -> Vec<(String, Opening)> {
        let ports = inputs.iter().chain(outputs).zip(key.keys().statement().ports());
        let committed = ports.filter(|(_, port)| port.committed_columns() > 0);
        let mut own = Vec::new();
        for ((end, port), tensor) in committed.zip(tensors) {
            if matches!(end, End::Between(_)) || job.shared.contains_key(end) {
                continue;
            }
            own.push((port.name.clone(), Opening::of(key, port, tensor.opening.clone(), &tensor.commitments)));
            job.shared.insert(*end, tensor);
        }
        own
    }
}

/// Refuses an opening of another tensor, size or reference string.
fn fits(key: &ModelKey, port: &Port, opening: &Opening) -> Result<(), Error> {
    opening.commitment().fits(key.keys(), port).map_err(|problem| Error::Arguments {
        problem,
        hint: "chained models share k, reference string, shape and scale: compile with --min-k",
    })
}

struct MadeSegment {
    bundle: ProofBundle,
    openings: Vec<(String, Opening)>,
    witness_ms: f64,
}
