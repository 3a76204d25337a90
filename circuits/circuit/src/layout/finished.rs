//! A finished layout.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use zkml_gpu_engine::prover::CircuitSize;

use super::choice::Choice;
use super::degree::max_degree;
use crate::placement::{BankRow, CrossTermRun, GatherCell, OperandCell, ResultRow};
use crate::rows::Degree;
use crate::system::formulas::line_cells;
use crate::system::{Architecture, FixedRole, Lines, Statement, Tables};

/// log2 of the order of the scalar field, rounded down.
const MODULUS_BITS: f64 = 253.596;

/// Where everything is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layout {
    /// Shape of the constraint system.
    pub architecture: Architecture,
    /// log2 of the number of rows.
    pub k: u32,
    /// Nonzero cells of each fixed column: (row, value).
    pub fixed: Vec<Vec<(u32, i64)>>,
    /// The lookup tables.
    pub tables: Tables,
    /// Copies of operands.
    pub operands: Vec<OperandCell>,
    /// Results.
    pub results: Vec<ResultRow>,
    /// Learned values.
    pub bank: Vec<BankRow>,
    /// Free coefficients.
    pub cross_terms: Vec<CrossTermRun>,
    /// Gathered copies at fixed indices.
    pub gathers: Vec<GatherCell>,
    /// Public inputs and outputs.
    pub statement: Statement,
    /// Number of identities.
    pub identities: usize,
    /// Greatest exponent of `r` that a committed cell reaches: the degree in the statistical error of the identities.
    pub max_degree: usize,
    /// Greatest exponent of `s` in an identity, which is the degree in the statistical error of that challenge.
    pub max_channel_degree: usize,
    /// Rows in use: operand, result and cross-term bank, table, hashes.
    pub rows: [usize; 5],
    /// Rows that each node takes of the three banks, then those of public tensors that no node reads.
    pub layers: Vec<[usize; 3]>,
    /// What the circuit asks of the prover.
    pub size: CircuitSize,
    /// How the widths were chosen.
    pub choice: Choice,
    pub(super) usable: usize,
}

/// The layout in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// log2 of the number of rows.
    pub k: u32,
    /// Rows used by the fullest bank.
    pub rows: usize,
    /// Advice columns.
    pub advice_columns: usize,
    /// Fixed columns, embedded weights among them.
    pub fixed_columns: usize,
    /// Columns of the weight bank.
    pub weight_columns: usize,
    /// Lookups: range-checked, gathered and activation cells in use.
    pub lookups: usize,
    /// Rows of the lookup tables.
    pub table_rows: usize,
    /// Identities in the grand sum.
    pub identities: usize,
    /// Greatest exponent of the position challenge.
    pub max_degree: usize,
}

impl Layout {
    /// log2 of the number of rows.
    pub const fn k(&self) -> u32 {
        self.k
    }

    /// Rows that gates may use: all but the blinding rows and the one before them.
    pub const fn usable_rows(&self) -> usize {
        self.usable
    }

    /// Bits of the statistical error of all arguments before Halo2's own: `log2 p - log2(D + E + I + 1 + 4·(L + T))`,
    /// with the greatest degrees `D` in `r` and `E` in `s` of an identity, `I` identities, `L` looked-up keys, and `T`
    /// table and gather entries (`docs/protocol.md`, section 9).
    pub fn soundness_bits(&self) -> f64 {
        // Whole rows of the table.
        let entries = self.tables.rows.len().next_multiple_of(self.architecture.table_lanes);
        self.bits(Degree { s: self.max_channel_degree, r: self.max_degree }, self.identities, entries)
    }

    /// The same from the fixed cells alone, whatever a layout from a file says of its degrees and numbers.
    pub fn soundness_bits_of_cells(&self) -> f64 {
        let a = &self.architecture;
        let columns: Vec<_> = a.fixed.iter().cloned().zip(self.fixed.iter().cloned()).collect();
        let cells =
            |is: fn(&FixedRole) -> bool| columns.iter().filter(move |(role, _)| is(role)).flat_map(|(_, cells)| cells);
        let numbers = cells(|role| matches!(role, FixedRole::Identity(_))).map(|(_, number)| *number);
        let identities = usize::try_from(numbers.max().unwrap_or(0)).unwrap_or(0);
        let rows = cells(|role| matches!(role, FixedRole::Table { .. })).map(|(row, _)| *row as usize + 1);
        let entries = rows.max().unwrap_or(0) * a.table_lanes;
        self.bits(max_degree(a, &columns, self.usable), identities, entries)
    }

    fn bits(&self, degree: Degree, identities: usize, entries: usize) -> f64 {
        let a = &self.architecture;
        let keys = a.lookups() * self.usable;
        let entries = entries + a.source_lanes() * self.usable;
        let degrees = degree.r + degree.s + identities + 1 + 4 * (keys + entries);
        MODULUS_BITS - (degrees as f64).log2()
    }

    /// Looked-up cells of each result row.
    pub(super) fn lookups(&self) -> impl Iterator<Item = (&ResultRow, usize)> {
        let a = &self.architecture;
        let marks: HashSet<u32> = self.marked(&FixedRole::LooksUp).collect();
        // A line, the argument in its segment and the rest.
        let of_lines = |of: Lines| {
            let result = if of.exponentials { a.excess_limbs } else { 0 };
            of.lanes * (1 + line_cells(of.low, of.scale, a.limb_bits) + result)
        };
        let by_lines =
            a.lines().flat_map(|(index, of)| self.fixed[index].iter().map(move |(row, _)| (*row, of_lines(of))));
        let by_lines: HashMap<u32, usize> = by_lines.collect();
        let of = move |row: &ResultRow| {
            let lines = by_lines.get(&row.row).copied().unwrap_or(0);
            row.kind.facts().lookups(a, marks.contains(&row.row)) + lines
        };
        self.results.iter().map(move |row| (row, of(row)))
    }

    /// Rows on which a fixed column is not 0; none where the circuit has no such column.
    fn marked(&self, role: &FixedRole) -> impl Iterator<Item = u32> + '_ {
        let column = self.architecture.fixed.iter().position(|known| known == role);
        let cells = column.into_iter().flat_map(|column| &self.fixed[column]);
        cells.filter(|(_, value)| *value != 0).map(|(row, _)| *row)
    }

    /// The layout in numbers.
    pub fn summary(&self) -> Summary {
        Summary {
            k: self.k,
            rows: self.rows.into_iter().max().unwrap_or(0),
            advice_columns: self.architecture.advice_columns(),
            fixed_columns: self.architecture.fixed_columns(),
            weight_columns: self.architecture.weight_columns,
            lookups: self.lookups().map(|(_, lookups)| lookups).sum(),
            table_rows: self.tables.rows.len(),
            identities: self.identities,
            max_degree: self.max_degree,
        }
    }
}

#[cfg(test)]
mod tests {
    use ff::PrimeField;
    use halo2curves::bn256::Fr;

    use super::MODULUS_BITS;

    #[test]
    fn the_logarithm_of_the_modulus_is_not_above_it() {
        // p - 1, as its most significant 64 bits of 256.
        let repr = (-Fr::one()).to_repr();
        let top = u64::from_le_bytes(repr.as_ref()[24..].try_into().unwrap());
        let bits = (top as f64).log2() + 192.0;
        assert!((0.0..1e-3).contains(&(bits - MODULUS_BITS)), "{bits}");
    }
}
