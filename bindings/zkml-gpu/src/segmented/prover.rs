//! Proofs of a model in segments.
//!
//! The whole model runs in integers first, segment by segment, and all that is committed is committed to: that gives each
//! segment a task of its own. Then these are proved, in any order and by whoever has the proving key; here all of a
//! circuit together, so that its columns are loaded once. Of the model, one segment is in memory at a time where the key
//! is in a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use web_time::Instant;
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
use zkml_gpu_graph::{End, TensorId};
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::{ModelKey, ProofBundle, PublicTensor, SegmentedKey, SegmentedProof, Wire};

use super::SegmentedProverKey;
use super::task::{SegmentProof, SegmentTask, SegmentedJob};
use crate::opening::Opening;
use crate::{BackendChoice, CompiledModel, Error, FileError, MemoryBudget};

/// A model in segments that proves.
#[derive(Debug)]
pub struct SegmentedProver {
    key: SegmentedProverKey,
    choice: BackendChoice,
    backend: Any,
    /// What a segment's proof may take at most; `None` for what there is.
    max_memory_bytes: Option<u64>,
    loaded: Mutex<Option<Loaded>>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
pub(super) type Named<'n, T> = &'n [(String, T)];
/// The integers of inputs, outputs and what lies between segments; they are wiped.
struct Values(HashMap<End, Vec<i64>>);

impl Drop for Values {
    fn drop(&mut self) {
        self.0.values_mut().for_each(|values| wipe_integers(values));
    }
}

/// What a run in integers is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The inputs: nothing is run.
    Inputs,
    /// Besides, what is committed: what lies between segments, and outputs.
    Commitments,
    /// Besides, all outputs.
    Outputs,
}

/// A circuit on the back end.
struct Loaded {
    circuit: usize,
    engine: Prover<Any>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("circuit", &self.circuit).finish_non_exhaustive()
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
        let backend = choice.open()?;
        Ok(SegmentedProver { key: self, choice, backend, max_memory_bytes, loaded: Mutex::new(None) })
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

    /// The back end's device in words.
    pub fn device(&self) -> String {
        self.backend.description()
    }

    /// The memory that the largest segment's proof may use.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where it is there no more.
    pub fn budget(&self) -> Result<MemoryBudget, Error> {
        let budgets = self.key.model.memory_budgets(self.max_memory_bytes)?.into_iter();
        let budgets = budgets.map(MemoryBudget::for_one_proof);
        budgets.max_by_key(|budget| budget.memory_bytes).ok_or_else(|| Error::Internal("no segment".into()))
    }

    /// What a proof of this sample has as inputs.
    ///
    /// # Errors
    /// [`Error::Arguments`] where it is no sample of the model, [`Error::File`] where a segment cannot be read.
    pub fn public_inputs(&self, sample: &Sample) -> Result<Vec<PublicTensor>, Error> {
        let shown = |key: &ModelKey, [inputs, _]: [&[Vec<i64>]; 2]| ProofBundle::inputs(key, inputs);
        self.shown(&self.run(sample, &[], Wanted::Inputs)?, |wire| &wire.inputs, shown)
    }

    /// What a proof of this sample will have as outputs, as [`ModelProver::infer`](crate::ModelProver::infer).
    ///
    /// # Errors
    /// As [`public_inputs`](Self::public_inputs); [`Error::Prove`] where the inference fails.
    pub fn infer(&self, sample: &Sample) -> Result<Vec<PublicTensor>, Error> {
        let shown = |key: &ModelKey, [_, outputs]: [&[Vec<i64>]; 2]| ProofBundle::outputs(key, outputs);
        self.shown(&self.run(sample, &[], Wanted::Outputs)?, |wire| &wire.outputs, shown)
    }

    /// What is shown of the whole's inputs or outputs, each by the first segment that has it, in the model's order.
    fn shown(
        &self,
        values: &Values,
        ends: impl Fn(&Wire) -> &[End],
        shown: impl Fn(&ModelKey, [&[Vec<i64>]; 2]) -> Vec<PublicTensor>,
    ) -> Result<Vec<PublicTensor>, Error> {
        let mut all: Vec<(usize, PublicTensor)> = Vec::new();
        for (wire, key) in self.key.model.wires().iter().zip(self.key().segments()) {
            let of = |ends: &[End]| -> Vec<Vec<i64>> {
                ends.iter().map(|end| values.0.get(end).cloned().unwrap_or_default()).collect()
            };
            let mut own = [of(&wire.inputs), of(&wire.outputs)];
            let tensors = shown(key, [&own[0], &own[1]]);
            own.iter_mut().flatten().for_each(|values| wipe_integers(values));
            for (end, tensor) in ends(wire).iter().zip(tensors) {
                let (End::Input(number) | End::Output(number)) = end else { continue };
                if all.iter().all(|(known, _)| known != number) {
                    all.push((*number, tensor));
                }
            }
        }
        all.sort_by_key(|(number, _)| *number);
        Ok(all.into_iter().map(|(_, tensor)| tensor).collect())
    }

    /// Verifies a proof of its own before it leaves; it is read back from its bytes first, as a verifier would.
    ///
    /// # Errors
    /// [`Error::Internal`] where it does not hold.
    pub fn check(&self, proof: &SegmentedProof) -> Result<(), Error> {
        let unreadable = |error: FileError| Error::Internal(format!("what was just made cannot be read: {error}"));
        let read = SegmentedProof::from_json(&proof.to_json()?, "proof.json").map_err(unreadable)?;
        let verdict = self.key().verify(&read);
        verdict.map_err(|rejection| Error::Internal(format!("the proof just made was rejected: {rejection}")))
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
        let mut job = self.begin(sample, openings, salts, &mut rng)?;
        let mut tasks = std::mem::take(&mut job.tasks);
        // All of a circuit together.
        tasks.sort_by_key(|task| self.key.model.about.circuits[task.segment()]);
        let mut proofs = Vec::with_capacity(tasks.len());
        for task in tasks {
            let _span =
                tracing::info_span!(target: "zkml_gpu::segments", "segment", number = task.segment() + 1).entered();
            proofs.push(self.prove_segment(&task, &mut rng)?);
            done(proofs.len());
        }
        self.finish(&job, proofs)
    }

    /// Runs the model in integers and commits to all that is committed: what is left are tasks, one for each segment, that
    /// need nothing of each other. They may be proved in any order, and by several machines that have the proving key.
    ///
    /// `rng` hides what is committed: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// As [`prove`](Self::prove).
    pub fn begin<R: RngCore + CryptoRng>(
        &self,
        sample: &Sample,
        openings: &[(String, Opening)],
        salts: &[(String, Salt)],
        mut rng: R,
    ) -> Result<SegmentedJob, Error> {
        self.check_named(openings, salts)?;
        let values = self.run(sample, openings, Wanted::Commitments)?;
        self.tasks(&values, (openings, salts), &mut rng)
    }

    /// Proves a segment. Its circuit stays on the back end until another one is asked for.
    ///
    /// `rng` makes the proof zero knowledge: it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// [`Error::Arguments`] where the task is of another key, and as [`prove`](Self::prove).
    pub fn prove_segment<R: RngCore + CryptoRng + Send>(
        &self,
        task: &SegmentTask,
        mut rng: R,
    ) -> Result<SegmentProof, Error> {
        task.expect(self.key())?;
        let segment = task.segment();
        let (model, keys) = self.key.segment(segment)?;
        // One at a time: the memory is for one.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        let engine = self.load(segment, &model, &keys, &mut loaded)?;
        let load_ms = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let given = Openings { tensors: &[], known: &task.known(), salts: task.salts(), ..Openings::default() };
        let parts = (&keys, &model.layout, &model.graph);
        // On a thread of the pool, as proofs of models in one piece are.
        let proof = rayon::scope(|_| prove_opened(engine, parts, task.inputs(), given, &mut rng))?;
        let key = &self.key().segments()[segment];
        let points: Vec<_> = proof.tensors.iter().flat_map(|tensor| tensor.commitments.clone()).collect();
        let bundle = ProofBundle::new(key, &self.backend(), task.inputs(), &proof.outputs, &proof.bytes);
        let bundle = bundle.with_commitments(key, &points).with_hashes(key, &proof.hashes);
        let prove_ms = start.elapsed().as_secs_f64() * 1e3;
        let times = SegmentTimes { load_ms, witness_ms: proof.witness_ms, prove_ms };
        Ok(SegmentProof { segment, bundle, times })
    }

    /// Puts the proofs of a job's tasks together, whoever made them: whether they hold is for
    /// [`SegmentedKey::verify`].
    ///
    /// # Errors
    /// [`Error::Arguments`] where they are not one of each segment.
    pub fn finish(&self, job: &SegmentedJob, proofs: Vec<SegmentProof>) -> Result<SegmentedProved, Error> {
        let segments = self.key.model.segments();
        let mut bundles: Vec<Option<ProofBundle>> = vec![None; segments];
        let mut times = vec![SegmentTimes::default(); segments];
        let given = proofs.len();
        for proof in proofs {
            let Some(place) = bundles.get_mut(proof.segment) else { continue };
            times[proof.segment] = proof.times;
            *place = Some(proof.bundle);
        }
        let bundles: Vec<ProofBundle> = bundles.into_iter().flatten().collect();
        if bundles.len() != segments || given != segments {
            let problem = format!("{given} proofs, of {} different segments of {segments}", bundles.len());
            return Err(Error::Arguments { problem, hint: "give the proof of each segment once" });
        }
        let bundle = SegmentedProof::new(self.key(), &bundles, &job.between)?;
        Ok(SegmentedProved { bundle, openings: job.openings.clone(), times })
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

    /// Runs the model in integers, segment by segment.
    fn run(&self, sample: &Sample, openings: Named<'_, Opening>, wanted: Wanted) -> Result<Values, Error> {
        let mut values = Values(HashMap::new());
        let all = &mut values.0;
        let inputs = self.key().inputs();
        if sample.len() != inputs.len() {
            let problem = format!("{} inputs, but the model has {}", sample.len(), inputs.len());
            return Err(Error::Arguments { problem, hint: "give a list of numbers for each input" });
        }
        for segment in 0..self.key.model.segments() {
            let model = self.key.model.segment(segment)?;
            let Wire { inputs: ends, outputs } = &self.key.model.wires()[segment];
            for (place, end) in ends.iter().enumerate() {
                let End::Input(number) = end else { continue };
                if all.contains_key(end) {
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
                all.insert(*end, values);
            }
            let ports = &self.key().segments()[segment].keys().statement().outputs;
            let ends_of = || outputs.iter().zip(ports).zip(&model.graph.outputs);
            let is_wanted = |((end, port), _): &((&End, &Port), &TensorId)| match wanted {
                Wanted::Inputs => false,
                Wanted::Commitments => port.committed_columns() > 0,
                Wanted::Outputs => port.committed_columns() > 0 || matches!(end, End::Output(_)),
            };
            if !ends_of().any(|own| is_wanted(&own)) {
                continue;
            }
            let mut own: Vec<Vec<i64>> = ends.iter().map(|end| all.get(end).cloned().unwrap_or_default()).collect();
            let execution = model.graph.run(&own).map_err(ProveError::from);
            own.iter_mut().for_each(|values| wipe_integers(values));
            let mut execution = execution?;
            for ((end, _), tensor) in ends_of().filter(is_wanted) {
                all.insert(*end, execution.values[*tensor].clone());
            }
            execution.values.iter_mut().chain(&mut execution.accumulators).for_each(|values| wipe_integers(values));
        }
        Ok(values)
    }

    /// Commits to all that is committed, and makes the tasks.
    fn tasks<R: RngCore + CryptoRng>(
        &self,
        values: &Values,
        (openings, salts): (Named<'_, Opening>, Named<'_, Salt>),
        mut rng: R,
    ) -> Result<SegmentedJob, Error> {
        let committer = Committer::from_points(self.backend.clone(), &self.key.powers, &self.key.lagrange, 0);
        let committer = committer.map_err(ProverError::Backend)?;
        let mut shared: HashMap<End, Arc<CommittedTensor>> = HashMap::new();
        let (mut own, mut tasks) = (Vec::new(), Vec::new());
        for (segment, key) in self.key().segments().iter().enumerate() {
            let Wire { inputs: ends, outputs } = &self.key.model.wires()[segment];
            let mut known = Vec::new();
            let ports = ends.iter().chain(outputs).zip(key.keys().statement().ports());
            for (end, port) in ports.filter(|(_, port)| port.committed_columns() > 0) {
                // What lies between segments has no name for anybody.
                let is_own = !matches!(end, End::Between(_));
                let given = openings.iter().find(|(name, _)| is_own && *name == port.name);
                if let Some((_, opening)) = given {
                    fits(key, port, opening)?;
                }
                if !shared.contains_key(end) {
                    let opening = match given {
                        Some((_, opening)) => opening.tensor().clone(),
                        None => {
                            let values = values.0.get(end).cloned().unwrap_or_default();
                            TensorOpening::new(values, key.keys().k(), &mut rng)
                        }
                    };
                    let tensor = CommittedTensor::by(&committer, opening)?;
                    if is_own {
                        let opening = Opening::of(key, port, tensor.opening.clone(), &tensor.commitments);
                        own.push((port.name.clone(), opening));
                    }
                    shared.insert(*end, Arc::new(tensor));
                }
                known.push((port.name.clone(), Arc::clone(&shared[end])));
            }
            let is_hashed = |name: &str| zkml_gpu_verify::port(key.keys(), name).is_some_and(|p| p.hashed().is_some());
            let salts = salts.iter().filter(|(name, _)| is_hashed(name)).cloned().collect();
            let inputs = ends.iter().map(|end| values.0.get(end).cloned().unwrap_or_default()).collect();
            tasks.push(SegmentTask::new(self.key(), segment, inputs, known, salts));
        }
        let between = (0..self.key().wiring().between()).map(|number| match shared.get(&End::Between(number)) {
            Some(tensor) => Ok(tensor.commitments.clone()),
            None => Err(Error::Internal(format!("tensor {number} between segments has no commitment"))),
        });
        let between = between.collect::<Result<_, _>>()?;
        Ok(SegmentedJob { tasks, between, openings: own })
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
        let backend = self.backend.clone();
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
}

/// Refuses an opening of another tensor, size or reference string.
fn fits(key: &ModelKey, port: &Port, opening: &Opening) -> Result<(), Error> {
    opening.commitment().fits(key.keys(), port).map_err(|problem| Error::Arguments {
        problem,
        hint: "chained models share k, reference string, shape and scale: compile with --min-k",
    })
}
