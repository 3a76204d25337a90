//! Convolutions as products of matrices, tile by tile: some output channels at some positions, whose sums stay in
//! registers while all taps of all input channels are added to them.
//!
//! Sums of integers are computed in doubles, of which a processor multiplies several at once, where they stay whole
//! numbers that doubles hold. The order of summation is that of the plain loops, so floats are the same to the last bit.

use std::fmt::Debug;
use std::ops::{AddAssign, Mul};

use crate::tensor::Shape;
use crate::window::Window;

/// Output channels of a tile.
const CHANNELS: usize = 4;
/// Taps that are added before the next tile's, so that what they read stays near the processor.
const DEPTH: usize = 256;
/// Whole numbers below are exact as doubles, and their sums in any order.
const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;

/// Numbers that are convolved.
pub trait Element: Copy + Default + AddAssign + Mul<Output = Self> {
    /// Numbers in which sums are computed.
    type Sum: Copy + Default + Debug + AddAssign + Mul<Output = Self::Sum>;

    /// The number among those of sums.
    fn widened(self) -> Self::Sum;

    /// What a sum begins with that this number, a bias, is part of.
    fn begun(self) -> Self::Sum;

    /// What a sum is, with the bias that it began with.
    fn finished(self, sum: Self::Sum) -> Self;

    /// Whether sums of so many products of these numbers are what they would be among the numbers themselves.
    fn are_exact(x: &[Self], weights: impl Iterator<Item = Self>, products: usize) -> bool;
}

impl Element for f32 {
    type Sum = Self;

    fn widened(self) -> Self {
        self
    }

    fn begun(self) -> Self {
        self
    }

    fn finished(self, sum: Self) -> Self {
        sum
    }

    fn are_exact(x: &[Self], mut weights: impl Iterator<Item = Self>, _: usize) -> bool {
        // Padding is multiplied, too.
        x.iter().all(|x| x.is_finite()) && weights.all(|weight| weight.is_finite())
    }
}

impl Element for i64 {
    type Sum = f64;

    fn widened(self) -> f64 {
        self as f64
    }

    fn begun(self) -> f64 {
        // Biases are longer than what doubles hold.
        0.0
    }

    fn finished(self, sum: f64) -> Self {
        self + sum as Self
    }

    fn are_exact(x: &[Self], weights: impl Iterator<Item = Self>, products: usize) -> bool {
        let greatest = |magnitude: u64, x: Self| magnitude.max(x.unsigned_abs());
        let x = x.iter().copied().fold(0, greatest);
        x as f64 * weights.fold(0, greatest) as f64 * products as f64 <= EXACT
    }
}

/// A group of channels with zeros around, as numbers of sums.
struct Image<T: Element> {
    values: Vec<T::Sum>,
    channels: usize,
    /// Elements of a channel.
    area: usize,
    width: usize,
}

impl<T: Element> Image<T> {
    fn new(x: &[T], shape: Shape, window: &Window) -> Self {
        let images = window.images;
        let height = shape.height + window.pad_before[0] + window.pad_after[0];
        let width = shape.width + (window.pad_before[1] + window.pad_after[1]) * images;
        let mut values = vec![T::Sum::default(); shape.channels * height * width];
        let rows = x.chunks_exact(shape.width.max(1)).enumerate();
        for (row, x) in rows {
            let (channel, row) = (row / shape.height, row % shape.height + window.pad_before[0]);
            let first = (channel * height + row) * width + window.pad_before[1] * images;
            values[first..first + shape.width].iter_mut().zip(x).for_each(|(value, x)| *value = x.widened());
        }
        Self { values, channels: shape.channels, area: height * width, width }
    }

    /// Where each tap of each channel is, from a window's first element on.
    fn taps(&self, window: &Window) -> Vec<usize> {
        let tap = |tap: usize| {
            let (row, column) = (tap / window.kernel[1], tap % window.kernel[1]);
            row * window.dilation[0] * self.width + column * window.dilation[1] * window.images
        };
        (0..self.channels).flat_map(|c| (0..window.taps()).map(move |t| c * self.area + tap(t))).collect()
    }

    /// Where the first element of each output's window is.
    fn windows(&self, window: &Window, [height, width]: [usize; 2]) -> Vec<usize> {
        let images = window.images;
        let column = |out: usize| out / images * window.stride[1] * images + out % images;
        (0..height)
            .flat_map(|row| (0..width).map(move |out| row * window.stride[0] * self.width + column(out)))
            .collect()
    }
}

/// The weights of a group, those of some output channels beside each other for each tap.
fn packed<T: Element, W: Copy + Into<T>>(weights: &[W], taps: usize) -> Vec<T::Sum> {
    let mut packed = vec![T::Sum::default(); (weights.len() / taps).next_multiple_of(CHANNELS) * taps];
    for (channel, weights) in weights.chunks_exact(taps).enumerate() {
        let first = channel / CHANNELS * CHANNELS * taps + channel % CHANNELS;
        for (tap, weight) in weights.iter().enumerate() {
            let weight: T = (*weight).into();
            packed[first + tap * CHANNELS] = weight.widened();
        }
    }
    packed
}

/// A product of packed weights with the windows of an image.
struct Product<'a, T: Element> {
    weights: &'a [T::Sum],
    image: &'a [T::Sum],
    taps: &'a [usize],
    windows: &'a [usize],
}

impl<T: Element> Product<'_, T> {
    /// Adds all sums to `out`, `[channel][window]`, in tiles of `N` windows.
    #[inline(always)]
    fn add<const N: usize>(&self, out: &mut [T::Sum]) {
        let mut near = vec![[T::Sum::default(); N]; DEPTH.min(self.taps.len())];
        for (first, windows) in self.windows.chunks(N).enumerate() {
            let mut at = [0; N];
            at[..windows.len()].copy_from_slice(windows);
            for (part, taps) in self.taps.chunks(DEPTH).enumerate() {
                for (near, tap) in near.iter_mut().zip(taps) {
                    *near = at.map(|window| self.image[window + tap]);
                }
                for (block, out) in out.chunks_mut(CHANNELS * self.windows.len()).enumerate() {
                    let weights = &self.weights[(block * self.taps.len() + part * DEPTH) * CHANNELS..];
                    let (weights, _) = weights[..taps.len() * CHANNELS].as_chunks();
                    Self::tile(&mut out[first * N..], self.windows.len(), windows.len(), weights, &near);
                }
            }
        }
    }

    /// Adds products to the sums of some channels at the first `len` windows; channels are `stride` apart.
    #[inline(always)]
    fn tile<const N: usize>(
        out: &mut [T::Sum],
        stride: usize,
        len: usize,
        weights: &[[T::Sum; CHANNELS]],
        near: &[[T::Sum; N]],
    ) {
        let mut sums = [[T::Sum::default(); N]; CHANNELS];
        for (sums, row) in sums.iter_mut().zip(out.chunks(stride)) {
            sums[..len].copy_from_slice(&row[..len]);
        }
        sums = Self::summed(sums, weights, near);
        for (sums, row) in sums.iter().zip(out.chunks_mut(stride)) {
            row[..len].copy_from_slice(&sums[..len]);
        }
    }

    /// The sums with all products. They come and go by value, since what a slice of any length was copied into does not
    /// stay in registers.
    #[inline(always)]
    fn summed<const N: usize>(
        mut sums: [[T::Sum; N]; CHANNELS],
        weights: &[[T::Sum; CHANNELS]],
        near: &[[T::Sum; N]],
    ) -> [[T::Sum; N]; CHANNELS] {
        for (weights, x) in weights.iter().zip(near) {
            for (sums, weight) in sums.iter_mut().zip(weights) {
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += *weight * *x);
            }
        }
        sums
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn add_avx512(&self, out: &mut [T::Sum]) {
        self.add::<32>(out);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(&self, out: &mut [T::Sum]) {
        self.add::<8>(out);
    }

    /// Adds all sums by the widest instructions that the processor has.
    fn add_fast(&self, out: &mut [T::Sum]) {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has the instructions that the function is compiled to.
                #[allow(unsafe_code)]
                return unsafe { self.add_avx512(out) };
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the instructions that the function is compiled to.
                #[allow(unsafe_code)]
                return unsafe { self.add_avx2(out) };
            }
        }
        self.add::<4>(out);
    }
}

/// Adds the correlation of one group's channels with its weights to its output channels; `false`, and nothing, where
/// tiles would be no faster, or not exact.
pub(crate) fn convolve<T: Element, W: Copy + Into<T>>(
    out: &mut [T],
    x: &[T],
    shape: Shape,
    window: &Window,
    weights: &[W],
) -> bool {
    let taps = shape.channels * window.taps();
    let Some(extent) = window.output(shape.height, shape.width) else { return false };
    let few = weights.len() / taps.max(1) < CHANNELS;
    if few || extent.contains(&0) || !T::are_exact(x, weights.iter().map(|weight| (*weight).into()), taps) {
        return false;
    }
    let image = Image::new(x, shape, window);
    let (weights, taps, windows) = (packed::<T, W>(weights, taps), image.taps(window), image.windows(window, extent));
    let mut sums: Vec<T::Sum> = out.iter().map(|bias| bias.begun()).collect();
    Product::<T> { weights: &weights, image: &image.values, taps: &taps, windows: &windows }.add_fast(&mut sums);
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = out.finished(sum));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> impl Iterator<Item = Window> {
        let both = || [1, 2].into_iter();
        let kernels = [[1, 1], [2, 3], [3, 3]].into_iter();
        kernels.flat_map(move |kernel| {
            both().flat_map(move |stride| {
                both().flat_map(move |dilation| {
                    let pads = [[0, 0], [2, 1]].into_iter();
                    pads.flat_map(move |pads| {
                        (1..3).map(move |images| Window {
                            kernel,
                            stride: [1, stride],
                            dilation: [dilation, 1],
                            pad_before: pads,
                            pad_after: [pads[1], pads[0]],
                            images,
                        })
                    })
                })
            })
        })
    }

    /// The definition, in the order of channels and taps.
    fn plain<T: Element, W: Copy + Into<T>>(out: &mut [T], x: &[T], shape: Shape, window: &Window, weights: &[W]) {
        let [height, width] = window.output(shape.height, shape.width).unwrap();
        let (taps, images) = (window.taps(), window.images);
        for (o, row, column) in (0..out.len()).map(|i| (i / (height * width), i / width % height, i % width)) {
            for (k, weight) in weights[o * shape.channels * taps..][..shape.channels * taps].iter().enumerate() {
                let (c, ky, kx) = (k / taps, k % taps / window.kernel[1], k % window.kernel[1]);
                let i = row * window.stride[0] + ky * window.dilation[0];
                let j = column / images * window.stride[1] + kx * window.dilation[1];
                let inside = |at: usize, pad: usize, size: usize| at.checked_sub(pad).filter(|at| *at < size);
                if let (Some(i), Some(j)) = (
                    inside(i, window.pad_before[0], shape.height),
                    inside(j, window.pad_before[1], shape.width / images),
                ) {
                    let weight: T = (*weight).into();
                    out[(o * height + row) * width + column] +=
                        weight * x[shape.index(c, i, j * images + column % images)];
                }
            }
        }
    }

    fn compare<T: Element + PartialEq + Debug, W: Copy + Into<T>>(
        number: impl Fn(usize) -> T,
        weight: impl Fn(usize) -> W,
    ) {
        for (channels, window) in [1, 3, 40].into_iter().flat_map(|c| windows().map(move |window| (c, window))) {
            for outputs in [4, 7] {
                let shape = Shape { channels, height: 5, width: 12 };
                let [height, width] = window.output(shape.height, shape.width).unwrap();
                let x: Vec<T> = (0..shape.len()).map(&number).collect();
                let weights: Vec<W> = (0..outputs * channels * window.taps()).map(|i| weight(i + 5)).collect();
                let bias: Vec<T> = (0..outputs * height * width).map(|i| number(i / (height * width))).collect();
                let (mut got, mut expected) = (bias.clone(), bias);
                assert!(convolve(&mut got, &x, shape, &window, &weights));
                plain(&mut expected, &x, shape, &window, &weights);
                assert_eq!(got, expected, "{channels} channels, {outputs} outputs, {window:?}");
            }
        }
    }

    #[test]
    fn integers_are_those_of_the_definition() {
        let mixed = |i: usize| (i as i64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 47;
        compare::<i64, i32>(mixed, |i| mixed(i + 99) as i32 >> 1);
    }

    #[test]
    fn floats_are_those_of_the_definition_to_the_last_bit() {
        let mixed = |i: usize| ((i as f32 + 0.3) * 12.9898).sin();
        compare::<f32, f32>(mixed, |i| mixed(i * 3 + 1));
    }

    #[test]
    fn widths_of_tiles_make_no_difference() {
        let taps: Vec<usize> = (0..300).collect();
        let windows: Vec<usize> = (0..37).map(|i| i * 3).collect();
        let number = |i: usize| ((i as f32 + 0.3) * 12.9898).sin();
        let weights: Vec<f32> = (0..8 * taps.len()).map(number).collect();
        let image: Vec<f32> = (0..500).map(number).collect();
        let product = Product::<f32> { weights: &weights, image: &image, taps: &taps, windows: &windows };
        let mut sums = [(); 4].map(|()| vec![0.5; 7 * windows.len()]);
        product.add::<4>(&mut sums[0]);
        product.add::<8>(&mut sums[1]);
        product.add::<32>(&mut sums[2]);
        product.add_fast(&mut sums[3]);
        assert!(sums.iter().all(|other| *other == sums[0]));
    }

    #[test]
    fn sums_beyond_what_is_exact_and_what_is_not_finite_are_left_alone() {
        let shape = Shape { channels: 1, height: 1, width: 4 };
        let mut out = vec![1i64; 16];
        assert!(!convolve(&mut out, &[1 << 40, 0, 0, 0], shape, &Window::UNIT, &[1 << 20; 4]));
        assert!(convolve(&mut out, &[1 << 20, 0, 0, 0], shape, &Window::UNIT, &[1 << 20; 4]));
        assert_eq!(out[..5], [1 + (1 << 40), 1, 1, 1, 1 + (1 << 40)]);
        let mut out = vec![0f32; 16];
        assert!(!convolve(&mut out, &[f32::INFINITY, 0.0, 0.0, 0.0], shape, &Window::UNIT, &[0f32; 4]));
        assert_eq!(out, [0.0; 16]);
    }
}
