//! Activation functions as lookup tables over integers.

use serde::{Deserialize, Serialize};

/// A function on integers as a table: `y = values[q - min]`, with `q` clamped to the table's domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activation {
    /// Least argument.
    pub min: i64,
    /// Results for `min`, `min + 1`, ...; never empty.
    pub values: Vec<i64>,
}

impl Activation {
    /// The clamp to a range. A single value has two arguments, because saturation needs a table with two ends.
    pub fn clamp(min: i64, max: i64) -> Self {
        let values = if min == max { vec![min; 2] } else { (min..=max).collect() };
        Self { min, values }
    }

    /// Greatest argument.
    pub const fn max(&self) -> i64 {
        self.min + self.values.len() as i64 - 1
    }

    /// The result for an argument, clamped.
    pub fn apply(&self, q: i64) -> i64 {
        self.values[(q.clamp(self.min, self.max()) - self.min) as usize]
    }
}
