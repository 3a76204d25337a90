//! Which result is on which row, by what the layout claims.

use zkml_gpu_graph::{Graph, Node};

use super::fixed::Fixed;
use super::{Check, require};
use crate::layout::Layout;
use crate::placement::ResultRow;

/// The rows of results, each with what the layout claims of it.
pub(super) struct Rows<'l> {
    pub(super) graph: &'l Graph,
    pub(super) layout: &'l Layout,
    /// Place in the layout's list, from 1, by row.
    at: Vec<u32>,
}

impl<'l> Rows<'l> {
    /// Each row computes one thing, of the kind that the fixed columns say, and every row with a kind computes
    /// something.
    pub(super) fn new(graph: &'l Graph, layout: &'l Layout, fixed: &Fixed<'_>) -> Check<Self> {
        let mut this = Self { graph, layout, at: vec![0; fixed.usable()] };
        for (place, result) in (1..).zip(&layout.results) {
            let row = result.row as usize;
            let is_new = this.at.get(row) == Some(&0) && (result.node as usize) < graph.nodes.len();
            require(is_new, || format!("row {row} computes two things, or is not usable"))?;
            require(fixed.kind(row) == Some(result.kind), || {
                format!("row {row} is not of the kind {:?}", result.kind)
            })?;
            this.at[row] = place;
        }
        let unclaimed = (0..fixed.usable()).find(|row| fixed.kind(*row).is_some() && this.at[*row] == 0);
        require(unclaimed.is_none(), || format!("row {unclaimed:?} computes nothing of the graph's"))?;
        Ok(this)
    }

    /// What a row computes.
    pub(super) fn at(&self, row: usize) -> Option<&'l ResultRow> {
        let place = (*self.at.get(row)? as usize).checked_sub(1)?;
        Some(&self.layout.results[place])
    }

    /// The node of a result.
    pub(super) fn node(&self, result: &ResultRow) -> &'l Node {
        &self.graph.nodes[result.node as usize]
    }
}
