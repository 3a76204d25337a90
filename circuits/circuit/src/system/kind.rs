//! The kinds of rows of the result bank, as data. What each of them means is in the file of its name in
//! `rows`.
//!
//! A kind's numbers are part of the constraint system: two kinds that differ in a number have gates, and selectors, of
//! their own.

use serde::{Deserialize, Serialize};

use super::challenge::Power;

/// What a row of the result bank holds, and how its cells enter the accumulators. The names of the variants are those
/// in key files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RowKind {
    /// Requantised values of accumulators that an identity defines.
    Requantise(Requantise),
    /// Requantised products of two copies.
    Multiply(Multiply),
    /// Exponentials of the distances between copies of a group's maximum and of its members; who attains the maximum.
    Exponential(Exponential),
    /// A group's sum of exponentials, its maximum, and the reciprocal of the sum.
    Reciprocal(Reciprocal),
    /// Requantised members of a group, less their mean and divided by their deviation.
    Normalise(Normalise),
    /// A group's variance, its sum, and the inverse root of the variance.
    InverseRoot(InverseRoot),
    /// One requantised maximum over a window of accumulators that differ from it by range-checked amounts.
    MaximumOfWindow(MaximumOfWindow),
    /// One accumulator given by the raw-output instance column.
    Raw,
    /// The maximum of gathered copies.
    GatheredMaximum(GatheredMaximum),
    /// The requantised sum of gathered copies times the row's factor.
    GatheredSum,
    /// Gathered copies as they are.
    Copies(Copies),
    /// The index of a maximum: any value of its table that all candidates' rows accept.
    Index,
    /// One candidate of a maximum whose index is given: it is not greater than the element at that index, nor as great
    /// and preferred.
    Candidate(Candidate),
    /// Elements of a hidden input, in its range.
    Entry(Entry),
    /// Elements of a hidden input of indices: each 0 or what stands for 1, and one of them for each index.
    OneHot(OneHot),
}

/// `lanes` requantised values; lane `l`'s accumulator has the weight `spacing^(lanes-1-l)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Requantise {
    /// Number of values.
    pub lanes: usize,
    /// Distance of two neighbours in the Result accumulator.
    pub spacing: Power,
    /// Limbs of the remainders.
    pub limbs: u32,
}

/// `lanes` requantised products `multiplier·a·b` of two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Multiply {
    /// Number of values.
    pub lanes: usize,
    /// Limbs of the remainders.
    pub limbs: u32,
    /// Factor of the products.
    pub multiplier: i64,
}

/// `lanes` exponentials of members of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exponential {
    /// Number of values.
    pub lanes: usize,
}

/// `2^bits` divided by a group's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reciprocal {
    /// Bits of the dividend.
    pub bits: u32,
    /// Limbs of the quotient, and of the sum.
    pub limbs: [usize; 2],
}

/// `lanes` normalised members of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Normalise {
    /// Number of values.
    pub lanes: usize,
    /// Limbs of the remainders.
    pub limbs: u32,
    /// Factor of the products.
    pub multiplier: i64,
    /// Members of a group.
    pub len: usize,
    /// Whether the mean is taken off.
    pub centred: bool,
}

/// `2^bits` divided by the root of a group's variance `V`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InverseRoot {
    /// Bits of the dividend.
    pub bits: u32,
    /// Limbs of the quotient, and of the two differences that pin it.
    pub limbs: [usize; 2],
}

/// The maximum of a pooling window whose members are accumulators of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MaximumOfWindow {
    /// Window height.
    pub height: usize,
    /// Window width.
    pub width: usize,
    /// Exponent of `r` between vertical neighbours.
    pub vertical: usize,
    /// Exponent of `r` between horizontal neighbours.
    pub horizontal: usize,
}

/// The maximum of gathered copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GatheredMaximum {
    /// Number of copies.
    pub window: usize,
}

/// Gathered copies as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Copies {
    /// Number of copies.
    pub lanes: usize,
}

/// `lanes` elements of a hidden input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Number of elements.
    pub lanes: usize,
}

/// `lanes` elements of one channel of a hidden input of indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OneHot {
    /// Number of elements.
    pub lanes: usize,
    /// What each element counts less in the sum over the channels: on one channel's rows what stands for 1, which the
    /// sum must be, 0 on the others'.
    pub less: i64,
}

/// A candidate of a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// Number of candidates.
    pub count: usize,
    /// Whether the last of equal ones is preferred; otherwise the first.
    pub last: bool,
}
