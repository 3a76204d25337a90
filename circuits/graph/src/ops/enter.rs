//! A hidden input on cells of its own: equal to what is given, and inside its range. Lowering puts one before all that
//! read a hidden input.

use crate::activation::{Activation, Function};
use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};
use crate::tensor::{Format, Storage, Tensor};

pub(crate) fn validate(site: &Site<'_>) -> Check {
    let (x, y) = (site.operand(0), site.output());
    site.expect("output format", y.format, x.format)?;
    site.expect("output storage", y.storage, x.storage)?;
    if y.storage == Storage::OneHot {
        site.expect("the least value of indices", y.format.min, 0)?;
        site.expect("a number that stands for 1", y.format.max > 0, true)?;
    }
    site.check_elementwise()
}

pub(crate) fn run(x: &[i64]) -> Outcome {
    Outcome::Values(x.to_vec())
}

/// The values that an element may have: those of the range; of an index's one-hot form, 0 and what stands for 1.
pub(crate) fn function(tensor: &Tensor) -> Function {
    let Format { min, max, .. } = tensor.format;
    match tensor.storage {
        Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => Function::Clamp { min, max },
        Storage::OneHot => Function::Table(Activation::table(0, vec![0, max])),
    }
}
