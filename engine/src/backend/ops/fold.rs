//! Sums of products of field elements and small integers: a bank of weights folded by the powers of a challenge.

use std::fmt;

use halo2curves::bn256::Fr;

use super::MemoryOps;
use crate::backend::Result;
use crate::backend::operands::check_lengths;

/// Integers of a row, which meet the factors from `first` on. Its `Debug` form shows places only: integers may be
/// secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IntegerRow<'a> {
    /// Index of the first integer's factor.
    pub first: usize,
    /// The integers.
    pub integers: &'a [i16],
}

impl fmt::Debug for IntegerRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntegerRow({}..{})", self.first, self.end())
    }
}

impl IntegerRow<'_> {
    /// One past the last integer's factor.
    pub fn end(&self) -> usize {
        self.first.saturating_add(self.integers.len())
    }
}

/// Folds of resident integers.
pub trait FoldOps: MemoryOps {
    /// Rows of integers, made resident: they serve any number of folds.
    type Integers: fmt::Debug + Send + Sync;

    /// Makes rows resident. A row may be empty.
    ///
    /// # Errors
    /// Device failures only.
    fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<Self::Integers>;

    /// `out_row = Σ_i factors[first + i]·integers[i]`: one element for each row, 0 for an empty one.
    ///
    /// # Errors
    /// [`LengthMismatch`](crate::BackendError::LengthMismatch) when a row reaches past the factors.
    fn fold_integers(&self, integers: &Self::Integers, factors: &[Fr]) -> Result<Self::Scalars>;
}

/// How many factors rows need.
pub(in crate::backend) fn reach(rows: &[IntegerRow<'_>]) -> usize {
    rows.iter().map(IntegerRow::end).max().unwrap_or(0)
}

/// Whether rows that need `reach` factors have them.
pub(in crate::backend) fn check_reach(reach: usize, factors: &[Fr]) -> Result<()> {
    check_lengths("fold_integers", factors.len(), reach.max(factors.len()))
}
