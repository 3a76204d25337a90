//! Bounds of shapes that are read from a key file: every number before columns are created by it, and every kind and
//! role before its gates read cells.

use zkml_gpu_graph::{MAX_REMAINDER_BITS, MAX_REMAINDER_LIMBS};

use super::{Copied, Pinned, clamp, lines, partial_products};
use crate::system::{Accumulator, Architecture, FixedRole, Multiplicand, RowKind};

/// Limits for shapes read from a file, several times what a layout makes. Halo2 walks the sum over all columns of a
/// kind by recursion, which for so many fits the two megabytes of stack that a thread has.
const MAX_COLUMNS: usize = 512;
/// Sorts of auxiliary operands.
const MAX_AUXILIARY_GROUPS: usize = 3;
const MAX_FIXED_COLUMNS: usize = 1 << 11;
const MAX_WEIGHT_COLUMNS: usize = 1 << 16;
/// Total of the exponents in all gates: an expression has about two nodes for each, which take some 300 bytes together.
/// Networks for k = 12 have about 2,000; concatenations of many images most, up to some hundred thousand.
const MAX_EXPONENTS: usize = 1 << 20;

impl Architecture {
    /// Bounds every number before columns are created by it: for shapes read from a file, and for those that will be
    /// written to one.
    ///
    /// # Errors
    /// What is out of bounds.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            self.operand_lanes,
            self.operand_columns,
            self.left_lanes,
            self.auxiliary_groups,
            self.remainder_cells,
            self.activation_lanes,
            self.looked_up_lanes,
            self.range_columns,
            self.product_columns,
            self.cross_term_lanes,
            self.gather_columns,
            self.slots,
            self.excess_limbs,
            self.spread_limbs,
            self.committed_columns,
            self.table_lanes,
        ];
        // First the weight columns alone, so that the sum cannot overflow.
        let few = self.weight_columns <= MAX_WEIGHT_COLUMNS && self.fixed_columns() <= MAX_FIXED_COLUMNS;
        if counts.iter().any(|count| *count > MAX_COLUMNS) || !few {
            return Err("too many columns".into());
        }
        let shape = (1..=30).contains(&self.shift)
            && (1..=30).contains(&self.limb_bits)
            && (1..=3).contains(&self.lookup_group)
            && self.operand_lanes > 0
            && self.operand_columns <= self.operand_lanes
            && self.left_lanes <= self.operand_lanes
            && self.auxiliary_groups <= MAX_AUXILIARY_GROUPS
            && self.looked_up_lanes <= self.activation_lanes
            && self.table_lanes > 0
            && self.reads_existing_operands()
            && self.fixed.iter().all(|role| has_cells(self, role))
            && self.activation_lanes > 0;
        if shape && exponents(self) <= MAX_EXPONENTS { Ok(()) } else { Err("numbers out of bounds".into()) }
    }

    /// Whether every operand selector finds the columns that it reads.
    fn reads_existing_operands(&self) -> bool {
        let packed = !self.fixed.contains(&FixedRole::OperandPacked) || self.operand_columns == self.operand_lanes;
        packed && (!self.fixed.contains(&FixedRole::OperandSingle) || self.operand_columns > 0)
    }
}

/// Whether the cells that a role's gates read exist.
fn has_cells(a: &Architecture, role: &FixedRole) -> bool {
    match role {
        FixedRole::Kind(kind) => has_cells_of(a, *kind),
        FixedRole::LeftPacked(_) | FixedRole::LeftSingle => a.left_lanes > 0,
        FixedRole::Masked(lane) => *lane < a.activation_lanes,
        FixedRole::Clamp(clamp) => clamp::has_cells(a, *clamp),
        FixedRole::Lines(of) => lines::has_cells(a, of),
        FixedRole::Table { lane, value } => *lane < a.table_lanes && *value < 4,
        FixedRole::Step(accumulator, _) => a.has(*accumulator),
        FixedRole::Term { slot, multiplicand, .. } => {
            let exists = match multiplicand {
                Multiplicand::Dot => true,
                Multiplicand::Accumulator(accumulator) => a.has(*accumulator),
            };
            *slot < a.slots && exists
        }
        FixedRole::Identity(slot) => *slot < a.slots,
        FixedRole::AccumulateCrossTerms => a.has(Accumulator::CrossTermsTotal),
        // What these say is read by gates that leave out what the circuit lacks, or that every circuit has.
        FixedRole::Usable
        | FixedRole::SumStep
        | FixedRole::SumEnd
        | FixedRole::LooksUp
        | FixedRole::ActivationTag
        | FixedRole::ClampLeast
        | FixedRole::OperandPacked
        | FixedRole::OperandSingle
        | FixedRole::InstancePacked
        | FixedRole::InstanceSingle
        | FixedRole::Accumulate
        | FixedRole::CrossTermMask(_)
        | FixedRole::GatherIndex(_)
        | FixedRole::SourceIndex
        | FixedRole::SourceCount(_)
        | FixedRole::SourceByIndex(_)
        | FixedRole::Epsilon
        | FixedRole::SumFactor
        | FixedRole::CandidateStride
        | FixedRole::CandidateNumber => true,
        FixedRole::Hash(role) => role.is_sound(),
    }
}

/// Whether the cells that a kind's gates read exist.
pub(super) fn has_cells_of(a: &Architecture, kind: RowKind) -> bool {
    let facts = kind.facts();
    let copies = match facts.copies {
        Copied::First(count) => count <= a.gather_columns,
        Copied::All => true,
    };
    let range = has_remainder(a, facts.shifts)
        .then(|| facts.range_cells(a.requantise_columns(), a.spread_limbs, a.remainder_lanes(facts.shifts)))
        .flatten();
    let attained =
        |size: usize| !facts.attained || size == 1 || size > 1 && partial_products(a, size) <= a.product_columns;
    facts.auxiliary <= a.auxiliary_groups
        && facts.lanes.is_none_or(|lanes| (1..=a.activation_lanes).contains(&lanes))
        && (facts.pinned != Pinned::Table || facts.lanes.is_none_or(|lanes| lanes <= a.looked_up_lanes))
        && range.is_some_and(|cells| cells <= a.range_columns)
        && copies
        && attained(facts.differences)
        && kind.fits(a)
}

/// Whether a remainder of so many shifts has its cells, and fits a number of 64 bits.
pub(super) fn has_remainder(a: &Architecture, shifts: usize) -> bool {
    (1..=MAX_REMAINDER_LIMBS as usize).contains(&shifts)
        && a.remainder_bits(shifts) <= MAX_REMAINDER_BITS
        && a.remainder_cells > 0
}

/// Nodes of the gates of a result by lines, as exponents: two for each.
const LINE_NODES: usize = 64;

/// Total of the exponents in all gates.
fn exponents(a: &Architecture) -> usize {
    a.fixed.iter().map(|role| exponents_of(a, role)).fold(0, usize::saturating_add)
}

/// Total of the exponents that the column's expressions raise a challenge to, and of the summands of geometric sums.
fn exponents_of(a: &Architecture, role: &FixedRole) -> usize {
    match role {
        FixedRole::Step(_, power) => power.exponent,
        FixedRole::LeftPacked(stride) => a.left_lanes.saturating_mul(*stride),
        FixedRole::Kind(kind) => kind.facts().exponents,
        FixedRole::Term { factor, .. } => factor
            .runs
            .iter()
            .map(|(step, count)| (*step).max(1).saturating_mul(*count))
            .fold(factor.shift.saturating_add(factor.channels), usize::saturating_add),
        // No exponents, but gates of as many nodes: each lane has its own, and each column may.
        FixedRole::Lines(of) => of.lanes.saturating_mul(LINE_NODES).saturating_add(of.lanes * a.excess_limbs),
        FixedRole::Usable
        | FixedRole::SumStep
        | FixedRole::SumEnd
        | FixedRole::Table { .. }
        | FixedRole::LooksUp
        | FixedRole::ActivationTag
        | FixedRole::Clamp(_)
        | FixedRole::ClampLeast
        | FixedRole::OperandPacked
        | FixedRole::OperandSingle
        | FixedRole::LeftSingle
        | FixedRole::InstancePacked
        | FixedRole::InstanceSingle
        | FixedRole::Accumulate
        | FixedRole::AccumulateCrossTerms
        | FixedRole::CrossTermMask(_)
        | FixedRole::GatherIndex(_)
        | FixedRole::SourceIndex
        | FixedRole::SourceCount(_)
        | FixedRole::SourceByIndex(_)
        | FixedRole::Masked(_)
        | FixedRole::Epsilon
        | FixedRole::SumFactor
        | FixedRole::CandidateStride
        | FixedRole::CandidateNumber
        | FixedRole::Hash(_)
        | FixedRole::Identity(_) => 0,
    }
}
