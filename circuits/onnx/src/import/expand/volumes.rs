//! Windows over three axes of space, by windows over two.
//!
//! A convolution's depth becomes channels: for each position of the result, the slices that its kernel reaches are
//! channels of an image, and the positions are images of a batch. A maximum over a box is the maximum over its depth of
//! those over its slices, and so is a mean, padding counted or not: what a window has of padding is a box too.

use tract_onnx::tract_core::internal::tract_smallvec::SmallVec;
use tract_onnx::tract_core::ops::array::{Gather, Pad, PadMode};
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_hir::internal::*;

use super::wiring::rewired;

/// Axes of space that are too many.
const VOLUME: usize = 3;

pub(super) fn convolution(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Conv,
) -> TractResult<Option<TypedModelPatch>> {
    if !is_volume(&op.pool_spec) || op.q_params.is_some() || op.kernel_fmt != KernelFormat::OIHW {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let (x, kernel) = (wiring.dims(inputs[0])?, wiring.dims(inputs[1])?);
        let spec = &op.pool_spec;
        let padding = spec.computed_padding(&x[2..]);
        let (before, depth) = (padding[0].pad_before, padding[0].convoluted);
        let reach = (depth - 1) * spec.stride(0) + (kernel[2] - 1) * spec.dilation(0) + 1;
        let mut pads = vec![(0, 0); x.len()];
        pads[2] = (before, reach.saturating_sub(x[2] + before));
        let zero = tensor0(0f32).into_arc_tensor();
        let padded = wiring.apply(Pad { pads, mode: PadMode::Constant(zero) }, &[inputs[0]])?;
        let slices = |position: usize| (0..kernel[2]).map(move |k| position * spec.stride(0) + k * spec.dilation(0));
        let slices: Vec<i64> = (0..depth).flat_map(slices).map(|slice| slice as i64).collect();
        let slices = wiring.constant(Tensor::from_shape(&[depth, kernel[2]], &slices)?)?;
        let slices = wiring.apply(Gather::new(2), &[padded, slices])?;
        // Batch, channels, positions, slices, height, width.
        let images = wiring.moved(slices, 2, 1)?;
        let images = wiring.reshaped(images, 0, 4, &[x[0] * depth, x[1] * kernel[2]])?;
        let taps = wiring.reshaped(inputs[1], 1, 2, &[kernel[1] * kernel[2]])?;
        let [pads_before, pads_after] = [
            padding[1..].iter().map(|axis| axis.pad_before).collect(),
            padding[1..].iter().map(|axis| axis.pad_after).collect(),
        ];
        let spec = PoolSpec {
            padding: PaddingSpec::Explicit(pads_before, pads_after),
            input_channels: x[1] * kernel[2],
            ..part(spec, 1..VOLUME)
        };
        let images = wiring.apply(Conv { pool_spec: spec, ..op.clone() }, &[images, taps, inputs[2]])?;
        let result = wiring.reshaped(images, 0, 1, &[x[0], depth])?;
        wiring.moved(result, 1, 2)
    })
}

pub(super) fn max_pool(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &MaxPool,
) -> TractResult<Option<TypedModelPatch>> {
    if op.with_index_outputs.is_some() {
        return Ok(None);
    }
    pool(model, node, name, &op.pool_spec, |pool_spec| Box::new(MaxPool { pool_spec, ..op.clone() }))
}

pub(super) fn sum_pool(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &SumPool,
) -> TractResult<Option<TypedModelPatch>> {
    pool(model, node, name, &op.pool_spec, |pool_spec| Box::new(SumPool { pool_spec, ..op.clone() }))
}

/// A pool over slices, then one over their depth.
fn pool(
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    spec: &PoolSpec,
    pooled: impl Fn(PoolSpec) -> Box<dyn TypedOp>,
) -> TractResult<Option<TypedModelPatch>> {
    if !is_volume(spec) {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let x = wiring.dims(inputs[0])?;
        let images = wiring.moved(inputs[0], 2, 1)?;
        let images = wiring.reshaped(images, 0, 2, &[x[0] * x[2]])?;
        let images = wiring.apply(pooled(part(spec, 1..VOLUME)), &[images])?;
        let slices = wiring.reshaped(images, 0, 1, &[x[0], x[2]])?;
        let rows = wiring.moved(slices, 1, 4)?;
        let [_, channels, height, width, _] = wiring.dims(rows)?[..] else { bail!("a pool over three axes") };
        let rows = wiring.reshaped(rows, 1, 3, &[channels * height * width])?;
        let channels_of_rows = channels * height * width;
        let along =
            PoolSpec { input_channels: channels_of_rows, output_channels: channels_of_rows, ..part(spec, 0..1) };
        let rows = wiring.apply(pooled(along), &[rows])?;
        let result = wiring.reshaped(rows, 1, 1, &[channels, height, width])?;
        wiring.moved(result, 4, 2)
    })
}

fn is_volume(spec: &PoolSpec) -> bool {
    spec.rank() == VOLUME && spec.data_format == DataFormat::NCHW
}

/// A window over some of the axes of space.
fn part(spec: &PoolSpec, axes: std::ops::Range<usize>) -> PoolSpec {
    let of = |list: &[usize]| SmallVec::from_slice(&list[axes.clone()]);
    let padding = match &spec.padding {
        PaddingSpec::Explicit(before, after) => PaddingSpec::Explicit(of(before), of(after)),
        PaddingSpec::ExplicitOnnxPool(before, after, ceil) => {
            PaddingSpec::ExplicitOnnxPool(of(before), of(after), *ceil)
        }
        PaddingSpec::Valid => PaddingSpec::Valid,
        PaddingSpec::SameUpper => PaddingSpec::SameUpper,
        PaddingSpec::SameLower => PaddingSpec::SameLower,
    };
    PoolSpec {
        data_format: spec.data_format,
        kernel_shape: of(&spec.kernel_shape),
        padding,
        dilations: spec.dilations.as_deref().map(of),
        strides: spec.strides.as_deref().map(of),
        input_channels: spec.input_channels,
        output_channels: spec.output_channels,
    }
}
