//! Matrix products with weights (GEMM): `MatMul`, `Gemm` and the 1 × 1 convolutions that tract writes as Einstein sums.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::einsum::EinSum;
use zkml_gpu_graph::Shape;

use super::error::ImportError;
use super::float::{FloatLinear, FloatOp};
use super::translator::Translator;
use super::view::View;

/// An axis of an Einstein sum over an activation and weights.
#[derive(Clone, Copy, Debug, Default)]
struct SumAxis {
    /// Extent.
    len: usize,
    /// Position in the activation.
    input: Option<usize>,
    /// Distance between neighbours in the row-major weights.
    weight_stride: Option<usize>,
    /// Position in the output.
    output: Option<usize>,
}

impl Translator<'_> {
    /// A product of an activation with constant weights. The activation's other axes are rows, which share the
    /// weights as the pixels of an image share a 1 × 1 kernel.
    pub(super) fn product(&mut self, node: &TypedNode, op: &EinSum) -> Result<View, ImportError> {
        let constants = [self.constant(node, 0), self.constant(node, 1)];
        let (slot, weight_dims, weights) = match constants {
            [None, Some((dims, weights))] => (0, dims, weights),
            [Some((dims, weights)), None] => (1, dims, weights),
            [None, None] => return self.contraction(node, op),
            _ => return Err(self.form(node, "constants only", "fold constants before the export")),
        };
        let mut view = self.view(node, slot)?;
        let axes = (op.q_params.is_none() && node.inputs.len() == 2)
            .then(|| sum_axes(op, slot, &view, &weight_dims))
            .flatten()
            .ok_or_else(|| self.form(node, format!("the sum {}", op.axes), "use plain matrix products"))?;
        if axes.iter().any(SumAxis::is_batch) {
            return Ok(self.batched_product(node, &view, &axes, &weights));
        }
        let contracted: Vec<SumAxis> =
            axes.iter().filter(|a| a.input.is_some() && a.output.is_none()).copied().collect();
        let mut rows: Vec<SumAxis> = axes.iter().filter(|a| a.input.is_some() && a.output.is_some()).copied().collect();
        let mut outs: Vec<SumAxis> = axes.iter().filter(|a| a.input.is_none()).copied().collect();
        rows.sort_unstable_by_key(|a| std::cmp::Reverse(a.input.map(|i| view.strides[i])));
        outs.sort_unstable_by_key(|a| a.output);
        let area: usize = rows.iter().map(|a| a.len).product();
        if !view.is_dense(rows.iter().filter_map(|a| a.input).collect::<Vec<_>>().into_iter(), 1) {
            // Features first, then rows: one channel a feature.
            let feature = |axis: &usize| !rows.iter().any(|row| row.input == Some(*axis));
            let mut order: Vec<usize> = (0..view.dims.len()).filter(feature).collect();
            order.extend((0..view.dims.len()).filter(|axis| !feature(axis)));
            let shape = Shape { channels: view.len() / area, height: 1, width: area };
            view = self.arranged(node, &view, &order, shape);
            rows.sort_unstable_by_key(|a| std::cmp::Reverse(a.input.map(|i| view.strides[i])));
        }
        let weights = arrange(&weights, &contracted, &outs, &view, area);
        let out_channels = outs.iter().map(|a| a.len).product();
        let stored = self.graph.tensors[view.tensor].shape;
        let [height, width] =
            if stored.height * stored.width == area { [stored.height, stored.width] } else { [1, area] };
        let shape = Shape { channels: view.len() / area, height, width };
        let input = self.stored_as(node, view.tensor, shape);
        let linear = FloatLinear::dense(out_channels, weights, vec![0.0; out_channels]);
        let output = Shape { channels: out_channels, ..shape };
        let tensor = self.push(node, FloatOp::Linear(linear), vec![input], output);
        Ok(output_view(tensor, node.outputs[0].fact.rank(), &rows, &outs, &view, area))
    }
}

impl SumAxis {
    /// Whether each of its positions has weights of its own.
    const fn is_batch(&self) -> bool {
        self.input.is_some() && self.weight_stride.is_some() && self.output.is_some()
    }
}

impl Translator<'_> {
    /// A product with a matrix of its own for each position of some axes: a product by groups, one for each position.
    fn batched_product(&mut self, node: &TypedNode, view: &View, axes: &[SumAxis], weights: &[f32]) -> View {
        let some = |is: fn(&SumAxis) -> bool| axes.iter().filter(|axis| is(axis)).copied().collect::<Vec<SumAxis>>();
        let batch = some(SumAxis::is_batch);
        let contracted = some(|axis| axis.output.is_none());
        let outs = some(|axis| axis.input.is_none());
        let rows = some(|axis| axis.weight_stride.is_none());
        let extent = |axes: &[SumAxis]| axes.iter().map(|axis| axis.len).product::<usize>();
        let [groups, inner, outputs, area] = [&batch, &contracted, &outs, &rows].map(|axes| extent(axes));
        let read: Vec<usize> = batch.iter().chain(&contracted).chain(&rows).filter_map(|axis| axis.input).collect();
        let mut order: Vec<usize> = (0..view.dims.len()).filter(|axis| !read.contains(axis)).collect();
        order.extend(&read);
        let input = self.arranged(node, view, &order, Shape { channels: groups * inner, height: 1, width: area });
        let places: Vec<&SumAxis> = batch.iter().chain(&outs).chain(&contracted).collect();
        let of_weights = View {
            tensor: 0,
            dims: places.iter().map(|axis| axis.len).collect(),
            strides: places.iter().map(|axis| axis.weight_stride.unwrap_or(0)).collect(),
        };
        let weights = of_weights.offsets().into_iter().map(|place| weights[place]).collect();
        let out_channels = groups * outputs;
        let linear = FloatLinear { groups, ..FloatLinear::dense(out_channels, weights, vec![0.0; out_channels]) };
        let shape = Shape { channels: out_channels, height: 1, width: area };
        let tensor = self.push(node, FloatOp::Linear(linear), vec![input.tensor], shape);
        let rank = node.outputs[0].fact.rank();
        let stored: Vec<&SumAxis> = batch.iter().chain(&outs).chain(&rows).collect();
        let strides = View::row_major(tensor, &stored.iter().map(|axis| axis.len).collect::<Vec<_>>()).strides;
        let mut result = View { tensor, dims: vec![1; rank], strides: vec![0; rank] };
        for (axis, stride) in stored.iter().zip(strides) {
            if let Some(output) = axis.output {
                (result.dims[output], result.strides[output]) = (axis.len, stride);
            }
        }
        result
    }
}

/// The axes of a product; `None` where it is more than rows times a matrix or several: diagonals, sums over one operand
/// only.
fn sum_axes(op: &EinSum, slot: usize, view: &View, weight_dims: &[usize]) -> Option<Vec<SumAxis>> {
    let weight_strides = View::row_major(0, weight_dims).strides;
    let mut axes = Vec::new();
    for axis in op.axes.iter_all_axes() {
        let (input, weight) = (&axis.inputs[slot], &axis.inputs[1 - slot]);
        let output = &axis.outputs[0];
        if input.len() > 1 || weight.len() > 1 || output.len() > 1 {
            return None;
        }
        let (input, weight, output) = (input.first().copied(), weight.first().copied(), output.first().copied());
        let len = input.map(|i| view.dims[i]).into_iter().chain(weight.map(|w| weight_dims[w])).max().unwrap_or(1);
        let row_or_column = output.is_some() && (input.is_some() != weight.is_some());
        let contracted_or_batch = input.is_some() && weight.is_some();
        if len != 1 && !row_or_column && !contracted_or_batch {
            return None;
        }
        if len != 1 {
            axes.push(SumAxis { len, input, weight_stride: weight.map(|w| weight_strides[w]), output });
        }
    }
    Some(axes)
}

/// Weights as `[out][in]`, inputs in the order of the activation's storage.
fn arrange(weights: &[f32], contracted: &[SumAxis], outs: &[SumAxis], view: &View, area: usize) -> Vec<f32> {
    let indices = |axes: &[SumAxis], stride: &dyn Fn(&SumAxis) -> usize| {
        let dims: Vec<usize> = axes.iter().map(|a| a.len).collect();
        View { tensor: 0, dims, strides: axes.iter().map(stride).collect() }.offsets()
    };
    let weight_stride = |a: &SumAxis| a.weight_stride.unwrap_or(0);
    let sources = indices(contracted, &weight_stride);
    let channels = indices(contracted, &|a| a.input.map_or(0, |i| view.strides[i]) / area);
    let mut arranged = Vec::with_capacity(weights.len());
    let mut row = vec![0.0; sources.len()];
    for out in indices(outs, &weight_stride) {
        for (source, channel) in sources.iter().zip(&channels) {
            row[*channel] = weights[out + source];
        }
        arranged.extend_from_slice(&row);
    }
    arranged
}

fn output_view(tensor: usize, rank: usize, rows: &[SumAxis], outs: &[SumAxis], view: &View, area: usize) -> View {
    let mut result = View { tensor, dims: vec![1; rank], strides: vec![0; rank] };
    for (axis, output) in rows.iter().filter_map(|a| Some((a, a.output?))) {
        result.dims[output] = axis.len;
        result.strides[output] = axis.input.map_or(0, |i| view.strides[i]);
    }
    let mut stride = area;
    for (axis, output) in outs.iter().rev().filter_map(|a| Some((a, a.output?))) {
        result.dims[output] = axis.len;
        result.strides[output] = stride;
        stride *= axis.len;
    }
    result
}
