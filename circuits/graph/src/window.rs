//! Sliding windows over images, for integers and for floats: the same loops serve the integer reference and the
//! float graph, so that they differ in numbers only.

use std::borrow::Cow;
use std::ops::{AddAssign, Mul, Range};

use serde::{Deserialize, Serialize};

use crate::tensor::Shape;
use crate::tiles::{self, Element};

/// Kernel size, stride, dilation and zero padding of a window that slides over an image, or over several that lie
/// column beside column.
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
    /// Images that share what is stored: column `j` of image `b` is stored as column `j·images + b`. The window slides
    /// over each on its own, and strides, distances and padding count the columns of one.
    pub images: usize,
}

impl Window {
    /// The 1 × 1 window of a matrix product.
    pub const UNIT: Self =
        Self { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_before: [0, 0], pad_after: [0, 0], images: 1 };

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

    /// Output extent (height, width) over an input of `height × width`, the columns of all images together; `None`
    /// where the window does not fit, or the images have not equally many columns.
    pub fn output(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let axis = |a: usize, size: usize| {
            (self.stride[a] > 0 && self.kernel[a] > 0).then_some(())?;
            let padded = size + self.pad_before[a] + self.pad_after[a];
            Some(padded.checked_sub(self.extent(a))? / self.stride[a] + 1)
        };
        (self.images > 0 && width.is_multiple_of(self.images)).then_some(())?;
        Some([axis(0, height)?, axis(1, width / self.images)? * self.images])
    }

    /// Images that alternate along an axis: they lie side by side horizontally alone.
    const fn images_along(&self, axis: usize) -> usize {
        if axis == 1 { self.images } else { 1 }
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
    T: Element,
    W: Copy + Into<T>,
{
    let Convolution { window, input_dilation, groups } = convolution;
    let (x, shape) = dilated(x, shape, *input_dilation, window.images);
    let Some(extent) = window.output(shape.height, shape.width) else { return };
    let (area, group_inputs) = (shape.height * shape.width, shape.channels / groups);
    let plane = extent[0] * extent[1];
    let group_outputs = out.len() / plane.max(1) / groups;
    let group = Shape { channels: group_inputs, ..shape };
    let parts = x
        .chunks_exact((group_inputs * area).max(1))
        .zip(weights.chunks_exact((group_outputs * group_inputs * window.taps()).max(1)));
    for (out, (x, weights)) in out.chunks_exact_mut((group_outputs * plane).max(1)).zip(parts) {
        if tiles::convolve(out, x, group, window, weights) {
            continue;
        }
        let kernels = weights.chunks_exact(group_inputs * window.taps());
        for (out, weights) in out.chunks_exact_mut(plane).zip(kernels) {
            for (channel, kernel) in x.chunks_exact(area).zip(weights.chunks_exact(window.taps())) {
                convolve_plane(out, extent, channel, shape, window, kernel);
            }
        }
    }
}

/// Images with zeros between the elements of each.
fn dilated<T: Copy + Default>(x: &[T], shape: Shape, by: [usize; 2], images: usize) -> (Cow<'_, [T]>, Shape) {
    if by == [1, 1] {
        return (Cow::Borrowed(x), shape);
    }
    let grid = grid(shape, by, images);
    let mut spread = vec![T::default(); grid.len()];
    for (element, value) in x.iter().enumerate() {
        let (c, i, j) = shape.position(element);
        spread[grid.index(c, i * by[0], j / images * by[1] * images + j % images)] = *value;
    }
    (Cow::Owned(spread), grid)
}

/// The extent of images with zeros between the elements of each, `by` apart.
pub(crate) const fn grid(shape: Shape, by: [usize; 2], images: usize) -> Shape {
    Shape {
        channels: shape.channels,
        height: shape.height.saturating_sub(1) * by[0] + 1,
        width: ((shape.width / images).saturating_sub(1) * by[1] + 1) * images,
    }
}

/// One input channel's contribution to one output channel.
fn convolve_plane<T, W>(out: &mut [T], extent: [usize; 2], x: &[T], shape: Shape, window: &Window, kernel: &[W])
where
    T: Copy + AddAssign + Mul<Output = T>,
    W: Copy + Into<T>,
{
    let images = window.images;
    for (tap, &weight) in kernel.iter().enumerate() {
        let ky = tap / window.kernel[1] * window.dilation[0];
        let kx = tap % window.kernel[1] * window.dilation[1];
        let weight: T = weight.into();
        // In columns of one image.
        let columns = inside(window, 1, kx, shape.width / images, extent[1] / images);
        if columns.is_empty() {
            continue;
        }
        let first = columns.start * window.stride[1] + kx - window.pad_before[1];
        for oy in inside(window, 0, ky, shape.height, extent[0]) {
            let iy = oy * window.stride[0] + ky - window.pad_before[0];
            let row = &x[iy * shape.width + first * images..(iy + 1) * shape.width];
            let target = &mut out[oy * extent[1]..][columns.start * images..columns.end * images];
            let add = |(a, v): (&mut T, &T)| *a += weight * *v;
            match (window.stride[1], images) {
                (1, _) => target.iter_mut().zip(row).for_each(add),
                (stride, 1) => target.iter_mut().zip(row.iter().step_by(stride)).for_each(add),
                (stride, _) => {
                    let columns = target.chunks_exact_mut(images).zip(row.chunks_exact(images).step_by(stride));
                    columns.for_each(|(target, column)| target.iter_mut().zip(column).for_each(add));
                }
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

/// For each output position along an axis, the positions inside its image that its window's taps cover.
pub fn covered(window: &Window, axis: usize, size: usize, outputs: usize) -> Vec<Vec<usize>> {
    let images = window.images_along(axis);
    let position = |out: usize, tap: usize| {
        (out / images * window.stride[axis] + tap * window.dilation[axis])
            .checked_sub(window.pad_before[axis])
            .map(|at| at * images + out % images)
            .filter(|at| *at < size)
    };
    (0..outputs).map(|out| (0..window.kernel[axis]).filter_map(|tap| position(out, tap)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Image `b` of so many that are stored together.
    fn alone(x: &[i64], b: usize, images: usize) -> Vec<i64> {
        x.iter().skip(b).step_by(images).copied().collect()
    }

    fn windows() -> impl Iterator<Item = Window> {
        let both = || [1, 2].into_iter();
        both().flat_map(move |stride| {
            both().flat_map(move |dilation| {
                [[0, 0], [2, 1]].into_iter().map(move |pads| Window {
                    kernel: [2, 3],
                    stride: [1, stride],
                    dilation: [1, dilation],
                    pad_before: [1, pads[0]],
                    pad_after: [0, pads[1]],
                    ..Window::UNIT
                })
            })
        })
    }

    #[test]
    fn interleaved_images_are_convolved_each_on_its_own() {
        for (images, window) in (1..=4).flat_map(|images| windows().map(move |window| (images, window))) {
            for input_dilation in [[1, 1], [2, 3]] {
                let one = Shape { channels: 2, height: 3, width: 5 };
                let all = Shape { width: one.width * images, ..one };
                let x: Vec<i64> = (0..all.len() as i64).map(|i| (i * 37) % 29 - 14).collect();
                let weights: Vec<i32> = (0..24).map(|i| (i * 7) % 11 - 5).collect();
                let run = |x: &[i64], shape: Shape, window: Window| {
                    let extent = grid(shape, input_dilation, window.images);
                    let [height, width] = window.output(extent.height, extent.width).unwrap();
                    let mut out = vec![3; 2 * height * width];
                    let convolution = Convolution { window, input_dilation, groups: 1 };
                    convolve(&mut out, x, shape, &convolution, &weights);
                    out
                };
                let together = run(&x, all, Window { images, ..window });
                for b in 0..images {
                    let expected = run(&alone(&x, b, images), one, window);
                    assert_eq!(alone(&together, b, images), expected, "{b} of {images}, {window:?}");
                }
            }
        }
    }

    #[test]
    fn interleaved_images_are_pooled_each_on_its_own() {
        for (images, window) in (1..=4).flat_map(|images| windows().map(move |window| (images, window))) {
            let one = Shape { channels: 2, height: 3, width: 5 };
            let all = Shape { width: one.width * images, ..one };
            let x: Vec<i64> = (0..all.len() as i64).map(|i| (i * 37) % 29 - 14).collect();
            let run = |x: &[i64], shape, window: &Window| pool(x, shape, window, 0, |a, v| a + v, |a, n| a * n as i64);
            let together = run(&x, all, &Window { images, ..window });
            for b in 0..images {
                assert_eq!(alone(&together, b, images), run(&alone(&x, b, images), one, &window), "{window:?}");
            }
        }
    }

    #[test]
    fn images_of_unequal_width_have_no_output() {
        let window = Window { images: 3, ..Window::UNIT };
        assert_eq!(window.output(2, 6), Some([2, 6]));
        assert_eq!(window.output(2, 7), None);
        assert_eq!(Window { images: 0, ..window }.output(2, 6), None);
    }
}
