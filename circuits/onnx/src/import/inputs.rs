//! How a model's inputs are stored: images channels first, in whatever order the model has them, those of a batch
//! column beside column, and matrices with one channel a feature.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::axes::Axis;
use tract_onnx::tract_core::ops::array::CumSum;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::deconv::Deconv;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax};
use zkml_gpu_graph::Shape;

use super::error::ImportError;
use super::facts::is_index;
use super::translator::Translator;

/// What first gives meaning to an input's axes.
enum Use {
    /// A convolution or pool: the input's axes of channels, of space and of the batch, which may have moved since.
    Image { channel: usize, space: Vec<usize>, batch: Option<usize> },
    /// A matrix product; whether it contracts the last axis.
    Matrix { last: bool },
    /// Elementwise operations only.
    Elements,
}

/// A value that holds an input's elements, and where each axis of the input is now.
#[derive(Clone)]
struct Trail {
    outlet: OutletId,
    axes: Vec<Option<usize>>,
    /// Whether no axis has moved.
    same: bool,
}

impl Translator<'_> {
    /// Chooses the storage of an input from its rank and its first use.
    pub(super) fn input(&mut self, outlet: OutletId) -> Result<(), ImportError> {
        let node = self.source.model.node(outlet.node);
        let fact = &node.outputs[outlet.slot].fact;
        if is_index(fact.datum_type) && self.is_looked_up(outlet) {
            return self.indices(outlet);
        }
        // Whole numbers and truth values that are computed with, such as masks, are numbers.
        if fact.datum_type != DatumType::F32 && fact.datum_type != DatumType::Bool && !is_index(fact.datum_type) {
            let got = format!("{:?}", fact.datum_type);
            return Err(ImportError::ElementType { tensor: node.name.clone(), got });
        }
        let Some(dims) = fact.shape.as_concrete() else { return Err(self.unsupported(node)) };
        let dims = dims.to_vec();
        let (len, rank) = (dims.iter().product::<usize>(), dims.len());
        let wide = dims.iter().filter(|d| **d != 1).count();
        let matrix = |features: usize| Shape { channels: features, height: 1, width: len / features.max(1) };
        let found = self.first_use(outlet, rank);
        if let Use::Image { channel, space, batch: Some(batch) } = &found
            && dims[*batch] > 1
            && let Some(stored) = images(&dims, *channel, space, *batch)
        {
            self.add_images(outlet, stored, &dims);
            return Ok(());
        }
        let (shape, transposed) = match found {
            Use::Image { channel, space, .. } if wide <= 3 => image(&dims, channel, &space),
            _ if wide < 2 => (Shape::vector(len), false),
            Use::Matrix { last: true } if rank < 4 => {
                let features = dims.iter().rev().find(|d| **d != 1);
                (matrix(features.copied().unwrap_or(1)), true)
            }
            Use::Matrix { last: false } if rank < 4 => {
                let features = dims.iter().find(|d| **d != 1);
                (matrix(features.copied().unwrap_or(1)), false)
            }
            _ if rank == 4 && dims[0] == 1 => (Shape { channels: dims[1], height: dims[2], width: dims[3] }, false),
            Use::Image { .. } | Use::Matrix { .. } | Use::Elements => (Shape::vector(len), false),
        };
        self.add_input(outlet, shape, transposed, &dims);
        Ok(())
    }

    /// Follows elementwise operations, movement and changes of axes to the first convolution, pool or product.
    fn first_use(&self, outlet: OutletId, rank: usize) -> Use {
        let model = &self.source.model;
        let mut queue = vec![Trail { outlet, axes: (0..rank).map(Some).collect(), same: true }];
        let mut seen = Vec::new();
        while let Some(trail) = queue.pop() {
            for inlet in &model.node(trail.outlet.node).outputs[trail.outlet.slot].successors {
                let node = model.node(inlet.node);
                if let Some(spec) = window(node) {
                    if let Some(found) = image_axes(spec, &trail.axes) {
                        return found;
                    }
                    continue;
                }
                if let Some(op) = node.op_as::<EinSum>() {
                    return Use::Matrix { last: !trail.same || contracts_last(op, inlet.slot, model, trail.outlet) };
                }
                if let Some(last) = reduces_last(node, &trail, rank) {
                    return Use::Matrix { last };
                }
                if seen.contains(&node.id) {
                    continue;
                }
                let outlet = OutletId::new(node.id, 0);
                if let Some(op) = node.op_as::<AxisOp>() {
                    let axes = trail.axes.iter().map(|axis| axis.and_then(|axis| op.transform_axis(axis))).collect();
                    queue.push(Trail { outlet, axes, same: false });
                } else if node.op_is::<TypedBinOp>() || node.op_is::<ElementWiseOp>() || keeps_axes(node) {
                    queue.push(Trail { outlet, ..trail.clone() });
                } else {
                    continue;
                }
                seen.push(node.id);
            }
        }
        Use::Elements
    }
}

fn window(node: &TypedNode) -> Option<&PoolSpec> {
    let conv = node.op_as::<Conv>().map(|op| &op.pool_spec);
    let deconv = node.op_as::<Deconv>().map(|op| &op.pool_spec);
    let max = node.op_as::<MaxPool>().map(|op| &op.pool_spec);
    conv.or(deconv).or(max).or(node.op_as::<SumPool>().map(|op| &op.pool_spec))
}

/// Whether an operator that sums over one axis of an input takes the last one; `None` for other operators.
fn reduces_last(node: &TypedNode, trail: &Trail, rank: usize) -> Option<bool> {
    let axes: Vec<usize> = if let Some(op) = node.op_as::<RmsNorm>() {
        vec![op.axis]
    } else if let Some(op) = node.op_as::<Softmax>() {
        op.axes.to_vec()
    } else if let Some(op) = node.op_as::<CumSum>() {
        vec![op.axis]
    } else {
        let reduce = node.op_as::<Reduce>()?;
        matches!(reduce.reducer, Reducer::Sum | Reducer::MeanOfSquares).then(|| reduce.axes.to_vec())?
    };
    let &[axis] = &axes[..] else { return None };
    Some(trail.axes.get(rank.checked_sub(1)?).copied().flatten() == Some(axis))
}

/// Movement along axes, each of which keeps its place.
fn keeps_axes(node: &TypedNode) -> bool {
    let name = node.op.name();
    ["Cast", "Concat", "Downsample", "NearestUpsample", "Pad", "Resize", "Slice", "StridedSlice", "Tile"]
        .contains(&&*name)
}

/// The axes of an input that are an image's at a window.
fn image_axes(spec: &PoolSpec, axes: &[Option<usize>]) -> Option<Use> {
    let (lead, space) = (usize::from(spec.data_format.has_n()), spec.rank());
    let (channel, first) = if spec.data_format.c_is_last() { (lead + space, lead) } else { (lead, lead + 1) };
    let origin = |axis: usize| axes.iter().position(|a| *a == Some(axis));
    let space: Option<Vec<usize>> = (first..first + space).map(origin).collect();
    let batch = (lead == 1).then(|| origin(0)).flatten();
    Some(Use::Image { channel: origin(channel)?, space: space?, batch })
}

/// How the images of a batch are stored.
#[derive(Debug, PartialEq)]
pub(super) struct Images {
    /// Extent of all together, column beside column.
    pub(super) shape: Shape,
    /// Images of the batch.
    pub(super) count: usize,
    /// Whether the model has an image's channels last.
    pub(super) transposed: bool,
    /// The model's axes in the order of storage.
    pub(super) order: Vec<usize>,
}

/// Storage of an input that is a batch of images with these axes, one after the other; `None` for other orders of axes.
fn images(dims: &[usize], channel: usize, space: &[usize], batch: usize) -> Option<Images> {
    let count = dims[batch];
    let (one, transposed) = image(&[&dims[..batch], &[1], &dims[batch + 1..]].concat(), channel, space);
    let Shape { channels, height, width } = one;
    let apart = dims[..batch].iter().all(|d| *d == 1);
    let is_image = channels == dims[channel] && one.len() * count == dims.iter().product::<usize>();
    // A vector is an image of one element a channel, or of no known order.
    let known = is_image && space.iter().map(|&a| dims[a]).product::<usize>() == height * width;
    let others = (0..dims.len()).filter(|axis| *axis != channel && *axis != batch && !space.contains(axis));
    let order = others.chain([channel]).chain(space.iter().copied()).chain([batch]).collect();
    let shape = Shape { channels, height, width: width * count };
    (apart && known).then_some(Images { shape, count, transposed, order })
}

/// Storage of an input that is an image with these axes: as it is, transposed where the channels come last, or, in any
/// other order, as a vector that the first window has rearranged.
fn image(dims: &[usize], channel: usize, space: &[usize]) -> (Shape, bool) {
    let len = dims.iter().product();
    let width = space.last().map_or(1, |&a| dims[a]);
    let height = if space.len() == 2 { dims[space[0]] } else { 1 };
    let shape = Shape { channels: dims[channel], height, width };
    let order = |axes: &mut dyn Iterator<Item = usize>| axes.filter(|&a| dims[a] != 1).collect::<Vec<_>>().is_sorted();
    if shape.len() != len {
        (Shape::vector(len), false)
    } else if order(&mut std::iter::once(channel).chain(space.iter().copied())) {
        (shape, false)
    } else if order(&mut space.iter().copied().chain([channel])) {
        (shape, true)
    } else {
        (Shape::vector(len), false)
    }
}

/// Whether a product sums over the last axis (with more than one element) of an operand and not over its first.
fn contracts_last(op: &EinSum, slot: usize, model: &TypedModel, outlet: OutletId) -> bool {
    let Ok(Some(dims)) = model.outlet_fact(outlet).map(|f| f.shape.as_concrete()) else { return true };
    let contracted = |position: usize| {
        let axis = op.axes.iter_all_axes().find(|a: &&Axis| a.inputs[slot].contains(&position));
        axis.is_some_and(|a| a.outputs[0].is_empty())
    };
    dims.iter().rposition(|d| *d != 1).is_none_or(contracted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_stored_channels_first_where_its_axes_allow() {
        let shape = Shape { channels: 3, height: 4, width: 5 };
        assert_eq!(image(&[1, 3, 4, 5], 1, &[2, 3]), (shape, false));
        assert_eq!(image(&[1, 4, 5, 3], 3, &[1, 2]), (shape, true));
        assert_eq!(image(&[3, 5], 0, &[1]), (Shape { height: 1, ..shape }, false));
        // Width before height, or a batch, is no order of storage.
        assert_eq!(image(&[1, 5, 4, 3], 3, &[2, 1]), (Shape::vector(60), false));
        assert_eq!(image(&[2, 3, 4, 5], 1, &[2, 3]), (Shape::vector(120), false));
        // One channel may be anywhere.
        assert_eq!(image(&[1, 4, 5, 1], 3, &[1, 2]), (Shape { channels: 1, ..shape }, false));
    }

    #[test]
    fn images_of_a_batch_are_stored_column_beside_column() {
        let shape = Shape { channels: 3, height: 4, width: 10 };
        let first = images(&[2, 3, 4, 5], 1, &[2, 3], 0);
        assert_eq!(first, Some(Images { shape, count: 2, transposed: false, order: vec![1, 2, 3, 0] }));
        let last = images(&[2, 4, 5, 3], 3, &[1, 2], 0);
        assert_eq!(last, Some(Images { shape, count: 2, transposed: true, order: vec![3, 1, 2, 0] }));
        // Width before height, and a batch that is not outermost.
        assert_eq!(images(&[2, 5, 4, 3], 3, &[2, 1], 0), None);
        assert_eq!(images(&[3, 2, 4, 5], 0, &[2, 3], 1), None);
    }
}
