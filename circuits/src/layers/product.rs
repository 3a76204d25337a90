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

    /// For each exponent from the product's degree down to 0, whether its coefficient is free: reached by the product
    /// and not an output in use.
    pub(crate) fn free(&self) -> Vec<bool> {
        let (rows, columns) = (self.input.height + self.kernel[0] - 1, self.input.width + self.kernel[1] - 1);
        let degree = (rows - 1) * self.row_pitch + columns - 1;
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
