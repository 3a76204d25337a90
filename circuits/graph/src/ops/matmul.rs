//! Products of two activations, a GEMM for each head: the scores of scaled dot-product attention, and their product
//! with the values (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>). Learned summands of the scores are relative
//! positions, and masks of finite numbers.

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Width};
use crate::ops::outcome::Outcome;
use crate::rescale::Rescale;
use crate::site::{Check, Site};
use crate::tensor::Shape;

/// A product of two activations, summed over `inner`, for each of `heads`, and for each of several inferences:
/// `acc[i, h, b, j] = multiplier · Σ_k left[h, k, b, i] · right[h, k, b, j] + summand[i, h, j]`.
///
/// The left operand is stored as `[block][row]`, the right one as `[block][column]`, with the blocks `(h, k, b)` in one
/// order for both, the inference `b` innermost; the result as `[row][head][inference][column]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatMul {
    /// Products side by side.
    pub heads: usize,
    /// Length of the sums.
    pub inner: usize,
    /// Rows of the left operand's matrices: outer axis of the result.
    pub rows: usize,
    /// Columns of the right operand's matrices: inner axis of the result.
    pub columns: usize,
    /// Whether block `k·heads + h` is that of head `h`; otherwise it is block `h·inner + k`. Each block is one of every
    /// inference.
    pub head_minor: bool,
    /// Inferences, each with products of its own.
    pub inferences: usize,
    /// What follows the sum.
    pub rescale: Rescale,
    /// Learned summands of the accumulators, `[row][head][column]`, the same for all inferences; empty for none. Matrices
    /// of one column have none.
    pub summands: Vec<i64>,
    /// How wide the summands are declared to be, where they are learned and not constants of the architecture.
    pub width: Option<Width>,
}

impl MatMul {
    /// Blocks of each operand.
    pub const fn blocks(&self) -> usize {
        self.products() * self.inner
    }

    /// Products side by side: of each head, one for each inference.
    pub const fn products(&self) -> usize {
        self.heads * self.inferences
    }

    /// The product that a block belongs to.
    pub const fn product(&self, block: usize) -> usize {
        let (of_head, inference) = (block / self.inferences, block % self.inferences);
        let head = if self.head_minor { of_head % self.heads } else { of_head / self.inner };
        head * self.inferences + inference
    }

    /// The summand of an element of the result; 0 where there are none.
    pub fn summand(&self, element: usize) -> i64 {
        let (matrix_row, column) = (element / self.columns / self.inferences, element % self.columns);
        self.summands.get(matrix_row * self.columns + column).copied().unwrap_or(0)
    }

    /// Accumulators, in the result's order.
    pub fn accumulate(&self, left: &[i64], right: &[i64]) -> Vec<i64> {
        let mut acc: Vec<i64> =
            (0..self.rows * self.products() * self.columns).map(|element| self.summand(element)).collect();
        for block in 0..self.blocks() {
            let right = &right[block * self.columns..][..self.columns];
            for (i, a) in left[block * self.rows..][..self.rows].iter().enumerate() {
                let a = a * self.rescale.multiplier;
                let first = (i * self.products() + self.product(block)) * self.columns;
                acc[first..first + self.columns].iter_mut().zip(right).for_each(|(acc, b)| *acc += a * b);
            }
        }
        acc
    }

    pub(crate) fn validate(&self, site: &Site<'_>) -> Check {
        let Self { heads, inner, rows, columns, inferences, .. } = *self;
        let small = [heads, inner, rows, columns, inferences].iter().all(|n| (1..=1 << 20).contains(n));
        site.expect("extents of a product that are positive and small", small, true)?;
        let shape = |channels, width| Shape { channels, height: 1, width };
        // Three factors of at most 2^20.
        let blocks = self.blocks();
        site.expect("left operand's shape", site.operand(0).shape, shape(blocks, rows))?;
        site.expect("right operand's shape", site.operand(1).shape, shape(blocks, columns))?;
        site.expect("output shape", site.output().shape, shape(rows * self.products(), columns))?;
        if !self.summands.is_empty() {
            site.expect("columns of a product with summands, more than one", columns > 1, true)?;
            site.expect("number of summands", self.summands.len(), rows * heads * columns)?;
        }
        site.check_summands("summand", &self.summands)?;
        site.check_width(self.width, || vec![Bounds::of(&self.summands)])?;
        site.check_rescale(&self.rescale, || self.bounds(site))
    }

    /// Public bounds of the accumulators.
    pub(crate) fn bounds(&self, site: &Site<'_>) -> Bounds {
        let most = site.operand(0).format.magnitude().saturating_mul(site.operand(1).format.magnitude());
        let products = most.saturating_mul(self.rescale.multiplier).saturating_mul(self.inner as i64);
        let summands = self.width.map_or_else(|| Bounds::of(&self.summands), Width::bounds);
        Bounds { min: summands.min.saturating_sub(products), max: summands.max.saturating_add(products) }
    }

    /// Multiply-accumulates of one inference.
    pub(crate) const fn macs(&self) -> usize {
        self.blocks() * self.rows * self.columns
    }

    pub(crate) fn run(&self, left: &[i64], right: &[i64]) -> Outcome {
        Outcome::Accumulators(self.accumulate(left, right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_activations_agrees_with_the_definition_in_both_orders_of_blocks() {
        for (head_minor, n) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
            let rescale = Rescale { multiplier: 3, limbs: 1 };
            let summands: Vec<i64> = if head_minor { (0..40).map(|i| i * 13 % 17 - 8).collect() } else { Vec::new() };
            let product = MatMul {
                heads: 2,
                inner: 3,
                rows: 4,
                columns: 5,
                head_minor,
                inferences: n,
                rescale,
                summands: summands.clone(),
                width: None,
            };
            let left: Vec<i64> = (0..24 * n as i64).map(|i| i * 7 % 11 - 5).collect();
            let right: Vec<i64> = (0..30 * n as i64).map(|i| i * 5 % 13 - 6).collect();
            let acc = product.accumulate(&left, &right);
            assert_eq!(acc.len(), 4 * 2 * n * 5);
            for (e, acc) in acc.iter().enumerate() {
                let (i, h, b, j) = (e / (10 * n), e / (5 * n) % 2, e / 5 % n, e % 5);
                let block = |k: usize| (if head_minor { k * 2 + h } else { h * 3 + k }) * n + b;
                let sum: i64 = (0..3).map(|k| left[block(k) * 4 + i] * right[block(k) * 5 + j]).sum();
                let summand = summands.get((i * 2 + h) * 5 + j).copied().unwrap_or(0);
                assert_eq!(*acc, 3 * sum + summand);
                assert!((0..3).all(|k| product.product(block(k)) == h * n + b));
            }
        }
    }
}
