//! What a layout places: cells and rows of the banks, each with what it holds.

use serde::{Deserialize, Serialize};

use crate::system::RowKind;

/// A cell of the operand bank that copies an element of a tensor.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OperandCell {
    /// Row.
    pub row: u32,
    /// Operand lane, or left lane.
    pub lane: u32,
    /// Whether it is a left operand's.
    pub left: bool,
    /// Tensor copied.
    pub tensor: u32,
    /// Its element.
    pub element: u32,
}

/// Where a gathered value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gathered {
    /// An element of a tensor that has cells.
    Element {
        /// The tensor.
        tensor: u32,
        /// Its element.
        element: u32,
    },
    /// A constant of the gather table.
    Constant(i64),
}

/// A cell of the result bank that is gathered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GatherCell {
    /// Row.
    pub row: u32,
    /// Copy column.
    pub copy: u32,
    /// Where its value comes from.
    pub source: Gathered,
}

/// A row of the result bank.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ResultRow {
    /// Row.
    pub row: u32,
    /// What it holds.
    pub kind: RowKind,
    /// The node that computes it.
    pub node: u32,
    /// Its first output element; for a candidate, the output element times the number of candidates plus which one it
    /// is; for a group's row, its last member.
    pub element: u32,
}

/// Which learned values a row of the weight bank holds: column `c` of block `b` holds output channel
/// `outputs - 1 - (b · columns + c)`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BankRow {
    /// Row.
    pub row: u32,
    /// The node whose values these are.
    pub node: u32,
    /// Which block of output channels, counted from the last channel.
    pub block: u32,
    /// Which values of each output channel.
    pub values: BankValues,
}

/// The values that a row of the weight bank takes from each output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BankValues {
    /// The weight at this index of `[in][kernel height][kernel width]`.
    Weight(u32),
    /// The bias.
    Bias,
    /// The summand of this element; one output channel.
    Offset(u32),
    /// The summands of a column of matrices; their rows are output channels.
    Summands(u32),
}

/// The free coefficients of one convolution, or of one of its output channels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CrossTermRun {
    /// The node.
    pub node: u32,
    /// The output channel; none where the coefficients are folded over all of them.
    pub channel: Option<u32>,
    /// Row pitch of its product polynomial.
    pub row_pitch: usize,
    /// First row; position `p` (exponent `degree - p`, `degree` being one less than rows × lanes) is in row
    /// `first_row + p / lanes`, lane `p % lanes`.
    pub first_row: u32,
    /// For each position, whether the coefficient is free (the product reaches it and it is no output).
    pub free: Vec<bool>,
}
