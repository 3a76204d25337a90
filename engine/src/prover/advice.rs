//! Instance columns and the advice phases.
//!
//! The transcript absorbs the key's digest and every instance value of every circuit; then, per phase, come the
//! commitments of the phase's advice columns, circuit by circuit in order of their index, and the challenges that
//! follow the phase. Under KZG the verifier evaluates instance columns itself, so that they are neither committed nor
//! opened.

use std::borrow::Cow;
use std::collections::HashMap;

use ff::Field;
use halo2_proofs::plonk::Circuit;
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use tracing::info_span;

use super::columns::padded;
use super::phases::{self, PhaseCommitter};
use super::poly::Poly;
use super::proof::CircuitColumns;
use super::witness::{Layout, synthesize};
use super::{AdviceColumn, Challenges, ColumnWitness, Proof, ProverError};
use crate::BackendError;
use crate::backend::{Backend, IntegerColumn};
use crate::secret::{wipe_elements, wipe_integers};
use crate::spans::TRACING_TARGET;

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
                let mut column = values.to_vec();
                column.resize(n, Fr::ZERO);
                circuit.values.insert(Poly::Instance(index), backend.upload(&column)?);
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

    /// Commits the advice columns of a witness that computes whole ones, phase by phase.
    pub(super) fn commit_columns_of(&mut self, witness: &mut impl ColumnWitness) -> Result<(), ProverError> {
        let prover = self.prover;
        let _span = info_span!(target: TRACING_TARGET, "synthesize", rows = prover.shape.n).entered();
        self.challenges.circuit = phases::supply(witness, &prover.cs, self)?;
        Ok(())
    }
}

/// Bytes of columns that are on the way to a device at a time.
const BATCH_BYTES: usize = 32 << 20;

impl<B: Backend> Proof<'_, B> {
    /// Uploads the columns of a phase that are not derived, with their blinding rows.
    fn upload_phase(
        &mut self,
        circuit: usize,
        (phase, indices): (u8, &[usize]),
        columns: Vec<(usize, AdviceColumn<'_>)>,
    ) -> Result<(), ProverError> {
        let prover = self.prover;
        let (shape, backend) = (&prover.shape, &prover.backend);
        let CircuitColumns { values, advice_blinding, .. } = &mut self.circuits[circuit];
        let mut columns: HashMap<usize, AdviceColumn<'_>> = columns.into_iter().collect();
        let given: Vec<usize> = indices.iter().copied().filter(|index| !prover.derives(*index)).collect();
        let mut host = Vec::with_capacity(given.len());
        for &column in &given {
            let rows = columns.remove(&column).ok_or(ProverError::MissingWitness { column, row: 0, phase })?;
            if rows.len() > shape.usable_rows {
                let (row, columns, usable_rows) = (rows.len() - 1, advice_blinding.len(), shape.usable_rows);
                return Err(ProverError::CellOutOfRange { column, row, columns, usable_rows });
            }
            host.push((rows, &advice_blinding[column]));
        }
        if backend.is_host() {
            let upload =
                |(rows, blinding): (AdviceColumn<'_>, &Vec<Fr>)| rows.upload(backend, shape.usable_rows, blinding);
            let uploaded: Result<Vec<B::Scalars>, BackendError> = host.into_par_iter().map(upload).collect();
            values.extend(given.into_iter().map(Poly::Advice), uploaded?);
            return Ok(());
        }
        // A device has few transfers rather than many, and as many bytes at a time. Integers travel as such.
        let (mut integers, mut elements) = (Vec::new(), Vec::new());
        for (index, (rows, blinding)) in given.into_iter().zip(host) {
            match rows {
                AdviceColumn::Integers(rows) => integers.push((Poly::Advice(index), rows, blinding)),
                AdviceColumn::Elements(rows) => elements.push((Poly::Advice(index), rows, blinding)),
            }
        }
        for batch in integers.chunks_mut((BATCH_BYTES / (size_of::<i64>() * shape.n)).max(1)) {
            let columns = batch.iter().map(|(_, rows, blinding)| {
                let zeros = shape.usable_rows.saturating_sub(rows.len());
                IntegerColumn { integers: rows, zeros, rest: blinding }
            });
            let uploaded = backend.upload_integer_columns(&columns.collect::<Vec<_>>());
            for (_, rows, _) in batch.iter_mut() {
                if let Cow::Owned(rows) = rows {
                    wipe_integers(rows);
                }
            }
            values.extend(batch.iter().map(|(name, ..)| *name), uploaded?);
        }
        let mut elements = elements.into_iter();
        while elements.len() > 0 {
            let batch: Vec<_> = elements.by_ref().take((BATCH_BYTES / shape.bytes(1)).max(1)).collect();
            let names: Vec<Poly> = batch.iter().map(|(name, ..)| *name).collect();
            let rows = |(_, rows, blinding): (_, Cow<'_, [Fr]>, &Vec<Fr>)| {
                padded(rows.into_owned(), shape.usable_rows, blinding)
            };
            let mut batch: Vec<Vec<Fr>> = batch.into_par_iter().map(rows).collect();
            let uploaded = backend.upload_columns(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>());
            batch.iter_mut().for_each(|column| wipe_elements(column));
            values.extend(names, uploaded?);
        }
        Ok(())
    }

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
        columns: Vec<(usize, AdviceColumn<'_>)>,
        challenges: &[Option<Fr>],
    ) -> Result<(), ProverError> {
        let shape = &self.prover.shape;
        let phases = self.prover.cs.advice_column_phase();
        let indices: Vec<usize> = (0..phases.len()).filter(|index| phases[*index] == phase).collect();
        let (rows, bytes) = (shape.n, shape.bytes(indices.len()));
        let span = info_span!(target: TRACING_TARGET, "commit_advice", phase, columns = indices.len(), rows, bytes);
        let _span = span.entered();
        for &index in &indices {
            self.circuits[circuit].advice_blinding[index] = self.draw(shape.n - shape.usable_rows);
        }
        self.upload_phase(circuit, (phase, &indices), columns)?;
        self.derive_columns(circuit, phase, challenges)?;
        let names: Vec<_> = indices.iter().map(|index| (circuit, Poly::Advice(*index))).collect();
        self.commit_columns(&names)
    }

    fn challenge(&mut self) -> Fr {
        self.squeeze()
    }
}
