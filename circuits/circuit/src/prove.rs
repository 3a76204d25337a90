//! Proving an inference: the Halo2 proof; then, where the weights are committed, the link proof in the same transcript.

use ff::Field;
use group::Curve;
use halo2_proofs::transcript::{Blake2bWrite, Challenge255, Transcript, TranscriptWriterBuffer};
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::prover::{ProofOutput, Prover, ProverError};
use zkml_gpu_graph::{ExecuteError, Execution, Graph};

use crate::circuit::{NetworkCircuit, Witness};
use crate::commit::{LinkStatement, prove_link};
use crate::keys::ProvingKeys;
use crate::layout::Layout;
use crate::system::StatementError;
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
    /// The Halo2 proof, then the link proof where the weights are committed.
    pub bytes: Vec<u8>,
    /// The outputs, in the graph's order and storage order.
    pub outputs: Vec<Vec<i64>>,
    /// Wall time of the witness's first phase and the integer inference, in milliseconds.
    pub witness_ms: f64,
}

/// Runs the graph on quantised inputs and proves it.
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
    let start = std::time::Instant::now();
    let execution = graph.run(inputs)?;
    let first = FirstPhase::new(layout, graph, &execution);
    let witness_ms = start.elapsed().as_secs_f64() * 1e3;
    let outputs: Vec<Vec<i64>> = graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
    let job = Job { keys, layout, graph, execution: &execution, first: &first };
    let bytes = job.prove(prover, inputs, &outputs, rng, |circuit| circuit)?;
    Ok(Proof { bytes, outputs, witness_ms })
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
}

impl<'a> Job<'a> {
    /// Proves for these claimed tensors. `change` may alter the circuit: for tests of soundness.
    ///
    /// # Errors
    /// [`ProveError`] as for [`prove`].
    pub fn prove<B: Backend>(
        &self,
        prover: &Prover<B>,
        inputs: &[Vec<i64>],
        outputs: &[Vec<i64>],
        mut rng: impl RngCore + CryptoRng,
        change: impl FnOnce(NetworkCircuit<'_>) -> NetworkCircuit<'_>,
    ) -> Result<Vec<u8>, ProveError> {
        let verifying = &self.keys.verifying;
        let instances = verifying.statement.instances(inputs, outputs)?;
        let witness = Witness {
            graph: self.graph,
            execution: self.execution,
            bank: &self.keys.model.bank,
            first: self.first,
            instances: &instances,
            derived: self.is_derived(prover),
        };
        let circuit = change(NetworkCircuit::proving(self.layout, witness));
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        // Nothing is absorbed besides what Halo2 itself absorbs where there is no link: such a proof is a plain one.
        if let Some(digest) = verifying.digest() {
            transcript.common_scalar(digest)?;
        }
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        // There is a witness: the circuit is one for proving.
        let mut witness = circuit.columns().ok_or(ProverError::NoCircuits)?;
        let output = prover.create_proof_from_columns(&mut witness, &columns, &mut rng, &mut transcript)?;
        if let Some(folded) = verifying.architecture.folded_weights() {
            let _span = tracing::info_span!(target: "zkml_gpu::prover", "link").entered();
            self.link(folded, &output, &mut rng, &mut transcript)?;
        }
        Ok(transcript.finalize())
    }

    /// Whether the prover computes what [`derived_columns`](crate::circuit::derived_columns) lists.
    fn is_derived<B: Backend>(&self, prover: &Prover<B>) -> bool {
        let architecture = &self.layout.architecture;
        let folded = architecture.folded_weights().is_none_or(|folded| prover.derives(folded));
        folded && prover.derives(architecture.sum())
    }

    /// Ties the folded weights, an advice column, to the model commitment.
    fn link(
        &self,
        folded: usize,
        output: &ProofOutput,
        rng: impl RngCore + CryptoRng,
        transcript: &mut Blake2bWrite<Vec<u8>, G1Affine, Challenge255<G1Affine>>,
    ) -> Result<(), ProveError> {
        let verifying = &self.keys.verifying;
        // Challenge 0 of the circuit is s (`chips::configure`).
        let s = output.challenges.circuit.first().copied().unwrap_or(Fr::ZERO);
        let context = output.challenges.circuit.get(1).copied().unwrap_or(Fr::ZERO);
        let blinding = &output.advice_blinding[folded];
        let secrets: Vec<Fr> =
            blinding.iter().zip(self.keys.model.fold_blinds(s)).map(|(own, folded)| own - folded).collect();
        let difference: G1 = secrets.iter().zip(&verifying.blinding_points).map(|(d, point)| point * d).sum();
        let statement =
            LinkStatement { difference: difference.to_affine(), blinding_points: &verifying.blinding_points };
        Ok(prove_link(statement, &secrets, context, rng, transcript)?)
    }
}
