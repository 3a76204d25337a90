//! The weight bank: which learned value stands in each of its cells.

use std::collections::HashSet;
use std::ops::Range;

use zkml_gpu_graph::{Graph, Op};

use super::{AtNode, Check, refuse, require};
use crate::commit::Bank;
use crate::layout::Layout;
use crate::placement::{BankRow, BankValues};

/// A learned value of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// Of an output channel, at this index of `[input channel][kernel height][kernel width]`.
    Weight {
        /// Output channel.
        output: usize,
        /// Input channel and position in the kernel.
        tap: usize,
    },
    /// Bias of an output channel.
    Bias(usize),
    /// Summand of an element; of an element of all inferences alike where several share it.
    Offset(usize),
}

/// The rows of the bank.
pub(super) struct Weights<'l> {
    rows: Vec<Option<&'l BankRow>>,
    columns: usize,
}

impl<'l> Weights<'l> {
    /// Reads the layout's list, and proves that the bank holds the graph's values: in its place each learned value, 0
    /// where there is none. Of embedded weights the bank is the circuit's fixed columns; of committed ones it is what
    /// an honest owner commits to.
    pub(super) fn new(graph: &Graph, layout: &'l Layout, bank: &Bank) -> Check<Self> {
        let this = Self::of(graph, layout)?;
        let columns = this.columns;
        let mut held = 0;
        for (row, values) in bank.rows() {
            let Some(node) = this.rows.get(row).copied().flatten().map(|row| row.node as usize) else {
                return refuse(format!("the bank has weights on row {row}, which the layout has not"));
            };
            held += 1;
            for (column, value) in values.into_iter().enumerate() {
                let learned =
                    this.learned(graph, row, column).map_or(Some(0), |(_, learned)| number(graph, node, learned));
                require(learned == Some(value), || format!("row {row} of the bank holds {value}, not {learned:?}"))
                    .at(graph, node)?;
            }
        }
        require(held == layout.bank.len() && bank.columns() == columns, || "the bank has another extent".into())?;
        Ok(this)
    }

    /// Reads the layout's list.
    fn of(graph: &Graph, layout: &'l Layout) -> Check<Self> {
        let columns = layout.architecture.weight_columns;
        let mut this = Self { rows: vec![None; layout.usable_rows()], columns };
        let mut places = HashSet::new();
        for row in &layout.bank {
            require((row.node as usize) < graph.nodes.len(), || "weights of no node".into())?;
            // A learned value with two cells would be two values, of which a commitment may hold any: the rows of a node
            // are told apart by what decides which values they hold, and by nothing else.
            let is_only = match (&graph.nodes[row.node as usize].op, row.values) {
                (Op::Combine { offset, .. }, BankValues::Offset(element)) => {
                    row.block == 0 && (element as usize) < offset.len()
                }
                (Op::MatMul(product), BankValues::Summands(place)) => (place as usize) < product.columns,
                (Op::Linear(linear), BankValues::Weight(tap)) => {
                    let input = graph.tensors[graph.nodes[row.node as usize].inputs[0]].shape;
                    (tap as usize) < input.channels * linear.window.taps()
                }
                (Op::Linear(_), BankValues::Bias) => true,
                _ => false,
            };
            require(is_only && places.insert((row.node, row.block, row.values)), || {
                format!("row {} holds learned values that another row holds, or none", row.row)
            })
            .at(graph, row.node as usize)?;
            match this.rows.get_mut(row.row as usize) {
                Some(place @ None) => *place = Some(row),
                _ => return refuse(format!("row {} holds weights twice, or is not usable", row.row)),
            }
        }
        Ok(this)
    }

    /// Whether a row holds learned values.
    pub(super) fn has(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(Option::is_some)
    }

    /// The learned value in a cell; none where the architecture has none.
    pub(super) fn learned(&self, graph: &Graph, row: usize, column: usize) -> Option<(usize, Learned)> {
        let BankRow { node, block, values, .. } = *self.rows.get(row).copied().flatten()?;
        let node = node as usize;
        let learned = match (&graph.nodes[node].op, values) {
            (Op::Combine { .. }, BankValues::Offset(element)) => {
                (column == 0).then_some(Learned::Offset(element as usize))
            }
            (Op::Linear(linear), values) => {
                let from_last = (block as usize).checked_mul(self.columns)?.checked_add(column)?;
                let output = linear.out_channels.checked_sub(1 + from_last)?;
                match values {
                    BankValues::Weight(tap) => Some(Learned::Weight { output, tap: tap as usize }),
                    BankValues::Bias => Some(Learned::Bias(output)),
                    BankValues::Offset(_) | BankValues::Summands(_) => None,
                }
            }
            (Op::MatMul(product), BankValues::Summands(place)) => {
                let from_last = (block as usize).checked_mul(self.columns)?.checked_add(column)?;
                let channel = (product.rows * product.heads).checked_sub(1 + from_last)?;
                Some(Learned::Offset(channel * product.columns + place as usize))
            }
            _ => None,
        };
        learned.map(|learned| (node, learned))
    }
}

/// A row of the weight bank, and which of its cells may hold something else than 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BankCells {
    /// The row.
    pub(crate) row: u32,
    /// Columns with a learned value.
    pub(crate) columns: Range<usize>,
    /// Whether they are weights, of 16 bits; biases and summands are wider.
    pub(crate) are_weights: bool,
}

/// The cells of the weight bank that may hold learned values, in the order of rows: from the graph's architecture and the
/// layout's list alone, whatever the values are.
///
/// # Errors
/// [`CheckError`](super::CheckError) where the list is not one of this graph's, or a row's values do not stand side by
/// side.
pub(crate) fn bank_cells(graph: &Graph, layout: &Layout) -> Check<Vec<BankCells>> {
    let weights = Weights::of(graph, layout)?;
    let mut cells = Vec::with_capacity(layout.bank.len());
    for row in &layout.bank {
        let there = |column: &usize| {
            let learned = weights.learned(graph, row.row as usize, *column);
            learned.is_some_and(|(node, learned)| has(graph, node, learned))
        };
        let Some(first) = (0..weights.columns).find(there) else { continue };
        let len = (first..weights.columns).take_while(there).count();
        let beyond = (first + len..weights.columns).find(there);
        require(beyond.is_none(), || format!("row {} of the bank has values apart", row.row))?;
        let are_weights = matches!(row.values, BankValues::Weight(_));
        cells.push(BankCells { row: row.row, columns: first..first + len, are_weights });
    }
    cells.sort_unstable_by_key(|cells| cells.row);
    Ok(cells)
}

/// Whether a node has a learned value.
fn has(graph: &Graph, node: usize, learned: Learned) -> bool {
    let node = &graph.nodes[node];
    match (&node.op, learned) {
        (Op::Linear(linear), Learned::Weight { output, tap }) => {
            let input = graph.tensors[node.inputs[0]].shape;
            let taps = linear.window.taps();
            let (channel, tap) = (tap / taps, tap % taps);
            channel < input.channels && linear.weight_index(input, output, channel, tap).is_some()
        }
        (Op::Linear(linear), Learned::Bias(output)) => output < linear.bias.len(),
        (Op::Combine { offset, .. }, Learned::Offset(element)) => element < offset.len(),
        (Op::MatMul(product), Learned::Offset(element)) => element < product.summands.len(),
        _ => false,
    }
}

/// The number that a learned value is; 0 across groups, none where the node has no such value.
fn number(graph: &Graph, node: usize, learned: Learned) -> Option<i64> {
    let node = &graph.nodes[node];
    match (&node.op, learned) {
        (Op::Linear(linear), Learned::Weight { output, tap }) => {
            let input = graph.tensors[node.inputs[0]].shape;
            let taps = linear.window.taps();
            let (channel, tap) = (tap / taps, tap % taps);
            let index = linear.weight_index(input, output, channel, tap);
            (channel < input.channels).then(|| index.map_or(0, |index| linear.weights[index].into()))
        }
        (Op::Linear(linear), Learned::Bias(output)) => linear.bias.get(output).copied(),
        (Op::Combine { offset, .. }, Learned::Offset(element)) => offset.get(element).copied(),
        (Op::MatMul(product), Learned::Offset(element)) => product.summands.get(element).copied(),
        _ => None,
    }
}
