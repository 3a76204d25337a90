//! The product polynomial of a convolution.
//!
//! The window slides over a grid: the input, or for a transposed convolution the input with `dy - 1` and `dx - 1` zeros
//! between its rows and columns. With row pitch `S` on a grid of `H × W`, an input channel is
//! `X(r) = Σ x(i, j)·r^((H-1-i·dy)·S + (W-1-j·dx))`, a kernel with taps `ey` and `ex` apart is
//! `K(r) = Σ k(a, b)·r^(a·ey·S + b·ex)`, and the output at `(i, j)` is the coefficient of their product at
//!
//! ```text
//! (H-1-i·stride+top)·S + (W-1-j·stride+left)
//! ```
//!
//! `S >= W + left + right` keeps apart the rows: with a kernel that spans `w = (kw-1)·ex + 1` columns, a product's
//! column index reaches `W-1 + w-1`; what spills over `S - 1` lands in the next row's columns up to
//! `w - 2 - left - right`, while the columns of outputs are from `w-1-right` to `W-1+left <= S - 1`. Where padding is
//! wider than that, `right > w-1`, everything is shifted by the difference (`lead`): columns then reach `W-1+right` at
//! most, and nothing spills. Rows likewise.
//!
//! Where `n` images lie side by side, column `j` of image `b` is column `j·n + b` of the grid, taps are `n·ex` columns
//! apart, padding is `n` times as wide, and the output `(i, j)` of image `b` stands at column `j·stride·n + b`. All of
//! these are outputs of the convolution of stride 1 over one image of `n·W` columns with those distances and padding,
//! for which the above holds. A tap moves by whole multiples of `n`, so an output's definition reads columns of its own
//! image alone: `X(r) = Σ_b r^(n-1-b)·X_b(r^n)`, and no two exponents of different images are equal modulo `n`.

use std::collections::BTreeSet;

use zkml_gpu_graph::{Linear, Shape};

use crate::system::{Factor, Geometry};

/// The exponents of one product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// Extent of the input, in elements.
    input: [usize; 2],
    /// Extent of the grid.
    grid: [usize; 2],
    input_dilation: [usize; 2],
    kernel: [usize; 2],
    dilation: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
    /// Images side by side.
    images: usize,
    /// Power of `r` by which the whole product is multiplied, so that no output's exponent is negative.
    pub(crate) lead: usize,
    /// Row pitch `S`.
    pub(crate) row_pitch: usize,
    /// Output rows and columns that are outputs or members of a pooling window.
    pub(crate) used: [usize; 2],
}

impl Product {
    /// The product of `linear` with an operand of this shape and geometry; `None` where the window, or its pooling,
    /// does not fit.
    pub(crate) fn new(linear: &Linear, input: Shape, geometry: Geometry) -> Option<Self> {
        let window = &linear.window;
        let grid = linear.grid(input);
        let images = window.images;
        let least = grid.width + (window.pad_before[1] + window.pad_after[1]) * images;
        let row_pitch = match geometry {
            Geometry::Image { row_pitch, .. } if input.height * input.width > 1 => row_pitch / linear.input_dilation[0],
            Geometry::Image { .. } | Geometry::Flat { .. } => least,
        };
        let [down, right] = [0, 1].map(|axis| (window.pad_after[axis] + 1).saturating_sub(window.extent(axis)));
        let [pooled_height, pooled_width] = linear.pooled(input)?;
        let used = [pooled_height * linear.pool[0], pooled_width * linear.pool[1]];
        (used[0] * used[1] > 0).then_some(Self {
            input: [input.height, input.width],
            grid: [grid.height, grid.width],
            input_dilation: linear.input_dilation,
            kernel: window.kernel,
            dilation: window.dilation,
            stride: window.stride,
            pad: window.pad_before,
            images,
            lead: down * row_pitch + right * images,
            row_pitch,
            used,
        })
    }

    /// Exponent of an output.
    pub(crate) const fn output(&self, i: usize, j: usize) -> usize {
        // The column alone may be negative where `lead` makes up for it.
        (self.grid[0] - 1 + self.pad[0]) * self.row_pitch + self.grid[1] - 1 + self.pad[1] * self.images + self.lead
            - i * self.stride[0] * self.row_pitch
            - self.column(j, self.stride[1])
    }

    /// Exponent of an input element.
    pub(crate) const fn operand(&self, i: usize, j: usize) -> usize {
        (self.grid[0] - 1 - i * self.input_dilation[0]) * self.row_pitch
            + (self.grid[1] - 1 - self.column(j, self.input_dilation[1]))
    }

    /// Exponent of a kernel element, without [`lead`](Self::lead).
    pub(crate) const fn kernel(&self, a: usize, b: usize) -> usize {
        a * self.dilation[0] * self.row_pitch + b * self.dilation[1] * self.images
    }

    /// Where column `j` of all images is, once those of each are `by` apart.
    const fn column(&self, j: usize, by: usize) -> usize {
        j / self.images * by * self.images + j % self.images
    }

    /// Exponent between outputs of one image: vertical, horizontal.
    pub(crate) const fn distances(&self) -> [usize; 2] {
        [self.stride[0] * self.row_pitch, self.stride[1] * self.images]
    }

    /// Outputs of a row that stand at equal distances, one after the other, and how far apart: a whole row, or one
    /// column of all images.
    pub(crate) const fn even(&self) -> [usize; 2] {
        match (self.images, self.stride[1]) {
            (1, stride) => [self.used[1], stride],
            (_, 1) => [self.used[1], 1],
            (images, _) => [images, 1],
        }
    }

    /// Exponent of the last output in use.
    pub(crate) const fn last(&self) -> usize {
        self.output(self.used[0] - 1, self.used[1] - 1)
    }

    /// `Σ r^e` over the exponents of all outputs in use: what a bias is multiplied by.
    pub(crate) fn ones(&self) -> Factor {
        let [vertical, _] = self.distances();
        let [count, distance] = self.even();
        let mut runs = vec![(vertical, self.used[0]), (distance, count)];
        if count < self.used[1] {
            runs.push((self.distances()[1], self.used[1] / count));
        }
        Factor { runs, ..Factor::r(self.last()) }
    }

    /// Exponents along an axis that the product reaches, without [`lead`](Self::lead).
    fn reached(&self, axis: usize) -> BTreeSet<usize> {
        let positions = (0..self.input[axis]).map(|i| match axis {
            0 => self.grid[0] - 1 - i * self.input_dilation[0],
            _ => self.grid[1] - 1 - self.column(i, self.input_dilation[1]),
        });
        let apart = self.dilation[axis] * self.images_along(axis);
        let taps = move |at: usize| (0..self.kernel[axis]).map(move |a| at + a * apart);
        positions.flat_map(taps).collect()
    }

    const fn images_along(&self, axis: usize) -> usize {
        if axis == 1 { self.images } else { 1 }
    }

    /// The greatest exponent: the product's degree, or that of the first output, which may lie in padding alone.
    pub(crate) fn degree(&self) -> usize {
        let reach =
            |axis: usize| self.grid[axis] - 1 + (self.kernel[axis] - 1) * self.dilation[axis] * self.images_along(axis);
        let (reach, first) = (reach(0) * self.row_pitch + reach(1) + self.lead, self.output(0, 0));
        if reach > first { reach } else { first }
    }

    /// Whether some coefficient is free, without listing them.
    pub(crate) fn has_free(&self) -> bool {
        let (rows, columns) = (self.reached(0), self.reached(1));
        let (down, right) = (self.lead / self.row_pitch, self.lead % self.row_pitch);
        let spills = columns.last().is_some_and(|last| last + right >= self.row_pitch);
        let outputs = |axis: usize, lead: usize| -> BTreeSet<usize> {
            let first = self.grid[axis] - 1 + self.pad[axis] * self.images_along(axis) + lead;
            let place = |out| if axis == 1 { self.column(out, self.stride[1]) } else { out * self.stride[0] };
            (0..self.used[axis]).map(|out| first - place(out)).collect()
        };
        let (output_rows, output_columns) = (outputs(0, down), outputs(1, right));
        // What spills into the next row stands at no output.
        spills
            || !rows.iter().all(|row| output_rows.contains(&(row + down)))
            || !columns.iter().all(|column| output_columns.contains(&(column + right)))
    }

    /// For each exponent from the greatest down to 0, whether its coefficient is free: reached by the product and not
    /// an output in use.
    pub(crate) fn free(&self) -> Vec<bool> {
        let (rows, columns, degree) = (self.reached(0), self.reached(1), self.degree());
        let mut free = vec![false; degree + 1];
        for i in &rows {
            columns.iter().for_each(|j| free[degree - (i * self.row_pitch + j + self.lead)] = true);
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
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;
    use zkml_gpu_graph::Window;

    fn linear(window: Window, pool: [usize; 2]) -> Linear {
        Linear { window, pool, ..Linear::dense(1, vec![0; window.taps()], vec![0]) }
    }

    /// A random product that exists, at its own row pitch or a wider one.
    fn random(rng: &mut ChaCha20Rng) -> (Linear, Shape, Product) {
        loop {
            let images = [1, 1, 2, 3][rng.gen_range(0..4)];
            let input = Shape { channels: 1, height: rng.gen_range(1..8), width: rng.gen_range(1..8) * images };
            let kernel = [0; 2].map(|_| rng.gen_range(1..=4));
            let window = Window {
                kernel,
                stride: [0; 2].map(|_| rng.gen_range(1..=5)),
                dilation: [0; 2].map(|_| rng.gen_range(1..=3)),
                pad_before: kernel.map(|k| rng.gen_range(0..k + 2)),
                pad_after: kernel.map(|k| rng.gen_range(0..k + 3)),
                images,
            };
            let mut linear = linear(window, [0; 2].map(|_| rng.gen_range(1..=2)));
            linear.input_dilation = [0; 2].map(|_| rng.gen_range(1..=3));
            let least = linear.grid(input).width + (window.pad_before[1] + window.pad_after[1]) * images;
            let [dy, dx] = linear.input_dilation;
            let geometry = Geometry::image(input, [(least + rng.gen_range(0..3)) * dy, dx], 1);
            if let Some(product) = Product::new(&linear, input, geometry) {
                return (linear, input, product);
            }
        }
    }

    /// The output at `(i, j)` by the definition of a convolution.
    fn convolved(linear: &Linear, input: Shape, x: &[i64], k: &[i64], [i, j]: [usize; 2]) -> i64 {
        let Window { kernel: [height, width], stride, dilation, pad_before, images, .. } = linear.window;
        let taps = (0..height).flat_map(|a| (0..width).map(move |b| (a, b)));
        let element = |axis: usize, out: usize, tap: usize, size: usize| {
            let at = (out * stride[axis] + tap * dilation[axis]).checked_sub(pad_before[axis])?;
            let (element, between) = (at / linear.input_dilation[axis], at % linear.input_dilation[axis]);
            (between == 0 && element < size).then_some(element)
        };
        taps.filter_map(|(a, b)| {
            let (y, z) = (element(0, i, a, input.height)?, element(1, j / images, b, input.width / images)?);
            Some(x[input.index(0, y, z * images + j % images)] * k[a * width + b])
        })
        .sum()
    }

    /// The product of both polynomials, coefficient by coefficient.
    fn multiplied(product: &Product, input: Shape, width: usize, x: &[i64], k: &[i64]) -> Vec<i64> {
        let mut coefficients = vec![0; product.free().len()];
        for (e, x) in x.iter().enumerate() {
            for (t, k) in k.iter().enumerate() {
                let at = product.operand(e / input.width, e % input.width) + product.kernel(t / width, t % width);
                coefficients[at + product.lead] += x * k;
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
            assert_eq!(product.has_free(), free.contains(&true), "{product:?}");
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
    fn a_pool_larger_than_the_output_has_no_product() {
        let input = Shape { channels: 1, height: 3, width: 3 };
        let window = Window { kernel: [3, 3], ..Window::UNIT };
        assert!(Product::new(&linear(window, [2, 2]), input, Geometry::image(input, [3, 1], 1)).is_none());
        assert!(Product::new(&linear(window, [1, 1]), input, Geometry::image(input, [3, 1], 1)).is_some());
    }
}
