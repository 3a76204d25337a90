//! Gathered copies: each is the constant or the one cell that has its index.
//!
//! A copy's key is (value, index) under the gather tag, an entry likewise. Indices are fixed, and no two entries share
//! one, so by the balance of logarithmic derivatives every copy with an index has the value of the entry with that
//! index, and there is one. A cell's entry counts as often as a fixed cell says; where its tensor is gathered at
//! indices that depend on the witness, as often as a committed cell says besides. Every copy column of every row is
//! looked up; an idle one has index 0, the constant 0.

use std::collections::HashMap;

use super::cells::{Cells, Columns};
use super::fixed::Fixed;
use super::places::Rows;
use super::tables::CheckedTables;
use super::values::{Value, Values};
use super::{Check, refuse, require};
use crate::layout::Layout;
use crate::system::{FixedRole, RowKind, kind};

/// A cell that may be gathered.
#[derive(Clone, Copy)]
struct Source {
    value: Value,
    /// Gathers at its fixed index.
    count: i64,
    /// Whether it may be gathered at an index that depends on the witness.
    by_index: bool,
    /// Whether it is itself a copy of an element.
    is_copy: bool,
}

/// All gathers of a layout.
pub(super) struct Gathers {
    copies: HashMap<(usize, usize), Value>,
    /// Index of candidate 0 by row, where copy 1 is gathered at an index that depends on the witness.
    open: HashMap<usize, i64>,
    sources: HashMap<i64, Source>,
    len: usize,
}

impl Gathers {
    pub(super) fn new(
        layout: &Layout,
        fixed: &Fixed<'_>,
        tables: &CheckedTables,
        rows: &Rows<'_>,
        cells: &Cells,
        values: &Values,
    ) -> Check<Self> {
        let a = &layout.architecture;
        let mut this = Self { copies: HashMap::new(), open: HashMap::new(), sources: HashMap::new(), len: 0 };
        this.find_sources(layout, fixed, tables, rows, cells)?;
        if a.gather_columns > 0 {
            require(tables.constants().get(&0) == Some(&0), || "idle copies gather no constant 0".into())?;
        }
        for result in layout.results.iter().filter(|result| matches!(result.kind, RowKind::Candidate(_))) {
            require(a.gather_by_index, || "candidates without an index to gather by".into())?;
            this.open.insert(result.row as usize, 0);
        }
        let mut uses: HashMap<i64, i64> = HashMap::new();
        for k in 0..a.gather_columns {
            for (row, index) in fixed.cells(&FixedRole::GatherIndex(k)) {
                let row = *row as usize;
                let read = rows.at(row).map_or(0, |result| copies(result.kind, a.gather_columns));
                require(k < read, || format!("row {row} gathers copy {k}, which it does not read"))?;
                if k == 1
                    && let Some(open) = this.open.get_mut(&row)
                {
                    *open = *index;
                    continue;
                }
                let value = match (tables.constants().get(index), this.sources.get(index)) {
                    (Some(constant), None) => values.constant(*constant),
                    // A copy of a copy might be its own source, and free.
                    (None, Some(source)) if !(source.is_copy && is_copy(rows, row)) => {
                        *uses.entry(*index).or_default() += 1;
                        source.value
                    }
                    _ => return refuse(format!("row {row} gathers at index {index}, where no one entry is")),
                };
                this.copies.insert((row, k), value);
                this.len += 1;
            }
        }
        for (index, source) in &this.sources {
            let used = uses.get(index).copied().unwrap_or(0);
            require(source.count == used, || {
                format!("index {index} is gathered {used} times and counted {}", source.count)
            })?;
        }
        Ok(this)
    }

    /// The entries that hold a committed cell.
    fn find_sources(
        &mut self,
        layout: &Layout,
        fixed: &Fixed<'_>,
        tables: &CheckedTables,
        rows: &Rows<'_>,
        cells: &Cells,
    ) -> Check {
        let a = &layout.architecture;
        let first = fixed.dense(&FixedRole::SourceIndex);
        for lane in 0..a.source_lanes() {
            let counts = fixed.dense(&FixedRole::SourceCount(lane));
            let open = match a.gather_by_index {
                true => fixed.selector(&FixedRole::SourceByIndex(lane))?,
                false => vec![false; fixed.usable()],
            };
            for row in (0..fixed.usable()).filter(|row| counts[*row] != 0 || open[*row]) {
                let value = cells.get(Columns(a).activated(lane), row);
                require(value != Value::UNKNOWN, || {
                    format!("lane {lane} of row {row} is gathered, but holds nothing")
                })?;
                let Some(index) = first[row].checked_add(lane as i64) else { return refuse("an index out of bounds") };
                let is_copy = is_copy(rows, row);
                let source = Source { value, count: counts[row], by_index: open[row], is_copy };
                let is_new = self.sources.insert(index, source).is_none() && !tables.constants().contains_key(&index);
                require(is_new, || format!("two entries have the index {index}"))?;
            }
        }
        Ok(())
    }

    /// What a copy equals.
    pub(super) fn copy(&self, row: usize, k: usize) -> Value {
        self.copies.get(&(row, k)).copied().unwrap_or(Value::ZERO)
    }

    /// Copies that gather something.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The index of candidate 0, where copy 1 of a row is gathered at an index that depends on the witness.
    pub(super) fn open(&self, row: usize) -> Option<i64> {
        self.open.get(&row).copied()
    }

    /// Whether an index below `count`, times the stride, reaches from index `first` the candidates, in this order.
    pub(super) fn reaches(
        &self,
        first: i64,
        stride: usize,
        count: usize,
        candidates: impl Iterator<Item = Value>,
    ) -> bool {
        let index = |k: usize| first.checked_add(i64::try_from(k.checked_mul(stride)?).ok()?);
        let source = |k: usize| index(k).and_then(|index| self.sources.get(&index));
        let is_open = |k: usize, value: Value| source(k).is_some_and(|s| s.by_index && s.value == value);
        (0..count).zip(candidates).all(|(k, value)| is_open(k, value))
    }
}

/// Whether a row holds copies of elements.
fn is_copy(rows: &Rows<'_>, row: usize) -> bool {
    rows.at(row).is_some_and(|result| matches!(result.kind, RowKind::Copies(_)))
}

/// Copies that a row of a kind reads.
const fn copies(kind: RowKind, columns: usize) -> usize {
    match kind {
        RowKind::GatheredMaximum(kind::GatheredMaximum { window }) => window,
        RowKind::GatheredSum => columns,
        RowKind::Copies(kind::Copies { lanes }) => lanes,
        RowKind::Candidate(_) => 3,
        RowKind::Requantise(_)
        | RowKind::Multiply(_)
        | RowKind::Exponential(_)
        | RowKind::Reciprocal(_)
        | RowKind::Normalise(_)
        | RowKind::InverseRoot(_)
        | RowKind::MaximumOfWindow(_)
        | RowKind::Raw
        | RowKind::Index
        | RowKind::Entry(_)
        | RowKind::OneHot(_) => 0,
    }
}
