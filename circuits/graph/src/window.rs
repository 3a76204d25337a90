//! Sliding windows over images, for integers and for floats: the same loops serve the integer reference and the
//! float graph, so that they differ in numbers only.

use std::borrow::Cow;
use std::ops::{AddAssign, Mul, Range};

use serde::{Deserialize, Serialize};

use crate::tensor::Shape;

/// Kernel size, stride, dilation and zero padding of a window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Height and width, in taps.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Vertical and horizontal distance of neighbouring taps.
    pub dilation: [usize; 2],
    /// Padding before: top, left.
    pub pad_before: [usize; 2],
    /// Padding after: bottom, right.
    pub pad_after: [usize; 2],
}

impl Window {
    /// The 1 × 1 window of a matrix product.
    pub const UNIT: Self =
        Self { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_before: [0, 0], pad_after: [0, 0] };

    /// Number of taps.
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Elements that the window spans along an axis.
    pub const fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Whether windows reach into padding.
    pub fn is_padded(&self) -> bool {
        self.pad_before != [0, 0] || self.pad_after != [0, 0]
    }

    /// Output extent (height, width) over an input of `height × width`; `None` where the window does not fit.
    pub fn output(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let axis = |a: usize, size: usize| {
            (self.stride[a] > 0 && self.kernel[a] > 0).then_some(())?;
            let padded = size + self.pad_before[a] + self.pad_after[a];
            Some(padded.checked_sub(self.extent(a))? / self.stride[a] + 1)
        };
        Some([axis(0, height)?, axis(1, width)?])
    }

    /// Shape of what a pool over this window makes of an image; `None` where the window does not fit.
    pub(crate) fn pooled(&self, image: Shape) -> Option<Shape> {
        let [height, width] = self.output(image.height, image.width)?;
        Some(Shape { channels: image.channels, height, width })
    }
}

/// What slides over an image: a window with groups of channels, over a grid with zeros between the elements.
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    /// The window.
    pub window: Window,
    /// Distance of neighbouring input elements on the grid.
    pub input_dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

/// Adds the correlation of `x` with `weights` (`[out][in / groups][kernel height][kernel width]`) to `out`, which holds
/// the biases as `[out channel][height][width]`. Nothing where the window does not fit.
pub fn convolve<T, W>(out: &mut [T], x: &[T], shape: Shape, convolution: &Convolution, weights: &[W])
where
    T: Copy + Default + AddAssign + Mul<Output = T>,
    W: Copy + Into<T>,
{
    let Convolution { window, input_dilation, groups } = convolution;
    let (x, shape) = dilated(x, shape, *input_dilation);
    let Some(extent) = window.output(shape.height, shape.width) else { return };
    let (area, group_inputs) = (shape.height * shape.width, shape.channels / groups);
    let mut planes: Vec<&mut [T]> = out.chunks_exact_mut((extent[0] * extent[1]).max(1)).collect();
    let group_outputs = planes.len() / groups;
    for (o, (out, weights)) in planes.iter_mut().zip(weights.chunks_exact(group_inputs * window.taps())).enumerate() {
        let inputs = &x[o / group_outputs * group_inputs * area..][..group_inputs * area];
        for (channel, kernel) in inputs.chunks_exact(area).zip(weights.chunks_exact(window.taps())) {
            convolve_plane(out, extent, channel, shape, window, kernel);
        }
    }
}

/// An image with zeros between its elements.
fn dilated<T: Copy + Default>(x: &[T], shape: Shape, by: [usize; 2]) -> (Cow<'_, [T]>, Shape) {
    if by == [1, 1] {
        return (Cow::Borrowed(x), shape);
    }
    let grid = Shape {
        channels: shape.channels,
        height: (shape.height - 1) * by[0] + 1,
        width: (shape.width - 1) * by[1] + 1,
    };
    let mut spread = vec![T::default(); grid.len()];
    for (element, value) in x.iter().enumerate() {
        let (c, i, j) = shape.position(element);
        spread[grid.index(c, i * by[0], j * by[1])] = *value;
    }
    (Cow::Owned(spread), grid)
}

/// One input channel's contribution to one output channel.
fn convolve_plane<T, W>(out: &mut [T], extent: [usize; 2], x: &[T], shape: Shape, window: &Window, kernel: &[W])
where
    T: Copy + AddAssign + Mul<Output = T>,
    W: Copy + Into<T>,
{
    for (tap, &weight) in kernel.iter().enumerate() {
        let ky = tap / window.kernel[1] * window.dilation[0];
        let kx = tap % window.kernel[1] * window.dilation[1];
        let weight: T = weight.into();
        let columns = inside(window, 1, kx, shape.width, extent[1]);
        if columns.is_empty() {
            continue;
        }
        let first = columns.start * window.stride[1] + kx - window.pad_before[1];
        for oy in inside(window, 0, ky, shape.height, extent[0]) {
            let iy = oy * window.stride[0] + ky - window.pad_before[0];
            let row = &x[iy * shape.width + first..(iy + 1) * shape.width];
            let target = &mut out[oy * extent[1]..][columns.clone()];
            if window.stride[1] == 1 {
                target.iter_mut().zip(row).for_each(|(a, v)| *a += weight * *v);
            } else {
                target.iter_mut().zip(row.iter().step_by(window.stride[1])).for_each(|(a, v)| *a += weight * *v);
            }
        }
    }
}

/// Output positions along one axis whose tap at distance `k` from the first falls inside the image.
fn inside(window: &Window, axis: usize, k: usize, size: usize, outputs: usize) -> Range<usize> {
    let (pad, stride) = (window.pad_before[axis], window.stride[axis]);
    let start = pad.saturating_sub(k).div_ceil(stride);
    let end = (size + pad).saturating_sub(k).div_ceil(stride).min(outputs);
    start.min(end)..end
}

/// For each output position in stored order: folds the elements that its window covers inside the image, and maps the
/// result and their number to the output.
pub fn pool<T: Copy, A: Copy>(
    x: &[T],
    shape: Shape,
    window: &Window,
    start: A,
    fold: impl Fn(A, T) -> A,
    finish: impl Fn(A, usize) -> A,
) -> Vec<A> {
    let [height, width] = window.output(shape.height, shape.width).unwrap_or([0, 0]);
    let (rows, columns) = (covered(window, 0, shape.height, height), covered(window, 1, shape.width, width));
    let mut out = Vec::with_capacity(shape.channels * height * width);
    for c in 0..shape.channels {
        for rows in &rows {
            for columns in &columns {
                let row = |i: usize| columns.iter().map(move |j| x[shape.index(c, i, *j)]);
                let folded = rows.iter().flat_map(|i| row(*i)).fold(start, &fold);
                out.push(finish(folded, rows.len() * columns.len()));
            }
        }
    }
    out
}

/// For each output position along an axis, the positions inside the image that its window's taps cover.
pub fn covered(window: &Window, axis: usize, size: usize, outputs: usize) -> Vec<Vec<usize>> {
    let position = |out: usize, tap: usize| {
        (out * window.stride[axis] + tap * window.dilation[axis])
            .checked_sub(window.pad_before[axis])
            .filter(|at| *at < size)
    };
    (0..outputs).map(|out| (0..window.kernel[axis]).filter_map(|tap| position(out, tap)).collect()).collect()
}
