//! What every back end asks of operands.

use std::ops::Range;

use super::Result;
use crate::error::BackendError;

/// Operands of these lengths, which must be equal.
pub(super) fn check_lengths(operation: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(BackendError::LengthMismatch { operation, expected, got })
}

/// Rows of an operand of this length.
pub(super) fn check_range(operation: &'static str, len: usize, range: &Range<usize>) -> Result<()> {
    let Range { start, end } = *range;
    if start <= end && end <= len {
        return Ok(());
    }
    Err(BackendError::OutOfRange { operation, start, end, len })
}
