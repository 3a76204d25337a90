//! What is asked of a tensor's type and shape before anything is made of it.

use tract_onnx::prelude::DatumType;

use super::error::ImportError;

/// Most elements of an activation: more than an image of 1024 × 1024 and four channels, more than can be proved.
const MAX_ELEMENTS: usize = 1 << 22;

/// Whether an input of this type holds indices.
pub(super) fn is_index(datum_type: DatumType) -> bool {
    matches!(datum_type, DatumType::I32 | DatumType::I64)
}

/// Refuses activations beyond [`MAX_ELEMENTS`], and those without any element.
pub(super) fn bounded(tensor: &str, shape: &[usize]) -> Result<(), ImportError> {
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    match elements {
        Some(0) => Err(ImportError::Empty { tensor: tensor.into(), shape: shape.to_vec() }),
        Some(n) if n <= MAX_ELEMENTS => Ok(()),
        _ => Err(ImportError::TooLarge { tensor: tensor.into(), elements, limit: MAX_ELEMENTS }),
    }
}
