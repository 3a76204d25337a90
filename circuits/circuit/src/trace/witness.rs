//! What the prover knows.

use halo2curves::bn256::Fr;
use zkml_gpu_graph::{Execution, Graph};

use super::first::FirstPhase;
use crate::commit::Bank;

/// What the prover knows.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// One inference.
    pub execution: &'a Execution,
    /// The learned values by row and column of the weight bank.
    pub bank: &'a Bank,
    /// Phase 1 of the witness.
    pub first: &'a FirstPhase,
    /// The instance columns.
    pub instances: &'a [Vec<Fr>],
    /// Whether the prover computes the folded weights and the last phase by itself, from
    /// [`derived_columns`](crate::circuit::derived_columns).
    pub derived: bool,
}
