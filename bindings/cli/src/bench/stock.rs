//! halo2-axiom's own `create_proof` on a model's circuit, checked by its own verifier.

use std::time::Instant;

use anyhow::anyhow;
use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::plonk::{ProvingKey, VerifyingKey, create_proof, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use rand_chacha::ChaCha20Rng;
use zkml_gpu::circuit::circuit::{NetworkCircuit, Witness};
use zkml_gpu::circuit::commit::Bank;
use zkml_gpu::circuit::layout::{Layout, LayoutOptions};
use zkml_gpu::circuit::trace::FirstPhase;
use zkml_gpu::engine::backend::Cpu;
use zkml_gpu::engine::keygen::keygen;
use zkml_gpu::graph::Graph;
use zkml_gpu::{Sample, Srs};

use super::messages::Proven;
use super::record::Run;
use crate::report::elapsed_ms;
use crate::resources::cpu_ms;

/// Its name among the back ends.
pub(super) const NAME: &str = "halo2-axiom";

/// The stock prover with a key of a circuit with embedded weights: of others it cannot leave the last phase.
pub(super) struct StockProver {
    graph: Graph,
    layout: Layout,
    bank: Bank,
    srs: Srs,
    key: ProvingKey<G1Affine>,
}

impl StockProver {
    /// Lays the graph out as it was for our prover, and makes the same key in the stock form.
    pub(super) fn new(graph: &Graph, options: &LayoutOptions, srs: Srs) -> anyhow::Result<Self> {
        let layout = Layout::compile(graph, options)?;
        let bank = Bank::new(&layout, graph);
        let key = keygen(&Cpu::new(), srs.params(), &NetworkCircuit::keygen(&layout, &bank))?;
        Ok(Self { graph: graph.clone(), layout, bank, srs, key })
    }

    pub(super) fn device(&self) -> String {
        format!("create_proof of {NAME}, {} threads", rayon::current_num_threads())
    }

    /// As our keys' digest of the circuit: both provers prove the same.
    pub(super) fn circuit_digest(&self) -> String {
        format!("{:?}", self.key.get_vk().transcript_repr())
    }

    /// Runs the inference, proves and verifies: timed as our prover's, from parsed input to proof.
    pub(super) fn prove(&self, sample: &Sample, rng: ChaCha20Rng) -> anyhow::Result<Proven> {
        let (cpu_before, start) = (cpu_ms(), Instant::now());
        let inputs = self.graph.quantise_inputs(sample);
        let execution = self.graph.run(&inputs)?;
        let first = FirstPhase::new(&self.layout, &self.graph, &execution);
        let outputs: Vec<Vec<i64>> = self.graph.outputs.iter().map(|t| execution.values[*t].clone()).collect();
        let instances = self.layout.statement.instances(&inputs, &outputs)?;
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        let witness = Witness {
            graph: &self.graph,
            execution: &execution,
            bank: &self.bank,
            first: &first,
            instances: &instances,
            derived: false,
        };
        let circuit = NetworkCircuit::proving(&self.layout, witness);
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            self.srs.params(),
            &self.key,
            std::slice::from_ref(&circuit),
            &[&columns],
            rng,
            &mut transcript,
        )
        .map_err(|error| anyhow!("{NAME} does not prove this circuit: {error}"))?;
        let proof = transcript.finalize();
        let (prove_ms, prove_cpu_ms) = (elapsed_ms(start), cpu_ms() - cpu_before);
        let (verify_ms, read_key_ms) = self.verify(&columns, &proof)?;
        let run = Run { prove_ms, prove_cpu_ms, verify_ms, read_key_ms, steps: Vec::new(), counts: None };
        Ok(Proven { run, proof_bytes: proof.len(), proof_digest: None, max_abs_error: None })
    }

    /// As our verifier: from the bytes of key and proof. The whole time, and that of the key.
    fn verify(&self, columns: &[&[Fr]], proof: &[u8]) -> anyhow::Result<(f64, f64)> {
        let (bytes, form) = (self.key.get_vk().to_bytes(SerdeFormat::Processed), SerdeFormat::Processed);
        let start = Instant::now();
        let architecture = self.layout.architecture.clone();
        let key = VerifyingKey::<G1Affine>::from_bytes::<NetworkCircuit<'_>>(&bytes, form, architecture)?;
        let read_key_ms = elapsed_ms(start);
        let params: &ParamsKZG<Bn256> = self.srs.params();
        let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, SingleStrategy<'_, Bn256>>(
            params,
            &key,
            SingleStrategy::new(params),
            &[columns],
            &mut transcript,
        )
        .map_err(|error| anyhow!("the proof of {NAME} was rejected: {error}"))?;
        Ok((elapsed_ms(start), read_key_ms))
    }
}
