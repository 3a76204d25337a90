//! Copies by gathering: which cell a gather index names.

use std::collections::HashMap;

use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_circuit::placement::ResultRow;
use zkml_gpu_circuit::system::FixedRole;
use zkml_gpu_graph::{Graph, Op};

use super::auditor::origin;
use super::columns::{Columns, digest_lanes};
use super::{Audit, Cell};

/// What each gather index names.
pub(super) struct Gathers<'l> {
    graph: &'l Graph,
    columns: Columns<'l>,
    sources: HashMap<i64, Cell>,
}

impl<'l> Gathers<'l> {
    pub(super) fn new(graph: &'l Graph, layout: &'l Layout) -> Audit<Self> {
        let columns = Columns::new(layout);
        let mut sources = HashMap::new();
        let (first, count) = layout.tables.constants;
        for row in &layout.tables.rows[first..first + count] {
            sources.insert(row.values[1], Cell::Constant(row.values[0]));
        }
        for result in &layout.results {
            let index = columns.at(&FixedRole::SourceIndex, result.row as usize);
            let tensor = graph.nodes[result.node as usize].output;
            for lane in (0..digest_lanes(result.kind)).filter(|_| index != 0) {
                let element = Cell::Element { tensor, element: result.element as usize + lane };
                if let Some(other) = sources.insert(index + lane as i64, element) {
                    return Err(format!("one gather index for {element:?} and {other:?}"));
                }
            }
        }
        Ok(Self { graph, columns, sources })
    }

    /// What a gathered copy is, which must be what its node says: `None` for zero.
    pub(super) fn copy(&self, result: &ResultRow, lane: usize) -> Audit<Option<Cell>> {
        let index = self.columns.at(&FixedRole::GatherIndex(lane), result.row as usize);
        let named = match self.sources.get(&index) {
            Some(Cell::Constant(0)) => None,
            Some(cell) => Some(*cell),
            None => return Err(format!("gather index {index} names nothing")),
        };
        let node = &self.graph.nodes[result.node as usize];
        let Op::Rearrange { .. } = node.op else { return Err(format!("{node:?} has copies")) };
        let expected = origin(self.graph, node.output, result.element as usize + lane);
        if named == expected { Ok(named) } else { Err(format!("copy of {named:?}, not of {expected:?}")) }
    }
}
