//! Repeated elements that a product sums or keeps. tract drops what repeats an axis before a product, because the
//! product repeats it too where its other operand has the whole axis. Where none has, it would compute another product,
//! or fail: there the repetition is written as a gather of the same element, which tract keeps.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, TypedModelPatch};
use tract_onnx::tract_core::ops::array::{Gather, MultiBroadcastTo, Tile};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;

/// Writes out repetitions that tract would lose, of a model that is not decluttered yet.
pub(super) fn write_out(model: &mut TypedModel) -> TractResult<()> {
    for id in model.eval_order()? {
        let axes = repeated(model, model.node(id));
        if !axes.is_empty() && is_lost(model, id, &axes) {
            gather(model, id, &axes)?.apply(model)?;
        }
    }
    Ok(())
}

/// The axes of a node's result along which it repeats one element, with their extents.
fn repeated(model: &TypedModel, node: &TypedNode) -> Vec<(usize, usize)> {
    if !node.op_is::<MultiBroadcastTo>() && !node.op_is::<Tile>() {
        return Vec::new();
    }
    let extents =
        |outlet| model.outlet_fact(outlet).ok().and_then(|fact| fact.shape.as_concrete().map(<[usize]>::to_vec));
    let (Some(from), Some(to)) = (extents(node.inputs[0]), extents(OutletId::new(node.id, 0))) else {
        return Vec::new();
    };
    let lead = to.len() - from.len();
    let is_repeated = |axis: &usize| to[*axis] != 1 && (*axis < lead || from[*axis - lead] == 1);
    // What repeats longer axes too is not taken for a broadcast.
    if (lead..to.len()).any(|axis| from[axis - lead] != 1 && from[axis - lead] != to[axis]) {
        return Vec::new();
    }
    (0..to.len()).filter(is_repeated).map(|axis| (axis, to[axis])).collect()
}

/// Whether a product reads one of the axes that would not be repeated without the node.
fn is_lost(model: &TypedModel, id: usize, axes: &[(usize, usize)]) -> bool {
    let mut queue: Vec<(usize, Vec<(usize, usize)>)> = vec![(id, axes.to_vec())];
    while let Some((id, axes)) = queue.pop() {
        for inlet in &model.node(id).outputs[0].successors {
            let reader = model.node(inlet.node);
            if let Some(op) = reader.op_as::<EinSum>() {
                if axes.iter().any(|axis| !repeats(model, reader, op, inlet.slot, *axis)) {
                    return true;
                }
            } else if let Some(op) = reader.op_as::<AxisOp>() {
                let moved = axes.iter().map(|(axis, extent)| Some((op.transform_axis(*axis)?, *extent)));
                queue.extend(moved.collect::<Option<Vec<_>>>().map(|axes| (reader.id, axes)));
            } else if moves_up(reader) {
                queue.push((reader.id, axes.clone()));
            }
        }
    }
    false
}

/// Whether tract lets a node's operator run before a repetition that it reads.
fn moves_up(node: &TypedNode) -> bool {
    node.op_is::<ElementWiseOp>() || node.op_is::<Cast>()
}

/// Whether a product repeats an axis of one operand by itself: the axis is not summed, and another operand has all of
/// it that is not repeated either.
fn repeats(model: &TypedModel, node: &TypedNode, op: &EinSum, slot: usize, (axis, extent): (usize, usize)) -> bool {
    let axis = op.axes.iter_all_axes().find(|of| of.inputs[slot].contains(&axis));
    let Some(axis) = axis.filter(|axis| !axis.outputs[0].is_empty()) else { return false };
    (0..node.inputs.len()).filter(|other| *other != slot).any(|other| {
        let fact = model.outlet_fact(node.inputs[other]).ok();
        let has_all = |place: &usize| fact.is_some_and(|fact| fact.shape[*place] == extent.to_dim());
        let mut source = model.node(node.inputs[other].node);
        while source.op_is::<AxisOp>() || moves_up(source) {
            source = model.node(source.inputs[0].node);
        }
        axis.inputs[other].first().is_some_and(has_all) && repeated(model, source).is_empty()
    })
}

/// The same elements by gathers.
fn gather(model: &TypedModel, id: usize, axes: &[(usize, usize)]) -> TractResult<TypedModelPatch> {
    let node = model.node(id);
    let mut patch = TypedModelPatch::default();
    let mut wire = patch.tap_model(model, node.inputs[0])?;
    for axis in model.outlet_fact(node.inputs[0])?.rank()..node.outputs[0].fact.rank() {
        wire = patch.wire_node(format!("{}.lead{axis}", node.name), AxisOp::Add(0), &[wire])?[0];
    }
    for (axis, extent) in axes {
        let places = patch.add_const(format!("{}.places{axis}", node.name), tensor1(&vec![0i64; *extent]))?;
        wire = patch.wire_node(format!("{}.repeated{axis}", node.name), Gather::new(*axis), &[wire, places])?[0];
    }
    patch.shunt_outside(model, id.into(), wire)?;
    Ok(patch)
}
