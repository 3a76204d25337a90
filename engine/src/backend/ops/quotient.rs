//! Expression programs over whole columns: gates, argument constraints and lookup inputs.

use halo2curves::bn256::Fr;

use super::MemoryOps;
use crate::backend::Result;
use crate::backend::program::Program;

/// Compiles and runs [`Program`]s.
pub trait QuotientOps: MemoryOps {
    /// A program made ready for the device.
    type Compiled: std::fmt::Debug + Send + Sync;

    /// Prepares a program. Done once per circuit; the result serves any number of evaluations.
    ///
    /// # Errors
    /// Device failures only, such as a kernel that does not compile.
    fn compile(&self, program: &Program) -> Result<Self::Compiled>;

    /// Evaluates every output of the program on every row. Row i of a column query with rotation r reads row (i + r)
    /// mod n. Columns are values on H or on one coset of it, all of the same length n (any n, not only powers of two).
    /// Work that depends on `scalars` alone is done once, not per row. One vector of length n per output.
    ///
    /// `columns` and `scalars` are the lists whose indices the program's nodes name.
    ///
    /// # Errors
    /// [`MissingInput`](crate::BackendError::MissingInput) when the program reads an index past either list,
    /// [`LengthMismatch`](crate::BackendError::LengthMismatch) when a column's length is not `n`.
    fn evaluate(
        &self,
        compiled: &Self::Compiled,
        n: usize,
        columns: &[&Self::Scalars],
        scalars: &[Fr],
    ) -> Result<Vec<Self::Scalars>>;
}
