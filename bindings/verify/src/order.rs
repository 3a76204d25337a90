//! Public tensors between the model's order of axes and the order in which the circuit stores them.

use zkml_gpu_circuit::hash::{HashError, Poseidon, Salt, TensorHash, hash_tensor};
use zkml_gpu_circuit::system::{Port, StatementError};
use zkml_gpu_graph::{Format, Storage};

/// The hash of a tensor that the circuit stores like this: of its elements in the model's order.
///
/// # Errors
/// [`HashError`] where the tensor is empty or an element is outside its range.
pub fn hash_stored(
    poseidon: &Poseidon,
    port: &Port,
    stored: &[i64],
    salt: Option<&Salt>,
) -> Result<TensorHash, HashError> {
    hash_tensor(poseidon, port.logical_format(), &to_logical(port, stored), salt)
}

/// The place in stored order of each element in the model's order; none of a tensor of indices, which are stored as ones
/// and zeros.
pub fn stored_places(port: &Port) -> Option<Vec<usize>> {
    if port.storage == Storage::OneHot {
        return None;
    }
    let places: Vec<i64> = (0..port.len as i64).collect();
    Some(to_logical(port, &places).into_iter().filter_map(|place| usize::try_from(place).ok()).collect())
}

/// Elements in the model's order.
pub(crate) fn to_logical(port: &Port, stored: &[i64]) -> Vec<i64> {
    match port.storage {
        Storage::Plain => stored.to_vec(),
        Storage::Transposed => transpose(stored, features(port)),
        Storage::OneHot => port.indices(stored),
        Storage::Interleaved { inferences, transposed } => {
            let len = (stored.len() / (inferences as usize).max(1)).max(1);
            let order = |one: &[i64]| if transposed { transpose(one, features(port)) } else { one.to_vec() };
            transpose(stored, len).chunks(len).flat_map(order).collect()
        }
    }
}

/// Elements in stored order, of as many as the model has.
///
/// # Errors
/// [`StatementError::Range`] for an index beyond the classes.
pub(crate) fn to_stored(port: &Port, logical: &[i64]) -> Result<Vec<i64>, StatementError> {
    match port.storage {
        Storage::Plain => Ok(logical.to_vec()),
        Storage::Transposed => Ok(transpose(logical, port.len / features(port).max(1))),
        Storage::OneHot => {
            let Format { min, max, .. } = port.logical_format();
            let mut stored = vec![0; port.len];
            for (index, &value) in logical.iter().enumerate() {
                let cell =
                    usize::try_from(value).ok().and_then(|class| class.checked_mul(logical.len())?.checked_add(index));
                *cell.and_then(|cell| stored.get_mut(cell)).ok_or_else(|| StatementError::Range {
                    name: port.name.clone(),
                    index,
                    value,
                    min,
                    max,
                })? = port.format.max;
            }
            Ok(stored)
        }
        Storage::Interleaved { inferences, transposed } => {
            let count = (inferences as usize).max(1);
            let len = (logical.len() / count).max(1);
            let rows = len / features(port).max(1);
            let order = |one: &[i64]| if transposed { transpose(one, rows) } else { one.to_vec() };
            Ok(transpose(&logical.chunks(len).flat_map(order).collect::<Vec<i64>>(), count))
        }
    }
}

/// A transposed tensor is `rows × features` with more than one of each; axes of one element do not count.
fn features(port: &Port) -> usize {
    port.logical_shape.iter().rev().copied().find(|d| *d != 1).unwrap_or(1)
}

/// The transpose of a row-major matrix of `rows` rows.
fn transpose(matrix: &[i64], rows: usize) -> Vec<i64> {
    let columns = matrix.len() / rows.max(1);
    (0..columns).flat_map(|j| (0..rows).map(move |i| matrix[i * columns + j])).collect()
}
