//! What follows requantisation: a clamp, or a function as a lookup table over integers.

use serde::{Deserialize, Serialize};

use crate::segments::Segments;

/// A function on integers as a table: `y = values[q - min]`, with `q` clamped to the table's domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activation {
    /// Least argument.
    pub min: i64,
    /// Results for `min`, `min + 1`, ...; never empty.
    pub values: Vec<i64>,
    /// The same results by straight lines, where there are such: a circuit takes the one or the other.
    pub segments: Option<Segments>,
}

impl Activation {
    /// A table of results for `min`, `min + 1`, ...
    pub const fn table(min: i64, values: Vec<i64>) -> Self {
        Self { min, values, segments: None }
    }

    /// A function by straight lines from `min` on; none where numbers are out of bounds.
    pub fn of_segments(min: i64, segments: Segments) -> Option<Self> {
        Some(Self { min, values: segments.values()?, segments: Some(segments) })
    }

    /// The clamp to a range. A single value has two arguments, because saturation needs a table with two ends.
    pub fn clamp(min: i64, max: i64) -> Self {
        let values = if min == max { vec![min; 2] } else { (min..=max).collect() };
        Self::table(min, values)
    }

    /// Whether the lines, where there are some, have the table's results; only the last segment of those that are not
    /// `whole` may go on beyond them.
    pub fn has_lines_of_values(&self, whole: bool) -> bool {
        let Some(segments) = &self.segments else { return true };
        let Some(values) = segments.values() else { return false };
        let beyond = values.len().checked_sub(self.values.len());
        values.starts_with(&self.values) && beyond.is_some_and(|more| more == 0 || !whole && more < 1 << segments.low)
    }

    /// Greatest argument.
    pub const fn max(&self) -> i64 {
        self.min + self.values.len() as i64 - 1
    }

    /// The result for an argument, clamped.
    pub fn apply(&self, q: i64) -> i64 {
        let place = usize::try_from(q.clamp(self.min, self.max()) - self.min);
        self.values[place.expect("a clamped argument has a value")]
    }
}

/// The function from a node's rounded values to its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// The clamp to the output's range.
    Clamp {
        /// Least result.
        min: i64,
        /// Greatest result.
        max: i64,
    },
    /// A table.
    Table(Activation),
}

impl Function {
    /// Least argument that is not saturated.
    pub const fn min(&self) -> i64 {
        match self {
            Self::Clamp { min, .. } => *min,
            Self::Table(table) => table.min,
        }
    }

    /// Greatest argument that is not saturated.
    pub const fn max(&self) -> i64 {
        match self {
            Self::Clamp { max, .. } => *max,
            Self::Table(table) => table.max(),
        }
    }

    /// The result for an argument.
    pub fn apply(&self, q: i64) -> i64 {
        match self {
            Self::Clamp { min, max } => q.clamp(*min, *max),
            Self::Table(table) => table.apply(q),
        }
    }

    /// The bits of a clamp to a range of a power of two of values, at least two; none for other functions.
    pub const fn clamped_bits(&self) -> Option<u32> {
        match self {
            Self::Clamp { min, max } => {
                let values = max.abs_diff(*min).wrapping_add(1);
                if values > 1 && values.is_power_of_two() { Some(values.ilog2()) } else { None }
            }
            Self::Table(_) => None,
        }
    }

    /// The function as a table.
    pub fn into_table(self) -> Activation {
        match self {
            Self::Clamp { min, max } => Activation::clamp(min, max),
            Self::Table(table) => table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clamp_is_its_table() {
        for [min, max] in [[-8, 7], [0, 255], [3, 3], [-5, 9], [-1, 0]] {
            let clamp = Function::Clamp { min, max };
            let table = Function::Table(clamp.clone().into_table());
            assert!((min - 9..max + 9).all(|q| clamp.apply(q) == table.apply(q)));
            assert_eq!(table.clamped_bits(), None);
        }
    }

    #[test]
    fn bits_are_those_of_whole_ranges() {
        let bits = |min, max| Function::Clamp { min, max }.clamped_bits();
        assert_eq!([bits(-128, 127), bits(0, 1), bits(5, 8)], [Some(8), Some(1), Some(2)]);
        assert_eq!([bits(0, 0), bits(0, 2), bits(-127, 127), bits(i64::MIN, i64::MAX)], [None; 4]);
    }
}
