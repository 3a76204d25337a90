//! Instance columns and the advice phases.
//!
//! The transcript absorbs the key's digest and every instance value of every circuit; then, per phase, come the commitments of the
//! phase's advice columns, circuit by circuit in order of their index, and the challenges that follow the phase. Under KZG the
//! verifier evaluates instance columns itself, so that they are neither committed nor opened.

use super::poly::Poly;
use super::proof::CircuitColumns;
use super::witness::{Layout, PhaseCommitter, synthesize};
use super::{Challenges, Proof, ProverError, TRACING_TARGET};
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

impl<B: Backend> Proof<'_, B> {
    /// Computes and blinds the derived columns of a phase.
    fn derive_columns(&mut self, circuit: usize, phase: u8, challenges: &[Option<Fr>]) -> Result<(), ProverError> {
        let prover = self.prover;
        let (shape, backend) = (&prover.shape, &prover.backend);
        // Challenges of later phases are in no expression.
        let known = challenges.iter().map(|challenge| challenge.unwrap_or_default()).collect();
        let challenges = Challenges { circuit: known, ..Challenges::default() };
        let CircuitColumns { values, advice_blinding, .. } = &mut self.circuits[circuit];
        for index in prover.derived.run(backend, shape.n, phase, values, &prover.values, &challenges)? {
            if let Some(column) = values.get_mut(Poly::Advice(index)) {
                backend.write_range(column, shape.usable_rows, &advice_blinding[index])?;
            }
        }
        Ok(())
    }
}

impl<B: Backend> PhaseCommitter for Proof<'_, B> {
    fn derives(&self, column: usize) -> bool {
        self.prover.derives(column)
    }

    fn commit_phase(
        &mut self,
        circuit: usize,
        phase: u8,
        mut columns: Vec<(usize, Vec<Fr>)>,
        challenges: &[Option<Fr>],
    ) -> Result<(), ProverError> {
        let prover = self.prover;
        let (shape, backend) = (&prover.shape, &prover.backend);
        let (rows, bytes) = (shape.n, shape.bytes(columns.len()));
        let span = info_span!(target: TRACING_TARGET, "commit_advice", phase, columns = columns.len(), rows, bytes);
        let _span = span.entered();
        for (index, column) in &mut columns {
            let blinding = self.draw(shape.n - shape.usable_rows);
            if !prover.derives(*index) {
                column[shape.usable_rows..].copy_from_slice(&blinding);
            }
            self.circuits[circuit].advice_blinding[*index] = blinding;
        }
        let given: Vec<&(usize, Vec<Fr>)> = columns.iter().filter(|(index, _)| !prover.derives(*index)).collect();
        let host: Vec<&[Fr]> = given.iter().map(|(_, column)| column.as_slice()).collect();
        let resident = backend.upload_columns(&host)?;
        let names = given.iter().map(|(index, _)| Poly::Advice(*index)).collect::<Vec<_>>();
        self.circuits[circuit].values.extend(names, resident);
        self.derive_columns(circuit, phase, challenges)?;
        let names: Vec<_> = columns.iter().map(|(index, _)| (circuit, Poly::Advice(*index))).collect();
        self.commit_columns(&names)
    }

    fn challenge(&mut self) -> Fr {
        self.squeeze()
    }
}
