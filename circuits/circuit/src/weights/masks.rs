//! Which cells of the weight bank may hold a value: columns with the same cells form a class.

use std::collections::HashMap;
use std::ops::Range;

use zkml_gpu_graph::Graph;

use super::WeightsError;
use crate::check::{BankCells, bank_cells};
use crate::layout::Layout;

/// Rows of a class of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// Rows that hold weights, ascending.
    pub(super) weights: Vec<u32>,
    /// Rows that hold biases and summands, ascending.
    pub(super) biases: Vec<u32>,
}

/// Masks of some columns of the bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Masks {
    /// The class of each column.
    pub(super) class_of: Vec<usize>,
    /// The classes, in the order of their first columns.
    pub(super) classes: Vec<Class>,
    /// Rows that hold biases and summands in any column, ascending, each with how many there are: from the first column
    /// of these on.
    pub(super) biases: Vec<(u32, usize)>,
}

impl Masks {
    /// The masks of the columns `columns` of a layout's bank.
    pub(super) fn new(cells: &[BankCells], columns: Range<usize>) -> Result<Self, WeightsError> {
        let mut rows = vec![Class::default(); columns.len()];
        let mut biases = Vec::new();
        for BankCells { row, columns: there, are_weights } in cells {
            let here = there.start.max(columns.start)..there.end.min(columns.end);
            if here.is_empty() {
                continue;
            }
            for column in here.clone() {
                let class = &mut rows[column - columns.start];
                if *are_weights { &mut class.weights } else { &mut class.biases }.push(*row);
            }
            if !are_weights {
                if here.start != columns.start {
                    let problem = format!("row {row} of the bank has biases from column {} on", there.start);
                    return Err(WeightsError::Malformed(problem));
                }
                biases.push((*row, here.len()));
            }
        }
        let (mut classes, mut numbers) = (Vec::new(), HashMap::new());
        let mut class_of = Vec::with_capacity(columns.len());
        for class in rows {
            let next = classes.len();
            let number = *numbers.entry(class.clone()).or_insert(next);
            if number == next {
                classes.push(class);
            }
            class_of.push(number);
        }
        Ok(Self { class_of, classes, biases })
    }

    /// How many biases and summands there are.
    pub(super) fn values(&self) -> usize {
        self.biases.iter().map(|(_, len)| len).sum()
    }
}

/// The cells of a layout's bank that may hold values.
pub(super) fn cells(graph: &Graph, layout: &Layout) -> Result<Vec<BankCells>, WeightsError> {
    Ok(bank_cells(graph, layout)?)
}
