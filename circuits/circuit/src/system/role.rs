//! The roles of columns: accumulators, terms of identities, fixed columns. Their names, and those of the numbers in
//! them, are written into key files.

use serde::{Deserialize, Serialize};

use super::challenge::{Factor, Power};
use super::kind::RowKind;
use crate::hash::HashRole;

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
    /// The same over all output channels: adds `Result` where [`FixedRole::Accumulate`] is set.
    ResultTotal,
    /// Digest of a result after requantisation.
    ResultDigest,
    /// Digest of a whole left operand.
    LeftDigest,
    /// Digest of auxiliary operands, one power of `s` for each sort of them.
    Auxiliary,
    /// Cross terms of products: coefficients that are no outputs; of one output channel where each channel has its own.
    CrossTerms,
    /// The same over all output channels: adds `CrossTerms` where [`FixedRole::AccumulateCrossTerms`] is set.
    CrossTermsTotal,
    /// Digest of a column of a committed tensor.
    Committed(u32),
    /// Digest of the values of a hashed tensor.
    Hashed,
}

impl Accumulator {
    /// Those of which a circuit has one at most, in column order; the columns of committed tensors follow.
    pub(crate) const SINGLE: [Self; 11] = [
        Self::Weights,
        Self::Operand,
        Self::OperandDigest,
        Self::Result,
        Self::ResultTotal,
        Self::ResultDigest,
        Self::LeftDigest,
        Self::Auxiliary,
        Self::CrossTerms,
        Self::CrossTermsTotal,
        Self::Hashed,
    ];

    /// Its number among all, in column order.
    pub(crate) const fn number(self) -> usize {
        match self {
            Self::Weights => 0,
            Self::Operand => 1,
            Self::OperandDigest => 2,
            Self::Result => 3,
            Self::ResultTotal => 4,
            Self::ResultDigest => 5,
            Self::LeftDigest => 6,
            Self::Auxiliary => 7,
            Self::CrossTerms => 8,
            Self::CrossTermsTotal => 9,
            Self::Hashed => 10,
            Self::Committed(column) => 11 + column as usize,
        }
    }
}

/// What a term of the grand sum multiplies by its coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Multiplicand {
    /// Operand times Weights: one channel's share of a product.
    Dot,
    /// One accumulator.
    Accumulator(Accumulator),
}

/// Activation lanes that are clamped to a range without a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Clamp {
    /// Number of lanes.
    pub lanes: usize,
    /// The range has `2^bits` values.
    pub bits: u32,
}

/// Activation lanes whose results are a function by straight lines ([`zkml_gpu_graph::Segments`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lines {
    /// Number of lanes.
    pub lanes: usize,
    /// Number of lanes that a row may have: the line of lane `l` is in the cells of lane `places + l`.
    pub places: usize,
    /// Whether the results are exponentials of distances, of which some say that they attain a maximum: nothing saturates.
    pub exponentials: bool,
    /// How many times the shift the row's remainders have as bits; 1 where there are none.
    pub shifts: usize,
    /// Segments, with one beyond each end; of exponentials with one for masked members.
    pub segments: usize,
    /// Arguments of a segment, as their logarithm.
    pub low: u32,
    /// Fractional bits of intercepts and slopes.
    pub scale: u32,
    /// Results are from `-2^bits` to `2^bits - 1`; exponentials from 0 on.
    pub bits: u32,
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
    /// Lookup table.
    Table {
        /// One of the tables side by side.
        lane: usize,
        /// 0 to 2 are the values, 3 is the tag.
        value: u8,
    },
    /// 1 where the row's activation lanes are looked up in a table. Elsewhere their keys count for nothing.
    LooksUp,
    /// Tag of the table that the row's activation lanes look up.
    ActivationTag,
    /// The row's first activation lanes are clamped to a range by limbs.
    Clamp(Clamp),
    /// The row's first activation lanes are a function by straight lines.
    Lines(Lines),
    /// The least value of the range that the row's activation lanes, or their functions' arguments, are clamped to.
    ClampLeast,
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
    Accumulate,
    /// `CrossTermsTotal` adds `CrossTerms` on this row.
    AccumulateCrossTerms,
    /// A cross term is allowed in this lane.
    CrossTermMask(usize),
    /// Index that copy `k` of the row gathers; 0 gathers the constant 0.
    GatherIndex(usize),
    /// Gather index of the row's first activation lane.
    SourceIndex,
    /// How often this activation lane is gathered.
    SourceCount(usize),
    /// 1 where this activation lane may be gathered at an index that depends on the witness. Elsewhere an idle lane
    /// could pass for the element whose index it has.
    SourceByIndex(usize),
    /// This activation lane of a [`RowKind::Exponential`] takes no part.
    Masked(usize),
    /// What a [`RowKind::InverseRoot`] adds to its `V`.
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
        multiplicand: Multiplicand,
        /// By what polynomial in the challenges.
        factor: Factor,
    },
    /// What a row of a hash is. Constants are numbers of [`RowConstants`](crate::hash::RowConstants).
    Hash(HashRole),
}

/// Which cells of the operand bank a row with a role reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Operand lanes.
    Operand(Lanes),
    /// Instance lanes.
    Instance(Lanes),
    /// Left operand lanes, `s^stride` apart.
    Left(Lanes, usize),
}

/// How many lanes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// All.
    Packed,
    /// Lane 0.
    Single,
}

impl FixedRole {
    /// Which cells of the operand bank a row with this role reads; none for other roles.
    pub(crate) const fn read(&self) -> Option<Read> {
        match self {
            Self::OperandPacked => Some(Read::Operand(Lanes::Packed)),
            Self::OperandSingle => Some(Read::Operand(Lanes::Single)),
            Self::InstancePacked => Some(Read::Instance(Lanes::Packed)),
            Self::InstanceSingle => Some(Read::Instance(Lanes::Single)),
            Self::LeftPacked(stride) => Some(Read::Left(Lanes::Packed, *stride)),
            Self::LeftSingle => Some(Read::Left(Lanes::Single, 1)),
            Self::Usable
            | Self::SumStep
            | Self::SumEnd
            | Self::Table { .. }
            | Self::LooksUp
            | Self::ActivationTag
            | Self::Clamp(_)
            | Self::Lines(_)
            | Self::ClampLeast
            | Self::Accumulate
            | Self::AccumulateCrossTerms
            | Self::CrossTermMask(_)
            | Self::GatherIndex(_)
            | Self::SourceIndex
            | Self::SourceCount(_)
            | Self::SourceByIndex(_)
            | Self::Masked(_)
            | Self::Epsilon
            | Self::SumFactor
            | Self::CandidateStride
            | Self::CandidateNumber
            | Self::Step(..)
            | Self::Kind(_)
            | Self::Identity(_)
            | Self::Term { .. }
            | Self::Hash(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Accumulator;

    #[test]
    fn accumulators_are_numbered_in_column_order() {
        let all = Accumulator::SINGLE.into_iter().chain((0..3).map(Accumulator::Committed));
        assert!(all.map(Accumulator::number).eq(0..14));
    }
}
