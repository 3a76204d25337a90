//! Operations of transformers: products of activations, softmax, and normalisation by a standard deviation.
//!
//! Every sum is exact. Softmax and normalisation run over the outermost axis of what is stored: element `c·groups + p` is
//! member `c` of group `p`.

use super::{Activation, requantise};

/// What an accumulator is multiplied by and how far it is shifted, where no weight can take that in:
/// `q = round(acc · multiplier / 2^(S·limbs))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// Factor of the accumulator.
    pub multiplier: i64,
    /// Shift as a multiple of the graph's: the limbs of the remainder, 1 to [`MAX_REMAINDER_LIMBS`](super::MAX_REMAINDER_LIMBS).
    pub limbs: u32,
}

impl Rescale {
    /// A shift by `S`.
    pub const UNIT: Self = Self { multiplier: 1, limbs: 1 };

    /// The rounded quotient of an accumulator that includes the multiplier.
    pub const fn round(&self, acc: i64, shift: u32) -> i64 {
        requantise(acc, shift * self.limbs)
    }
}

/// A product of two activations, summed over `inner`, for each of `heads`:
/// `acc[i, h, j] = multiplier · Σ_k left[h, k, i] · right[h, k, j]`.
///
/// The left operand is stored as `[block][row]`, the right one as `[block][column]`, with the blocks `(h, k)` in one order for
/// both; the result as `[row][head][column]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// `y = exp(x - max) / Σ exp(x - max)` over each group.
///
/// `e = exp[max - x]` from a table, 0 for a member that is masked; `R = floor(2^bits / Σ e)`; `acc = multiplier · e · R`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Number of groups.
    pub groups: usize,
    /// Members of a group.
    pub len: usize,
    /// Members that do not take part, by element; empty for none. Every group keeps one.
    pub masked: Vec<bool>,
    /// `e` by distance from the maximum, from 0 to the greatest distance of two elements; greatest, and positive, at 0 alone.
    pub exp: Activation,
    /// Bits of the dividend.
    pub bits: u32,
    /// What follows the product.
    pub rescale: Rescale,
}

/// What a softmax computes on its way.
#[derive(Clone, Debug, Default)]
pub struct SoftmaxValues {
    /// Greatest member of each group.
    pub maxima: Vec<i64>,
    /// Exponential of each element.
    pub exponentials: Vec<i64>,
    /// Sum of each group's exponentials.
    pub sums: Vec<i64>,
    /// `floor(2^bits / sum)`.
    pub reciprocals: Vec<i64>,
}

impl Softmax {
    /// Whether an element takes no part.
    pub fn is_masked(&self, element: usize) -> bool {
        self.masked.get(element).copied().unwrap_or(false)
    }

    /// What the groups of this input compute before the product.
    pub fn values(&self, x: &[i64]) -> SoftmaxValues {
        let (groups, kept) = (self.groups, |e: &usize| !self.is_masked(*e));
        let members = |p: usize| (0..self.len).map(move |c| c * groups + p);
        let maximum = |p| members(p).filter(kept).map(|e| x[e]).max().unwrap_or(0);
        let maxima: Vec<i64> = (0..groups).map(maximum).collect();
        let exponential =
            |(e, x): (usize, &i64)| if self.is_masked(e) { 0 } else { self.exp.apply(maxima[e % groups] - x) };
        let exponentials: Vec<i64> = x.iter().enumerate().map(exponential).collect();
        let sums: Vec<i64> = (0..groups).map(|p| members(p).map(|e| exponentials[e]).sum()).collect();
        // A kept member attains the maximum, so no sum is 0.
        let reciprocals = sums.iter().map(|sum| (1i64 << self.bits) / (*sum).max(1)).collect();
        SoftmaxValues { maxima, exponentials, sums, reciprocals }
    }

    /// Accumulators of this input, element by element, before they are requantised.
    pub fn accumulate(&self, x: &[i64]) -> Vec<i64> {
        let SoftmaxValues { exponentials, reciprocals, .. } = self.values(x);
        let product = |(e, exp): (usize, &i64)| exp * reciprocals[e % self.groups] * self.rescale.multiplier;
        exponentials.iter().enumerate().map(product).collect()
    }

    /// Greatest accumulator: `e·R <= Σe·R <= 2^bits`.
    pub const fn magnitude(&self) -> i64 {
        (1i64 << self.bits).saturating_mul(self.rescale.multiplier)
    }
}

/// `y = (x - mean) / sqrt(variance + ε)` over each group, or `x / sqrt(mean of squares + ε)`.
///
/// With the exact sums `S = Σ x` (0 where not centred) and `Q = Σ x²` over `n` members:
/// `V = n·Q - S² + epsilon`, `root = floor(2^bits / sqrt(V))`, `acc = multiplier · (n·x - S) · root`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalise {
    /// Number of groups.
    pub groups: usize,
    /// Members of a group.
    pub len: usize,
    /// Whether the mean is taken off.
    pub centred: bool,
    /// `n²·ε` in the scale of squares, at least 1.
    pub epsilon: i64,
    /// Bits of the dividend.
    pub bits: u32,
    /// What follows the product.
    pub rescale: Rescale,
}

/// What a normalisation computes on its way, by group.
#[derive(Clone, Debug, Default)]
pub struct NormaliseValues {
    /// Sums of the members; 0 where not centred.
    pub sums: Vec<i64>,
    /// Sums of their squares.
    pub squares: Vec<i64>,
    /// `floor(2^bits / sqrt(V))`.
    pub roots: Vec<i64>,
}

impl Normalise {
    /// `n·Q - S² + epsilon`, at least 1 by the inequality of Cauchy and Schwarz.
    pub fn variance(&self, sum: i64, squares: i64) -> i128 {
        let sum = i128::from(sum);
        self.len as i128 * i128::from(squares) - sum * sum + i128::from(self.epsilon)
    }

    /// `floor(2^bits / sqrt(v))`: the greatest `y` with `y²·v <= 2^(2·bits)`.
    pub const fn root(&self, v: i128) -> i64 {
        ((1u128 << (2 * self.bits)) / v as u128).isqrt() as i64
    }

    /// What the groups of this input compute before the product.
    pub fn values(&self, x: &[i64]) -> NormaliseValues {
        let mut values = NormaliseValues {
            sums: vec![0; self.groups],
            squares: vec![0; self.groups],
            roots: Vec::with_capacity(self.groups),
        };
        for (e, v) in x.iter().enumerate() {
            let p = e % self.groups;
            values.sums[p] += if self.centred { *v } else { 0 };
            values.squares[p] += v * v;
        }
        let roots = values.sums.iter().zip(&values.squares).map(|(s, q)| self.root(self.variance(*s, *q)));
        values.roots = roots.collect();
        values
    }

    /// Accumulators of this input, element by element, before they are requantised.
    pub fn accumulate(&self, x: &[i64]) -> Vec<i64> {
        let NormaliseValues { sums, roots, .. } = self.values(x);
        let acc = |(e, x): (usize, &i64)| {
            let p = e % self.groups;
            (self.len as i64 * x - sums[p]) * roots[p] * self.rescale.multiplier
        };
        x.iter().enumerate().map(acc).collect()
    }

    /// Bound of the accumulators: `Σ (n·x - S)² <= n·V`, so that `|n·x - S|·root <= sqrt(n)·2^bits`.
    pub const fn magnitude(&self) -> i64 {
        ((self.len.isqrt() as i64 + 1) << self.bits).saturating_mul(self.rescale.multiplier)
    }

    /// Greatest `V` for elements up to `magnitude`.
    pub const fn largest_variance(&self, magnitude: i64) -> i128 {
        let n = self.len as i128 * magnitude as i128;
        n * n + self.epsilon as i128
    }

    /// Bits of the greatest root.
    pub const fn root_bits(&self) -> u32 {
        i64::BITS - self.root(self.epsilon as i128).leading_zeros()
    }

    /// Bits of `2^(2·bits) - root²·V` and of `(root + 1)²·V - 1 - 2^(2·bits)`, neither of which is negative: their sum is
    /// `(2·root + 1)·V - 1 <= 2^(bits + 1)·sqrt(V) + V`.
    pub const fn window_bits(&self, magnitude: i64) -> u32 {
        let v = self.largest_variance(magnitude);
        let bound = ((v.isqrt() + 1) << (self.bits + 1)) + v;
        i128::BITS - bound.leading_zeros()
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

    #[test]
    fn the_root_is_the_greatest_whose_square_fits() {
        let normalise = Normalise { groups: 1, len: 4, centred: true, epsilon: 1, bits: 20, rescale: Rescale::UNIT };
        for v in [1i128, 2, 3, 999, 1 << 20, (1 << 40) + 12345] {
            let y = i128::from(normalise.root(v));
            assert!(y * y * v <= 1 << 40 && (y + 1) * (y + 1) * v > 1 << 40, "{v}");
        }
    }

    #[test]
    fn normalised_groups_have_no_mean_and_the_variance_that_epsilon_leaves() {
        let normalise = Normalise { groups: 2, len: 4, centred: true, epsilon: 1, bits: 24, rescale: Rescale::UNIT };
        let x = [10, -7, 20, 3, -30, 9, 44, -5];
        let acc = normalise.accumulate(&x);
        let values = normalise.values(&x);
        for p in 0..2 {
            let members = || (0..4).map(|c| acc[c * 2 + p]);
            assert_eq!(members().sum::<i64>(), 0);
            let variance = members().map(|acc| (acc as f64 / f64::from(1 << 24)).powi(2)).sum::<f64>() / 4.0;
            // Epsilon is 1/657 of the second group's V; the rounded root's part is twice its last bit's.
            let v = normalise.variance(values.sums[p], values.squares[p]) as f64;
            assert!((variance - (1.0 - 1.0 / v)).abs() < 2.0 / values.roots[p] as f64, "{variance} of {v}");
        }
        assert!(acc.iter().all(|acc| acc.abs() <= normalise.magnitude()));
    }

    #[test]
    fn shares_sum_to_one_less_the_remainder_and_masked_members_have_none() {
        let exp = |d: i64| (f64::from(1 << 14) * (-d as f64 / 8.0).exp()).round() as i64;
        let softmax = Softmax {
            groups: 2,
            len: 3,
            masked: vec![false, false, true, false, false, false],
            exp: Activation { min: 0, values: (0..=100).map(exp).collect() },
            bits: 30,
            rescale: Rescale::UNIT,
        };
        let x = [5, -50, 50, 3, -1, 50];
        let acc = softmax.accumulate(&x);
        assert_eq!(acc[2], 0);
        for (p, exponentials) in softmax.values(&x).sums.into_iter().enumerate() {
            let sum: i64 = (0..3).map(|c| acc[c * 2 + p]).sum();
            assert!((0..exponentials).contains(&((1 << 30) - sum)), "{sum}");
        }
        assert!(acc.iter().all(|acc| (0..=softmax.magnitude()).contains(acc)));
    }
}
