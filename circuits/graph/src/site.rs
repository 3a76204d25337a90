//! A node as its operation sees it, and the checks that several operations share.

use std::fmt::Debug;

use crate::bounds::{Bounds, Width};
use crate::error::ValidateError;
use crate::limits::{
    ACCUMULATOR_LIMIT, BIAS_LIMIT, MAX_REMAINDER_BITS, MAX_REMAINDER_LIMBS, MAX_WIDTH_BITS, WINDOW_LIMIT,
};
use crate::rescale::Rescale;
use crate::tensor::{Tensor, TensorId};
use crate::window::Window;

/// The outcome of a check.
pub(crate) type Check = Result<(), ValidateError>;

/// A node without its operation: its name and its tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Name of the node.
    pub(crate) name: &'a str,
    /// All tensors of the graph.
    pub(crate) tensors: &'a [Tensor],
    /// Operands of the node.
    pub(crate) inputs: &'a [TensorId],
    /// Its result.
    pub(crate) output: TensorId,
    /// The graph's shift.
    pub(crate) shift: u32,
}

impl<'a> Site<'a> {
    /// Operand `i`.
    pub(crate) fn operand(&self, i: usize) -> &'a Tensor {
        &self.tensors[self.inputs[i]]
    }

    /// All operands.
    pub(crate) fn operands(&self) -> impl Iterator<Item = &'a Tensor> {
        let tensors = self.tensors;
        self.inputs.iter().map(move |&id| &tensors[id])
    }

    /// The result.
    pub(crate) fn output(&self) -> &'a Tensor {
        &self.tensors[self.output]
    }

    /// Refuses what is not as expected.
    pub(crate) fn expect<T: PartialEq + Debug>(&self, what: &'static str, got: T, expected: T) -> Check {
        if got == expected { Ok(()) } else { Err(self.mismatch(what, format!("{got:?}"), format!("{expected:?}"))) }
    }

    /// The error of a property that is not as expected.
    pub(crate) fn mismatch(&self, what: &'static str, got: String, expected: String) -> ValidateError {
        ValidateError::Node { node: self.name.into(), what, got, expected }
    }

    /// A result of the first operand's shape.
    pub(crate) fn check_elementwise(&self) -> Check {
        self.expect("output shape", self.output().shape, self.operand(0).shape)
    }

    /// Groups of members that are all elements of the operand.
    pub(crate) fn check_groups(&self, groups: usize, len: usize) -> Check {
        self.expect("groups of members", groups.checked_mul(len), Some(self.operand(0).shape.len()))
    }

    /// Numbers so small that no extent or position overflows.
    pub(crate) fn check_window(&self, window: &Window) -> Check {
        let Window { kernel, stride, dilation, pad_before, pad_after, images } = window;
        let counts = [kernel, stride, dilation].into_iter().flatten().chain([images]);
        let positive = counts.into_iter().all(|n| (1..=WINDOW_LIMIT).contains(n));
        if positive && pad_before.iter().chain(pad_after).all(|pad| *pad <= WINDOW_LIMIT) {
            return Ok(());
        }
        let expected = format!("positive kernel, stride, dilation and images, padding, all at most {WINDOW_LIMIT}");
        Err(self.mismatch("window", format!("{window:?}"), expected))
    }

    /// A width below the accumulators' limit, that the learned values keep to. What is not learned (the products of a
    /// sum of activations) comes to the width of summands: `|acc| <= 2^61 + 2^60` in all.
    pub(crate) fn check_width(&self, width: Option<Width>, exact: impl Fn() -> Vec<Bounds>) -> Check {
        let Some(width) = width else { return Ok(()) };
        if width.bits.max(width.spread_bits) > MAX_WIDTH_BITS {
            let expected = format!("at most {MAX_WIDTH_BITS}");
            return Err(self.mismatch("bits of learned accumulators", format!("{width:?}"), expected));
        }
        let exact = exact();
        if !width.holds(&exact) {
            let got = format!("{:?}", exact.into_iter().reduce(Bounds::union).unwrap_or_default());
            let expected = format!("those of the declared {width:?}");
            return Err(self.mismatch("learned values with accumulators", got, expected));
        }
        Ok(())
    }

    /// Summands that leave room for the products.
    pub(crate) fn check_summands(&self, what: &'static str, summands: &[i64]) -> Check {
        match summands.iter().find(|b| !(-BIAS_LIMIT..=BIAS_LIMIT).contains(*b)) {
            Some(summand) => Err(self.mismatch(what, summand.to_string(), format!("at most ±{BIAS_LIMIT}"))),
            None => Ok(()),
        }
    }

    /// Multipliers of which no sum with activations overflows: each of so many elements of an operand.
    pub(crate) fn check_multipliers(&self, multipliers: impl Iterator<Item = (usize, i64, usize)>) -> Check {
        let greatest = |(operand, multiplier, elements): (usize, i64, usize)| {
            let most = i128::from(self.operand(operand).format.magnitude()) * elements as i128;
            i128::from(multiplier).abs().saturating_mul(most)
        };
        let sum = multipliers.map(greatest).fold(0, i128::saturating_add);
        if sum > ACCUMULATOR_LIMIT {
            return Err(self.mismatch("sum of products", sum.to_string(), "accumulators within ±2^61".into()));
        }
        Ok(())
    }

    /// A shift that is known, and accumulators within bounds.
    pub(crate) fn check_rescale(&self, rescale: &Rescale, accumulators: impl Fn() -> Bounds) -> Check {
        let known =
            (1..=MAX_REMAINDER_LIMBS).contains(&rescale.limbs) && self.shift * rescale.limbs <= MAX_REMAINDER_BITS;
        self.expect("a shift of few limbs", known, true)?;
        self.expect("a positive multiplier", rescale.multiplier > 0, true)?;
        // Saturated where it overflows.
        let magnitude = accumulators().magnitude();
        if i128::from(magnitude) > ACCUMULATOR_LIMIT {
            return Err(self.mismatch("accumulators up to", magnitude.to_string(), "at most 2^61".into()));
        }
        Ok(())
    }
}
