//! How a network is placed: which tensors share cells, how many rows and columns each node needs, and where its cells
//! are.
//!
//! Widths are given: choosing them is the next floor's, [`layout`](crate::layout).

mod by_lines;
mod cells;
mod counter;
mod draft;
mod error;
mod layers;
mod limbs;
mod lower;
mod planner;
mod product;
mod tables;
mod tensors;
mod widths;

pub use cells::{BankRow, BankValues, CrossTermRun, GatherCell, Gathered, OperandCell, ResultRow};
pub(crate) use counter::Count;
pub(crate) use draft::Draft;
pub use error::LayoutError;
pub(crate) use limbs::{Limbs, RangeBits};
pub use lower::lower;
pub(crate) use planner::Planner;
pub(crate) use product::Product;
pub(crate) use tables::{Tabulated, activations, exponential_lines, exponentials, lines, tensors};
pub use widths::Widths;
