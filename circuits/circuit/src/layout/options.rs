//! Choices that the layout leaves to its caller.

use serde::{Deserialize, Serialize};
use zkml_gpu_engine::cost::Costs;

use crate::placement::Widths;
use crate::system::{MAX_K, WeightMode};

/// Where proofs are verified, by which a layout is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifiedBy {
    /// By a program: the cheapest proof, made and verified once.
    #[default]
    Native,
    /// By a contract: the least gas, and among layouts of one gas the cheapest proof. A unit of gas is taken for a
    /// millisecond: a column less is worth some seconds of proving.
    Evm,
}

/// Choices that the layout leaves to its caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayoutOptions {
    /// Largest circuit size to consider, at most [`MAX_K`](crate::system::MAX_K).
    pub max_k: u32,
    /// Smallest circuit size: circuits that share commitments to hidden tensors have one size.
    pub min_k: u32,
    /// Where the learned values stand.
    pub weights: WeightMode,
    /// Most columns of the weight bank: each costs the verifying key 32 bytes and the verifier one scalar
    /// multiplication, and, where the weights are embedded, the proof 32 bytes and the prover a fixed column.
    pub max_weight_columns: usize,
    /// Lookups that share one helper column, 1 to 3: gates then have degree `lookup_group + 2`. Chosen by cost where
    /// absent.
    pub lookup_group: Option<usize>,
    /// Widths to take instead of any choice, raised where the network needs more.
    pub widths: Option<Widths>,
    /// Prices by which the layout is chosen, after [`Costs::rounded`]. The verifying key depends on the choice: equal
    /// prices give equal layouts, and the default are the reference processor's.
    pub costs: Costs,
    /// Where proofs are verified. The verifying key depends on it by the layout alone.
    pub target: VerifiedBy,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            max_k: MAX_K,
            min_k: 0,
            weights: WeightMode::default(),
            max_weight_columns: 1024,
            lookup_group: None,
            widths: None,
            costs: Costs::reference(),
            target: VerifiedBy::default(),
        }
    }
}

impl LayoutOptions {
    /// These, with other bounds of the circuit's size.
    #[must_use]
    pub fn with_sizes(self, min_k: u32, max_k: u32) -> Self {
        Self { min_k, max_k, ..self }
    }
}
