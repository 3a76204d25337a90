//! Rearranged tensors.

use crate::{
    graph::Origin,
    layout::{LayoutError, Planner},
};

/// Places a rearrangement.
pub(super) fn place(planner: &mut Planner<'_>, index: usize, _origins: &[Origin]) -> Result<(), LayoutError> {
    let node = planner.graph.nodes[index].name.clone();
    Err(LayoutError::Unsupported { node, reason: "a rearrangement".into() })
}
