//! Proving an inference: the Halo2 proof; then, where weights or tensors are committed, the link proof in the same
//! transcript.

use ff::Field;
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, EncodedChallenge, TranscriptWrite, TranscriptWriterBuffer};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use web_time::Instant;
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::prover::{ProofOutput, Prover, ProverError};
use zkml_gpu_engine::secret::wipe_elements;
use zkml_gpu_engine::transcript::EvmWrite;
use zkml_gpu_graph::{ExecuteError, Execution, Graph, Visibility};

use crate::circuit::{NetworkCircuit, Witness};
use crate::commit::{LinkStatement, TensorOpening, batch_powers, prove_link};
use crate::hash::{HashError, Salt, TensorHash};
use crate::keccak::Hasher;
use crate::keys::ProvingKeys;
use crate::layout::Layout;
use crate::secret::Cleared;
use crate::system::{Port, StatementError};
use crate::trace::FirstPhase;

/// Why an inference cannot be proved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The inference itself fails.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The public tensors do not fit the statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A committed tensor of this inference is not the one that its opening holds.
    #[error(
        "the opening of '{name}' holds another tensor than this inference has, or is for circuits of another size\nhint: give the opening of this tensor, or none, and a fresh commitment is made"
    )]
    OtherTensor {
        /// Name of the input or output.
        name: String,
    },
    /// A hash does not fit its rows.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The prover fails.
    #[error(transparent)]
    Prover(#[from] ProverError),
    /// The transcript cannot be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// A proof and what it proves.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The Halo2 proof, then the link proof where weights or tensors are committed.
    pub bytes: Vec<u8>,
    /// The outputs, in the graph's order and storage order; hidden ones are empty.
    pub outputs: Vec<Vec<i64>>,
    /// The committed tensors, inputs first. Their openings are secret.
    pub tensors: Vec<CommittedTensor>,
    /// The hashes of the hashed tensors, inputs first.
    pub hashes: Vec<TensorHash>,
    /// Wall time of the witness's first phase and the integer inference, in milliseconds.
    pub witness_ms: f64,
}

/// A tensor with a commitment that the statement has.
#[derive(Debug, Clone)]
pub struct CommittedTensor {
    /// What its owner keeps: secret.
    pub opening: TensorOpening,
    /// The commitments, one a column.
    pub commitments: Vec<G1Affine>,
}

impl CommittedTensor {
    /// Commits to a tensor by a prover's points.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn new<B: Backend>(prover: &Prover<B>, opening: TensorOpening, k: u32) -> Result<Self, ProverError> {
        Self::with(opening, k, |columns| prover.commit(columns))
    }

    /// Commits to a tensor by a reference string's points, before there is a prover.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn by<B: Backend>(committer: &Committer<B>, opening: TensorOpening) -> Result<Self, ProverError> {
        Self::with(opening, committer.k(), |columns| Ok(committer.commit(columns)?))
    }

    fn with(
        opening: TensorOpening,
        k: u32,
        commit: impl FnOnce(&[&[Fr]]) -> Result<Vec<G1Affine>, ProverError>,
    ) -> Result<Self, ProverError> {
        let mut columns = opening.columns(k);
        let commitments = commit(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>());
        columns.iter_mut().for_each(|column| wipe_elements(column));
        Ok(Self { opening, commitments: commitments? })
    }
}

/// Runs the graph on quantised inputs and proves it, with fresh commitments to what is committed.
///
/// # Errors
/// [`ProveError`] where the inputs do not fit the graph or the prover fails.
pub fn prove<B: Backend>(
    prover: &Prover<B>,
    keys: &ProvingKeys,
    layout: &Layout,
    graph: &Graph,
    inputs: &[Vec<i64>],
    rng: impl RngCore + CryptoRng,
) -> Result<Proof, ProveError> {
    prove_opened(prover, (keys, layout, graph), inputs, Openings::default(), rng)
}

/// What a prover keeps of hidden tensors, by their names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Openings<'o> {
    /// Of committed ones, which have their commitments already. Fresh ones are made of those that are not listed.
    pub tensors: &'o [(String, TensorOpening)],
    /// Of committed ones whose commitments are known, which are not computed again.
    pub known: &'o [(String, &'o CommittedTensor)],
    /// Salts of hashed ones. Those that are not listed are hashed without.
    pub salts: &'o [(String, Salt)],
    /// What the proof's challenges are hashed with.
    pub hasher: Hasher,
}

/// As [`prove`], with what there is already of committed and hashed tensors.
///
/// # Errors
/// As [`prove`]; [`ProveError::OtherTensor`] where an opening is not of this inference's tensor.
pub fn prove_opened<B: Backend>(
    prover: &Prover<B>,
    (keys, layout, graph): (&ProvingKeys, &Layout, &Graph),
    inputs: &[Vec<i64>],
    openings: Openings<'_>,
    mut rng: impl RngCore + CryptoRng,
) -> Result<Proof, ProveError> {
    let start = Instant::now();
    let span = tracing::info_span!(target: "zkml_gpu::prover", "witness").entered();
    let execution = &Cleared(graph.run(inputs)?);
    let first = FirstPhase::salted(layout, graph, &execution.0, &salts(layout, openings.salts))?;
    let first = &Cleared(first);
    drop(span);
    let (execution, first) = (&execution.0, &first.0);
    let witness_ms = start.elapsed().as_secs_f64() * 1e3;
    let tensors = committed(prover, layout, graph, execution, openings, &mut rng)?;
    let outputs = Cleared(graph.outputs.iter().map(|t| execution.values[*t].clone()).collect::<Vec<_>>());
    let job = Job { keys, layout, graph, execution, first, tensors: &tensors };
    let bytes = job.prove_with(prover, openings.hasher, inputs, &outputs.0, rng, |circuit| circuit)?;
    let [_, outputs] = layout.statement.shown(&[], &outputs.0);
    Ok(Proof { bytes, outputs, tensors, hashes: first.tensor_hashes.clone(), witness_ms })
}

/// The salts of the hashed tensors, inputs first.
fn salts<'s>(layout: &Layout, salts: &'s [(String, Salt)]) -> Vec<Option<&'s Salt>> {
    let hashed = layout.statement.ports().filter(|port| port.visibility() == Visibility::Hashed);
    hashed.map(|port| salts.iter().find(|(name, _)| *name == port.name).map(|(_, salt)| salt)).collect()
}

/// The committed tensors of an inference.
///
/// # Errors
/// [`ProveError::OtherTensor`], and failures of the back end.
pub fn committed<B: Backend>(
    prover: &Prover<B>,
    layout: &Layout,
    graph: &Graph,
    execution: &Execution,
    openings: Openings<'_>,
    mut rng: impl RngCore + CryptoRng,
) -> Result<Vec<CommittedTensor>, ProveError> {
    let tensors = layout.statement.ports().zip(graph.inputs.iter().chain(&graph.outputs));
    let mut all = Vec::new();
    for (port, tensor) in tensors.filter(|(port, _)| port.committed_columns() > 0) {
        let values = &execution.values[*tensor];
        if let Some((_, known)) = openings.known.iter().find(|(name, _)| *name == port.name) {
            own(port, &known.opening, values)?;
            all.push((*known).clone());
            continue;
        }
        let opening = match openings.tensors.iter().find(|(name, _)| *name == port.name) {
            Some((_, opening)) => own(port, opening, values)?.clone(),
            None => TensorOpening::new(values.clone(), layout.k, &mut rng),
        };
        all.push(CommittedTensor::new(prover, opening, layout.k)?);
    }
    Ok(all)
}

/// An opening that is of these values, in as many columns as the circuit has for them.
fn own<'o>(port: &Port, opening: &'o TensorOpening, values: &[i64]) -> Result<&'o TensorOpening, ProveError> {
    if opening.values() == values && opening.blinds().len() == port.committed_columns() {
        Ok(opening)
    } else {
        Err(ProveError::OtherTensor { name: port.name.clone() })
    }
}

/// Everything of a proof but its instances and randomness.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Keys.
    pub keys: &'a ProvingKeys,
    /// Layout that the keys were made for.
    pub layout: &'a Layout,
    /// The network.
    pub graph: &'a Graph,
    /// One inference.
    pub execution: &'a Execution,
    /// Its witness's first phase.
    pub first: &'a FirstPhase,
    /// Its committed tensors, as [`committed`] has them.
    pub tensors: &'a [CommittedTensor],
}

impl<'a> Job<'a> {
    /// Proves for these claimed tensors, hidden ones included. `change` may alter the circuit: for tests of soundness.
    ///
    /// # Errors
    /// [`ProveError`] as for [`prove`].
    pub fn prove<B: Backend>(
        &self,
        prover: &Prover<B>,
        inputs: &[Vec<i64>],
        outputs: &[Vec<i64>],
        rng: impl RngCore + CryptoRng,
        change: impl FnOnce(NetworkCircuit<'_>) -> NetworkCircuit<'_>,
    ) -> Result<Vec<u8>, ProveError> {
        self.prove_with(prover, Hasher::Blake2b, inputs, outputs, rng, change)
    }

    /// As [`prove`](Self::prove), with challenges by this hash.
    ///
    /// # Errors
    /// As there.
    pub fn prove_with<B: Backend>(
        &self,
        prover: &Prover<B>,
        hasher: Hasher,
        inputs: &[Vec<i64>],
        outputs: &[Vec<i64>],
        rng: impl RngCore + CryptoRng,
        change: impl FnOnce(NetworkCircuit<'_>) -> NetworkCircuit<'_>,
    ) -> Result<Vec<u8>, ProveError> {
        match hasher {
            Hasher::Blake2b => {
                let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
                self.write(prover, inputs, outputs, rng, change, &mut transcript)?;
                Ok(transcript.finalize())
            }
            Hasher::Keccak => {
                let mut transcript = EvmWrite::init(Vec::new());
                self.write(prover, inputs, outputs, rng, change, &mut transcript)?;
                Ok(transcript.finalize())
            }
        }
    }

    fn write<B: Backend, E: EncodedChallenge<G1Affine>>(
        &self,
        prover: &Prover<B>,
        inputs: &[Vec<i64>],
        outputs: &[Vec<i64>],
        mut rng: impl RngCore + CryptoRng,
        change: impl FnOnce(NetworkCircuit<'_>) -> NetworkCircuit<'_>,
        transcript: &mut impl TranscriptWrite<G1Affine, E>,
    ) -> Result<(), ProveError> {
        let verifying = &self.keys.verifying;
        let [inputs, outputs] = verifying.statement.shown(inputs, outputs);
        let instances = verifying.statement.instances_with(&inputs, &outputs, &self.first.tensor_hashes)?;
        let commitments: Vec<G1Affine> = self.tensors.iter().flat_map(|t| t.commitments.iter().copied()).collect();
        let witness = Witness {
            graph: self.graph,
            execution: self.execution,
            bank: &self.keys.model.bank,
            first: self.first,
            instances: &instances,
            derived: self.is_derived(prover),
        };
        let circuit = change(NetworkCircuit::proving(self.layout, witness));
        // Nothing is absorbed besides what Halo2 itself absorbs where there is no link: such a proof is a plain one.
        let digest = verifying.digest(&commitments);
        if let Some(digest) = digest {
            transcript.common_scalar(digest)?;
        }
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        // There is a witness: the circuit is one for proving.
        let mut witness = circuit.columns().ok_or(ProverError::NoCircuits)?;
        let output = prover.create_proof_from_columns(&mut witness, &columns, &mut rng, transcript)?;
        if digest.is_some() {
            let _span = tracing::info_span!(target: "zkml_gpu::prover", "link").entered();
            self.link(&output, &mut rng, transcript)?;
        }
        Ok(())
    }

    /// Whether the prover computes what [`derived_columns`](crate::circuit::derived_columns) lists.
    fn is_derived<B: Backend>(&self, prover: &Prover<B>) -> bool {
        let architecture = &self.layout.architecture;
        let folded = architecture.folded_weights().is_none_or(|folded| prover.derives(folded));
        folded && prover.derives(architecture.sum())
    }

    /// Ties the folded weights to the model commitment, and columns of committed tensors to theirs, in one proof.
    fn link<E: EncodedChallenge<G1Affine>>(
        &self,
        output: &ProofOutput,
        rng: impl RngCore + CryptoRng,
        transcript: &mut impl TranscriptWrite<G1Affine, E>,
    ) -> Result<(), ProveError> {
        let verifying = &self.keys.verifying;
        // Challenge 0 of the circuit is s (`chips::configure`).
        let s = output.challenges.circuit.first().copied().unwrap_or(Fr::ZERO);
        let context = output.challenges.circuit.get(1).copied().unwrap_or(Fr::ZERO);
        let a = &verifying.architecture;
        let weights = a.folded_weights().map(|folded| (folded, self.keys.model.fold_blinds(s)));
        let tensors = self.tensors.iter().flat_map(|tensor| tensor.opening.blinds().iter().cloned());
        let links: Vec<(usize, Vec<Fr>)> =
            weights.into_iter().chain(tensors.enumerate().map(|(i, blinds)| (a.committed(i), blinds))).collect();
        let powers = batch_powers(links.len(), transcript);
        let mut secrets = vec![Fr::ZERO; verifying.blinding_points.len()];
        for ((column, outside), power) in links.iter().zip(powers) {
            let blinding = output.advice_blinding[*column].iter().zip(outside);
            secrets.iter_mut().zip(blinding).for_each(|(sum, (own, outside))| *sum += power * (own - outside));
        }
        let statement = LinkStatement::of_secrets(&secrets, &verifying.blinding_points);
        let proved = prove_link(statement, &secrets, context, rng, transcript);
        wipe_elements(&mut secrets);
        Ok(proved?)
    }
}
