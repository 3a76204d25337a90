//! `Resize` and `Upsample` by interpolation: each axis is a product with a constant matrix.
//!
//! An output position is somewhere between the input's, and a few of those around it are its taps. Where equal steps of
//! outputs are equal steps of inputs, as they are when an image doubles, the taps repeat, and the matrix is a
//! convolution with one output channel for each phase, over the axis with its borders repeated. The numbers are those
//! of onnxruntime on a processor, the reference of the tests.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::array::Gather;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, PaddingSpec, PoolSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_hir::internal::*;

use super::super::protos::node_name;
use super::wiring::{Wiring, letters};
use super::{refused, refused_attribute};

/// Longest axis that is resized.
const MAX_LEN: usize = 1 << 12;
/// Most elements of a matrix.
const MAX_MATRIX: usize = 1 << 18;

/// How output positions are found in the input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

/// What is made of the taps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    /// The one at or before the position.
    Floor,
    Linear,
    Cubic {
        a: f32,
    },
}

/// What one scale for all axes must do with the sizes that are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aspect {
    /// There are several.
    Stretch,
    NotLarger,
    NotSmaller,
}

/// Where the scales are.
#[derive(Clone, Debug)]
enum Extent {
    Scales(usize),
    Sizes(usize),
    Known(Vec<f32>),
}

#[derive(Clone, Debug)]
struct Resize {
    operator: String,
    node: String,
    coordinates: Coordinates,
    kernel: Kernel,
    antialias: bool,
    exclude_outside: bool,
    axes: Option<Vec<i64>>,
    aspect: Aspect,
    extent: Extent,
    inputs: usize,
}

/// One axis: its extents and the scale between them.
#[derive(Clone, Copy, Debug)]
struct Axis {
    axis: usize,
    from: usize,
    to: usize,
    scale: f32,
}

/// A position of the input, which may be outside of it, and its weight.
type Tap = (i64, f64);

/// `Resize`: that by the nearest element is movement, which tract's own reader is for.
pub(super) fn read(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let mode = node.get_attr_opt("mode")?.unwrap_or("nearest");
    if mode == "nearest" {
        let readers = tract_onnx::onnx().op_register;
        let nearest = readers.0.get("Resize").context("tract reads Resize")?;
        return nearest(context, node);
    }
    let a: f32 = node.get_attr_opt("cubic_coeff_a")?.unwrap_or(-0.75);
    let kernel = match mode {
        "linear" => Kernel::Linear,
        "cubic" if a.is_finite() => Kernel::Cubic { a },
        mode => return Err(refused_attribute(node, format!("mode {mode}"), "use nearest, linear or cubic")),
    };
    // The first version of the operator had no mode of coordinates.
    let first = context.onnx_operator_set_version < 11;
    let coordinates = match node.get_attr_opt("coordinate_transformation_mode")?.unwrap_or("half_pixel") {
        _ if first => Coordinates::Asymmetric,
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        mode => {
            let hint = "use half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners or asymmetric";
            return Err(refused_attribute(node, format!("coordinate_transformation_mode {mode}"), hint));
        }
    };
    let aspect = match node.get_attr_opt("keep_aspect_ratio_policy")?.unwrap_or("stretch") {
        "stretch" => Aspect::Stretch,
        "not_larger" => Aspect::NotLarger,
        "not_smaller" => Aspect::NotSmaller,
        policy => {
            let form = format!("keep_aspect_ratio_policy {policy}");
            return Err(refused_attribute(node, form, "use stretch, not_larger or not_smaller"));
        }
    };
    let slots: Vec<Option<usize>> = tract_onnx::model::optional_inputs(node).take(4).collect();
    let (scales, sizes) = if first { (slots[1], None) } else { (slots[2], slots[3]) };
    let extent = match (sizes, scales) {
        (Some(sizes), _) => Extent::Sizes(sizes),
        (None, Some(scales)) => Extent::Scales(scales),
        (None, None) => return Err(refused_attribute(node, "neither scales nor sizes", "give one of them")),
    };
    let flag = |name: &str| TractResult::Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0);
    let op = Resize {
        operator: node.op_type.clone(),
        node: node_name(node),
        coordinates,
        kernel,
        antialias: flag("antialias")?,
        exclude_outside: flag("exclude_outside")?,
        axes: node.get_attr_opt_vec("axes")?,
        aspect,
        extent,
        inputs: slots.iter().flatten().count(),
    };
    Ok((expand(op), vec![]))
}

/// `Upsample`, which later versions of ONNX have no more.
pub(super) fn read_upsample(
    _: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let kernel = match node.get_attr_opt("mode")?.unwrap_or("nearest") {
        "nearest" => Kernel::Floor,
        "linear" | "bilinear" => Kernel::Linear,
        mode => return Err(refused_attribute(node, format!("mode {mode}"), "use nearest or linear")),
    };
    let extent = match node.get_attr_opt_vec("scales")? {
        Some(scales) => Extent::Known(scales),
        None => Extent::Scales(1),
    };
    let op = Resize {
        operator: node.op_type.clone(),
        node: node_name(node),
        coordinates: Coordinates::Asymmetric,
        kernel,
        antialias: false,
        exclude_outside: false,
        axes: None,
        aspect: Aspect::Stretch,
        inputs: 1 + usize::from(matches!(extent, Extent::Scales(_))),
        extent,
    };
    Ok((expand(op), vec![]))
}

impl Expansion for Resize {
    fn name(&self) -> StaticName {
        "Interpolation".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.inputs)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        let resized = move |s: &mut Solver<'r>, dims: &[TDim], extent: Option<&Tensor>| {
            let Ok(dims) = dims.iter().map(|dim| dim.to_usize()).collect::<Result<Vec<usize>, _>>() else {
                return Ok(());
            };
            for axis in self.resized(&dims, extent)? {
                s.equals(&outputs[0].shape[axis.axis], axis.to.to_dim())?;
            }
            for (axis, dim) in dims.iter().enumerate() {
                if !self.axes(dims.len())?.contains(&axis) {
                    s.equals(&outputs[0].shape[axis], dim.to_dim())?;
                }
            }
            Ok(())
        };
        match self.extent {
            Extent::Known(_) => s.given(&inputs[0].shape, move |s, dims| resized(s, &dims, None)),
            Extent::Scales(slot) | Extent::Sizes(slot) => {
                s.given_2(&inputs[0].shape, &inputs[slot].value, move |s, dims, value| resized(s, &dims, Some(&value)))
            }
        }
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let dims = wiring.dims(inputs[0])?;
        let extent = match self.extent {
            Extent::Known(_) => None,
            Extent::Scales(slot) | Extent::Sizes(slot) => Some(
                wiring
                    .konst(inputs[slot])?
                    .ok_or_else(|| self.refused("computed scales or sizes", "fold constants"))?,
            ),
        };
        let mut axes = self.resized(&dims, extent.as_deref())?;
        axes.retain(|axis| axis.from != axis.to || axis.scale != 1.0);
        if let Some(axis) = axes.iter().find(|axis| axis.from.max(axis.to) > MAX_LEN) {
            return Err(self.refused(format!("{} elements resized to {}", axis.from, axis.to), "resize shorter axes"));
        }
        // Those that shrink first: the others then have less to do.
        axes.sort_by(|a, b| (a.to * b.from).cmp(&(b.to * a.from)));
        let mut x = inputs[0];
        for axis in axes {
            x = self.resize(&mut wiring, x, axis)?;
        }
        Ok(tvec!(x))
    }
}

impl Resize {
    fn refused(&self, form: impl Into<String>, hint: &'static str) -> TractError {
        refused(&self.operator, &self.node, form, hint)
    }

    /// The axes that scales and sizes are of.
    fn axes(&self, rank: usize) -> TractResult<Vec<usize>> {
        let Some(axes) = &self.axes else { return Ok((0..rank).collect()) };
        let axis = |axis: &i64| {
            let axis = if *axis < 0 { *axis + rank as i64 } else { *axis };
            usize::try_from(axis).ok().filter(|axis| *axis < rank).context("an axis that the operand does not have")
        };
        axes.iter().map(axis).collect()
    }

    /// The resized axes. `extent` holds scales or sizes.
    fn resized(&self, dims: &[usize], extent: Option<&Tensor>) -> TractResult<Vec<Axis>> {
        let axes = self.axes(dims.len())?;
        let values: Vec<f32> = match (&self.extent, extent) {
            (Extent::Known(scales), _) => scales.clone(),
            (_, Some(extent)) => extent.cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().copied().collect(),
            (_, None) => bail!("scales or sizes are missing"),
        };
        ensure!(values.len() == axes.len(), "{} scales or sizes for {} axes", values.len(), axes.len());
        ensure!(values.iter().all(|value| value.is_finite() && *value > 0.0), "scales and sizes are above 0");
        let is_size = matches!(self.extent, Extent::Sizes(_));
        let ratios = axes.iter().zip(&values).map(|(axis, size)| size / dims[*axis] as f32);
        let shared = match self.aspect {
            Aspect::NotLarger if is_size => ratios.reduce(f32::min),
            Aspect::NotSmaller if is_size => ratios.reduce(f32::max),
            Aspect::Stretch | Aspect::NotLarger | Aspect::NotSmaller => None,
        };
        let axis = |(&axis, &value): (&usize, &f32)| {
            let from = dims[axis];
            let (to, scale) = match shared {
                Some(scale) => ((scale * from as f32 + 0.5) as usize, scale),
                None if is_size => (value as usize, value / from as f32),
                None => ((value * from as f32) as usize, value),
            };
            Axis { axis, from, to, scale }
        };
        Ok(axes.iter().zip(&values).map(axis).collect())
    }

    fn resize(&self, wiring: &mut Wiring<'_>, x: OutletId, axis: Axis) -> TractResult<OutletId> {
        let taps: Vec<Vec<Tap>> = (0..axis.to).map(|output| self.taps(axis, output)).collect();
        if self.kernel == Kernel::Floor {
            let sources: Vec<i64> = taps.iter().map(|taps| inside(taps[0].0, axis.from) as i64).collect();
            let sources = wiring.constant(tensor1(&sources))?;
            return wiring.apply(Gather::new(axis.axis), &[x, sources]);
        }
        match Phases::of(&taps, axis) {
            Some(phases) => phases.wire(wiring, x, axis),
            None if axis.from * axis.to > MAX_MATRIX => {
                let form = format!("{} elements resized to {}, by a matrix,", axis.from, axis.to);
                Err(self.refused(form, "resize by a whole factor and half_pixel, or shorter axes"))
            }
            None => by_matrix(wiring, x, axis, &taps),
        }
    }

    /// Where an output is in the input.
    fn position(&self, Axis { from, to, scale, .. }: Axis, output: usize) -> f64 {
        let (from, to, scale, output) = (from as f64, to as f64, f64::from(scale), output as f64);
        match self.coordinates {
            // Equal extents are not moved.
            _ if scale == 1.0 && self.coordinates != Coordinates::AlignCorners => output,
            Coordinates::PytorchHalfPixel if to <= 1.0 => 0.0,
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (output + 0.5) / scale - 0.5,
            Coordinates::HalfPixelSymmetric => from / 2.0 * (1.0 - to / (scale * from)) + (output + 0.5) / scale - 0.5,
            Coordinates::AlignCorners if to <= 1.0 => 0.0,
            Coordinates::AlignCorners => output * (from - 1.0) / (to - 1.0),
            Coordinates::Asymmetric => output / scale,
        }
    }

    /// The taps of an output.
    fn taps(&self, axis: Axis, output: usize) -> Vec<Tap> {
        let position = self.position(axis, output);
        let scale = f64::from(axis.scale);
        let blurs = self.antialias && scale < 1.0;
        let last = axis.from as f64 - 1.0;
        let mut taps: Vec<Tap> = match self.kernel {
            Kernel::Floor => return vec![(position.floor() as i64, 1.0)],
            // A shrunk image is a mean over wider kernels.
            Kernel::Linear | Kernel::Cubic { .. } if blurs => {
                let reach = if self.kernel == Kernel::Linear { 1.0 } else { 2.0 } / scale;
                let centre = position + 0.5;
                let [first, end] = [-reach, reach].map(|reach| (centre + reach + 0.5).floor() as i64);
                (first..end).map(|tap| (tap, self.weight((tap as f64 - centre + 0.5) * scale))).collect()
            }
            Kernel::Linear => {
                let position = if self.antialias { position } else { position.clamp(0.0, last) };
                let first = position.floor();
                (0..2).map(|k| (first as i64 + k, self.weight(first + k as f64 - position))).collect()
            }
            Kernel::Cubic { .. } => {
                let first = position.floor();
                (-1..3).map(|k| (first as i64 + k, self.weight(first + k as f64 - position))).collect()
            }
        };
        if self.exclude_outside {
            taps.retain(|(tap, _)| (0..axis.from as i64).contains(tap));
        }
        if self.exclude_outside || self.antialias {
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        taps.retain(|(_, weight)| *weight != 0.0);
        taps
    }

    /// The weight of a tap at this distance.
    fn weight(&self, distance: f64) -> f64 {
        let x = distance.abs();
        match self.kernel {
            Kernel::Floor => 1.0,
            Kernel::Linear => (1.0 - x).max(0.0),
            Kernel::Cubic { a } => {
                let a = f64::from(a);
                if x <= 1.0 {
                    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
                } else {
                    0.0
                }
            }
        }
    }
}

/// The element that a tap reads: that of the border, where it is outside.
fn inside(tap: i64, len: usize) -> usize {
    tap.clamp(0, len as i64 - 1) as usize
}

/// A product with all of the matrix.
fn by_matrix(wiring: &mut Wiring<'_>, x: OutletId, axis: Axis, taps: &[Vec<Tap>]) -> TractResult<OutletId> {
    let mut matrix = vec![0f32; axis.to * axis.from];
    for (row, taps) in matrix.chunks_mut(axis.from).zip(taps) {
        taps.iter().for_each(|(tap, weight)| row[inside(*tap, axis.from)] += *weight as f32);
    }
    let matrix = wiring.floats(&[axis.to, axis.from], &matrix)?;
    let own = letters(0, wiring.dims(x)?.len());
    let (before, after) = (&own[..axis.axis], &own[axis.axis + 1..]);
    wiring.einsum(&format!("{before}Z{after},YZ->{before}Y{after}"), &[x, matrix])
}

/// Taps that repeat: those of `count` outputs on are the same ones, `step` elements on.
#[derive(Debug)]
struct Phases {
    step: usize,
    /// First element of the first window, and elements of a window.
    first: i64,
    width: usize,
    /// Weights by phase, then element.
    weights: Vec<f32>,
    count: usize,
}

impl Phases {
    /// The phases of an axis; `None` where a matrix is as short.
    fn of(taps: &[Vec<Tap>], axis: Axis) -> Option<Self> {
        let divisor = greatest_divisor(axis.from, axis.to);
        let (count, step) = (axis.to / divisor, axis.from / divisor);
        let positions = || taps[..count].iter().flatten().map(|(tap, _)| *tap);
        let (first, last) = (positions().min()?, positions().max()?);
        let width = (last + 1 - first) as usize;
        if width >= axis.from {
            return None;
        }
        let mut weights = vec![0f64; count * width];
        for (phase, taps) in taps[..count].iter().enumerate() {
            taps.iter().for_each(|(tap, weight)| weights[phase * width + (tap - first) as usize] += weight);
        }
        let phases = Self { step, first, width, weights: weights.iter().map(|w| *w as f32).collect(), count };
        taps.iter().enumerate().all(|(output, taps)| phases.has(output, taps, axis.from)).then_some(phases)
    }

    /// Whether an output with these taps is what its phase makes of its window: taps outside are the border's.
    fn has(&self, output: usize, taps: &[Tap], len: usize) -> bool {
        let start = self.first + (output / self.count * self.step) as i64;
        let mut left = vec![0f64; len];
        taps.iter().for_each(|(tap, weight)| left[inside(*tap, len)] += weight);
        let own = &self.weights[output % self.count * self.width..][..self.width];
        own.iter().enumerate().for_each(|(k, weight)| left[inside(start + k as i64, len)] -= f64::from(*weight));
        left.iter().all(|weight| weight.abs() < 1e-6)
    }

    fn wire(&self, wiring: &mut Wiring<'_>, x: OutletId, axis: Axis) -> TractResult<OutletId> {
        let dims = wiring.dims(x)?;
        let (rank, windows) = (dims.len(), axis.to / self.count);
        let padded = (windows - 1) * self.step + self.width;
        let sources: Vec<i64> = (0..padded).map(|i| inside(self.first + i as i64, axis.from) as i64).collect();
        let sources = wiring.constant(tensor1(&sources))?;
        let x = wiring.apply(Gather::new(axis.axis), &[x, sources])?;
        let x = wiring.moved(x, axis.axis, rank - 1)?;
        let rows = dims.iter().product::<usize>() / axis.from;
        let image = wiring.reshaped(x, 0, rank, &[1, 1, rows, padded])?;
        let kernel = wiring.floats(&[self.count, 1, 1, self.width], &self.weights)?;
        let bias = wiring.floats(&[self.count], &vec![0.0; self.count])?;
        let spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(1, self.width),
            padding: PaddingSpec::Valid,
            dilations: None,
            strides: Some(tvec!(1, self.step)),
            input_channels: 1,
            output_channels: self.count,
        };
        let convolution = Conv { pool_spec: spec, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
        let phases = wiring.apply(convolution, &[image, kernel, bias])?;
        // Phases become neighbours.
        let neighbours = wiring.moved(phases, 1, 3)?;
        let mut moved = dims;
        moved.remove(axis.axis);
        moved.push(axis.to);
        let result = wiring.reshaped(neighbours, 0, 4, &moved)?;
        wiring.moved(result, rank - 1, axis.axis)
    }
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}
