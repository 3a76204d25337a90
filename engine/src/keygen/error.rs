//! Why a circuit has no keys.

use halo2_proofs::plonk;

use crate::BackendError;

/// A failure to make keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeygenError {
    /// Blinding alone takes all rows.
    #[error("2^{k} rows are too few: the circuit needs {needed} even when empty\nhint: use a larger k")]
    TooFewRows {
        /// log2 of the number of rows.
        k: u32,
        /// The fewest rows of a circuit with such columns and queries.
        needed: usize,
    },
    /// The field has no domain for the quotient.
    #[error("a circuit of degree {degree} with 2^{k} rows has no quotient domain\nhint: use a smaller k")]
    TooManyRows {
        /// log2 of the number of rows.
        k: u32,
        /// Greatest degree of a constraint.
        degree: usize,
    },
    /// The circuit assigned, selected or copied a cell outside its columns or in the blinding rows.
    #[error(
        "cell (column {column}, row {row}) is outside the circuit's columns or its {usable_rows} usable rows\nhint: use a larger k"
    )]
    CellOutOfRange {
        /// Index of the column or selector.
        column: usize,
        /// Row of the cell.
        row: usize,
        /// Rows before the blinding rows.
        usable_rows: usize,
    },
    /// The verifying key has other numbers of columns than the circuit.
    #[error(
        "the key has {expected:?} fixed and permuted columns, the circuit {got:?}\nhint: the key is another circuit's"
    )]
    OtherKey {
        /// Fixed columns, and those of the permutation argument, of the key.
        expected: [usize; 2],
        /// Those of the circuit.
        got: [usize; 2],
    },
    /// A copy constraint names a column that was not enabled for equality.
    #[error("column {column} is under a copy constraint\nhint: call enable_equality on it")]
    NotEnabled {
        /// The column.
        column: String,
    },
    /// The parameters do not yield their Lagrange points.
    #[error("the parameters cannot be read: {0}")]
    Parameters(String),
    /// The circuit's synthesis failed.
    #[error("synthesis: {0}")]
    Synthesis(#[from] plonk::Error),
    /// The back end failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
