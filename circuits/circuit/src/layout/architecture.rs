//! What the constraint system depends on: the numbers of columns, and the role of each fixed column.
//!
//! Nothing here depends on the weights beyond the widths that their ranges need, so a retrained model of the same shape
//! keeps its architecture; with committed weights, also its circuit's keys.

use serde::{Deserialize, Serialize};

use super::challenge::{Factor, Power};
use crate::chips;
use zkml_gpu_graph::{MAX_DIVIDEND_BITS, MAX_REMAINDER_BITS, MAX_REMAINDER_LIMBS};

/// A column that accumulates by Horner's rule: `acc = step · acc_prev + input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Accumulator {
    /// Folded weights of one channel.
    Weights,
    /// Operand polynomial of one channel.
    Operand,
    /// Digest of a whole operand.
    OperandDigest,
    /// Accumulator values (before requantisation) of one output channel.
    Result,
    /// The same over all output channels: adds `Result` where [`FixedRole::Take`] is set.
    ResultTotal,
    /// Digest of a result after requantisation.
    ResultDigest,
    /// Digest of a whole left operand.
    LeftDigest,
    /// Digest of the copies beside results that are computed from them, one power of `s` for each sort of copy.
    Factors,
    /// Free product coefficients; of one output channel where each channel has its own.
    Garbage,
    /// The same over all output channels: adds `Garbage` where [`FixedRole::GarbageTake`] is set.
    GarbageTotal,
}

impl Accumulator {
    /// All, in column order.
    pub(crate) const ALL: [Self; 10] = [
        Self::Weights,
        Self::Operand,
        Self::OperandDigest,
        Self::Result,
        Self::ResultTotal,
        Self::ResultDigest,
        Self::LeftDigest,
        Self::Factors,
        Self::Garbage,
        Self::GarbageTotal,
    ];
}

/// What a term of the grand sum multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// Operand times Weights: one channel's share of a product.
    Dot,
    /// One accumulator.
    Accumulator(Accumulator),
}

/// What a row of the result bank holds, and how its cells enter the accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RowKind {
    /// `lanes` requantised values; lane `l`'s accumulator has the weight `spacing^(lanes-1-l)`.
    Requantise {
        /// Number of values.
        lanes: usize,
        /// Distance of two neighbours in the Result accumulator.
        spacing: Power,
        /// Limbs of the remainders.
        limbs: u32,
    },
    /// Requantised products of two copies.
    Multiply {
        /// Number of values.
        lanes: usize,
        /// Limbs of the remainders.
        limbs: u32,
        /// Factor of the products.
        multiplier: i64,
    },
    /// Exponentials of the distances between copies of a group's maximum and of its members; who attains the maximum.
    Exponential {
        /// Number of values.
        lanes: usize,
    },
    /// A group's sum of exponentials, its maximum, and `2^bits` divided by the sum.
    Share {
        /// Bits of the dividend.
        bits: u32,
        /// Limbs of the quotient, and of the sum.
        limbs: [usize; 2],
    },
    /// Requantised members of a group, less their mean and divided by their deviation.
    Normalise {
        /// Number of values.
        lanes: usize,
        /// Limbs of the remainders.
        limbs: u32,
        /// Factor of the products.
        multiplier: i64,
        /// Members of a group.
        len: usize,
        /// Whether the mean is taken off.
        centred: bool,
    },
    /// A group's `V`, its sum, and `2^bits` divided by the root of `V`.
    Root {
        /// Bits of the dividend.
        bits: u32,
        /// Limbs of the quotient, and of the two differences that pin it.
        limbs: [usize; 2],
    },
    /// One requantised maximum over a window of accumulators that differ from it by range-checked amounts.
    MaximumOfWindow {
        /// Window height.
        height: usize,
        /// Window width.
        width: usize,
        /// Exponent of `r` between vertical neighbours.
        vertical: usize,
        /// Exponent of `r` between horizontal neighbours.
        horizontal: usize,
    },
    /// One accumulator given by the raw-output instance column.
    Raw,
    /// The maximum of gathered copies.
    GatheredMaximum {
        /// Number of copies.
        window: usize,
    },
    /// The requantised sum of gathered copies times the row's factor.
    GatheredSum,
    /// Gathered copies as they are.
    Copies {
        /// Number of copies.
        lanes: usize,
    },
    /// The index of a maximum: any value of its table that all candidates' rows accept.
    Index,
    /// One candidate of a maximum whose index is given: it is not greater than the element at that index, nor as great and
    /// preferred.
    Candidate {
        /// Number of candidates.
        count: usize,
        /// Whether the last of equal ones is preferred; otherwise the first.
        last: bool,
    },
}

impl RowKind {
    /// Whether the row looks up its node's activation table.
    pub const fn activates(self) -> bool {
        !matches!(self, Self::Raw | Self::Candidate { .. } | Self::Share { .. } | Self::Root { .. })
    }

    /// Sorts of copies that the row holds beside its results.
    pub const fn factor_groups(self) -> usize {
        match self {
            Self::Multiply { .. } | Self::Exponential { .. } => 2,
            Self::Share { .. } | Self::Normalise { .. } | Self::Root { .. } => 3,
            _ => 0,
        }
    }

    /// Limbs of the row's remainders.
    pub const fn remainder_limbs(self) -> usize {
        match self {
            Self::Requantise { limbs, .. } | Self::Multiply { limbs, .. } | Self::Normalise { limbs, .. } => {
                limbs as usize
            }
            _ => 1,
        }
    }
}

/// The role of a fixed column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FixedRole {
    /// 1 on every usable row.
    Usable,
    /// 1 on every usable row but the first.
    SumStep,
    /// 1 on the last usable row, where the grand sum must be 0.
    SumEnd,
    /// Lookup table: 0 to 2 are the values, 3 is the tag.
    Table(u8),
    /// Tag of the activation table that the row's activation lanes look up.
    ActivationTag,
    /// All operand lanes of the row are read.
    OperandPacked,
    /// Operand lane 0 alone is read.
    OperandSingle,
    /// All left lanes of the row are read, `s^stride` apart.
    LeftPacked(usize),
    /// Left lane 0 alone is read.
    LeftSingle,
    /// All instance lanes of the row are read as operand.
    InstancePacked,
    /// Instance lane 0 alone is read as operand.
    InstanceSingle,
    /// `ResultTotal` adds `Result` on this row.
    Take,
    /// `GarbageTotal` adds `Garbage` on this row.
    GarbageTake,
    /// Free coefficient allowed in this garbage lane.
    GarbageMask(usize),
    /// Index that copy `k` of the row gathers; 0 gathers the constant 0.
    GatherIndex(usize),
    /// Gather index of the row's first activation lane.
    SourceIndex,
    /// How often this activation lane is gathered.
    SourceCount(usize),
    /// 1 where this activation lane may be gathered at an index that depends on the witness. Elsewhere an idle lane could
    /// pass for the element whose index it has.
    SourceByIndex(usize),
    /// This activation lane of a [`RowKind::Exponential`] takes no part.
    Masked(usize),
    /// What a [`RowKind::Root`] adds to its `V`.
    Epsilon,
    /// Factor of a [`RowKind::GatheredSum`].
    SumFactor,
    /// Distance of a [`RowKind::Candidate`]'s candidates in the gather table.
    CandidateStride,
    /// Which candidate a [`RowKind::Candidate`] is about.
    CandidateNumber,
    /// Multiplier of an accumulator.
    Step(Accumulator, Power),
    /// Rows of a kind.
    Kind(RowKind),
    /// Number of the identity, from 1, whose terms stand in this slot of the row.
    Identity(usize),
    /// Coefficients of a term of an identity.
    Term {
        /// The slot, which says of which identity.
        slot: usize,
        /// What is multiplied.
        source: Source,
        /// By what polynomial in the challenges.
        factor: Factor,
    },
}

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
    /// The circuit has two phases, all that the stock prover of halo2-axiom can prove (its phase counter refuses to leave
    /// the third one), so that both provers prove the same circuit. Free coefficients are then not folded over channels.
    Embedded,
}

/// Shape of the constraint system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// Requantisation shift `S`; the range table is `[0, 2^S)`.
    pub shift: u32,
    /// Operand cells of a packed row, and instance columns that feed them.
    pub operand_lanes: usize,
    /// Advice columns for copies of operands: all lanes, one where every copy is of single elements, or none.
    pub operand_columns: usize,
    /// Left operand cells of a row: as many as operand lanes, or none.
    pub left_lanes: usize,
    /// Activation triples per row.
    pub activation_lanes: usize,
    /// Limbs of a remainder, at most.
    pub remainder_limbs: usize,
    /// Sorts of copies beside results, one cell for each activation lane.
    pub factor_groups: usize,
    /// Whether some row holds the root of a variance, whose gate has degree 4.
    pub roots: bool,
    /// Limbs of the excess by which a saturated value leaves its range.
    pub excess_limbs: usize,
    /// Limbs of the difference between a window's maximum and a member.
    pub spread_limbs: usize,
    /// Range-checked cells per row.
    pub range_columns: usize,
    /// Cells for partial products of a maximum's differences.
    pub product_columns: usize,
    /// Free product coefficients per row; 0 without convolutions.
    pub garbage_lanes: usize,
    /// Gathered copies per row; 0 where nothing is gathered.
    pub gather_columns: usize,
    /// Whether some copy is gathered at an index that depends on the witness: copy 1 of a [`RowKind::Candidate`].
    pub gather_by_index: bool,
    /// Identities with terms on one row, at most.
    pub slots: usize,
    /// Whether some output is raw, which takes an instance column of its own.
    pub raw_output: bool,
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
    /// advice cells under a selector, or of three where there are roots.
    pub const fn degree(&self) -> usize {
        let least = if self.roots { 4 } else { 3 };
        if self.lookup_group + 2 > least { self.lookup_group + 2 } else { least }
    }

    /// Lookup keys per row.
    pub const fn lookups(&self) -> usize {
        self.range_columns + self.gather_columns + self.activation_lanes
    }

    /// Helper columns.
    pub const fn helpers(&self) -> usize {
        self.lookups().div_ceil(self.lookup_group)
    }

    /// Advice columns of phase 1.
    pub const fn first_phase(&self) -> usize {
        match self.weights {
            WeightMode::Committed => self.multiplicity() + 1,
            WeightMode::Embedded => self.garbage(self.garbage_lanes),
        }
    }

    /// Advice columns between the challenges `s` and `r`: folded weights and coefficients folded alike. None where the
    /// weights are embedded.
    pub const fn second_phase(&self) -> usize {
        self.garbage(self.garbage_lanes) - self.first_phase()
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

    /// Rounded accumulator of an activation lane, saturated to its table.
    pub const fn rounded(&self, lane: usize) -> usize {
        self.left(self.left_lanes) + 3 * lane
    }

    /// Result of an activation lane.
    pub const fn activated(&self, lane: usize) -> usize {
        self.rounded(lane) + 1
    }

    /// Saturation of an activation lane: -1, 0 or 1.
    pub const fn saturation(&self, lane: usize) -> usize {
        self.rounded(lane) + 2
    }

    /// Range-checked cell.
    pub const fn range(&self, i: usize) -> usize {
        self.rounded(self.activation_lanes) + i
    }

    /// Copy beside the result of an activation lane.
    pub const fn factor(&self, group: usize, lane: usize) -> usize {
        self.range(self.range_columns) + group * self.activation_lanes + lane
    }

    /// Gathered copy.
    pub const fn copy(&self, k: usize) -> usize {
        self.factor(self.factor_groups, 0) + k
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

    /// Multiplicities of the table's rows.
    pub const fn multiplicity(&self) -> usize {
        self.product(self.product_columns)
    }

    /// Folded weights: the column that the link proof ties to the model commitment. Embedded weights are folded by the
    /// gate that reads them.
    pub const fn folded_weights(&self) -> Option<usize> {
        match self.weights {
            WeightMode::Committed => Some(self.multiplicity() + 1),
            WeightMode::Embedded => None,
        }
    }

    /// Free coefficient.
    pub const fn garbage(&self, lane: usize) -> usize {
        self.multiplicity() + 1 + self.folded_weights().is_some() as usize + lane
    }

    /// Accumulator column.
    pub const fn accumulator(&self, accumulator: Accumulator) -> usize {
        self.first_phase() + self.second_phase() + self.accumulators_before(accumulator as usize)
    }

    /// Whether the circuit has an accumulator.
    pub(crate) const fn has(&self, accumulator: Accumulator) -> bool {
        match accumulator {
            Accumulator::LeftDigest => self.left_lanes > 0,
            Accumulator::Factors => self.factor_groups > 0,
            Accumulator::Garbage => self.garbage_lanes > 0,
            Accumulator::GarbageTotal => self.garbage_lanes > 0 && matches!(self.weights, WeightMode::Embedded),
            _ => true,
        }
    }

    /// The accumulators that the circuit has, in column order.
    pub(crate) fn accumulators(&self) -> impl Iterator<Item = Accumulator> {
        Accumulator::ALL.into_iter().filter(|accumulator| self.has(*accumulator))
    }

    /// How many accumulators the circuit has of the first `end` of all.
    const fn accumulators_before(&self, end: usize) -> usize {
        let (mut i, mut count) = (0, 0);
        while i < end {
            count += self.has(Accumulator::ALL[i]) as usize;
            i += 1;
        }
        count
    }

    /// Number of accumulators.
    pub(crate) const fn accumulator_count(&self) -> usize {
        self.accumulators_before(Accumulator::ALL.len())
    }

    /// The terms of a slot, over `t` plus the number of their identity.
    pub const fn weighted(&self, slot: usize) -> usize {
        self.first_phase() + self.second_phase() + self.accumulator_count() + slot
    }

    /// Helper of a lookup group.
    pub const fn helper(&self, group: usize) -> usize {
        self.weighted(self.slots) + group
    }

    /// Helper of the table.
    pub const fn table_helper(&self) -> usize {
        self.helper(self.helpers())
    }

    /// Helper of a gather source lane.
    pub const fn source_helper(&self, lane: usize) -> usize {
        self.table_helper() + 1 + lane
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

    /// Instance columns: operand lanes, then the raw outputs.
    pub const fn instance_columns(&self) -> usize {
        self.operand_lanes + self.raw_output as usize
    }

    /// Range cells that a value's requantisation takes: the limbs of its remainder, then those of its excess.
    pub const fn requantise_columns(&self) -> usize {
        self.remainder_limbs + self.excess_limbs
    }

    /// Whether the cells that a role's gates read exist.
    fn has_cells_of(&self, role: &FixedRole) -> bool {
        let requantise = self.requantise_columns();
        let exists = |accumulator: &Accumulator| self.has(*accumulator);
        let fits = |cells: Option<usize>, columns: usize| cells.is_some_and(|cells| cells <= columns);
        let products = |size: usize| size > 1 && chips::pool::partial_products(self, size) <= self.product_columns;
        let lanes_fit = |lanes: &usize| (1..=self.activation_lanes).contains(lanes);
        let values_fit = |lanes: &usize| lanes_fit(lanes) && fits(lanes.checked_mul(requantise), self.range_columns);
        if let FixedRole::Kind(kind) = role
            && (kind.factor_groups() > self.factor_groups
                || !(1..=self.remainder_limbs).contains(&kind.remainder_limbs()))
        {
            return false;
        }
        match role {
            FixedRole::Kind(
                RowKind::Requantise { lanes, .. } | RowKind::Multiply { lanes, .. } | RowKind::Normalise { lanes, .. },
            ) => values_fit(lanes),
            FixedRole::Kind(RowKind::Exponential { lanes }) => lanes_fit(lanes),
            FixedRole::Kind(RowKind::Share { bits, limbs: [quotient, sum] }) => {
                let cells = sum.checked_mul(2).and_then(|cells| cells.checked_add(*quotient));
                *bits <= MAX_DIVIDEND_BITS && fits(cells, self.range_columns)
            }
            FixedRole::Kind(RowKind::Root { bits, limbs: [root, window] }) => {
                let cells = window.checked_mul(2).and_then(|cells| cells.checked_add(*root));
                self.roots && *bits <= MAX_DIVIDEND_BITS && fits(cells, self.range_columns)
            }
            FixedRole::LeftPacked(_) | FixedRole::LeftSingle => self.left_lanes > 0,
            FixedRole::Masked(lane) => *lane < self.activation_lanes,
            FixedRole::Kind(RowKind::MaximumOfWindow { height, width, .. }) => {
                let size = height.checked_mul(*width);
                let cells = size.and_then(|size| size.checked_mul(self.spread_limbs)?.checked_add(requantise));
                fits(cells, self.range_columns) && size.is_some_and(products)
            }
            FixedRole::Kind(RowKind::GatheredMaximum { window }) => {
                fits(window.checked_mul(self.spread_limbs), self.range_columns)
                    && *window <= self.gather_columns
                    && (*window == 1 || products(*window))
            }
            FixedRole::Kind(RowKind::GatheredSum) => requantise <= self.range_columns && self.gather_columns > 0,
            FixedRole::Kind(RowKind::Copies { lanes }) => lanes_fit(lanes) && *lanes <= self.gather_columns,
            FixedRole::Kind(RowKind::Candidate { .. }) => {
                self.gather_by_index && self.gather_columns > 2 && self.spread_limbs <= self.range_columns
            }
            FixedRole::Kind(RowKind::Raw) => self.raw_output,
            FixedRole::Step(accumulator, _) => exists(accumulator),
            FixedRole::Term { slot, source: Source::Accumulator(accumulator), .. } => {
                *slot < self.slots && exists(accumulator)
            }
            FixedRole::Term { slot, source: Source::Dot, .. } | FixedRole::Identity(slot) => *slot < self.slots,
            FixedRole::GarbageTake => exists(&Accumulator::GarbageTotal),
            _ => true,
        }
    }

    /// Whether every operand selector finds the columns that it reads.
    fn reads_existing_operands(&self) -> bool {
        let packed = !self.fixed.contains(&FixedRole::OperandPacked) || self.operand_columns == self.operand_lanes;
        packed && (!self.fixed.contains(&FixedRole::OperandSingle) || self.operand_columns > 0)
    }

    /// Total of the exponents in all gates.
    fn exponents(&self) -> usize {
        self.fixed.iter().map(|role| role.exponents(self.left_lanes)).fold(0, usize::saturating_add)
    }

    /// Bounds every number before columns are created by it: for shapes read from a file, and for those that will be written to one.
    ///
    /// # Errors
    /// What is out of bounds.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            self.operand_lanes,
            self.operand_columns,
            self.left_lanes,
            self.factor_groups,
            self.remainder_limbs,
            self.activation_lanes,
            self.range_columns,
            self.product_columns,
            self.garbage_lanes,
            self.gather_columns,
            self.slots,
            self.excess_limbs,
            self.spread_limbs,
        ];
        // First the weight columns alone, so that the sum cannot overflow.
        let few = self.weight_columns <= MAX_WEIGHT_COLUMNS && self.fixed_columns() <= MAX_FIXED_COLUMNS;
        if counts.iter().any(|count| *count > MAX_COLUMNS) || !few {
            return Err("too many columns".into());
        }
        let shape = (1..=30).contains(&self.shift)
            && (1..=3).contains(&self.lookup_group)
            && self.operand_lanes > 0
            && self.operand_columns <= self.operand_lanes
            && self.left_lanes <= self.operand_lanes
            && self.factor_groups <= MAX_FACTOR_GROUPS
            && (1..=MAX_REMAINDER_LIMBS as usize).contains(&self.remainder_limbs)
            && self.shift as usize * self.remainder_limbs <= MAX_REMAINDER_BITS as usize
            && self.reads_existing_operands()
            && self.fixed.iter().all(|role| self.has_cells_of(role))
            && self.activation_lanes > 0;
        if shape && self.exponents() <= MAX_EXPONENTS { Ok(()) } else { Err("numbers out of bounds".into()) }
    }
}

/// Limits for shapes read from a file, several times what a layout makes. Halo2 walks the sum over all columns of a kind by recursion,
/// which for so many fits the two megabytes of stack that a thread has.
const MAX_COLUMNS: usize = 512;
/// Sorts of copies beside a result.
const MAX_FACTOR_GROUPS: usize = 3;
const MAX_FIXED_COLUMNS: usize = 1 << 11;
const MAX_WEIGHT_COLUMNS: usize = 1 << 16;
/// Total of the exponents in all gates: an expression has about two nodes for each, which take some 300 bytes together. Networks for
/// k = 12 have about 2,000.
const MAX_EXPONENTS: usize = 1 << 18;

impl FixedRole {
    /// Total of the exponents that the column's expressions raise a challenge to, and of the summands of geometric sums.
    fn exponents(&self, left_lanes: usize) -> usize {
        match self {
            Self::Step(_, power) => power.exponent,
            Self::LeftPacked(stride) => left_lanes.saturating_mul(*stride),
            Self::Kind(RowKind::Requantise { lanes, spacing, .. }) => lanes.saturating_mul(spacing.exponent),
            Self::Kind(RowKind::MaximumOfWindow { height, width, vertical, horizontal }) => {
                height.saturating_mul(*width).saturating_mul(vertical.saturating_add(*horizontal))
            }
            Self::Kind(RowKind::GatheredMaximum { window }) => *window,
            Self::Term { factor, .. } => factor
                .runs
                .iter()
                .map(|(step, count)| (*step).max(1).saturating_mul(*count))
                .fold(factor.shift.saturating_add(factor.channels), usize::saturating_add),
            _ => 0,
        }
    }
}
