//! Whether the numbers of a layout from a file can be worked with.

use zkml_gpu_graph::{Graph, Op};

use super::choose::circuit_size;
use super::finished::Layout;
use crate::gates::unusable_rows;
use crate::placement::{BankValues, Gathered};
use crate::system::MAX_K;

impl Layout {
    /// Checks that sizes agree and that every index of the layout's lists is within what it points into, for this
    /// graph, which must be [valid](Graph::validate): for layouts that are read from a file. Whether the layout says
    /// what the graph says is for [`check`](crate::check::check()).
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_numbers(&self, graph: &Graph) -> Result<(), String> {
        let fail = |what: &str| Err(format!("the layout's {what} do not fit its graph and sizes"));
        let a = &self.architecture;
        a.check()?;
        if !(1..=MAX_K).contains(&self.k) || self.usable.checked_add(unusable_rows(a)) != Some(1 << self.k) {
            return fail("rows");
        }
        if circuit_size(a, self.k).ok() != Some(self.size) {
            return fail("counts of work");
        }
        self.statement.check(a, self.usable)?;
        if self.statement.inputs.len() != graph.inputs.len() || self.statement.outputs.len() != graph.outputs.len() {
            return fail("public tensors");
        }
        let row = |row: u32| (row as usize) < self.usable;
        let node = |node: u32| (node as usize) < graph.nodes.len();
        let element = |tensor: u32, element: u32| {
            graph.tensors.get(tensor as usize).is_some_and(|tensor| (element as usize) < tensor.shape.len())
        };
        if self.fixed.len() != a.fixed.len() || self.fixed.iter().flatten().any(|(r, _)| !row(*r)) {
            return fail("fixed cells");
        }
        if !self.tables_fit() {
            return fail("tables");
        }
        let fits = self.operands.iter().all(|cell| {
            let lanes = if cell.left { a.left_lanes } else { a.operand_columns };
            row(cell.row) && (cell.lane as usize) < lanes && element(cell.tensor, cell.element)
        });
        if !fits {
            return fail("operands");
        }
        if !self.results.iter().all(|result| row(result.row) && node(result.node)) {
            return fail("results");
        }
        let fits = self.gathers.iter().all(|cell| {
            let source = match cell.source {
                Gathered::Element { tensor, element: e } => element(tensor, e),
                Gathered::Constant(_) => true,
            };
            row(cell.row) && (cell.copy as usize) < a.gather_columns && source
        });
        if !fits {
            return fail("gathered copies");
        }
        if !self.bank_fits(graph) {
            return fail("weights");
        }
        let fits = self.cross_terms.iter().all(|run| {
            let rows = run.free.len().div_ceil(a.cross_term_lanes.max(1));
            let lies = (run.first_row as usize).checked_add(rows).is_some_and(|end| end <= self.usable);
            node(run.node) && a.cross_term_lanes > 0 && lies
        });
        if fits { Ok(()) } else { fail("cross terms") }
    }

    fn tables_fit(&self) -> bool {
        let tables = &self.tables;
        let (first, constants) = tables.constants;
        let mut all = tables.activations.iter().chain(&tables.exponentials);
        tables.rows.len().div_ceil(self.architecture.table_lanes) <= self.usable
            && first.checked_add(constants).is_some_and(|end| end <= tables.rows.len())
            && all.all(|(table, first)| {
                let end = first.checked_add(table.values.len());
                !table.values.is_empty() && end.is_some_and(|end| end <= tables.rows.len())
            })
            && [(&tables.lines, 2), (&tables.exponential_lines, 1)].into_iter().all(|(all, more)| {
                all.iter().all(|(segments, first)| {
                    let end = first.checked_add(segments.lines.len() + more);
                    segments.is_bounded() && end.is_some_and(|end| end <= tables.rows.len())
                })
            })
    }

    fn bank_fits(&self, graph: &Graph) -> bool {
        self.bank.iter().all(|place| {
            let Some(node) = graph.nodes.get(place.node as usize) else { return false };
            let holds = match (&node.op, place.values) {
                (Op::Linear(linear), BankValues::Weight(index)) => {
                    let channels = graph.tensors[node.inputs[0]].shape.channels;
                    (index as usize) < channels * linear.window.taps()
                }
                (Op::Linear(_), BankValues::Bias) => true,
                (Op::Combine { offset, .. }, BankValues::Offset(element)) => (element as usize) < offset.len(),
                (Op::MatMul(product), BankValues::Summands(place)) => {
                    (place as usize) < product.columns && !product.summands.is_empty()
                }
                (_, BankValues::Weight(_) | BankValues::Bias | BankValues::Offset(_) | BankValues::Summands(_)) => {
                    false
                }
            };
            holds && (place.row as usize) < self.usable
        })
    }
}
