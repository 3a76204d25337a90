//! Public tensors between the model's order of axes and the order in which the circuit stores them.

use zkml_gpu_circuits::layout::Port;

/// Elements in the model's order.
pub(crate) fn to_logical(port: &Port, stored: &[i64]) -> Vec<i64> {
    if port.transposed { transpose(stored, features(port)) } else { stored.to_vec() }
}

/// Elements in stored order.
pub(crate) fn to_stored(port: &Port, logical: &[i64]) -> Vec<i64> {
    if port.transposed { transpose(logical, port.len / features(port).max(1)) } else { logical.to_vec() }
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
