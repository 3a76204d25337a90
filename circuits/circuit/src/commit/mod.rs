//! The weight bank; and weights outside the circuit: the bank's commitment, and the proof that a circuit's folded
//! weights are its fold. Embedded weights are fixed columns of the circuit and need neither.
//!
//! The bank's columns `W_c` are committed once per model. In the circuit only `F = Σ_c s^c·W_c` appears, one column.
//! KZG is homomorphic, so `[F] - Σ_c s^c·[W_c]` commits to the difference of the two; they must agree on every row but
//! the blinding rows `B`, which the link proof shows by a proof of knowledge of the difference as a combination of the
//! Lagrange points of `B`.
//!
//! Committed inputs and outputs ([`TensorOpening`]) are linked alike, column by column; all links of a proof are shown
//! as one, by a random combination.

mod bank;
mod digest;
mod link;
mod tensor;

pub use bank::Bank;
pub(crate) use digest::{Bound, PartBound};
pub use link::{LinkError, LinkStatement, batch_powers, prove_link, verify_link};
pub use tensor::TensorOpening;

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};
use rand_core::{CryptoRng, RngCore};
use rayon::prelude::*;
use zkml_gpu_engine::backend::Backend;
use zkml_gpu_engine::{BackendError, batch_columns};

/// The prover's side of the weights: the learned values and, where they are committed, the blinding rows of the
/// commitment. Secret where the weights are.
#[derive(Clone)]
pub struct ModelOpening {
    /// The learned values by row and column.
    pub bank: Bank,
    /// Blinding rows of each column, 0 where the weights are public; none where they are embedded.
    pub blinds: Vec<Vec<Fr>>,
}

impl std::fmt::Debug for ModelOpening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelOpening").field("bank", &self.bank).finish_non_exhaustive()
    }
}

impl ModelOpening {
    /// The learned values of a circuit that embeds them: there is nothing to open.
    pub const fn embedded(bank: Bank) -> Self {
        Self { bank, blinds: Vec::new() }
    }

    /// Learned values to be hidden: so many blinding rows of each column are drawn.
    pub fn hidden(bank: Bank, blinding_rows: usize, mut rng: impl RngCore + CryptoRng) -> Self {
        let blinds = (0..bank.columns()).map(|_| (0..blinding_rows).map(|_| Fr::random(&mut rng)).collect());
        Self { blinds: blinds.collect(), bank }
    }

    /// Learned values that are public: the blinding rows are 0, so whoever has the values finds the same commitment.
    pub fn public(bank: Bank, blinding_rows: usize) -> Self {
        Self { blinds: vec![vec![Fr::ZERO; blinding_rows]; bank.columns()], bank }
    }

    /// Whether nothing hides committed values.
    pub fn is_public(&self) -> bool {
        self.blinds.iter().flatten().all(|blind| bool::from(blind.is_zero()))
    }

    /// Commits to the columns over `n` rows, of which the last are the blinding rows.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn commit<B: Backend>(
        &self,
        backend: &B,
        lagrange: &B::Bases,
        n: usize,
    ) -> Result<Vec<G1Affine>, BackendError> {
        let batch = batch_columns(n);
        let mut commitments = Vec::with_capacity(self.bank.columns());
        for (index, blinds) in self.blinds.chunks(batch).enumerate() {
            let dense: Vec<Vec<Fr>> = blinds
                .par_iter()
                .enumerate()
                .map(|(i, blinds)| {
                    let mut column = self.bank.column(index * batch + i, n);
                    column[n - blinds.len()..].copy_from_slice(blinds);
                    column
                })
                .collect();
            let resident = backend.upload_columns(&dense.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
            drop(dense);
            commitments.extend(backend.msm(lagrange, &resident.iter().collect::<Vec<_>>())?);
        }
        Ok(commitments)
    }

    /// `Σ_c s^c · blind_c`, row by row.
    pub(crate) fn fold_blinds(&self, s: Fr) -> Vec<Fr> {
        let rows = self.blinds.first().map_or(0, Vec::len);
        let mut folded = vec![Fr::ZERO; rows];
        for blinds in self.blinds.iter().rev() {
            folded.iter_mut().zip(blinds).for_each(|(sum, blind)| *sum = *sum * s + blind);
        }
        folded
    }
}
