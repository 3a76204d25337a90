//! The layout compiler: from a quantised graph to rows and columns.
//!
//! Three banks share the circuit's rows, each filled from row 0 downwards and each with accumulators of its own:
//!
//! - the **operand bank** holds, for each product, a copy of its operand and the folded weights, channel by channel;
//!   public inputs and outputs are there too, read from the instance columns;
//! - the **result bank** holds every requantised value once, with its remainder and excess;
//! - the **cross-term bank** holds the coefficients of a convolution's product polynomial that are not outputs: folded
//!   over output channels where the weights are committed, channel by channel where they are embedded.
//!
//! Every identity is one sum of terms at the ends of accumulators, over `t` plus its own number, in one grand sum.
//!
//! The floor chooses: what is placed, and how, is in [`placement`](crate::placement).

mod choice;
mod choose;
mod cost;
mod cutting;
mod degree;
mod finish;
mod finished;
mod gas;
mod numbers;
mod options;
mod plan;
mod search;

pub use choice::{Alternative, Choice, Needs};
pub use choose::{least_cost, needs};
pub use cost::MemoryNeeds;
pub use cutting::{SegmentLimits, Segmentation, segmentation, without_weights};
pub use finished::{Layout, Summary};
pub use options::{LayoutOptions, VerifiedBy};
pub use plan::{FunctionPlan, LayerPlan, Plan};
