//! The operations, their sizes and their inputs.

use ff::Field;
use halo2curves::bn256::Fr;

use super::data::{full_size, full_size_from, signed, spread};

/// Columns of operations that take many at a time.
pub const COLUMNS: usize = 8;
/// Integers of a row of a fold, and factors.
pub const FOLD_WIDTH: usize = 16;
/// Cosets of an interpolation: a quotient of degree 4·n.
const COSETS: usize = 4;
/// Terms of a linear combination.
const TERMS: usize = 2;
/// Rows that blind a column, or fewer in a shorter one.
const BLINDING_ROWS: usize = 6;
/// Bits of the absolute value of a signed byte, and of a signed word of 32 bits.
const SIGNED_BITS: [u32; 2] = [7, 31];

macro_rules! operations {
    ($($variant:ident = $name:literal: $about:literal,)*) => {
        /// An operation of the back end traits on inputs of one kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = $about] $variant,)*
        }

        impl Operation {
            /// Every operation, family by family.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The trait's name for it; of a multi-scalar multiplication with the width of its scalars.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

operations! {
    Upload = "upload": "One column to the device.",
    UploadColumns = "upload_columns": "A batch of columns to the device.",
    UploadIntegerColumns = "upload_integer_columns": "A batch of columns of 16-bit integers to the device.",
    Download = "download": "One column to the host.",
    Zeros = "zeros": "A column of zeros.",
    ReadRange = "read_range": "Blinding rows to the host.",
    WriteRange = "write_range": "Blinding rows to the device.",
    Slice = "slice": "A copy of a column.",
    LoadBases = "load_bases": "Points made resident, with their table.",
    Msm = "msm": "One column of full-size scalars.",
    MsmI8 = "msm_i8": "One column of signed bytes, negative ones as p - x.",
    MsmI32 = "msm_i32": "One column of signed words of 32 bits, negative ones as p - x.",
    MsmRows = "msm_rows": "Blinding rows of full-size scalars.",
    Ntt = "ntt": "A batch of columns, from coefficients to values.",
    Intt = "intt": "A batch of columns, from values to coefficients.",
    CosetNtt = "coset_ntt": "A batch of columns, from coefficients to values on a coset.",
    InterpolateCosets = "interpolate_cosets": "Values on four cosets to coefficients.",
    AddAssign = "add_assign": "One column to another.",
    SubAssign = "sub_assign": "One column from another.",
    MulAssign = "mul_assign": "One column with another.",
    Scale = "scale": "One column with a scalar.",
    LinearCombination = "linear_combination": "Two columns with a scalar each.",
    BatchInvert = "batch_invert": "One column.",
    PrefixSum = "prefix_sum": "One column.",
    PrefixProduct = "prefix_product": "One column.",
    AffineScan = "affine_scan": "A column of factors and one of terms.",
    EvalPolynomials = "eval_polynomials": "A batch of polynomials at a point.",
    DivideByLinear = "divide_by_linear": "One polynomial.",
    Powers = "powers": "One column.",
    InnerProduct = "inner_product": "Two columns.",
    PermuteLookup = "permute_lookup": "A column and the table of its values.",
    Compile = "compile": "A program of three gates.",
    Evaluate = "evaluate": "A program of three gates over a batch of columns.",
    LoadIntegers = "load_integers": "Signed bytes made resident, a row for each of a column's.",
    FoldIntegers = "fold_integers": "A fold of signed bytes, a row for each of a column's.",
}

/// An operation's inputs on the host, as many as it takes.
#[derive(Debug, Clone)]
pub struct Inputs {
    operation: Operation,
    n: usize,
    columns: Vec<Vec<Fr>>,
}

impl Inputs {
    /// Whose inputs they are.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Rows of a column.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The columns.
    pub fn columns(&self) -> &[Vec<Fr>] {
        &self.columns
    }
}

impl Operation {
    /// Whether it works on resident points: its [`Fixture`](super::Fixture) needs some.
    pub const fn takes_points(self) -> bool {
        matches!(self, Self::LoadBases | Self::Msm | Self::MsmI8 | Self::MsmI32 | Self::MsmRows)
    }

    /// The inputs of a run with columns of `2^log_n` rows.
    pub fn inputs(self, log_n: u32) -> Inputs {
        let n = 1usize << log_n;
        let columns = match self {
            Self::MsmI8 => vec![signed(n, SIGNED_BITS[0])],
            Self::MsmI32 => vec![signed(n, SIGNED_BITS[1])],
            Self::MsmRows | Self::WriteRange => vec![full_size(blinding_rows(n).len()), full_size_from(1, n)],
            Self::PermuteLookup => lookup(n),
            Self::FoldIntegers => vec![full_size(FOLD_WIDTH)],
            _ => (0..self.columns()).map(|column| full_size_from((column * n) as u64, n)).collect(),
        };
        Inputs { operation: self, n, columns }
    }

    /// Elements that a run with columns of `2^log_n` rows works on: what its time is divided by.
    pub const fn elements(self, log_n: u32) -> usize {
        let n = 1usize << log_n;
        match self {
            Self::Compile => 1,
            Self::ReadRange | Self::WriteRange | Self::MsmRows => blinding_rows_len(n),
            Self::LoadIntegers | Self::FoldIntegers => n * FOLD_WIDTH,
            _ => n * self.columns_at_least_one(),
        }
    }

    /// Columns of length n that it takes.
    const fn columns(self) -> usize {
        match self {
            Self::Zeros | Self::Powers | Self::LoadBases | Self::Compile | Self::LoadIntegers => 0,
            Self::UploadColumns | Self::UploadIntegerColumns | Self::Ntt | Self::Intt | Self::CosetNtt => COLUMNS,
            Self::EvalPolynomials | Self::Evaluate => COLUMNS,
            Self::InterpolateCosets => COSETS,
            Self::LinearCombination => TERMS,
            Self::AddAssign | Self::SubAssign | Self::MulAssign | Self::AffineScan | Self::InnerProduct => 2,
            _ => 1,
        }
    }

    /// Columns that are worked on: in an operation on two columns, each row of both is one element.
    const fn columns_at_least_one(self) -> usize {
        match self {
            Self::AddAssign | Self::SubAssign | Self::MulAssign | Self::AffineScan | Self::InnerProduct => 1,
            _ if self.columns() == 0 => 1,
            _ => self.columns(),
        }
    }
}

/// A point at which polynomials are evaluated, a root, the base of powers, and the first coset's shift.
pub fn point() -> Fr {
    Fr::from(5).invert().unwrap_or(Fr::ONE)
}

/// The factor of column or coset `i`.
pub fn factor(i: usize) -> Fr {
    point().pow_vartime([i as u64 + 1])
}

/// The last rows of a column, which blind it.
pub fn blinding_rows(n: usize) -> std::ops::Range<usize> {
    n - blinding_rows_len(n)..n
}

const fn blinding_rows_len(n: usize) -> usize {
    if n > BLINDING_ROWS { BLINDING_ROWS } else { n }
}

/// Rows of a lookup: those that do not blind, if there are any.
pub fn usable_rows(n: usize) -> usize {
    if n > BLINDING_ROWS { n - BLINDING_ROWS } else { n }
}

/// Signed words of 16 bits, one for each row of a column.
pub(super) fn integer_column(n: usize) -> Vec<i64> {
    (0..n as u64).map(|i| i64::from(spread(i, 16) as i16)).collect()
}

/// Signed bytes, [`FOLD_WIDTH`] for each row of a column.
pub(super) fn integers(n: usize) -> Vec<i16> {
    (0..(n * FOLD_WIDTH) as u64).map(|i| i16::from(spread(i, 8) as i8)).collect()
}

/// A lookup's input and its table, a range: few different values among many rows, as in range checks of small integers.
fn lookup(n: usize) -> Vec<Vec<Fr>> {
    let usable = usable_rows(n) as u64;
    let input = (0..n as u64).map(|i| Fr::from(spread(i, 32) % usable)).collect();
    vec![input, (0..n as u64).map(Fr::from).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_distinct_and_every_operation_has_elements() {
        let names: HashSet<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        for operation in Operation::ALL {
            assert!(operation.elements(1) > 0 && operation.elements(10) >= operation.elements(1), "{operation:?}");
        }
    }

    #[test]
    fn inputs_differ_from_column_to_column() {
        for operation in Operation::ALL {
            let inputs = operation.inputs(4);
            let distinct: HashSet<[u8; 32]> = inputs.columns.iter().map(|column| column[0].to_bytes()).collect();
            assert!(distinct.len() == inputs.columns.len() || *operation == Operation::PermuteLookup, "{operation:?}");
        }
    }
}
