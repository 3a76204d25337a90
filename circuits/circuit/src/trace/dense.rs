//! Fixed columns as dense vectors.

use crate::layout::Layout;
use crate::system::FixedRole;

/// A fixed column as a dense vector of `len` rows; all zero for a role that the circuit lacks.
pub(super) fn dense(layout: &Layout, role: &FixedRole, len: usize) -> Vec<i64> {
    let mut column = vec![0; len];
    if let Some(index) = layout.architecture.fixed.iter().position(|r| r == role) {
        for (row, value) in layout.fixed[index].iter().filter(|(row, _)| (*row as usize) < len) {
            column[*row as usize] = *value;
        }
    }
    column
}

/// 1 on the rows where the key of an activation lane counts, of `len` rows.
pub(super) fn marks(layout: &Layout, lane: usize, len: usize) -> Vec<i64> {
    let mut column = vec![0; len];
    for index in layout.architecture.marks(lane) {
        for (row, value) in layout.fixed[index].iter().filter(|(row, _)| (*row as usize) < len) {
            column[*row as usize] += *value;
        }
    }
    column
}
