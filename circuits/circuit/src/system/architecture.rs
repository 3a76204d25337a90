//! What the constraint system depends on: the numbers of columns, and the role of each fixed column.
//!
//! Nothing here depends on the weights beyond the widths that their ranges need, so a retrained model of the same shape
//! keeps its architecture; with committed weights, also its circuit's keys.

use serde::{Deserialize, Serialize};

use super::role::{Accumulator, FixedRole, Lines};
use crate::hash::HashColumns;

/// Where the learned values stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightMode {
    /// In columns outside the circuit, committed with blinding: the weights stay hidden.
    #[default]
    Committed,
    /// In fixed columns of the circuit: a proof is a plain Halo2 proof, and the weights are public. The commitments to
    /// fixed columns are not blinded, and each proof reveals one evaluation of every column.
    ///
    /// The circuit has two phases, all that the stock prover of halo2-axiom can prove (its phase counter refuses to
    /// leave the third one), so that both provers prove the same circuit. Free coefficients are then not folded over
    /// channels.
    Embedded,
}

/// Shape of the constraint system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// Requantisation shift `S`.
    pub shift: u32,
    /// Bits `t` of a limb: the range table is `[0, 2^t)`.
    pub limb_bits: u32,
    /// Operand cells of a packed row, and instance columns that feed them.
    pub operand_lanes: usize,
    /// Advice columns for copies of operands: all lanes, one where every copy is of single elements, or none.
    pub operand_columns: usize,
    /// Left operand cells of a row: as many as operand lanes, or none.
    pub left_lanes: usize,
    /// Results per row.
    pub activation_lanes: usize,
    /// The first so many of them may be looked up in a table, which takes a cell for the argument.
    pub looked_up_lanes: usize,
    /// Whether some results are clamped to their range by limbs, or are functions by lines, whose gates have degree 4.
    pub clamps: bool,
    /// Range cells of a lane for a remainder; a longer one takes those of several lanes.
    pub remainder_cells: usize,
    /// Sorts of auxiliary operands, one cell for each activation lane.
    pub auxiliary_groups: usize,
    /// Whether some row holds the inverse root of a variance, whose gate has degree 4.
    pub inverse_roots: bool,
    /// Limbs of the excess by which a saturated value leaves its range, and of a clamped value's distance from the
    /// least one.
    pub excess_limbs: usize,
    /// Whether the highest limb of some such distance has fewer bits than others: it is looked up once more, scaled.
    pub short_excess: bool,
    /// Limbs of the difference between a window's maximum and a member.
    pub spread_limbs: usize,
    /// Range-checked cells per row.
    pub range_columns: usize,
    /// Cells for partial products of a maximum's differences.
    pub product_columns: usize,
    /// Cross terms of products per row; 0 without convolutions.
    pub cross_term_lanes: usize,
    /// Gathered copies per row; 0 where nothing is gathered.
    pub gather_columns: usize,
    /// Whether some copy is gathered at an index that depends on the witness: copy 1 of a
    /// [`RowKind::Candidate`](super::RowKind::Candidate).
    pub gather_by_index: bool,
    /// Identities with terms on one row, at most.
    pub slots: usize,
    /// Whether some output is raw, which takes an instance column of its own.
    pub raw_output: bool,
    /// Columns of committed inputs and outputs.
    pub committed_columns: usize,
    /// Entries of the lookup table on a row, each with a multiplicity.
    pub table_lanes: usize,
    /// Lookups that share one helper column.
    pub lookup_group: usize,
    /// Where the weight bank stands.
    pub weights: WeightMode,
    /// Columns of the weight bank.
    pub weight_columns: usize,
    /// Roles of the fixed columns, in column order; embedded weights follow them.
    pub fixed: Vec<FixedRole>,
}

/// Advice columns by phase, as counted by [`Architecture`]: the order of this struct's methods is the column order.
impl Architecture {
    /// Degree to which the gates keep: one helper times its group's keys under a selector, at least a product of two
    /// advice cells under a selector, or of three where there are roots or clamps.
    pub const fn degree(&self) -> usize {
        let least = if self.inverse_roots || self.clamps || self.has_hashes() { 4 } else { 3 };
        if self.lookup_group + 2 > least { self.lookup_group + 2 } else { least }
    }

    /// Lookup keys per row.
    pub const fn lookups(&self) -> usize {
        self.range_columns + self.gather_columns + self.looked_up_lanes
    }

    /// Helper columns.
    pub const fn helpers(&self) -> usize {
        self.lookups().div_ceil(self.lookup_group)
    }

    /// Advice columns of phase 1.
    pub const fn first_phase(&self) -> usize {
        match self.weights {
            WeightMode::Committed => self.hash(self.hash_columns()),
            WeightMode::Embedded => self.cross_term(self.cross_term_lanes),
        }
    }

    /// Advice columns between the challenges `s` and `r`: folded weights and coefficients folded alike. None where the
    /// weights are embedded.
    pub const fn second_phase(&self) -> usize {
        self.cross_term(self.cross_term_lanes) - self.first_phase()
    }

    /// Advice columns after all challenges.
    pub const fn third_phase(&self) -> usize {
        self.sum() + 1 - self.first_phase() - self.second_phase()
    }

    /// Operand lane.
    pub const fn operand(&self, lane: usize) -> usize {
        lane
    }

    /// Left operand lane.
    pub const fn left(&self, lane: usize) -> usize {
        self.operand_columns + lane
    }

    /// Result of an activation lane.
    pub const fn activated(&self, lane: usize) -> usize {
        self.left(self.left_lanes) + 2 * lane
    }

    /// Saturation of an activation lane: -1, 0 or 1.
    pub const fn saturation(&self, lane: usize) -> usize {
        self.activated(lane) + 1
    }

    /// Rounded accumulator of an activation lane, saturated to its function's arguments. Of a lane that is never looked
    /// up it is the result itself.
    pub const fn rounded(&self, lane: usize) -> usize {
        if lane < self.looked_up_lanes { self.activated(self.activation_lanes) + lane } else { self.activated(lane) }
    }

    /// Range-checked cell.
    pub const fn range(&self, i: usize) -> usize {
        self.activated(self.activation_lanes) + self.looked_up_lanes + i
    }

    /// Auxiliary operand of an activation lane.
    pub const fn auxiliary(&self, group: usize, lane: usize) -> usize {
        self.range(self.range_columns) + group * self.activation_lanes + lane
    }

    /// Gathered copy.
    pub const fn copy(&self, k: usize) -> usize {
        self.auxiliary(self.auxiliary_groups, 0) + k
    }

    /// What is added to the fixed gather index of copy 1.
    pub const fn gather_offset(&self) -> usize {
        self.copy(self.gather_columns)
    }

    /// How often a gather source lane is gathered at an index that depends on the witness.
    pub const fn source_uses(&self, lane: usize) -> usize {
        self.gather_offset() + 1 + lane
    }

    /// Partial product.
    pub const fn product(&self, i: usize) -> usize {
        let by_index = if self.gather_by_index { 1 + self.source_lanes() } else { 0 };
        self.gather_offset() + by_index + i
    }

    /// Multiplicities of the table's entries in a lane.
    pub const fn multiplicity(&self, lane: usize) -> usize {
        self.product(self.product_columns) + lane
    }

    /// Lane and row of an entry of the table.
    pub const fn entry(&self, index: usize) -> (usize, usize) {
        (index % self.table_lanes, index / self.table_lanes)
    }

    /// A column of a committed input or output: the column that the link proof ties to the tensor's commitment.
    pub const fn committed(&self, column: usize) -> usize {
        self.multiplicity(self.table_lanes) + column
    }

    /// A column of the hashes of tensors, in the order of [`HashColumns`]: those of elements, then the values.
    pub const fn hash(&self, column: usize) -> usize {
        self.committed(self.committed_columns) + column
    }

    /// Whether some tensor is hashed: some fixed column says so.
    pub const fn has_hashes(&self) -> bool {
        let (roles, mut i) = (self.fixed.as_slice(), 0);
        while i < roles.len() {
            if matches!(roles[i], FixedRole::Hash(_)) {
                return true;
            }
            i += 1;
        }
        false
    }

    /// The functions by lines, with the fixed columns that mark their rows.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, Lines)> {
        let roles = self.fixed.iter().enumerate();
        roles.filter_map(|(index, role)| if let FixedRole::Lines(of) = role { Some((index, *of)) } else { None })
    }

    /// The fixed columns that mark the rows on which the key of an activation lane counts.
    pub(crate) fn marks(&self, lane: usize) -> impl Iterator<Item = usize> {
        let marks = move |role: &FixedRole| match role {
            FixedRole::LooksUp => true,
            FixedRole::Lines(of) => (of.places..of.places + of.lanes).contains(&lane),
            FixedRole::Usable
            | FixedRole::SumStep
            | FixedRole::SumEnd
            | FixedRole::Table { .. }
            | FixedRole::ActivationTag
            | FixedRole::Clamp(_)
            | FixedRole::ClampLeast
            | FixedRole::OperandPacked
            | FixedRole::OperandSingle
            | FixedRole::LeftPacked(_)
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
            | FixedRole::Step(..)
            | FixedRole::Kind(_)
            | FixedRole::Identity(_)
            | FixedRole::Term { .. }
            | FixedRole::Hash(_) => false,
        };
        self.fixed.iter().enumerate().filter(move |(_, role)| marks(role)).map(|(index, _)| index)
    }

    /// Advice columns of the hashes of tensors.
    pub const fn hash_columns(&self) -> usize {
        if self.has_hashes() { HashColumns::ELEMENTS + 1 } else { 0 }
    }

    /// The values of hashed tensors.
    pub const fn hashed_values(&self) -> usize {
        self.hash(HashColumns::ELEMENTS)
    }

    /// Folded weights: the column that the link proof ties to the model commitment. Embedded weights are folded by the
    /// gate that reads them.
    pub const fn folded_weights(&self) -> Option<usize> {
        match self.weights {
            WeightMode::Committed => Some(self.hash(self.hash_columns())),
            WeightMode::Embedded => None,
        }
    }

    /// Cross term of a product.
    pub const fn cross_term(&self, lane: usize) -> usize {
        self.hash(self.hash_columns()) + self.folded_weights().is_some() as usize + lane
    }

    /// Accumulator column.
    pub const fn accumulator(&self, accumulator: Accumulator) -> usize {
        self.first_phase() + self.second_phase() + self.accumulators_before(accumulator.number())
    }

    /// Whether the circuit has an accumulator.
    pub(crate) const fn has(&self, accumulator: Accumulator) -> bool {
        match accumulator {
            Accumulator::Weights
            | Accumulator::Operand
            | Accumulator::OperandDigest
            | Accumulator::Result
            | Accumulator::ResultTotal
            | Accumulator::ResultDigest => true,
            Accumulator::LeftDigest => self.left_lanes > 0,
            Accumulator::Auxiliary => self.auxiliary_groups > 0,
            Accumulator::CrossTerms => self.cross_term_lanes > 0,
            Accumulator::CrossTermsTotal => self.cross_term_lanes > 0 && matches!(self.weights, WeightMode::Embedded),
            Accumulator::Committed(column) => (column as usize) < self.committed_columns,
            Accumulator::Hashed => self.has_hashes(),
        }
    }

    /// The accumulators that the circuit has, in column order.
    pub(crate) fn accumulators(&self) -> impl Iterator<Item = Accumulator> {
        let committed = (0..self.committed_columns as u32).map(Accumulator::Committed);
        Accumulator::SINGLE.into_iter().filter(|accumulator| self.has(*accumulator)).chain(committed)
    }

    /// How many accumulators the circuit has of the first `end` of all.
    const fn accumulators_before(&self, end: usize) -> usize {
        let (mut i, mut count) = (0, 0);
        while i < end && i < Accumulator::SINGLE.len() {
            count += self.has(Accumulator::SINGLE[i]) as usize;
            i += 1;
        }
        count + end - i
    }

    /// Number of accumulators.
    pub(crate) const fn accumulator_count(&self) -> usize {
        self.accumulators_before(Accumulator::SINGLE.len() + self.committed_columns)
    }

    /// The terms of a slot, over `t` plus the number of their identity.
    pub const fn weighted(&self, slot: usize) -> usize {
        self.first_phase() + self.second_phase() + self.accumulator_count() + slot
    }

    /// Helper of a lookup group.
    pub const fn helper(&self, group: usize) -> usize {
        self.weighted(self.slots) + group
    }

    /// Helper of a lane of the table.
    pub const fn table_helper(&self, lane: usize) -> usize {
        self.helper(self.helpers()) + lane
    }

    /// Helper of a gather source lane.
    pub const fn source_helper(&self, lane: usize) -> usize {
        self.table_helper(self.table_lanes) + lane
    }

    /// Gather source lanes: all activation lanes where anything is gathered.
    pub const fn source_lanes(&self) -> usize {
        if self.gather_columns > 0 { self.activation_lanes } else { 0 }
    }

    /// The grand sum.
    pub const fn sum(&self) -> usize {
        self.source_helper(self.source_lanes())
    }

    /// All advice columns.
    pub const fn advice_columns(&self) -> usize {
        self.sum() + 1
    }

    /// Columns of the weight bank that are fixed columns of the circuit.
    pub const fn embedded_columns(&self) -> usize {
        match self.weights {
            WeightMode::Committed => 0,
            WeightMode::Embedded => self.weight_columns,
        }
    }

    /// All fixed columns.
    pub const fn fixed_columns(&self) -> usize {
        self.fixed.len() + self.embedded_columns()
    }

    /// Instance columns: operand lanes, then the raw outputs, then the hashes.
    pub const fn instance_columns(&self) -> usize {
        self.hash_instance() + self.has_hashes() as usize
    }

    /// Instance column of the hashes.
    pub const fn hash_instance(&self) -> usize {
        self.operand_lanes + self.raw_output as usize
    }

    /// Range cells that a value's requantisation takes: its remainder's, the limbs of its excess, and where the highest
    /// of them may be short the same one scaled.
    pub const fn requantise_columns(&self) -> usize {
        self.remainder_cells + self.excess_limbs + self.short_excess as usize
    }

    /// Lanes whose range cells hold the remainder of one, of `shifts` times the shift.
    pub const fn remainder_lanes(&self, shifts: usize) -> usize {
        let own = if self.remainder_cells > 0 { self.remainder_cells } else { 1 };
        exact_cells(self.remainder_bits(shifts), self.limb_bits).div_ceil(own)
    }

    /// Limbs of a number of so many bits.
    pub const fn limbs(&self, bits: u32) -> usize {
        bits.div_ceil(self.limb_bits) as usize
    }

    /// Bits by which the highest limb of a number of exactly so many bits is short; 0 where it is whole.
    pub const fn missing_bits(&self, bits: u32) -> u32 {
        bits.next_multiple_of(self.limb_bits) - bits
    }

    /// Bits of a remainder of `limbs` times the shift.
    pub const fn remainder_bits(&self, limbs: usize) -> u32 {
        self.shift * limbs as u32
    }
}

/// Range cells of a number of exactly so many bits: its limbs, of which a short one is looked up twice.
pub(crate) const fn exact_cells(bits: u32, limb_bits: u32) -> usize {
    bits.div_ceil(limb_bits) as usize + !bits.is_multiple_of(limb_bits) as usize
}
