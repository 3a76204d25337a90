//! A finished layout.

use zkml_gpu_engine::prover::CircuitSize;

use super::choice::Choice;
use crate::placement::{BankRow, CrossTermRun, GatherCell, OperandCell, ResultRow};
use crate::system::{Architecture, Statement, Tables};

/// Where everything stands.
#[derive(Clone, Debug)]
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
    /// Rows in use: operand, result and cross-term bank, table.
    pub rows: [usize; 4],
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

    /// The layout in numbers.
    pub fn summary(&self) -> Summary {
        Summary {
            k: self.k,
            rows: self.rows.into_iter().max().unwrap_or(0),
            advice_columns: self.architecture.advice_columns(),
            fixed_columns: self.architecture.fixed_columns(),
            weight_columns: self.architecture.weight_columns,
            lookups: self.results.iter().map(|row| row.kind.facts().lookups(&self.architecture)).sum(),
            table_rows: self.tables.rows.len(),
            identities: self.identities,
            max_degree: self.max_degree,
        }
    }
}
