//! Indices of maxima.

use crate::layout::{LayoutError, Planner};

/// Places indices of maxima.
pub(super) fn place(planner: &mut Planner<'_>, index: usize) -> Result<(), LayoutError> {
    let node = planner.graph.nodes[index].name.clone();
    Err(LayoutError::Unsupported { node, reason: "an index of a maximum".into() })
}
