//! A back end with the points of a reference string: what keys, model commitments and proofs are made with.

use halo2curves::bn256::{Fr, G1Affine};

use crate::BackendError;
use crate::backend::Backend;
use crate::srs::Srs;

/// A back end on which the powers `[s^i]_1` and the Lagrange points `[L_i(s)]_1` are resident. Loaded once, it serves
/// key generation ([`CircuitKey`](crate::keygen::CircuitKey)), commitments of one's own, and then a
/// [`Prover`](crate::Prover), which takes it over.
#[derive(Debug)]
pub struct Committer<B: Backend> {
    pub(crate) backend: B,
    pub(crate) k: u32,
    pub(crate) monomial: B::Bases,
    pub(crate) lagrange: B::Bases,
}

impl<B: Backend> Committer<B> {
    /// Makes a reference string's points resident. For each of the two bases the back end may spend up to
    /// `table_budget_bytes` on precomputed multiples.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn new(backend: B, srs: &Srs, table_budget_bytes: usize) -> Result<Self, BackendError> {
        Self::from_points(backend, srs.g(), srs.lagrange(), table_budget_bytes)
    }

    /// As [`new`](Self::new), from the points alone: `[s^i]_1`, and `[L_i(s)]_1` in the order of the rows, as many of
    /// each, a power of two. Nothing is checked: whoever keeps points keeps them from damage.
    ///
    /// # Errors
    /// [`BackendError::LengthMismatch`] for other numbers of points, and failures of the device.
    pub fn from_points(
        backend: B,
        powers: &[G1Affine],
        lagrange: &[G1Affine],
        table_budget_bytes: usize,
    ) -> Result<Self, BackendError> {
        let expected = powers.len().next_power_of_two();
        if let Some(got) = [powers.len(), lagrange.len()].into_iter().find(|len| *len != expected) {
            return Err(BackendError::LengthMismatch { operation: "load_bases", expected, got });
        }
        let k = expected.ilog2();
        let lagrange = backend.load_bases(lagrange, table_budget_bytes)?;
        let monomial = backend.load_bases(powers, table_budget_bytes)?;
        Ok(Self { backend, k, monomial, lagrange })
    }

    /// The back end.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The Lagrange points, in the order of the rows.
    pub fn lagrange(&self) -> &B::Bases {
        &self.lagrange
    }

    /// log2 of the number of rows.
    pub fn k(&self) -> u32 {
        self.k
    }

    /// Commitments to columns of values over all rows, blinding included, in their order.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn commit(&self, columns: &[&[Fr]]) -> Result<Vec<G1Affine>, BackendError> {
        let resident = self.backend.upload_columns(columns)?;
        self.backend.msm(&self.lagrange, &resident.iter().collect::<Vec<_>>())
    }
}

/// Bytes of the dense columns that are committed to in one call: they are there twice, on the host and on the device.
const BATCH_BYTES: usize = 16 << 20;
/// Bounds on their number: enough to occupy a device, and no more than it takes.
const BATCH_COLUMNS: [usize; 2] = [8, 64];

/// Columns of `n` rows that are committed to in one call.
pub fn batch_columns(n: usize) -> usize {
    let [least, most] = BATCH_COLUMNS;
    (BATCH_BYTES / (n * size_of::<Fr>())).clamp(least, most)
}
