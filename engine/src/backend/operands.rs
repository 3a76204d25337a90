//! What back ends ask of operands, and make of them for kernels.

use super::Result;
use crate::error::BackendError;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use halo2curves::bn256::Fr;
use std::ops::Range;

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

/// `base^(2^i)`, from the base itself on: powers by the bits of their exponents.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(super) fn squares<const N: usize>(base: Fr) -> [Fr; N] {
    let mut next = base;
    std::array::from_fn(|_| {
        let power = next;
        next = power.square();
        power
    })
}
