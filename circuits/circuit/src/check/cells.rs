//! The committed and public cells that hold activations, and what each is known to equal.

use super::values::Value;
use super::{Check, require};
use crate::layout::Layout;
use crate::system::Architecture;

/// A column of cells that hold activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column(pub(super) u32);

/// What each cell equals. A cell that nothing is known of is a free variable.
pub(super) struct Cells {
    usable: usize,
    columns: Vec<Vec<Value>>,
}

/// The columns, in one order: operands, left operands, instances, activations, copies beside results, committed
/// tensors, values of hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'l>(pub(super) &'l Architecture);

impl Columns<'_> {
    pub(super) const fn operand(self, lane: usize) -> Column {
        Column(lane as u32)
    }

    pub(super) const fn left(self, lane: usize) -> Column {
        Column((self.0.operand_lanes + lane) as u32)
    }

    pub(super) const fn instance(self, column: usize) -> Column {
        Column((2 * self.0.operand_lanes + column) as u32)
    }

    pub(super) const fn activated(self, lane: usize) -> Column {
        Column(self.instance(self.0.instance_columns()).0 + lane as u32)
    }

    pub(super) const fn factor(self, group: usize, lane: usize) -> Column {
        Column(self.activated(self.0.activation_lanes).0 + (group * self.0.activation_lanes + lane) as u32)
    }

    pub(super) const fn committed(self, column: usize) -> Column {
        Column(self.factor(self.0.auxiliary_groups, 0).0 + column as u32)
    }

    pub(super) const fn hashed(self) -> Column {
        self.committed(self.0.committed_columns)
    }

    const fn count(self) -> usize {
        self.hashed().0 as usize + 1
    }
}

impl Cells {
    pub(super) fn new(layout: &Layout) -> Self {
        let columns = vec![Vec::new(); Columns(&layout.architecture).count()];
        Self { usable: layout.usable_rows(), columns }
    }

    /// What a cell equals.
    pub(super) fn get(&self, column: Column, row: usize) -> Value {
        self.columns[column.0 as usize].get(row).copied().unwrap_or(Value::UNKNOWN)
    }

    /// Notes what all cells of a column equal.
    pub(super) fn fill(&mut self, column: Column, value: Value) {
        self.columns[column.0 as usize] = vec![value; self.usable];
    }

    /// Notes what a cell of a filled column equals instead.
    pub(super) fn replace(&mut self, column: Column, row: usize, value: Value) {
        self.columns[column.0 as usize][row] = value;
    }

    /// Notes what a cell equals: once.
    pub(super) fn set(&mut self, column: Column, row: usize, value: Value) -> Check {
        let cells = &mut self.columns[column.0 as usize];
        if cells.is_empty() {
            cells.resize(self.usable, Value::UNKNOWN);
        }
        require(row < cells.len() && cells[row] == Value::UNKNOWN, || format!("two meanings of a cell on row {row}"))?;
        cells[row] = value;
        Ok(())
    }
}
