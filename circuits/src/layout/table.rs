//! The lookup tables: one column group, told apart by constant tags.
//!
//! A key is `(v0, v1, v2, tag)`. Every table has its own nonzero tag, fixed on both sides, so that no witness can move
//! a lookup from one table to another; range entries have `v1 = v2 = 0`.

/// Tag of the range table `[0, 2^S)`.
pub const RANGE_TAG: i64 = 1;
/// Tag of gathered values: (value, index).
pub const GATHER_TAG: i64 = 2;
/// Tag of the first activation table.
pub const FIRST_ACTIVATION_TAG: i64 = 3;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableRow {
    /// Values `v0`, `v1`, `v2`.
    pub values: [i64; 3],
    /// Tag.
    pub tag: i64,
}

/// The table of an activation that clamps to `[min, max]`: rows `(q, q, c)` with saturation `c` = -1 at the least
/// value, 1 at the greatest, 0 between. A value beyond the range is looked up at the end, where `c` admits an excess:
/// `round(acc / 2^S) = q + c·u` with `u >= 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClampTable {
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
}

impl ClampTable {
    /// The row for a rounded accumulator, and the excess `u` that its saturation leaves.
    pub fn saturate(&self, rounded: i64) -> ([i64; 3], u64) {
        let q = rounded.clamp(self.min, self.max);
        let c = i64::from(q == self.max) - i64::from(q == self.min);
        ([q, q, c], rounded.abs_diff(q))
    }
}

/// All tables of a circuit, in row order.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The rows, from row 0 of the circuit on.
    pub rows: Vec<TableRow>,
    /// First row and tag of each activation table.
    pub activations: Vec<(ClampTable, usize, i64)>,
    /// Row of the gather table's constant 0, where anything is gathered.
    pub gather_zero: Option<usize>,
}

impl Tables {
    /// The range table of `shift` bits, the constant 0 of the gather table if `gather`, and the activation tables.
    pub fn new(shift: u32, gather: bool, clamps: &[ClampTable]) -> Self {
        let range = (0..1i64 << shift).map(|v| TableRow { values: [v, 0, 0], tag: RANGE_TAG });
        let mut tables = Self { rows: range.collect(), ..Self::default() };
        if gather {
            tables.gather_zero = Some(tables.rows.len());
            tables.rows.push(TableRow { values: [0; 3], tag: GATHER_TAG });
        }
        for (i, clamp) in clamps.iter().enumerate() {
            let tag = FIRST_ACTIVATION_TAG + i as i64;
            tables.activations.push((*clamp, tables.rows.len(), tag));
            tables.rows.extend((clamp.min..=clamp.max).map(|q| TableRow { values: clamp.saturate(q).0, tag }));
        }
        tables
    }

    /// Tag of the activation table for `clamp`, if there is one.
    pub fn activation_tag(&self, clamp: ClampTable) -> Option<i64> {
        self.activations.iter().find(|(c, ..)| *c == clamp).map(|(.., tag)| *tag)
    }

    /// Row of a key, if it is in its table.
    pub fn find(&self, values: [i64; 3], tag: i64) -> Option<usize> {
        let row = match tag {
            RANGE_TAG => usize::try_from(values[0]).ok()?,
            GATHER_TAG => self.gather_zero?,
            _ => {
                let (clamp, first, _) = self.activations.iter().find(|(.., t)| *t == tag)?;
                first.checked_add(usize::try_from(values[0].checked_sub(clamp.min)?).ok()?)?
            }
        };
        (self.rows.get(row)? == &TableRow { values, tag }).then_some(row)
    }
}
