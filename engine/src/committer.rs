//! A back end with the points of a reference string: what keys, model commitments and proofs are made with.

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
        let lagrange = backend.load_bases(srs.lagrange(), table_budget_bytes)?;
        let monomial = backend.load_bases(srs.g(), table_budget_bytes)?;
        Ok(Self { backend, k: srs.k(), monomial, lagrange })
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
}

/// Bytes of the dense columns that are committed to in one call: they are there twice, on the host and on the device.
const BATCH_BYTES: usize = 16 << 20;
/// Bounds on their number: enough to occupy a device, and no more than it takes.
const BATCH_COLUMNS: [usize; 2] = [8, 64];

/// Columns of `n` rows that are committed to in one call.
pub fn batch_columns(n: usize) -> usize {
    let [least, most] = BATCH_COLUMNS;
    (BATCH_BYTES / (n * size_of::<halo2curves::bn256::Fr>())).clamp(least, most)
}
