//! Witnesses that come by columns.
//!
//! A circuit assigns its cells one by one, and the frontend's contract is that each stays where it is, as a fraction of
//! 72 bytes, for as long as the circuit runs. Whoever computes whole columns hands them over instead, phase by phase,
//! and the proof is the same.

use std::borrow::Cow;
use std::fmt;

use ff::Field;
use halo2_proofs::plonk::Error;
use halo2curves::bn256::Fr;

use crate::BackendError;
use crate::backend::{Backend, IntegerColumn};
use crate::secret::wipe_integers;

/// An advice column from row 0 on, of as many rows as may be assigned or fewer: the rest are zero. Its `Debug` form
/// shows the length only: values may be secret.
#[derive(Clone)]
pub enum AdviceColumn<'a> {
    /// Integers of either sign.
    Integers(Cow<'a, [i64]>),
    /// Field elements.
    Elements(Cow<'a, [Fr]>),
}

impl fmt::Debug for AdviceColumn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdviceColumn({})", self.len())
    }
}

impl AdviceColumn<'_> {
    /// Number of rows given.
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.len(),
            Self::Elements(elements) => elements.len(),
        }
    }

    /// Whether no row is given.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings so many rows to a back end, with zeros behind those that are given, then other rows.
    pub(super) fn upload<B: Backend>(self, backend: &B, count: usize, rest: &[Fr]) -> Result<B::Scalars, BackendError> {
        match self {
            Self::Integers(integers) => {
                let zeros = count.saturating_sub(integers.len());
                let uploaded = backend.upload_integers(IntegerColumn { integers: &integers, zeros, rest });
                if let Cow::Owned(mut integers) = integers {
                    wipe_integers(&mut integers);
                }
                uploaded
            }
            Self::Elements(elements) => backend.upload_owned(padded(elements.into_owned(), count, rest)),
        }
    }
}

/// So many rows, with zeros behind those that are given, then other rows.
pub(super) fn padded(mut rows: Vec<Fr>, count: usize, rest: &[Fr]) -> Vec<Fr> {
    rows.reserve_exact((count + rest.len()).saturating_sub(rows.len()));
    rows.resize(count, Fr::ZERO);
    rows.extend_from_slice(rest);
    rows
}

/// A witness that computes whole columns.
pub trait ColumnWitness {
    /// The columns of a phase with their indices, in any order. Phases come one after another, each once, with the
    /// challenges of all phases before. Columns of other phases, and those that the prover derives, do not count.
    ///
    /// # Errors
    /// Whatever prevents them, which the prover returns as [`ProverError::Synthesis`](super::ProverError::Synthesis).
    fn columns(&mut self, phase: u8, challenges: &[Option<Fr>]) -> Result<Vec<(usize, AdviceColumn<'_>)>, Error>;
}
