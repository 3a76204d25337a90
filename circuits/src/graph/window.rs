//! Sliding windows over images, for integers and for floats: the same loops serve the integer reference and the
//! float graph, so that they differ in numbers only.

use std::ops::{AddAssign, Mul, Range};

use super::{Shape, Window};

/// Adds the correlation of `x` with `weights` (`[out][in][kernel height][kernel width]`) to `out`, which holds the
/// biases as `[out channel][height][width]`. Nothing where the window does not fit.
pub(crate) fn convolve<T, W>(out: &mut [T], x: &[T], shape: Shape, window: &Window, weights: &[W])
where
    T: Copy + AddAssign + Mul<Output = T>,
    W: Copy + Into<T>,
{
    let Some(extent) = window.output(shape.height, shape.width) else { return };
    let taps = window.kernel[0] * window.kernel[1];
    let planes = out.chunks_exact_mut((extent[0] * extent[1]).max(1));
    for (out, weights) in planes.zip(weights.chunks_exact(shape.channels * taps)) {
        for (channel, kernel) in x.chunks_exact(shape.height * shape.width).zip(weights.chunks_exact(taps)) {
            convolve_plane(out, extent, channel, shape, window, kernel);
        }
    }
}

/// One input channel's contribution to one output channel.
fn convolve_plane<T, W>(out: &mut [T], extent: [usize; 2], x: &[T], shape: Shape, window: &Window, kernel: &[W])
where
    T: Copy + AddAssign + Mul<Output = T>,
    W: Copy + Into<T>,
{
    for (tap, &weight) in kernel.iter().enumerate() {
        let (ky, kx) = (tap / window.kernel[1], tap % window.kernel[1]);
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

/// Output positions along one axis whose tap `k` falls inside the image.
fn inside(window: &Window, axis: usize, k: usize, size: usize, outputs: usize) -> Range<usize> {
    let (pad, stride) = (window.pad_before[axis], window.stride[axis]);
    let start = pad.saturating_sub(k).div_ceil(stride);
    let end = (size + pad).saturating_sub(k).div_ceil(stride).min(outputs);
    start.min(end)..end
}

/// For each output position in stored order: folds the elements that its window covers inside the image, a row at a
/// time, and maps the result and their number to the output.
pub(crate) fn pool<T, A: Copy>(
    x: &[T],
    shape: Shape,
    window: &Window,
    start: A,
    fold: impl Fn(A, &[T]) -> A,
    finish: impl Fn(A, usize) -> A,
) -> Vec<A> {
    let [height, width] = window.output(shape.height, shape.width).unwrap_or([0, 0]);
    let covered = |axis: usize, o: usize, size: usize| {
        let start = o * window.stride[axis];
        let end = (start + window.kernel[axis]).saturating_sub(window.pad_before[axis]).min(size);
        start.saturating_sub(window.pad_before[axis]).min(end)..end
    };
    let mut out = Vec::with_capacity(shape.channels * height * width);
    for c in 0..shape.channels {
        for oy in 0..height {
            let rows = covered(0, oy, shape.height);
            for ox in 0..width {
                let columns = covered(1, ox, shape.width);
                let row = |i| &x[shape.index(c, i, columns.start)..shape.index(c, i, columns.end)];
                let folded = rows.clone().fold(start, |acc, i| fold(acc, row(i)));
                out.push(finish(folded, rows.len() * columns.len()));
            }
        }
    }
    out
}
