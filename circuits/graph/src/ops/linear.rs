//! Products with learned weights: dense layers (GEMM), convolutions and transposed convolutions.
//!
//! A convolution is computed directly, tap by tap; there is no im2col.

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Width};
use crate::limits::{WEIGHT_BITS, WINDOW_LIMIT};
use crate::ops::max_pool;
use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};
use crate::tensor::{Format, Shape, transpose};
use crate::window::{self, Convolution, Window, convolve};

/// A product with learned weights: dense layer, matrix product, convolution or transposed convolution, with its folded
/// batch norm, activation and, where it follows directly, its maximum pooling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// The sliding window; [`Window::UNIT`] for dense layers.
    pub window: Window,
    /// Vertical and horizontal distance of neighbouring input elements on the grid that the window slides over, zeros
    /// between them; more than `[1, 1]` for transposed convolutions with a stride.
    pub input_dilation: [usize; 2],
    /// Groups of channels: output channel `o` reads the input channels of group `o / (out_channels / groups)` only.
    pub groups: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Weights, `[out][in / groups][kernel height][kernel width]`, at most 16 bits each.
    pub weights: Vec<i32>,
    /// Biases in the accumulator's scale, one per output channel; all zero where the layer has none.
    pub bias: Vec<i64>,
    /// Maximum pooling of the outputs over disjoint `[height, width]` windows (stride = kernel, no padding);
    /// `[1, 1]` for none. Rows and columns that fill no window are dropped. Each of the window's images is pooled on
    /// its own.
    pub pool: [usize; 2],
    /// Whether the output is the accumulator itself, without requantisation; only for outputs of the graph that
    /// no other node reads, without pooling.
    pub raw: bool,
    /// Whether the result of a matrix product is stored row by row, one channel a row: the transpose of the usual
    /// order.
    pub transposed: bool,
    /// How wide accumulators of learned weights are, for the circuit. `None` where the weights are constants of the
    /// architecture: the circuit is then sized by their exact bounds, and its key tells them.
    pub width: Option<Width>,
}

impl Linear {
    /// A product over single elements: a dense layer for vectors, rows times a matrix for matrices.
    pub fn dense(out_channels: usize, weights: Vec<i32>, bias: Vec<i64>) -> Self {
        Self {
            window: Window::UNIT,
            input_dilation: [1, 1],
            groups: 1,
            out_channels,
            weights,
            bias,
            pool: [1, 1],
            raw: false,
            transposed: false,
            width: None,
        }
    }

    /// The grid that the window slides over, for an input of this shape.
    pub const fn grid(&self, input: Shape) -> Shape {
        window::grid(input, self.input_dilation, self.window.images)
    }

    /// Extent (height, width) of the accumulators, before pooling; `None` where the window does not fit.
    pub fn output(&self, input: Shape) -> Option<[usize; 2]> {
        input.width.is_multiple_of(self.window.images).then_some(())?;
        let grid = self.grid(input);
        self.window.output(grid.height, grid.width)
    }

    /// Extent (height, width) of the result, after pooling; `None` where a window does not fit.
    pub fn pooled(&self, input: Shape) -> Option<[usize; 2]> {
        let ([height, width], images) = (self.output(input)?, self.window.images);
        Some([height.checked_div(self.pool[0])?, (width / images).checked_div(self.pool[1])? * images])
    }

    /// Whether the window reads single elements, each output the one at its place, so that no image has a neighbour.
    pub fn is_pointwise(&self) -> bool {
        self.window == Window::UNIT && self.pool == [1, 1] && self.input_dilation == [1, 1]
    }

    /// Index of a weight in [`weights`](Self::weights); `None` for a channel outside the output's group, whose weight
    /// is 0.
    pub fn weight_index(&self, input: Shape, output: usize, channel: usize, tap: usize) -> Option<usize> {
        let group_inputs = input.channels / self.groups;
        let group = output / (self.out_channels / self.groups);
        let within = channel.checked_sub(group * group_inputs).filter(|c| *c < group_inputs)?;
        Some((output * group_inputs + within) * self.window.taps() + tap)
    }

    /// Exact bounds of each output channel's accumulators for inputs of this format. They follow from the weights: a
    /// circuit must be sized by [`width`](Self::width) where there is one.
    pub fn channel_bounds(&self, input: Format) -> Vec<Bounds> {
        let padded = self.window.is_padded() || self.input_dilation != [1, 1];
        let Format { min, max, .. } = input;
        let range = if padded { Format { min: min.min(0), max: max.max(0), ..input } } else { input };
        let rows = self.weights.chunks((self.weights.len() / self.out_channels.max(1)).max(1));
        let bounds = |(row, &bias): (&[i32], &i64)| {
            // Both ends need only the sums of the positive and of the negative weights.
            let positive: i64 = row.iter().map(|&w| i64::from(w.max(0))).sum();
            let negative: i64 = row.iter().map(|&w| i64::from(w.min(0))).sum();
            let mut bounds = Bounds { min: bias, max: bias };
            bounds.add_product(positive, range);
            bounds.add_product(negative, range);
            bounds
        };
        rows.zip(&self.bias).map(bounds).collect()
    }

    /// The shape of the result for an input of this shape; `None` where a window does not fit.
    fn result(&self, input: Shape) -> Option<Shape> {
        if self.transposed {
            let [_, w] = self.output(input)?;
            return Some(Shape { channels: w, height: 1, width: self.out_channels });
        }
        let [height, width] = self.pooled(input)?;
        Some(Shape { channels: self.out_channels, height, width })
    }

    /// `uses` counts the readers of the result, and its places among the graph's outputs.
    pub(crate) fn validate(&self, site: &Site<'_>, uses: impl Fn() -> [usize; 2]) -> Check {
        let x = site.operand(0);
        self.check_extents(site, x.shape)?;
        self.check_weights(site, x.shape)?;
        site.check_width(self.width, || self.channel_bounds(x.format))?;
        self.check_raw(site, uses)?;
        site.expect("output shape", Some(site.output().shape), self.result(x.shape))
    }

    fn check_extents(&self, site: &Site<'_>, x: Shape) -> Check {
        site.check_window(&self.window)?;
        let dilated = self.input_dilation.iter().all(|d| (1..=WINDOW_LIMIT).contains(d));
        site.expect("input dilation that is positive and small", dilated, true)?;
        let matrix = self.window == Window::UNIT && x.height == 1 && !self.raw && self.pool == [1, 1];
        site.expect("a transposed result of a matrix product", matrix || !self.transposed, true)?;
        let pooled = self.pool.iter().all(|size| (1..=WINDOW_LIMIT).contains(size));
        site.expect("pooling window that is positive and small", pooled, true)?;
        let divides = |n: usize| self.groups > 0 && n.is_multiple_of(self.groups);
        site.expect("groups that divide the channels", divides(x.channels) && divides(self.out_channels), true)
    }

    fn check_weights(&self, site: &Site<'_>, x: Shape) -> Check {
        let taps = self.window.taps();
        let expected = self.out_channels.checked_mul(x.channels / self.groups).and_then(|n| n.checked_mul(taps));
        site.expect("number of weights", Some(self.weights.len()), expected)?;
        site.expect("number of biases", self.bias.len(), self.out_channels)?;
        let limit = 1i32 << (WEIGHT_BITS - 1);
        let (min, max) = self.weights.iter().fold((0, 0), |(lo, hi), &w| (w.min(lo), w.max(hi)));
        if min < -limit || max >= limit {
            return Err(site.mismatch("weights", format!("{min}..={max}"), format!("{WEIGHT_BITS} bits with sign")));
        }
        site.check_summands("bias", &self.bias)
    }

    fn check_raw(&self, site: &Site<'_>, uses: impl Fn() -> [usize; 2]) -> Check {
        if !self.raw {
            return Ok(());
        }
        site.expect("pooling of a raw output", self.pool, [1, 1])?;
        let [readers, places] = uses();
        site.expect("readers of a raw output", readers, 0)?;
        site.expect("places of a raw output among the graph's outputs", places, 1)
    }

    /// Public bounds of the accumulators.
    pub(crate) fn bounds(&self, site: &Site<'_>) -> Bounds {
        match self.width {
            Some(width) => width.bounds(),
            None => {
                let channels = self.channel_bounds(site.operand(0).format);
                channels.into_iter().reduce(Bounds::union).unwrap_or_default()
            }
        }
    }

    /// Multiply-accumulates of one inference.
    pub(crate) fn macs(&self, site: &Site<'_>) -> usize {
        self.output(site.operand(0).shape).map_or(0, |[h, w]| self.weights.len() * h * w)
    }

    /// Number of learned values: weights, and biases that are not 0, which a layer without biases has too.
    pub(crate) fn parameters(&self) -> usize {
        self.weights.len() + self.bias.iter().filter(|b| **b != 0).count()
    }

    /// Number of learned values by the shapes alone: a bias for each output channel.
    pub(crate) const fn weight_cells(&self) -> usize {
        self.weights.len() + self.bias.len()
    }

    pub(crate) fn run(&self, x: &[i64], shape: Shape) -> Outcome {
        let acc = accumulate(self, x, shape);
        let accumulators = if self.transposed { transpose(&acc, self.out_channels) } else { acc };
        if self.raw {
            return Outcome::Raw(accumulators);
        }
        if self.pool == [1, 1] {
            return Outcome::Accumulators(accumulators);
        }
        let [height, width] = self.output(shape).unwrap_or([0, 0]);
        let image = Shape { channels: self.out_channels, height, width };
        let window = Window { kernel: self.pool, stride: self.pool, images: self.window.images, ..Window::UNIT };
        Outcome::Maxima { maxima: max_pool::maxima(&accumulators, image, &window), accumulators }
    }
}

/// Accumulators of every window, `[out channel][height][width]`.
fn accumulate(linear: &Linear, x: &[i64], shape: Shape) -> Vec<i64> {
    if linear.window == Window::UNIT && shape.height * shape.width == 1 && linear.groups == 1 {
        return accumulate_dense(linear, x);
    }
    let [height, width] = linear.output(shape).unwrap_or([0, 0]);
    let mut acc: Vec<i64> = linear.bias.iter().flat_map(|&b| std::iter::repeat_n(b, height * width)).collect();
    let Linear { window, input_dilation, groups, .. } = *linear;
    convolve(&mut acc, x, shape, &Convolution { window, input_dilation, groups }, &linear.weights);
    acc
}

/// Products of a vector with each row of weights.
fn accumulate_dense(linear: &Linear, x: &[i64]) -> Vec<i64> {
    // Activations have at most 29 bits with sign, so the narrowing is exact; 32-bit operands multiply faster.
    let x: Vec<i32> = x.iter().map(|&v| v as i32).collect();
    let rows = linear.weights.chunks_exact(x.len().max(1));
    let dot = |row: &[i32]| row.iter().zip(&x).map(|(&w, &v)| i64::from(w) * i64::from(v)).sum::<i64>();
    rows.zip(&linear.bias).map(|(row, bias)| dot(row) + bias).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product with every attribute at once, and its accumulators by the definition.
    #[test]
    fn grouped_dilated_and_transposed_convolution_agrees_with_the_definition() {
        let (pad_before, pad_after) = ([2, 1], [1, 4]);
        let window = Window { kernel: [2, 3], stride: [1, 2], dilation: [3, 2], pad_before, pad_after, ..Window::UNIT };
        let shape = Shape { channels: 4, height: 3, width: 4 };
        let weights: Vec<i32> = (0..6 * 2 * 6).map(|i| (i * 7) % 11 - 5).collect();
        let linear =
            Linear { window, input_dilation: [2, 3], groups: 2, ..Linear::dense(6, weights.clone(), (0..6).collect()) };
        let x: Vec<i64> = (0..shape.len() as i64).map(|i| (i * 37) % 19 - 9).collect();
        let [height, width] = linear.output(shape).unwrap();
        let acc = accumulate(&linear, &x, shape);
        assert_eq!(acc.len(), 6 * height * width);
        for (element, got) in acc.into_iter().enumerate() {
            let (o, oy, ox) = (element / (height * width), element / width % height, element % width);
            let mut expected = o as i64;
            for (c, tap) in (0..4).flat_map(|c| (0..6).map(move |tap| (c, tap))) {
                let (y, x_) = ((oy + tap / 3 * 3) as i64 - 2, (ox * 2 + tap % 3 * 2) as i64 - 1);
                let inside = y % 2 == 0
                    && x_ % 3 == 0
                    && (0..3).contains(&y.div_euclid(2))
                    && (0..4).contains(&x_.div_euclid(3));
                if let (true, Some(index)) = (inside, linear.weight_index(shape, o, c, tap)) {
                    expected += i64::from(weights[index]) * x[shape.index(c, (y / 2) as usize, (x_ / 3) as usize)];
                }
            }
            assert_eq!(got, expected, "({o}, {oy}, {ox})");
        }
    }

    #[test]
    fn padding_widens_a_range_that_excludes_zero() {
        let window = Window { kernel: [1, 3], pad_before: [0, 1], pad_after: [0, 1], ..Window::UNIT };
        let linear = Linear { window, ..Linear::dense(1, vec![1, 1, 1], vec![0]) };
        let bounds = linear.channel_bounds(Format::new(0, 5, 9));
        assert_eq!(bounds, [Bounds { min: 0, max: 27 }]);
    }
}
