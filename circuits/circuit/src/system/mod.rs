//! What a constraint system is: its columns by number and role, the challenges, tables, the public statement, and
//! formulas over one row that gates and witness share.
//!
//! The lowest floor of the circuit: it knows no gate, no layer and no layout.

mod architecture;
mod challenge;
mod expressions;
pub(crate) mod formulas;
mod geometry;
pub mod kind;
mod role;
mod statement;
mod table;

pub(crate) use architecture::exact_cells;
pub use architecture::{Architecture, WeightMode};
pub use challenge::{Challenges, Factor, Power, Ring, Variable};
pub use expressions::NetworkConfig;
pub(crate) use expressions::{RowCells, constant, product, total};
pub use geometry::Geometry;
pub use kind::RowKind;
pub use role::{Accumulator, Clamp, FixedRole, Lines, Multiplicand};
pub(crate) use role::{Lanes, Read};
pub(crate) use statement::MAX_INSTANCE_CELLS;
pub use statement::{Placement, Port, Statement, StatementError};
pub(crate) use table::line;
pub use table::{FIRST_ACTIVATION_TAG, GATHER_TAG, MASKED, RANGE_TAG, TableRow, Tables, saturate};

/// Largest log2 of a circuit's number of rows: keys of a larger one are refused before anything is computed from them.
pub const MAX_K: u32 = 22;

/// Rows at the end that no gate may use, for every circuit of this crate: rotations are 0 and -1 only.
pub(crate) const BLINDING_ROWS: usize = 6;
