//! The product polynomial of a convolution.
//!
//! With row pitch `S`, an input channel is `X(r) = Σ x(i, j)·r^((H-1-i)·S + (W-1-j))`, a kernel
//! `K(r) = Σ k(a, b)·r^(a·S + b)`, and the output at `(i, j)` is the coefficient of their product at
//!
//! ```text
//! (H-1-i·stride+top)·S + (W-1-j·stride+left)
//! ```
//!
//! `S >= W + left + right` keeps apart the rows: a product's column index reaches `W-1 + kw-1`; what spills over
//! `S - 1` lands in the next row's columns up to `kw - 2 - left - right`, while valid columns are
//! `[kw-1-right, W-1+left]`, and `left < kw` bounds them by `S - 1`.

use crate::{
    graph::{Linear, Shape},
    layout::{Factor, Geometry},
};

/// The exponents of one product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    input: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
    /// Row pitch `S`.
    pub(crate) row_pitch: usize,
    /// Output rows and columns that are outputs or members of a pooling window.
    pub(crate) used: [usize; 2],
}

impl Product {
    /// The product of `linear` with an operand of this shape and geometry; `None` where the window does not fit or
    /// padding reaches a whole kernel.
    pub(crate) fn new(linear: &Linear, input: Shape, geometry: Geometry) -> Option<Self> {
        let window = &linear.window;
        let [height, width] = window.output(input.height, input.width)?;
        let row_pitch = match geometry {
            Geometry::Image { row_pitch, .. } if input.height * input.width > 1 => row_pitch,
            _ => input.width + window.pad_before[1] + window.pad_after[1],
        };
        let padding_fits = (0..2).all(|a| window.pad_before[a].max(window.pad_after[a]) < window.kernel[a]);
        let used = [height / linear.pool[0] * linear.pool[0], width / linear.pool[1] * linear.pool[1]];
        (padding_fits && used[0] * used[1] > 0).then_some(Self {
            input,
            kernel: window.kernel,
            stride: window.stride,
            pad: window.pad_before,
            row_pitch,
            used,
        })
    }

    /// Exponent of an output.
    pub(crate) const fn output(&self, i: usize, j: usize) -> usize {
        (self.input.height - 1 + self.pad[0] - i * self.stride[0]) * self.row_pitch
            + (self.input.width - 1 + self.pad[1] - j * self.stride[1])
    }

    /// Exponent of an input element.
    pub(crate) const fn operand(&self, i: usize, j: usize) -> usize {
        (self.input.height - 1 - i) * self.row_pitch + (self.input.width - 1 - j)
    }

    /// Exponent of a kernel element.
    pub(crate) const fn kernel(&self, a: usize, b: usize) -> usize {
        a * self.row_pitch + b
    }

    /// Exponent between outputs: vertical, horizontal.
    pub(crate) const fn distances(&self) -> [usize; 2] {
        [self.stride[0] * self.row_pitch, self.stride[1]]
    }

    /// Exponent of the last output in use.
    pub(crate) const fn last(&self) -> usize {
        self.output(self.used[0] - 1, self.used[1] - 1)
    }

    /// `Σ r^e` over the exponents of all outputs in use: what a bias is multiplied by.
    pub(crate) fn ones(&self) -> Factor {
        let [vertical, horizontal] = self.distances();
        Factor { shift: self.last(), runs: vec![(vertical, self.used[0]), (horizontal, self.used[1])] }
    }

    /// The product's greatest exponent.
    pub(crate) const fn degree(&self) -> usize {
        let [rows, columns] = self.extent();
        (rows - 1) * self.row_pitch + columns - 1
    }

    /// Number of free coefficients, without listing them: the exponents that the product reaches less the outputs in use.
    pub(crate) fn free_count(&self) -> usize {
        let [rows, columns] = self.extent();
        let reached = if columns <= self.row_pitch { rows * columns } else { self.degree() + 1 };
        reached - self.used[0] * self.used[1]
    }

    /// Rows and columns of the product's coefficients.
    const fn extent(&self) -> [usize; 2] {
        [self.input.height + self.kernel[0] - 1, self.input.width + self.kernel[1] - 1]
    }

    /// For each exponent from the product's degree down to 0, whether its coefficient is free: reached by the product
    /// and not an output in use.
    pub(crate) fn free(&self) -> Vec<bool> {
        let ([rows, columns], degree) = (self.extent(), self.degree());
        let mut free = vec![false; degree + 1];
        for i in 0..rows {
            (0..columns).for_each(|j| free[degree - (i * self.row_pitch + j)] = true);
        }
        for i in 0..self.used[0] {
            (0..self.used[1]).for_each(|j| free[degree - self.output(i, j)] = false);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Window;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    fn linear(window: Window, pool: [usize; 2]) -> Linear {
        let taps = window.kernel[0] * window.kernel[1];
        Linear { window, out_channels: 1, weights: vec![0; taps], bias: vec![0], pool, raw: false }
    }

    /// A random product that exists, at its own row pitch or a wider one.
    fn random(rng: &mut ChaCha20Rng) -> (Linear, Shape, Product) {
        loop {
            let input = Shape { channels: 1, height: rng.gen_range(1..8), width: rng.gen_range(1..8) };
            let kernel = [0; 2].map(|_| rng.gen_range(1..=4));
            let window = Window {
                kernel,
                stride: [0; 2].map(|_| rng.gen_range(1..=5)),
                pad_before: kernel.map(|k| rng.gen_range(0..k)),
                pad_after: kernel.map(|k| rng.gen_range(0..k)),
            };
            let linear = linear(window, [0; 2].map(|_| rng.gen_range(1..=2)));
            let least = input.width + window.pad_before[1] + window.pad_after[1];
            let geometry = Geometry::image(input, least + rng.gen_range(0..3), 1);
            if let Some(product) = Product::new(&linear, input, geometry) {
                return (linear, input, product);
            }
        }
    }

    /// The output at `(i, j)` by the definition of a convolution.
    fn convolved(linear: &Linear, input: Shape, x: &[i64], k: &[i64], [i, j]: [usize; 2]) -> i64 {
        let Window { kernel: [height, width], stride, pad_before, .. } = linear.window;
        let taps = (0..height).flat_map(|a| (0..width).map(move |b| (a, b)));
        taps.filter_map(|(a, b)| {
            let y = (i * stride[0] + a).checked_sub(pad_before[0]).filter(|y| *y < input.height)?;
            let z = (j * stride[1] + b).checked_sub(pad_before[1]).filter(|z| *z < input.width)?;
            Some(x[input.index(0, y, z)] * k[a * width + b])
        })
        .sum()
    }

    /// The product of both polynomials, coefficient by coefficient.
    fn multiplied(product: &Product, input: Shape, width: usize, x: &[i64], k: &[i64]) -> Vec<i64> {
        let mut coefficients = vec![0; product.free().len()];
        for (e, x) in x.iter().enumerate() {
            for (t, k) in k.iter().enumerate() {
                let at = product.operand(e / input.width, e % input.width) + product.kernel(t / width, t % width);
                coefficients[at] += x * k;
            }
        }
        coefficients
    }

    #[test]
    fn outputs_are_the_coefficients_of_the_product_at_their_exponents() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for _ in 0..500 {
            let (linear, input, product) = random(rng);
            let mut draw = |len: usize| -> Vec<i64> { (0..len).map(|_| rng.gen_range(-99..=99)).collect() };
            let (x, k) = (draw(input.len()), draw(linear.weights.len()));
            let coefficients = multiplied(&product, input, linear.window.kernel[1], &x, &k);
            for (i, j) in (0..product.used[0]).flat_map(|i| (0..product.used[1]).map(move |j| (i, j))) {
                let expected = convolved(&linear, input, &x, &k, [i, j]);
                assert_eq!(coefficients[product.output(i, j)], expected, "({i}, {j}) of {product:?}");
            }
        }
    }

    #[test]
    fn a_coefficient_is_free_where_the_product_reaches_and_no_output_stands() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        for _ in 0..500 {
            let (linear, input, product) = random(rng);
            let ones = |len: usize| vec![1; len];
            let width = linear.window.kernel[1];
            let reached = multiplied(&product, input, width, &ones(input.len()), &ones(linear.weights.len()));
            let mut outputs = vec![false; reached.len()];
            for (i, j) in (0..product.used[0]).flat_map(|i| (0..product.used[1]).map(move |j| (i, j))) {
                let exponent = product.output(i, j);
                assert!(!outputs[exponent], "two outputs at {exponent} of {product:?}");
                outputs[exponent] = true;
            }
            let free: Vec<bool> = product.free().into_iter().rev().collect();
            let expected: Vec<bool> = reached.iter().zip(&outputs).map(|(r, o)| *r != 0 && !o).collect();
            assert_eq!(free, expected, "{product:?}");
            assert_eq!(product.free_count(), free.iter().filter(|free| **free).count(), "{product:?}");
        }
    }

    #[test]
    fn a_bias_reaches_each_output_once_and_nothing_else() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        for _ in 0..500 {
            let (_, _, product) = random(rng);
            let ones = product.ones();
            let mut reached = ones.runs.iter().fold(vec![ones.shift], |all, (step, count)| {
                all.iter().flat_map(|e| (0..*count).map(move |m| e + step * m)).collect()
            });
            let [height, width] = product.used;
            let mut outputs: Vec<usize> =
                (0..height).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| product.output(i, j)).collect();
            reached.sort_unstable();
            outputs.sort_unstable();
            assert_eq!(reached, outputs, "{product:?}");
            assert_eq!(outputs.first(), Some(&product.last()));
        }
    }

    #[test]
    fn padding_as_wide_as_the_kernel_has_no_product() {
        let input = Shape { channels: 1, height: 3, width: 3 };
        let geometry = Geometry::image(input, 9, 1);
        for pads in [[2, 0], [0, 2]] {
            let window = Window { kernel: [2, 2], pad_before: pads, ..Window::UNIT };
            assert!(Product::new(&linear(window, [1, 1]), input, geometry).is_none());
            let window = Window { kernel: [2, 2], pad_after: pads, ..Window::UNIT };
            assert!(Product::new(&linear(window, [1, 1]), input, geometry).is_none());
        }
        let window = Window { kernel: [3, 3], ..Window::UNIT };
        assert!(Product::new(&linear(window, [2, 2]), input, geometry).is_none(), "a pool larger than the output");
    }
}
