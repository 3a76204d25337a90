//! Choices that the layout leaves to its caller.

use zkml_gpu_engine::cost::Costs;

use crate::placement::Widths;
use crate::system::{MAX_K, WeightMode};

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
