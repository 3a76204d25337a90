//! The six families of operations that a back end implements, one file each. [The seam](super) has what holds for all
//! of them.

pub(super) mod fold;
pub(super) mod list;
pub(super) mod memory;
mod msm;
pub(super) mod ntt;
mod quotient;
mod vector;

pub use fold::{FoldOps, IntegerRow};
pub use memory::{IntegerColumn, MemoryOps};
pub use msm::MsmOps;
pub use ntt::{NttOps, root_of_unity};
pub use quotient::QuotientOps;
pub use vector::VectorOps;
