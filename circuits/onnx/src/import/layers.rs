//! Convolutions, transposed convolutions and pools. No image is unrolled for a matrix product (im2col): a convolution
//! stays one. The images of a batch are stored column beside column, so that one window with one kernel slides over
//! all of them.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::deconv::Deconv;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::nn::DataFormat;
use zkml_gpu_graph::{Shape, TensorId, Window};

use super::error::ImportError;
use super::facts::bounded;
use super::float::{FloatLinear, FloatOp, FloatOrigin};
use super::translator::Translator;
use super::view::View;

/// Most taps of a window.
const MAX_TAPS: usize = 1 << 16;

/// The operand of a window, stored as an image.
struct Placement {
    input: TensorId,
    /// Extent of one image.
    shape: Shape,
    /// Number of spatial axes, 1 or 2.
    space: usize,
    /// Images of the batch.
    images: usize,
}

impl Translator<'_> {
    /// `Conv`.
    pub(super) fn convolution(&mut self, node: &TypedNode, op: &Conv) -> Result<View, ImportError> {
        let placement = self.placement(node, &op.pool_spec)?;
        let (window, _) = placement.sliding(&op.pool_spec);
        if op.q_params.is_some() {
            return Err(self.unsupported(node));
        }
        let out_channels = op.output_channels();
        let weights = self.kernel(node, op.kernel_fmt, op.group)?;
        // tract makes a bias of whatever is added to an image of one element.
        let computed = self.view(node, 2).ok();
        let bias = if computed.is_some() { vec![0.0; out_channels] } else { self.bias(node, out_channels)? };
        let (placement, window) = self.padded(node, placement, window)?;
        let linear = FloatLinear { window, groups: op.group, ..FloatLinear::dense(out_channels, weights, bias) };
        self.check_pads(node, &window)?;
        let format = &op.pool_spec.data_format;
        let result = self.windowed(node, format, &placement, FloatOp::Linear(linear))?;
        match computed {
            Some(bias) => self.with_bias(node, result, bias, format),
            None => Ok(result),
        }
    }

    /// A result and a bias of its channels that is computed.
    fn with_bias(
        &mut self,
        node: &TypedNode,
        result: View,
        bias: View,
        format: &DataFormat,
    ) -> Result<View, ImportError> {
        let lead = usize::from(format.has_n());
        let channel = if format.c_is_last() { result.dims.len() - 1 } else { lead };
        let axis = bias.dims.iter().position(|dim| *dim != 1).unwrap_or(0);
        if bias.len() != bias.dims.get(axis).copied().unwrap_or(1) || ![1, result.dims[channel]].contains(&bias.len()) {
            return Err(self.form(node, "a bias that is computed", "add it by an operator of its own"));
        }
        let mut dims = vec![1; result.dims.len()];
        let mut strides = vec![0; dims.len()];
        (dims[channel], strides[channel]) = (bias.len(), bias.strides.get(axis).copied().unwrap_or(0));
        let bias = View { tensor: bias.tensor, dims, strides };
        let summand = self.stored_like(node, &bias, &result);
        let shape = self.graph.tensors[result.tensor].shape;
        let tensor = self.push(node, FloatOp::sum(vec![1.0, 1.0]), vec![result.tensor, summand], shape);
        Ok(View { tensor, ..result })
    }

    /// An operand with the zeros around it, where there are as many as the kernel is wide: a window in padding alone reads
    /// elements then.
    fn padded(
        &mut self,
        node: &TypedNode,
        placement: Placement,
        mut window: Window,
    ) -> Result<(Placement, Window), ImportError> {
        let is_wide = |axis: usize| window.pad_before[axis].max(window.pad_after[axis]) >= window.extent(axis);
        if !is_wide(0) && !is_wide(1) {
            return Ok((placement, window));
        }
        let (own, images) = (placement.shape, placement.images);
        let [top, left] = window.pad_before;
        let [bottom, right] = window.pad_after;
        let shape = Shape { height: own.height + top + bottom, width: own.width + left + right, ..own };
        let stored = Shape { width: shape.width * images, ..shape };
        bounded(&node.name, &[stored.channels, stored.height, stored.width])?;
        let inside = placement.stored();
        let origin = |place: usize| {
            let (channel, row, column) = stored.position(place);
            let row = row.checked_sub(top).filter(|row| *row < own.height);
            let column = column.checked_sub(left * images).filter(|column| *column < own.width * images);
            match row.zip(column) {
                Some((row, column)) => {
                    FloatOrigin::Element { operand: 0, element: inside.index(channel, row, column) as u32 }
                }
                None => FloatOrigin::Constant(0.0),
            }
        };
        let origins = (0..stored.len()).map(origin).collect();
        let input = self.push(node, FloatOp::Rearrange { origins }, vec![placement.input], stored);
        (window.pad_before, window.pad_after) = ([0, 0], [0, 0]);
        Ok((Placement { input, shape, ..placement }, window))
    }

    /// `ConvTranspose`: a convolution of stride 1, with the kernel turned by half a turn, over the input with zeros
    /// between its elements.
    pub(super) fn transposed_convolution(&mut self, node: &TypedNode, op: &Deconv) -> Result<View, ImportError> {
        let spec = &op.pool_spec;
        let placement = self.placement(node, spec)?;
        let output = placement.pair(|a| self.space(node, spec, a), 1);
        let before = placement.pair(|a| deconvolution_pad(op, &placement, a), 0);
        let mut window = placement.window(spec);
        let input_dilation = std::mem::replace(&mut window.stride, [1, 1]);
        let size = [placement.shape.height, placement.shape.width];
        for axis in 0..2 {
            let reach = window.extent(axis) - 1;
            let grid = (size[axis] - 1) * input_dilation[axis] + 1;
            let pads = reach
                .checked_sub(before[axis])
                .and_then(|pad| Some((pad, (output[axis] + reach).checked_sub(grid + pad)?)));
            let Some((pad_before, pad_after)) = pads else {
                let form = format!("pads that cut more than the {} outputs a kernel adds", reach);
                return Err(self.form(node, form, "use pads of at most dilation * (kernel - 1)"));
            };
            (window.pad_before[axis], window.pad_after[axis]) = (pad_before, pad_after);
        }
        let out_channels = spec.output_channels;
        let mut weights = self.kernel(node, op.kernel_format, op.group)?;
        weights.chunks_mut(window.taps()).for_each(<[f32]>::reverse);
        let bias = self.bias(node, out_channels)?;
        let linear =
            FloatLinear { window, input_dilation, groups: op.group, ..FloatLinear::dense(out_channels, weights, bias) };
        self.windowed(node, &spec.data_format, &placement, FloatOp::Linear(linear))
    }

    /// A kernel as `[out][in / groups][taps]`.
    fn kernel(&self, node: &TypedNode, format: KernelFormat, groups: usize) -> Result<Vec<f32>, ImportError> {
        let elements = |kernel: &Tensor| -> TractResult<Vec<f32>> {
            let kernel = format.kernel_as_group_o_ihw(kernel, groups)?;
            Ok(kernel.cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        let kernel = self.constant_tensor(node, 1).and_then(|kernel| elements(kernel).ok());
        kernel.ok_or_else(|| self.form(node, "a kernel that is computed", "weights must be constants of the model"))
    }

    fn bias(&self, node: &TypedNode, channels: usize) -> Result<Vec<f32>, ImportError> {
        match self.constant(node, 2) {
            Some((_, b)) if b.len() == channels => Ok(b),
            Some((_, b)) if b.len() == 1 => Ok(vec![b[0]; channels]),
            _ => Err(self.form(node, "a bias that is computed", "the bias must be a constant of the model")),
        }
    }

    /// `MaxPool`.
    pub(super) fn max_pool(&mut self, node: &TypedNode, op: &MaxPool) -> Result<View, ImportError> {
        if op.with_index_outputs.is_some() {
            return Err(self.form(node, "an output of indices", "drop the second output"));
        }
        let placement = self.placement(node, &op.pool_spec)?;
        let (window, _) = placement.sliding(&op.pool_spec);
        self.check_pads(node, &window)?;
        self.windowed(node, &op.pool_spec.data_format, &placement, FloatOp::MaxPool(window))
    }

    /// `AveragePool`.
    pub(super) fn sum_pool(&mut self, node: &TypedNode, op: &SumPool) -> Result<View, ImportError> {
        let placement = self.placement(node, &op.pool_spec)?;
        let (window, overhang) = placement.sliding(&op.pool_spec);
        let count_padding = op.count_include_pad || !op.normalize;
        if overhang && op.count_include_pad && op.normalize {
            return Err(self.form(node, "ceil_mode together with count_include_pad", "set one of them to 0"));
        }
        let scale = if op.normalize { 1.0 } else { window.taps() as f32 };
        let pool = FloatOp::AveragePool { window, count_padding, scale };
        self.check_pads(node, &window)?;
        self.windowed(node, &op.pool_spec.data_format, &placement, pool)
    }

    /// Refuses windows of absurd size, and those in padding alone, which have no maximum and no mean.
    fn check_pads(&self, node: &TypedNode, window: &Window) -> Result<(), ImportError> {
        let taps = window.kernel[0].saturating_mul(window.kernel[1]);
        if taps > MAX_TAPS {
            return Err(self.form(node, format!("a window of {taps} elements"), "pool in several steps"));
        }
        if (0..2).any(|a| window.pad_before[a].max(window.pad_after[a]) >= window.extent(a)) {
            let form = format!("pads {:?} and {:?}", window.pad_before, window.pad_after);
            return Err(self.form(node, form, "padding must be smaller than the kernel"));
        }
        Ok(())
    }

    /// Appends a node over windows and views its output as tract does.
    fn windowed(
        &mut self,
        node: &TypedNode,
        format: &DataFormat,
        placement: &Placement,
        op: FloatOp,
    ) -> Result<View, ImportError> {
        let dims = self.dims(node)?;
        let (lead, space) = (usize::from(format.has_n()), placement.space);
        let first = if format.c_is_last() { lead } else { lead + 1 };
        let [height, width] = placement.pair(|a| dims[first + a], 1);
        let input = placement.stored();
        let width = width * placement.images;
        let (channels, fits) = match &op {
            FloatOp::Linear(linear) => (linear.out_channels, linear.output(input)),
            FloatOp::MaxPool(window) | FloatOp::AveragePool { window, .. } => {
                (input.channels, window.output(input.height, input.width))
            }
            FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::Activation(_)
            | FloatOp::Clamp { .. }
            | FloatOp::Round { .. }
            | FloatOp::Reshape
            | FloatOp::Rearrange { .. }
            | FloatOp::ArgMax { .. } => return Err(self.unsupported(node)),
        };
        if fits != Some([height, width]) {
            return Err(self.form(node, format!("an output of {height} by {width}"), "check strides and pads"));
        }
        let tensor = self.push(node, op, vec![placement.input], Shape { channels, height, width });
        let channel = if format.c_is_last() { lead + space } else { lead };
        let stored = placement.order(lead, channel, first);
        let sizes: Vec<usize> = stored.iter().map(|&axis| dims[axis]).collect();
        Ok(View::row_major(tensor, &sizes).unpermuted(&stored))
    }

    /// Extent of a node's output along a spatial axis.
    fn space(&self, node: &TypedNode, spec: &PoolSpec, axis: usize) -> usize {
        let first = usize::from(spec.data_format.has_n()) + usize::from(!spec.data_format.c_is_last());
        let dims = node.outputs[0].fact.shape.as_concrete();
        dims.and_then(|dims| dims.get(first + axis)).copied().unwrap_or(0)
    }

    /// Brings the operand of a window into image storage.
    fn placement(&mut self, node: &TypedNode, spec: &PoolSpec) -> Result<Placement, ImportError> {
        let view = self.view(node, 0)?;
        let lead = usize::from(spec.data_format.has_n());
        let space = spec.kernel_shape.len();
        if !matches!(space, 1 | 2) || view.dims.len() != lead + 1 + space {
            return Err(self.form(node, format!("{space} spatial axes"), "use one or two"));
        }
        let images = if lead == 1 { view.dims[0] } else { 1 };
        let first = if spec.data_format.c_is_last() { lead } else { lead + 1 };
        let channel = if spec.data_format.c_is_last() { lead + space } else { lead };
        let width = view.dims[first + space - 1];
        let height = if space == 2 { view.dims[first] } else { 1 };
        let shape = Shape { channels: view.dims[channel], height, width };
        let placement = Placement { input: 0, shape, space, images };
        let order = placement.order(lead, channel, first);
        let input = self.arranged(node, &view, &order, placement.stored()).tensor;
        Ok(Placement { input, ..placement })
    }
}

impl Placement {
    /// Axes of a value in the order in which it is stored, for the places of those of channels and of space: with a
    /// batch innermost, so that neighbours are the images' elements at one place.
    fn order(&self, lead: usize, channel: usize, first: usize) -> Vec<usize> {
        let image = [channel].into_iter().chain(first..first + self.space);
        if self.images == 1 { (0..lead).chain(image).collect() } else { image.chain(0..lead).collect() }
    }

    /// Extent of all images together.
    const fn stored(&self) -> Shape {
        Shape { width: self.shape.width * self.images, ..self.shape }
    }

    /// Values of the spatial axes as height and width; a single axis is the width.
    fn pair<T: Copy>(&self, get: impl Fn(usize) -> T, missing: T) -> [T; 2] {
        if self.space == 2 { [get(0), get(1)] } else { [missing, get(0)] }
    }

    /// The window without padding.
    fn window(&self, spec: &PoolSpec) -> Window {
        Window {
            kernel: self.pair(|a| spec.kernel_shape[a], 1),
            stride: self.pair(|a| spec.stride(a), 1),
            dilation: self.pair(|a| spec.dilation(a), 1),
            images: self.images,
            ..Window::UNIT
        }
    }

    /// The window of a convolution or pool, with the padding that its positions reach (which also covers ceil mode),
    /// and whether that is more than the model says.
    fn sliding(&self, spec: &PoolSpec) -> (Window, bool) {
        let sizes = [self.shape.height, self.shape.width];
        let padding = spec.computed_padding(&sizes[2 - self.space..]);
        let output = self.pair(|a| padding[a].convoluted, 1);
        let mut window = Window { pad_before: self.pair(|a| padding[a].pad_before, 0), ..self.window(spec) };
        let mut overhang = false;
        for (axis, size) in sizes.into_iter().enumerate() {
            let reach = output[axis].saturating_sub(1) * window.stride[axis] + window.extent(axis);
            window.pad_after[axis] = reach.saturating_sub(size + window.pad_before[axis]);
            if let (PaddingSpec::ExplicitOnnxPool(_, after, true), Some(a)) =
                (&spec.padding, (axis + self.space).checked_sub(2))
            {
                overhang |= window.pad_after[axis] > after[a];
            }
        }
        (window, overhang)
    }
}

/// Outputs that a transposed convolution's padding cuts at the beginning of a spatial axis.
fn deconvolution_pad(op: &Deconv, placement: &Placement, axis: usize) -> usize {
    let spec = &op.pool_spec;
    let sizes = [placement.shape.height, placement.shape.width];
    let (kernel, dilation) = (spec.kernel_shape[axis], spec.dilation(axis));
    let size = sizes[2 - placement.space + axis];
    let padding =
        spec.padding.compute_one_for_deconv(axis, &size, kernel, dilation, spec.stride(axis), op.adjustments[axis]);
    padding.map_or(usize::MAX, |padding| padding.pad_before)
}
