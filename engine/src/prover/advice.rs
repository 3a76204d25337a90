//! Instance columns and the advice phases.
//!
//! The transcript absorbs the key's digest and every instance value of every circuit; then, per phase, come the commitments of the
//! phase's advice columns, circuit by circuit in order of their index, and the challenges that follow the phase. Under KZG the
//! verifier evaluates instance columns itself, so that they are neither committed nor opened.

use super::poly::Poly;
use super::witness::{Layout, PhaseCommitter, synthesize};
use super::{Proof, ProverError, TRACING_TARGET};
use crate::backend::Backend;
use halo2_proofs::plonk::Circuit;
use halo2curves::bn256::Fr;
use tracing::info_span;

impl<B: Backend> Proof<'_, B> {
    /// Binds the proof to the verifying key and the public inputs.
    pub(super) fn absorb_instances(&mut self, instances: &[&[&[Fr]]]) -> Result<(), ProverError> {
        let (backend, n) = (&self.prover.backend, self.prover.shape.n);
        self.transcript.absorb_scalar(self.prover.transcript_repr)?;
        for &value in instances.iter().copied().flatten().copied().flatten() {
            self.transcript.absorb_scalar(value)?;
        }
        for (circuit, instances) in self.circuits.iter_mut().zip(instances) {
            for (index, &values) in instances.iter().enumerate() {
                let mut column = backend.zeros(n)?;
                backend.write_range(&mut column, 0, values)?;
                circuit.values.insert(Poly::Instance(index), column);
            }
        }
        Ok(())
    }

    /// Synthesises the circuits and commits their advice columns, phase by phase.
    pub(super) fn commit_advice<C: Circuit<Fr>>(
        &mut self,
        circuits: &[C],
        instances: &[&[&[Fr]]],
    ) -> Result<(), ProverError> {
        let prover = self.prover;
        let _span = info_span!(target: TRACING_TARGET, "synthesize", rows = prover.shape.n).entered();
        let (k, usable_rows) = (prover.shape.k, prover.shape.usable_rows);
        self.challenges.circuit = synthesize(circuits, Layout { cs: &prover.cs, k, usable_rows, instances }, self)?;
        Ok(())
    }
}

impl<B: Backend> PhaseCommitter for Proof<'_, B> {
    fn commit_phase(
        &mut self,
        circuit: usize,
        phase: u8,
        mut columns: Vec<(usize, Vec<Fr>)>,
    ) -> Result<(), ProverError> {
        let (shape, backend) = (&self.prover.shape, &self.prover.backend);
        let (rows, bytes) = (shape.n, shape.bytes(columns.len()));
        let span = info_span!(target: TRACING_TARGET, "commit_advice", phase, columns = columns.len(), rows, bytes);
        let _span = span.entered();
        for (index, column) in &mut columns {
            let blinding = self.draw(shape.n - shape.usable_rows);
            column[shape.usable_rows..].copy_from_slice(&blinding);
            self.circuits[circuit].advice_blinding[*index] = blinding;
        }
        let host: Vec<&[Fr]> = columns.iter().map(|(_, column)| column.as_slice()).collect();
        let resident = backend.upload_columns(&host)?;
        let names: Vec<Poly> = columns.into_iter().map(|(index, _)| Poly::Advice(index)).collect();
        let commitments = backend.msm(&self.prover.lagrange, &resident.iter().collect::<Vec<_>>())?;
        self.write_points(&commitments)?;
        self.circuits[circuit].values.extend(names, resident);
        Ok(())
    }

    fn challenge(&mut self) -> Fr {
        self.squeeze()
    }
}
