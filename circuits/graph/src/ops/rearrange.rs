//! Elements of operands and constants in any order and number: transposition, concatenation, slice, padding,
//! upsampling.

use serde::{Deserialize, Serialize};

use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};

/// Where an element of a rearranged tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// An element of an operand.
    Element {
        /// Which operand.
        operand: u32,
        /// Its element, in stored order.
        element: u32,
    },
    /// A constant.
    Constant(i64),
}

pub(crate) fn validate(site: &Site<'_>, origins: &[Origin]) -> Check {
    let y = site.output();
    site.expect("number of elements", origins.len(), y.shape.len())?;
    for operand in site.operands() {
        let x = operand.format;
        site.expect("fractional bits", y.format.frac_bits, x.frac_bits)?;
        site.expect("mantissa", y.format.mantissa, x.mantissa)?;
        let inside = y.format.min <= x.min && x.max <= y.format.max;
        site.expect("operands inside the output's range", inside, true)?;
    }
    let known = |origin: &Origin| match *origin {
        Origin::Element { operand, element } => {
            let operand = site.inputs.get(operand as usize);
            operand.is_some_and(|&id| (element as usize) < site.tensors[id].shape.len())
        }
        Origin::Constant(value) => (y.format.min..=y.format.max).contains(&value),
    };
    site.expect("known origins of all elements", origins.iter().all(known), true)
}

pub(crate) fn run(site: &Site<'_>, values: &[Vec<i64>], origins: &[Origin]) -> Outcome {
    let value = |origin: &Origin| match *origin {
        Origin::Element { operand, element } => values[site.inputs[operand as usize]][element as usize],
        Origin::Constant(constant) => constant,
    };
    Outcome::Values(origins.iter().map(value).collect())
}
