//! What can go wrong in a back end's operation.

/// A failure of a back end's operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Two operands that must have the same length differ.
    #[error("{operation}: expected a vector of length {expected}, got {got}")]
    LengthMismatch {
        /// The operation's name.
        operation: &'static str,
        /// The length of the first operand.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// A transform was asked of a vector whose length is no power of two that the field supports.
    #[error("{operation}: a domain of size {len} does not exist\nhint: the size must be 2^k with k at most 28")]
    NoSuchDomain {
        /// The operation's name.
        operation: &'static str,
        /// The length asked for.
        len: usize,
    },
    /// A window reaches past the end of a vector.
    #[error("{operation}: rows {start}..{end} of a vector of length {len}")]
    OutOfRange {
        /// The operation's name.
        operation: &'static str,
        /// First row of the window.
        start: usize,
        /// One past the last row of the window.
        end: usize,
        /// The vector's length.
        len: usize,
    },
    /// More scalars than base points.
    #[error("msm: {scalars} scalars for {bases} bases")]
    TooFewBases {
        /// Number of scalars in the column.
        scalars: usize,
        /// Number of points in the basis.
        bases: usize,
    },
    /// The cosets given to an interpolation coincide, or none was given.
    #[error("{operation}: the {cosets} cosets given do not determine a polynomial")]
    DependentCosets {
        /// The operation's name.
        operation: &'static str,
        /// How many cosets were given.
        cosets: usize,
    },
    /// A program reads a column or a scalar that the caller did not supply.
    #[error("program reads {kind} {index}, but {supplied} were supplied")]
    MissingInput {
        /// `"column"` or `"scalar"`.
        kind: &'static str,
        /// The index that the program reads.
        index: usize,
        /// How many inputs of this kind the caller supplied.
        supplied: usize,
    },
    /// A lookup's input is not in its table.
    #[error("permute_lookup: the input of row {row} is not in the table")]
    NotInTable {
        /// First row (in row order) whose value is missing from the table.
        row: usize,
    },
    /// Two back ends that run in lock step disagree.
    #[error("{operation}: back ends {left} and {right} differ at index {index}")]
    Divergence {
        /// The first operation that differs.
        operation: &'static str,
        /// Name of the first back end.
        left: String,
        /// Name of the second back end.
        right: String,
        /// Index of the first differing element, counted over all outputs in order.
        index: usize,
    },
    /// Exactly one of two back ends that run in lock step failed.
    #[error("{operation}: only back end {failed} failed: {cause}")]
    OneSided {
        /// The first operation that differs.
        operation: &'static str,
        /// Name of the back end that failed.
        failed: String,
        /// Why it failed.
        cause: Box<BackendError>,
    },
    /// Device memory is exhausted, also after what is kept for later was given back and work was split.
    #[error(
        "{operation}: device {device}: no room for {bytes} more bytes\nhint: end what else uses the device, or prove a smaller circuit"
    )]
    OutOfMemory {
        /// The operation's name.
        operation: &'static str,
        /// The device's name.
        device: String,
        /// The bytes asked for.
        bytes: u64,
    },
    /// The device refused or failed.
    #[error("{operation}: device {device}: {message}")]
    Device {
        /// The operation's name.
        operation: &'static str,
        /// The device's name.
        device: String,
        /// The driver's own words.
        message: String,
    },
}
