//! The weight bank: learned values by row and column.

use std::ops::Range;

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;
use zkml_gpu_engine::backend::{Cpu, IntegerRow};
use zkml_gpu_engine::prover::Fold;
use zkml_gpu_graph::{Graph, Op};

use crate::layout::Layout;
use crate::placement::{BankRow, BankValues};
use crate::scalar;

/// Learned values where the layout puts them.
#[derive(Clone, PartialEq, Eq)]
pub struct Bank {
    columns: usize,
    rows: Vec<Row>,
}

impl std::fmt::Debug for Bank {
    /// Sizes only: the values may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bank").field("columns", &self.columns).field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// One row: its values from column `first` on, zeros elsewhere. A grouped product has few in a row.
#[derive(Clone, PartialEq, Eq)]
struct Row {
    row: u32,
    first: usize,
    values: Values,
}

/// Weights have 16 bits, biases up to 40.
#[derive(Clone, PartialEq, Eq)]
enum Values {
    Narrow(Box<[i16]>),
    Wide(Box<[i64]>),
}

impl Row {
    fn get(&self, column: usize) -> i64 {
        let Some(index) = column.checked_sub(self.first) else { return 0 };
        match &self.values {
            Values::Narrow(values) => values.get(index).copied().unwrap_or(0).into(),
            Values::Wide(values) => values.get(index).copied().unwrap_or(0),
        }
    }
}

impl Bank {
    /// The graph's learned values in the layout's places.
    pub fn new(layout: &Layout, graph: &Graph) -> Self {
        let columns = layout.architecture.weight_columns;
        let rows = layout.bank.par_iter().map(|row| learned(row, graph, columns)).collect();
        Self { columns, rows }
    }

    /// Number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// A column over `n` rows.
    pub fn column(&self, column: usize, n: usize) -> Vec<Fr> {
        let mut dense = vec![Fr::ZERO; n];
        self.cells(column).for_each(|(row, value)| dense[row] = scalar::from_i64(value));
        dense
    }

    /// Rows and values of a column; it is 0 elsewhere.
    pub(crate) fn cells(&self, column: usize) -> impl Iterator<Item = (usize, i64)> {
        self.rows.iter().map(move |row| (row.row as usize, row.get(column)))
    }

    /// Each row with the values of all its columns.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Vec<i64>)> {
        self.rows.iter().map(|row| (row.row as usize, (0..self.columns).map(|column| row.get(column)).collect()))
    }

    /// `Σ_c s^c · W_c` by row, for a prover that computes it; challenge 0 of the circuit is s (`chips::configure`).
    pub(crate) fn to_fold(&self) -> Fold {
        let mut fold = Fold::new(0, self.columns);
        for row in &self.rows {
            let values: Vec<i64> = match &row.values {
                Values::Narrow(values) => values.iter().map(|value| i64::from(*value)).collect(),
                Values::Wide(values) => values.to_vec(),
            };
            fold.set(row.row as usize, row.first, values);
        }
        fold
    }

    /// `Σ_c s^c · W_c` on the first `usable` rows.
    pub fn fold(&self, s: Fr, usable: usize) -> Vec<Fr> {
        self.fold_some(s, usable, |_| true)
    }

    /// The same, with zeros for all rows but those in these places of the layout's list.
    pub(crate) fn fold_some(&self, s: Fr, usable: usize, takes: impl Fn(usize) -> bool) -> Vec<Fr> {
        let powers: Vec<Fr> =
            std::iter::successors(Some(Fr::ONE), |power| Some(power * s)).take(self.columns).collect();
        let mut folded = vec![Fr::ZERO; usable];
        let (mut narrow, mut places) = (Vec::with_capacity(self.rows.len()), Vec::with_capacity(self.rows.len()));
        for (_, row) in self.rows.iter().enumerate().filter(|(place, _)| takes(*place)) {
            match &row.values {
                Values::Narrow(weights) => {
                    narrow.push(IntegerRow { first: row.first, integers: weights });
                    places.push(row.row as usize);
                }
                Values::Wide(values) => {
                    let terms = values.iter().zip(&powers[row.first..]);
                    folded[row.row as usize] = terms.map(|(value, power)| scalar::from_i64(*value) * power).sum();
                }
            }
        }
        let sums = Cpu::new().fold_rows(&narrow, &powers).expect("no row has more values than columns");
        places.into_iter().zip(sums).for_each(|(row, sum)| folded[row] = sum);
        folded
    }

    /// Puts any number in a cell of a row that holds values: for tests that weights beyond their width or outside their
    /// mask are rejected.
    #[doc(hidden)]
    pub fn set(&mut self, index: usize, column: usize, value: i64) {
        let row = &mut self.rows[index];
        let mut values: Vec<i64> = (0..self.columns).map(|column| row.get(column)).collect();
        values[column] = value;
        *row = Row { row: row.row, first: 0, values: Values::Wide(values.into()) };
    }

    /// Adds `delta` to one value: for tests that a changed model is rejected.
    #[doc(hidden)]
    pub fn change(&mut self, index: usize, column: usize, delta: i16) {
        let row = &mut self.rows[index];
        match (&mut row.values, column.checked_sub(row.first)) {
            (Values::Narrow(values), Some(i)) if i < values.len() => values[i] = values[i].wrapping_add(delta),
            (Values::Wide(values), Some(i)) if i < values.len() => values[i] += i64::from(delta),
            // A value where the architecture has none.
            _ => {
                let mut values: Vec<i64> = (0..self.columns).map(|column| row.get(column)).collect();
                values[column] += i64::from(delta);
                *row = Row { row: row.row, first: 0, values: Values::Wide(values.into()) };
            }
        }
    }
}

/// The learned values of a row, in the columns of the outputs that have any.
fn learned(row: &BankRow, graph: &Graph, columns: usize) -> Row {
    let node = &graph.nodes[row.node as usize];
    let (first, values) = match (&node.op, row.values) {
        (Op::Linear(linear), BankValues::Weight(tap)) => {
            let input = graph.tensors[node.inputs[0]].shape;
            let taps = linear.window.taps();
            let (channel, tap) = (tap as usize / taps, tap as usize % taps);
            let group_outputs = linear.out_channels / linear.groups;
            let group = channel / (input.channels / linear.groups);
            let outputs = block(linear.out_channels, row, columns, group * group_outputs..(group + 1) * group_outputs);
            let weight = |output| linear.weight_index(input, output, channel, tap).map_or(0, |i| linear.weights[i]);
            // Graph validation holds weights to 16 bits.
            let values = outputs.clone().rev().map(|output| weight(output) as i16).collect();
            (column(linear.out_channels, row, columns, &outputs), Values::Narrow(values))
        }
        (Op::Linear(linear), BankValues::Bias) => {
            let outputs = block(linear.out_channels, row, columns, 0..linear.out_channels);
            let values = outputs.clone().rev().map(|output| linear.bias[output]).collect();
            (column(linear.out_channels, row, columns, &outputs), Values::Wide(values))
        }
        (Op::Combine { offset, .. }, BankValues::Offset(element)) => {
            (0, Values::Wide([offset[element as usize]].into()))
        }
        (Op::MatMul(product), BankValues::Summands(place)) => {
            let channels = product.rows * product.heads;
            let outputs = block(channels, row, columns, 0..channels);
            // A place beyond the columns is refused by the check.
            let summand =
                |output| product.summands.get(output * product.columns + place as usize).copied().unwrap_or(0);
            let values = outputs.clone().rev().map(summand).collect();
            (column(channels, row, columns, &outputs), Values::Wide(values))
        }
        _ => (0, Values::Narrow(Box::default())),
    };
    Row { row: row.row, first, values }
}

/// Those of `outputs`, among so many, that the row's block holds.
fn block(all: usize, row: &BankRow, columns: usize, outputs: Range<usize>) -> Range<usize> {
    let end = all.saturating_sub(row.block as usize * columns);
    let (start, end) = (outputs.start.max(end.saturating_sub(columns)), outputs.end.min(end));
    start.min(end)..end
}

/// The column of the last of a row's outputs, which stands first.
fn column(all: usize, row: &BankRow, columns: usize, outputs: &Range<usize>) -> usize {
    if outputs.is_empty() { 0 } else { all - outputs.end - row.block as usize * columns }
}
