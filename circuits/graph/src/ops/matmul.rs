//! Products of two activations, a GEMM for each head: the scores of scaled dot-product attention, and their product
//! with the values (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>).

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::ops::outcome::Outcome;
use crate::rescale::Rescale;
use crate::site::{Check, Site};
use crate::tensor::Shape;

/// A product of two activations, summed over `inner`, for each of `heads`:
/// `acc[i, h, j] = multiplier · Σ_k left[h, k, i] · right[h, k, j]`.
///
/// The left operand is stored as `[block][row]`, the right one as `[block][column]`, with the blocks `(h, k)` in one
/// order for both; the result as `[row][head][column]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatMul {
    /// Products side by side.
    pub heads: usize,
    /// Length of the sums.
    pub inner: usize,
    /// Rows of the left operand's matrices: outer axis of the result.
    pub rows: usize,
    /// Columns of the right operand's matrices: inner axis of the result.
    pub columns: usize,
    /// Whether block `k·heads + h` is that of head `h`; otherwise it is block `h·inner + k`.
    pub head_minor: bool,
    /// What follows the sum.
    pub rescale: Rescale,
}

impl MatMul {
    /// Blocks of each operand.
    pub const fn blocks(&self) -> usize {
        self.heads * self.inner
    }

    /// Head of a block.
    pub const fn head(&self, block: usize) -> usize {
        if self.head_minor { block % self.heads } else { block / self.inner }
    }

    /// Accumulators, in the result's order.
    pub fn accumulate(&self, left: &[i64], right: &[i64]) -> Vec<i64> {
        let mut acc = vec![0; self.rows * self.heads * self.columns];
        for block in 0..self.blocks() {
            let right = &right[block * self.columns..][..self.columns];
            for (i, a) in left[block * self.rows..][..self.rows].iter().enumerate() {
                let a = a * self.rescale.multiplier;
                let first = (i * self.heads + self.head(block)) * self.columns;
                acc[first..first + self.columns].iter_mut().zip(right).for_each(|(acc, b)| *acc += a * b);
            }
        }
        acc
    }

    pub(crate) fn validate(&self, site: &Site<'_>) -> Check {
        let Self { heads, inner, rows, columns, .. } = *self;
        let small = [heads, inner, rows, columns].iter().all(|n| (1..=1 << 20).contains(n));
        site.expect("extents of a product that are positive and small", small, true)?;
        let shape = |channels, width| Shape { channels, height: 1, width };
        let blocks = heads.checked_mul(inner).unwrap_or(0);
        site.expect("left operand's shape", site.operand(0).shape, shape(blocks, rows))?;
        site.expect("right operand's shape", site.operand(1).shape, shape(blocks, columns))?;
        site.expect("output shape", site.output().shape, shape(rows * heads, columns))?;
        site.check_rescale(&self.rescale, || self.bounds(site))
    }

    /// Public bounds of the accumulators.
    pub(crate) fn bounds(&self, site: &Site<'_>) -> Bounds {
        let most = site.operand(0).format.magnitude().saturating_mul(site.operand(1).format.magnitude());
        Bounds::within(most.saturating_mul(self.rescale.multiplier).saturating_mul(self.inner as i64))
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
        for head_minor in [false, true] {
            let rescale = Rescale { multiplier: 3, limbs: 1 };
            let product = MatMul { heads: 2, inner: 3, rows: 4, columns: 5, head_minor, rescale };
            let left: Vec<i64> = (0..24).map(|i| i * 7 % 11 - 5).collect();
            let right: Vec<i64> = (0..30).map(|i| i * 5 % 13 - 6).collect();
            let acc = product.accumulate(&left, &right);
            for (e, acc) in acc.iter().enumerate() {
                let (i, h, j) = (e / 10, e / 5 % 2, e % 5);
                let block = |k: usize| if head_minor { k * 2 + h } else { h * 3 + k };
                let sum: i64 = (0..3).map(|k| left[block(k) * 4 + i] * right[block(k) * 5 + j]).sum();
                assert_eq!(*acc, 3 * sum);
                assert!((0..3).all(|k| product.head(block(k)) == h));
            }
        }
    }
}
