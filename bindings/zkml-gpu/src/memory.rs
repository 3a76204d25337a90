//! Whether a proof fits this machine's memory, and what the memory that is left is spent on.
//!
//! The rule, in order:
//!
//! 1. What keys and proof need at least ([`MemoryBudget::least_memory_bytes`]) must fit, or the model is refused.
//! 2. Of what is left, the key's columns on the quotient's cosets come first, as many whole cosets as fit: each that is
//!    kept saves a transform of every one of those columns in every proof.
//! 3. Then tables of multiples of the reference string's points, the two bases alike, as far as they are of use: they
//!    make commitments faster.
//!
//! On a device with memory of its own tables and cosets lie there: they get what is free on it, by the same rule, tables a
//! quarter at most.
//!
//! So when memory is short, the tables shrink to nothing first, then the cosets. The limit is what the caller sets, or
//! what the system offers; nobody asked for as much as possible in the second case, so tables then take
//! [`UNASKED_TABLE_BYTES`] at most, and cosets [`UNASKED_COSET_BYTES`].

use serde::Serialize;
use zkml_gpu_circuit::layout::MemoryNeeds;
use zkml_gpu_circuit::weights::memory_bytes;

use crate::available::available_bytes;
use crate::{CompiledModel, Error};

/// Layers named in a refusal.
const LARGEST: usize = 3;
/// Bases with tables: powers and Lagrange points.
const BASES: u64 = 2;
/// Most bytes of tables, both bases together, where no limit is set.
const UNASKED_TABLE_BYTES: u64 = 128 << 20;
/// Of a device's free memory, the part that tables may take.
const DEVICE_TABLE_SHARE: u64 = 4;
/// Most bytes of kept cosets where no limit is set.
const UNASKED_COSET_BYTES: u64 = 8 << 30;

/// What a prover's memory is spent on, in bytes: estimated needs, and what makes proofs faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryBudget {
    /// Estimate of the process's peak with keys and proof, if it spends both budgets.
    pub memory_bytes: u64,
    /// The same without tables and without kept cosets: less than this is refused.
    pub least_memory_bytes: u64,
    /// Estimate of what each further proof at the same time needs.
    pub further_proof_bytes: u64,
    /// For tables of multiples of the reference string's points, both bases together.
    pub table_budget_bytes: u64,
    /// For the key's columns on the quotient's cosets: whole cosets.
    pub coset_budget_bytes: u64,
}

impl MemoryBudget {
    /// Distributes what `max_memory_bytes`, or what is available, leaves; `None` where the needs alone are more.
    fn distribute(needs: &MemoryNeeds, limit_bytes: u64, asked: bool) -> Option<Self> {
        let left = limit_bytes.checked_sub(needs.least_bytes)?;
        let [most_cosets, most_tables] = if asked { [u64::MAX; 2] } else { [UNASKED_COSET_BYTES, UNASKED_TABLE_BYTES] };
        let cosets = (left.min(most_cosets) / needs.coset_bytes.max(1)).min(needs.cosets);
        let coset_budget_bytes = cosets * needs.coset_bytes;
        let tables = (left - coset_budget_bytes).min(most_tables) / BASES;
        let table_budget_bytes = BASES * tables.min(needs.table_bytes);
        let memory_bytes = needs.least_bytes + coset_budget_bytes + table_budget_bytes;
        Some(Self {
            memory_bytes,
            least_memory_bytes: needs.least_bytes,
            further_proof_bytes: needs.proof_bytes,
            table_budget_bytes,
            coset_budget_bytes,
        })
    }

    /// How many proofs at a time fit `max_memory_bytes`, or what is available: one at least.
    pub fn proofs_at_a_time(&self, max_memory_bytes: Option<u64>) -> u64 {
        let left = limit_bytes(max_memory_bytes).saturating_sub(self.memory_bytes);
        1 + left / self.further_proof_bytes.max(1)
    }

    /// The same without tables, which cost more to make than they save in few proofs.
    #[must_use]
    pub fn without_tables(self) -> Self {
        let memory_bytes = self.memory_bytes - self.table_budget_bytes;
        Self { memory_bytes, table_budget_bytes: 0, ..self }
    }

    /// The same with nothing that is kept from one proof to the next: neither tables nor cosets.
    #[must_use]
    pub fn for_one_proof(self) -> Self {
        let memory_bytes = self.least_memory_bytes;
        Self { memory_bytes, table_budget_bytes: 0, coset_budget_bytes: 0, ..self }
    }

    /// The same on a device with memory of its own, of which so much is free: what makes proofs faster lies there, and
    /// may take what key and proof leave. What was not to be kept is not kept there either.
    #[must_use]
    pub(crate) fn on_device(self, needs: &MemoryNeeds, free_bytes: u64) -> Self {
        let left = free_bytes.saturating_sub(needs.device_bytes);
        let cosets = if self.coset_budget_bytes == 0 { 0 } else { (left / needs.coset_bytes.max(1)).min(needs.cosets) };
        let coset_budget_bytes = cosets * needs.coset_bytes;
        // How much is of use the back end knows: of few points some have every multiple.
        let tables = (left - coset_budget_bytes).min(free_bytes / DEVICE_TABLE_SHARE) / BASES;
        let tables = if self.table_budget_bytes == 0 { 0 } else { tables };
        let memory_bytes = self.least_memory_bytes;
        Self { memory_bytes, table_budget_bytes: BASES * tables, coset_budget_bytes, ..self }
    }

    /// The tables' budget for one basis.
    pub(crate) fn table_bytes_per_basis(&self) -> usize {
        saturated(self.table_budget_bytes / BASES)
    }

    /// The kept cosets' budget.
    pub(crate) fn coset_bytes(&self) -> usize {
        saturated(self.coset_budget_bytes)
    }
}

fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl CompiledModel {
    /// Distributes the memory that keys and proof may use: `max_memory_bytes`, or else what there is. Refuses, with the
    /// numbers, what does not fit even without anything that only saves time.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where the needs are greater.
    pub fn memory_budget(&self, max_memory_bytes: Option<u64>) -> Result<MemoryBudget, Error> {
        let needs = self.layout.memory(&self.graph);
        let limit = limit_bytes(max_memory_bytes);
        let budget = MemoryBudget::distribute(&needs, limit, max_memory_bytes.is_some());
        budget.ok_or_else(|| Error::WouldNotFit {
            needed_bytes: needs.least_bytes,
            available_bytes: limit,
            layers: self.largest_layers(),
        })
    }

    /// Refuses keys whose proof of the weights does not fit into what may be used: [`setup`](Self::setup) makes it,
    /// [`setup_unproven`](Self::setup_unproven) does not.
    ///
    /// # Errors
    /// [`Error::WouldNotFit`] where it needs more.
    pub fn check_weights_memory(&self, max_memory_bytes: Option<u64>) -> Result<(), Error> {
        let needs = self.layout.memory(&self.graph);
        // What there is besides a proof: the process, the model, keys and reference string.
        let others = needs.least_bytes.saturating_sub(needs.proof_bytes);
        check_memory(others.saturating_add(memory_bytes(&self.layout)), max_memory_bytes)
    }

    /// What keys, proof and the proof of the weights need at least.
    pub(crate) fn least_memory(&self) -> u64 {
        let needs = self.layout.memory(&self.graph);
        let others = needs.least_bytes.saturating_sub(needs.proof_bytes);
        needs.least_bytes.max(others.saturating_add(memory_bytes(&self.layout)))
    }

    /// The layers with the most rows.
    fn largest_layers(&self) -> Vec<(String, usize)> {
        let nodes = self.graph.nodes.iter().map(|node| node.name.clone());
        let rows = self.layout.layers.iter().map(|rows| rows.iter().sum());
        let mut layers: Vec<(String, usize)> = nodes.zip(rows).collect();
        layers.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        layers.truncate(LARGEST);
        layers
    }
}

/// Refuses needs above the limit, before there is a layout.
pub(crate) fn check_memory(needed_bytes: u64, max_memory_bytes: Option<u64>) -> Result<(), Error> {
    match limit_bytes(max_memory_bytes) {
        available_bytes if needed_bytes > available_bytes => {
            Err(Error::WouldNotFit { needed_bytes, available_bytes, layers: Vec::new() })
        }
        _ => Ok(()),
    }
}

/// The caller's limit, or else what is available; no limit where the system does not tell.
pub(crate) fn limit_bytes(max_memory_bytes: Option<u64>) -> u64 {
    max_memory_bytes.or_else(available_bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs([least_bytes, coset_bytes, cosets, table_bytes]: [u64; 4]) -> MemoryNeeds {
        let mut needs = MemoryNeeds::default();
        (needs.least_bytes, needs.coset_bytes) = (least_bytes, coset_bytes);
        (needs.cosets, needs.table_bytes) = (cosets, table_bytes);
        needs
    }

    /// Three cosets of 10, tables of 2 · 4 at most, beside 100.
    fn budget(limit: u64) -> Option<[u64; 3]> {
        let needs = needs([100, 10, 3, 4]);
        let budget = MemoryBudget::distribute(&needs, limit, true)?;
        assert!(budget.memory_bytes <= limit && budget.least_memory_bytes == 100, "{budget:?}");
        Some([budget.coset_budget_bytes, budget.table_budget_bytes, budget.memory_bytes])
    }

    #[test]
    fn what_is_left_goes_to_cosets_first_and_to_tables_then() {
        assert_eq!(budget(99), None);
        assert_eq!(budget(100), Some([0, 0, 100]));
        assert_eq!(budget(109), Some([0, 8, 108]), "no coset fits");
        assert_eq!(budget(110), Some([10, 0, 110]));
        assert_eq!(budget(125), Some([20, 4, 124]), "both bases have as much");
        assert_eq!(budget(133), Some([30, 2, 132]));
        assert_eq!(budget(138), Some([30, 8, 138]));
        assert_eq!(budget(u64::MAX), Some([30, 8, 138]), "more is of no use");
    }

    #[test]
    fn a_device_has_its_own_memory_for_cosets_and_tables() {
        let mut needs = needs([100, 10, 3, 4]);
        needs.device_bytes = 50;
        // Little on the host, and none of what was not asked for.
        let asked = MemoryBudget::distribute(&needs, 112, true).expect("it fits");
        assert_eq!([asked.coset_budget_bytes, asked.table_budget_bytes], [10, 2]);
        for (free, expected) in [(40, [0, 0]), (55, [0, 4]), (71, [20, 0]), (90, [30, 10]), (1 << 40, [30, 1 << 38])] {
            let own = asked.on_device(&needs, free);
            assert_eq!([own.coset_budget_bytes, own.table_budget_bytes], expected, "{free} bytes");
            assert_eq!(own.memory_bytes, 100, "nothing of it is on the host");
        }
        let one = asked.for_one_proof().on_device(&needs, 1 << 40);
        assert_eq!([one.coset_budget_bytes, one.table_budget_bytes], [0, 0]);
    }

    #[test]
    fn without_a_limit_of_the_callers_both_are_bounded() {
        let needs = needs([1 << 30, 3 << 30, 4, 1 << 30]);
        let unasked = MemoryBudget::distribute(&needs, u64::MAX, false).expect("it fits");
        assert_eq!([unasked.coset_budget_bytes, unasked.table_budget_bytes], [6 << 30, 128 << 20]);
        let asked = MemoryBudget::distribute(&needs, u64::MAX, true).expect("it fits");
        assert_eq!([asked.coset_budget_bytes, asked.table_budget_bytes], [12 << 30, 2 << 30]);
    }
}
