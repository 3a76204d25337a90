//! The lookup tables, read from the fixed columns: under each tag the rows that a key may equal.
//!
//! A key has a constant tag, which is never 0, so that it can equal a row of its own table only; rows outside the
//! tables have tag 0.

use std::collections::{BTreeMap, HashMap};

use zkml_gpu_graph::{Activation, Function, Graph, Segments};

use super::fixed::Fixed;
use super::{Check, refuse, require};
use crate::layout::Layout;
use crate::system::{FixedRole, GATHER_TAG, MASKED, RANGE_TAG};

/// The tables by tag.
pub(super) struct CheckedTables {
    functions: BTreeMap<i64, Vec<[i64; 3]>>,
    constants: HashMap<i64, i64>,
    rows: usize,
}

impl CheckedTables {
    /// Reads the tables; those of ranges and of gathered constants are checked here, functions where a row looks them
    /// up.
    pub(super) fn new(graph: &Graph, layout: &Layout, fixed: &Fixed<'_>) -> Check<Self> {
        // Entries by lane and row.
        let mut entries: BTreeMap<(usize, u32), [i64; 4]> = BTreeMap::new();
        for (role, cells) in fixed.roles() {
            let FixedRole::Table { lane, value } = role else { continue };
            require(*lane < layout.architecture.table_lanes && *value < 4, || format!("a table column {role:?}"))?;
            for (row, number) in cells {
                entries.entry((*lane, *row)).or_default()[usize::from(*value)] = *number;
            }
        }
        let end = entries.keys().map(|(_, row)| *row as usize + 1).max().unwrap_or(0);
        let mut tables: BTreeMap<i64, Vec<[i64; 3]>> = BTreeMap::new();
        for [v0, v1, v2, tag] in entries.values() {
            require(*tag != 0 || [*v0, *v1, *v2] == [0; 3], || "a table row without a tag".into())?;
            if *tag != 0 {
                tables.entry(*tag).or_default().push([*v0, *v1, *v2]);
            }
        }
        let range = sorted(tables.remove(&RANGE_TAG).unwrap_or_default());
        require(graph.shift == layout.architecture.shift, || "another shift than the graph's".into())?;
        let bits = layout.architecture.limb_bits;
        let whole = range.len() == 1 << bits && range.iter().zip(0..).all(|(row, v)| *row == [v, 0, 0]);
        require(whole, || format!("the range table is not 0 to 2^{bits}"))?;
        let mut constants = HashMap::new();
        for [value, index, zero] in tables.remove(&GATHER_TAG).unwrap_or_default() {
            require(zero == 0 && constants.insert(index, value).is_none(), || "a constant's index is taken".into())?;
        }
        let functions = tables.into_iter().map(|(tag, rows)| (tag, sorted(rows))).collect();
        Ok(Self { functions, constants, rows: end })
    }

    /// Rows in use.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Gathered constants by index.
    pub(super) const fn constants(&self) -> &HashMap<i64, i64> {
        &self.constants
    }

    /// Refuses a tag whose table is not the function: `(q, f(q), c)` with the saturation `c` = -1 at the least
    /// argument, 1 at the greatest, 0 between.
    pub(super) fn expect_function(&self, tag: i64, function: Function) -> Check {
        // A table is made only where there are as many rows: a range may have any number of values.
        let arguments = function.max().abs_diff(function.min()).max(1).saturating_add(1);
        let rows = self.functions.get(&tag).map_or(0, Vec::len);
        require(arguments == rows as u64, || format!("the table of tag {tag} has {rows} rows, not {arguments}"))?;
        let function = function.into_table();
        let end = function.values.len() as i64 - 1;
        let row = |(i, y): (i64, &i64)| [function.min + i, *y, i64::from(i == end) - i64::from(i == 0)];
        self.expect(tag, (0..).zip(&function.values).map(row).collect())
    }

    /// Refuses a tag whose table is not that of exponentials: `(d, e, 0)` for each distance, `(0, e, 1)` for the member
    /// that is shown to attain the maximum, and one row for masked members.
    pub(super) fn expect_exponentials(&self, tag: i64, exp: &Activation) -> Check {
        require(exp.min == 0 && (exp.values.len() as i64) < MASKED, || "a distance that masks".into())?;
        let Some(first) = exp.values.first() else { return refuse("a table of no exponentials") };
        let mut rows: Vec<[i64; 3]> = (0..).zip(&exp.values).map(|(d, e)| [d, *e, 0]).collect();
        rows.extend([[0, *first, 1], [MASKED, 0, 0]]);
        self.expect(tag, rows)
    }

    /// Refuses a tag whose table is not that of a function's lines: `(h, A, B)` for each segment `h` from 1 on, and a
    /// constant before and behind, `A = 2^p·f + 2^(p-1)` and `B = 0`, for the results `f` at the two ends.
    pub(super) fn expect_lines(&self, tag: i64, segments: &Segments) -> Check {
        let values = segments.values().unwrap_or_default();
        let (Some(first), Some(last)) = (values.first(), values.last()) else { return refuse("no lines") };
        let constant = |number: i64, value: i64| [number, (2 * value + 1) << (segments.scale - 1), 0];
        let inner = segments.lines.iter().zip(1..).map(|([intercept, slope], h)| [h, *intercept, *slope]);
        let ends = [constant(0, *first), constant(segments.lines.len() as i64 + 1, *last)];
        self.expect(tag, inner.chain(ends).collect())
    }

    /// Refuses a tag whose table is not that of exponentials by lines: `(h, A, B)` for each segment `h` from 0 on, and a
    /// line without slope or result for masked members.
    pub(super) fn expect_exponential_lines(&self, tag: i64, segments: &Segments) -> Check {
        let of_distances = segments.lines.iter().zip(0..).map(|([intercept, slope], h)| [h, *intercept, *slope]);
        let masked = [MASKED >> segments.low, 1 << (segments.scale - 1), 0];
        self.expect(tag, of_distances.chain([masked]).collect())
    }

    fn expect(&self, tag: i64, rows: Vec<[i64; 3]>) -> Check {
        let same = self.functions.get(&tag).is_some_and(|table| *table == sorted(rows));
        require(same, || format!("the table of tag {tag} is not the node's function"))
    }
}

fn sorted(mut rows: Vec<[i64; 3]>) -> Vec<[i64; 3]> {
    rows.sort_unstable();
    rows
}
