//! What an operation makes of its operands.

/// A result, or the accumulators that it is requantised from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The result itself: nothing is accumulated.
    Values(Vec<i64>),
    /// One accumulator for each element of the result.
    Accumulators(Vec<i64>),
    /// Accumulators, of which only the maxima are requantised: one for each element of the result.
    Maxima {
        /// All accumulators.
        accumulators: Vec<i64>,
        /// Their maxima.
        maxima: Vec<i64>,
    },
    /// Accumulators that are the result as they are.
    Raw(Vec<i64>),
}
