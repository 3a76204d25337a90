//! Multi-scalar multiplication against resident points: the commitments.

use halo2curves::bn256::{Fr, G1Affine};

use super::MemoryOps;
use crate::backend::Result;

/// Inner products of scalar columns with a fixed list of points.
pub trait MsmOps: MemoryOps {
    /// Resident points, with whatever multiples of them the back end has precomputed.
    type Bases: std::fmt::Debug + Send + Sync;

    /// Makes points resident. The back end may spend up to `table_budget_bytes` of device memory, beyond the points
    /// themselves, on multiples of them that make every later [`msm`](Self::msm) faster; 0 means none.
    ///
    /// # Errors
    /// Device failures only. The identity is allowed.
    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<Self::Bases>;

    /// Number of resident points.
    fn bases_len(&self, bases: &Self::Bases) -> usize;

    /// Bytes of the multiples that were precomputed, beyond the points themselves; `None` where the back end does not
    /// tell.
    fn table_bytes(&self, bases: &Self::Bases) -> Option<usize> {
        let _ = bases;
        None
    }

    /// `Σ_i column_i·bases_i` for every column, in order. A column shorter than the basis uses the first points.
    ///
    /// Exact for every input: equal, opposite and identity points, zero scalars (which cost nothing). Scalars whose
    /// value v or p - v is below 2^64 are detected one by one and cost in proportion to their bits.
    ///
    /// # Errors
    /// [`TooFewBases`](crate::BackendError::TooFewBases) when a column is longer than the basis.
    fn msm(&self, bases: &Self::Bases, columns: &[&Self::Scalars]) -> Result<Vec<G1Affine>>;

    /// As [`msm`](Self::msm) for scalars that are still on the host, few and full-size: blinding rows, for
    /// instance. `rows[i]` is the index of the point that `scalars[i]` multiplies; an index may repeat.
    ///
    /// # Errors
    /// [`LengthMismatch`](crate::BackendError::LengthMismatch) when the lists differ in length,
    /// [`TooFewBases`](crate::BackendError::TooFewBases) when an index is past the last point.
    fn msm_rows(&self, bases: &Self::Bases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine>;
}
