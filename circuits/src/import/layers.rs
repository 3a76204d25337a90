//! Convolutions, pools, products and reductions.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::nn::{DataFormat, Reduce, Reducer};

use crate::graph::{Shape, TensorId, Window};

use super::translate::Translator;
use super::view::View;
use super::{FloatLinear, FloatOp, ImportError};

/// Most weights that a grouped or dilated kernel may have once written out in full.
const MAX_EXPANDED_WEIGHTS: usize = 1 << 26;
/// Most weights that one weight may become, above the channels of any depthwise kernel: a file of a few bytes must not ask for more.
const MAX_EXPANSION: usize = 1 << 12;
/// Most elements of a pool's window.
const MAX_POOL_AREA: usize = 1 << 16;

/// A pool or convolution over a stored image.
struct Geometry {
    input: TensorId,
    shape: Shape,
    /// With the kernel's extent as in the model, before dilation.
    window: Window,
    dilation: [usize; 2],
    /// Output height and width.
    output: [usize; 2],
    /// Whether the last window reaches beyond the padding (ceil mode).
    overhang: bool,
}

impl Translator<'_> {
    /// `Conv`, grouped and dilated kernels written out in full.
    pub(super) fn convolution(&mut self, node: &TypedNode, op: &Conv) -> Result<View, ImportError> {
        let geometry = self.geometry(node, &op.pool_spec)?;
        let out_channels = op.output_channels();
        let kernel = self
            .constant(node, 1)
            .ok_or_else(|| self.form(node, "a kernel that is computed", "weights must be constants of the model"))?;
        if op.q_params.is_some() || (op.group != 1 && op.kernel_fmt != KernelFormat::OIHW) {
            return Err(self.unsupported(node));
        }
        let mut window = geometry.window;
        for axis in 0..2 {
            window.kernel[axis] = (window.kernel[axis] - 1) * geometry.dilation[axis] + 1;
        }
        let extents = [out_channels, geometry.shape.channels, window.kernel[0], window.kernel[1]];
        let weights = extents.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        if weights > MAX_EXPANDED_WEIGHTS.min(MAX_EXPANSION.saturating_mul(kernel.1.len())) {
            return Err(self.form(
                node,
                format!("{weights} weights once its groups are written out"),
                "use fewer channels",
            ));
        }
        let weights = expand_kernel(op, &geometry, &kernel.1, window.kernel);
        let bias = match self.constant(node, 2) {
            Some((_, b)) if b.len() == out_channels => b,
            Some((_, b)) if b.len() == 1 => vec![b[0]; out_channels],
            _ => return Err(self.form(node, "a bias that is computed", "the bias must be a constant of the model")),
        };
        let linear = FloatOp::Linear(FloatLinear { window, out_channels, weights, bias });
        self.windowed(node, &op.pool_spec.data_format, &geometry, window, linear, out_channels)
    }

    /// `MaxPool`.
    pub(super) fn max_pool(&mut self, node: &TypedNode, op: &MaxPool) -> Result<View, ImportError> {
        if op.with_index_outputs.is_some() {
            return Err(self.form(node, "an output of indices", "drop the second output"));
        }
        let geometry = self.pool_geometry(node, &op.pool_spec)?;
        let (window, channels) = (geometry.window, geometry.shape.channels);
        self.windowed(node, &op.pool_spec.data_format, &geometry, window, FloatOp::MaxPool(window), channels)
    }

    /// `AveragePool`.
    pub(super) fn sum_pool(&mut self, node: &TypedNode, op: &SumPool) -> Result<View, ImportError> {
        let geometry = self.pool_geometry(node, &op.pool_spec)?;
        let window = geometry.window;
        let count_padding = op.count_include_pad || !op.normalize;
        if geometry.overhang && op.count_include_pad && op.normalize {
            return Err(self.form(node, "ceil_mode together with count_include_pad", "set one of them to 0"));
        }
        let scale = if op.normalize { 1.0 } else { (window.kernel[0] * window.kernel[1]) as f32 };
        let pool = FloatOp::AveragePool { window, count_padding, scale };
        let channels = geometry.shape.channels;
        self.windowed(node, &op.pool_spec.data_format, &geometry, window, pool, channels)
    }

    /// `ReduceMean` and `GlobalAveragePool`, which tract writes as a sum and a product, over all of space.
    pub(super) fn reduce(&mut self, node: &TypedNode, op: &Reduce) -> Result<View, ImportError> {
        let mut view = self.view(node, 0)?;
        if op.reducer != Reducer::Sum {
            return Err(self.unsupported(node));
        }
        let shape = self.graph.tensors[view.tensor].shape;
        let area = op.axes.iter().map(|&a| view.dims[a]).product::<usize>();
        let mut axes: Vec<usize> = op.axes.to_vec();
        axes.sort_unstable_by_key(|&a| std::cmp::Reverse(view.strides[a]));
        if !view.is_dense(axes.iter().copied(), 1) {
            return Err(self.form(node, format!("axes {:?}", op.axes), "reduce over height and width only"));
        }
        let [height, width] = if shape.height * shape.width == area { [shape.height, shape.width] } else { [1, area] };
        let shape = Shape { channels: view.len() / area, height, width };
        let input = self.stored_as(node, view.tensor, shape);
        let window = Window { kernel: [height, width], stride: [height, width], ..Window::UNIT };
        let pool = FloatOp::AveragePool { window, count_padding: true, scale: area as f32 };
        view.tensor = self.push(node, pool, vec![input], Shape::vector(shape.channels));
        view.strides.iter_mut().for_each(|s| *s /= area);
        op.axes.iter().for_each(|&a| view.dims[a] = 1);
        Ok(view)
    }

    fn pool_geometry(&mut self, node: &TypedNode, spec: &PoolSpec) -> Result<Geometry, ImportError> {
        let geometry = self.geometry(node, spec)?;
        let area = geometry.window.kernel[0].saturating_mul(geometry.window.kernel[1]);
        if area > MAX_POOL_AREA {
            return Err(self.form(node, format!("a window of {area} elements"), "pool in several steps"));
        }
        match geometry.dilation {
            [1, 1] => Ok(geometry),
            other => Err(self.form(node, format!("dilations {other:?}"), "pool without dilation")),
        }
    }

    /// Appends a node over windows and views its output as tract does.
    fn windowed(
        &mut self,
        node: &TypedNode,
        format: &DataFormat,
        geometry: &Geometry,
        window: Window,
        op: FloatOp,
        channels: usize,
    ) -> Result<View, ImportError> {
        let Geometry { shape, output: [height, width], .. } = *geometry;
        let pads_fit = (0..2).all(|a| window.pad_before[a].max(window.pad_after[a]) < window.kernel[a]);
        if !pads_fit || window.output(shape.height, shape.width) != Some([height, width]) {
            return Err(self.form(node, format!("{window:?}"), "padding must be smaller than the kernel"));
        }
        let tensor = self.push(node, op, vec![geometry.input], Shape { channels, height, width });
        let space = if node.outputs[0].fact.rank() - usize::from(format.has_n()) == 2 {
            vec![width]
        } else {
            vec![height, width]
        };
        let mut dims = if format.has_n() { vec![1, channels] } else { vec![channels] };
        let channel_axis = dims.len() - 1;
        dims.extend(space);
        let last = dims.len() - 1;
        let view = View::row_major(tensor, &dims);
        Ok(if format.c_is_last() { view.moved(channel_axis, last) } else { view })
    }

    /// Reads a window's geometry and brings its operand into image storage.
    fn geometry(&mut self, node: &TypedNode, spec: &PoolSpec) -> Result<Geometry, ImportError> {
        let view = self.view(node, 0)?;
        let lead = usize::from(spec.data_format.has_n());
        let space = spec.kernel_shape.len();
        if !matches!(space, 1 | 2) || view.dims.len() != lead + 1 + space {
            return Err(self.form(node, format!("{space} spatial axes"), "use one or two"));
        }
        if lead == 1 && view.dims[0] != 1 {
            return Err(self.form(node, format!("a batch of {}", view.dims[0]), "export with batch size 1"));
        }
        let first = if spec.data_format.c_is_last() { lead } else { lead + 1 };
        let channel = if spec.data_format.c_is_last() { lead + space } else { lead };
        if !view.is_dense(std::iter::once(channel).chain(first..first + space), 1) {
            return Err(self.form(node, "exchanged axes", "the order must be channels, height, width"));
        }
        let sizes = &view.dims[first..first + space];
        let padding = spec.computed_padding(sizes);
        let pair =
            |get: &dyn Fn(usize) -> usize, missing| if space == 2 { [get(0), get(1)] } else { [missing, get(0)] };
        let [height, width] = pair(&|a| sizes[a], 1);
        let output = pair(&|a| padding[a].convoluted, 1);
        let dilation = pair(&|a| spec.dilation(a), 1);
        let mut window = Window {
            kernel: pair(&|a| spec.kernel_shape[a], 1),
            stride: pair(&|a| spec.stride(a), 1),
            pad_before: pair(&|a| padding[a].pad_before, 0),
            pad_after: [0, 0],
        };
        let mut overhang = false;
        for (axis, size) in [height, width].into_iter().enumerate() {
            // The padding that windows reach, which also covers ceil mode.
            let kernel = (window.kernel[axis] - 1) * dilation[axis] + 1;
            let reach = output[axis].saturating_sub(1) * window.stride[axis] + kernel;
            window.pad_after[axis] = reach.saturating_sub(size + window.pad_before[axis]);
            if let (PaddingSpec::ExplicitOnnxPool(_, after, true), Some(a)) =
                (&spec.padding, (axis + space).checked_sub(2))
            {
                overhang |= window.pad_after[axis] > after[a];
            }
        }
        let shape = Shape { channels: view.dims[channel], height, width };
        let input = self.stored_as(node, view.tensor, shape);
        Ok(Geometry { input, shape, window, dilation, output, overhang })
    }
}

/// Kernel as `[out][in][height][width]` with groups and dilation written out as zeros.
fn expand_kernel(op: &Conv, geometry: &Geometry, kernel: &[f32], extent: [usize; 2]) -> Vec<f32> {
    let (outs, ins) = (op.output_channels(), geometry.shape.channels);
    let group_ins = ins / op.group;
    let [kh, kw] = geometry.window.kernel;
    let mut weights = vec![0.0; outs * ins * extent[0] * extent[1]];
    for o in 0..outs {
        let first = o / (outs / op.group) * group_ins;
        for (i, y, x) in (0..group_ins).flat_map(|i| (0..kh).flat_map(move |y| (0..kw).map(move |x| (i, y, x)))) {
            let source = match op.kernel_fmt {
                KernelFormat::OIHW => ((o * group_ins + i) * kh + y) * kw + x,
                KernelFormat::HWIO => ((y * kw + x) * ins + i) * outs + o,
                KernelFormat::OHWI => ((o * kh + y) * kw + x) * ins + i,
            };
            let (y, x) = (y * geometry.dilation[0], x * geometry.dilation[1]);
            weights[((o * ins + first + i) * extent[0] + y) * extent[1] + x] = kernel[source];
        }
    }
    weights
}
