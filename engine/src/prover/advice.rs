//! Instance columns and the advice phases.
//!
//! The transcript absorbs the key's digest and every instance value; then, per phase, come the commitments of the
//! phase's advice columns in order of their index, and the challenges that follow the phase. Under KZG the verifier
//! evaluates instance columns itself, so that they are neither committed nor opened.

use super::poly::Poly;
use super::witness::{Layout, PhaseCommitter, synthesize};
use super::{Proof, ProverError, TRACING_TARGET};
use crate::backend::Backend;
use halo2_proofs::plonk::Circuit;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::RngCore;
use tracing::info_span;

/// The blinding rows drawn for each advice column.
pub(super) struct AdviceBlinding {
    columns: Vec<Vec<Fr>>,
}

impl AdviceBlinding {
    pub(super) fn new(columns: usize) -> Self {
        AdviceBlinding { columns: vec![Vec::new(); columns] }
    }

    pub(super) fn into_columns(self) -> Vec<Vec<Fr>> {
        self.columns
    }
}

impl<B, E, R, T> Proof<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    /// Binds the proof to the verifying key and the public inputs.
    pub(super) fn absorb_instances(&mut self, instances: &[&[Fr]]) -> Result<(), ProverError> {
        self.transcript.common_scalar(self.prover.transcript_repr)?;
        for &value in instances.iter().copied().flatten() {
            self.transcript.common_scalar(value)?;
        }
        for (index, &values) in instances.iter().enumerate() {
            let mut column = self.prover.backend.zeros(self.prover.shape.n)?;
            self.prover.backend.write_range(&mut column, 0, values)?;
            self.values.insert(Poly::Instance(index), column);
        }
        Ok(())
    }

    /// Synthesises the circuit and commits its advice columns, phase by phase.
    pub(super) fn commit_advice<C: Circuit<Fr>>(
        &mut self,
        circuit: &C,
        instances: &[&[Fr]],
    ) -> Result<(), ProverError> {
        let prover = self.prover;
        let _span = info_span!(target: TRACING_TARGET, "synthesize", rows = prover.shape.n).entered();
        let (k, usable_rows) = (prover.shape.k, prover.shape.usable_rows);
        let layout = Layout { cs: &prover.cs, k, usable_rows, instances };
        self.challenges.circuit = synthesize(circuit, layout, self)?;
        Ok(())
    }
}

impl<B, E, R, T> PhaseCommitter for Proof<'_, B, E, R, T>
where
    B: Backend,
    E: EncodedChallenge<G1Affine>,
    R: RngCore,
    T: TranscriptWrite<G1Affine, E>,
{
    fn commit_phase(&mut self, phase: u8, columns: &mut [Vec<Fr>]) -> Result<Vec<(usize, Fr)>, ProverError> {
        let (cs, shape, backend) = (&self.prover.cs, &self.prover.shape, &self.prover.backend);
        let in_phase = |phases: Vec<u8>| (0..phases.len()).filter(|&index| phases[index] == phase).collect::<Vec<_>>();
        let indices = in_phase(cs.advice_column_phase());
        let bytes = shape.bytes(indices.len());
        let span =
            info_span!(target: TRACING_TARGET, "commit_advice", phase, columns = indices.len(), rows = shape.n, bytes);
        let _span = span.entered();
        for &index in &indices {
            let blinding = self.draw(shape.n - shape.usable_rows);
            columns[index][shape.usable_rows..].copy_from_slice(&blinding);
            self.advice_blinding.columns[index] = blinding;
        }
        let host: Vec<&[Fr]> = indices.iter().map(|&index| columns[index].as_slice()).collect();
        let resident = backend.upload_columns(&host)?;
        let commitments = backend.msm(&self.prover.lagrange, &resident.iter().collect::<Vec<_>>())?;
        self.write_points(&commitments)?;
        self.values.extend(indices.into_iter().map(Poly::Advice), resident);
        Ok(in_phase(cs.challenge_phase()).into_iter().map(|index| (index, self.squeeze())).collect())
    }
}
