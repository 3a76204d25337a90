//! Elements at positions that are computed: a product with the positions' one-hot form.

use tract_onnx::tract_core::ops::array::{
    Gather, GatherElements, GatherNd, OneHot, ScatterElements, ScatterReduction, Slice,
};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::math::{add, mul, round_half_to_even, sub};
use tract_onnx::tract_core::ops::nn::Reducer;
use tract_onnx::tract_hir::internal::*;

use super::super::facts::is_index;
use super::wiring::{Wiring, letters, rewired};

/// Elements along one axis; rows of a constant table at an input of the model are an embedding.
pub(super) fn gather(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Gather,
) -> TractResult<Option<TypedModelPatch>> {
    let is_table = model.outlet_fact(node.inputs[0])?.konst.is_some();
    if is_constant(model, node)? || is_table && is_input(model, node.inputs[1]) {
        return Ok(None);
    }
    if let Some(same) = only_element(model, node)? {
        return rewired(model, node, name, &|wiring, _| wiring.constant(same.clone()));
    }
    rewired(model, node, name, &|wiring, inputs| {
        let (data, indices) = (wiring.dims(inputs[0])?, wiring.dims(inputs[1])?.len());
        let chosen = one_hot(wiring, inputs[1], data[op.axis])?;
        let (own, of_indices) = (letters(0, data.len()), letters(data.len(), indices));
        let (before, after) = (&own[..op.axis], &own[op.axis + 1..]);
        let axes = format!("{of_indices}Z,{before}Z{after}->{before}{of_indices}{after}");
        product(wiring, &axes, chosen, inputs[0])
    })
}

/// Elements along one axis, for each position of the others.
pub(super) fn gather_elements(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &GatherElements,
) -> TractResult<Option<TypedModelPatch>> {
    if is_constant(model, node)? {
        return Ok(None);
    }
    if let Some(same) = only_element(model, node)? {
        return rewired(model, node, name, &|wiring, _| wiring.constant(same.clone()));
    }
    rewired(model, node, name, &|wiring, inputs| {
        let (data, indices) = (wiring.dims(inputs[0])?, wiring.dims(inputs[1])?);
        let mut rest = inputs[0];
        for (axis, (have, want)) in data.iter().zip(&indices).enumerate() {
            if axis != op.axis && have != want {
                rest = wiring.apply(Slice::new(axis, 0, *want), &[rest])?;
            }
        }
        let chosen = one_hot(wiring, inputs[1], data[op.axis])?;
        let own = letters(0, data.len());
        let (before, after) = (&own[..op.axis], &own[op.axis + 1..]);
        product(wiring, &format!("{own}Z,{before}Z{after}->{own}"), chosen, rest)
    })
}

/// Elements at several positions, one axis after the other.
pub(super) fn gather_nd(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &GatherNd,
) -> TractResult<Option<TypedModelPatch>> {
    if is_constant(model, node)? {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let (data, indices) = (wiring.dims(inputs[0])?, wiring.dims(inputs[1])?);
        let last = indices.len() - 1;
        let shared = letters(0, op.batch_dims);
        let places = letters(op.batch_dims, last - op.batch_dims);
        let mut rest = inputs[0];
        for axis in 0..indices[last] {
            let component = wiring.apply(Slice::new(last, axis, axis + 1), &[inputs[1]])?;
            let component = wiring.apply(AxisOp::Rm(last), &[component])?;
            let chosen = one_hot(wiring, component, data[op.batch_dims + axis])?;
            let after = letters(last, data.len() - op.batch_dims - axis - 1);
            // The first has no places yet.
            let before = if axis == 0 { &shared } else { &format!("{shared}{places}") };
            let axes = format!("{shared}{places}Z,{before}Z{after}->{shared}{places}{after}");
            rest = product(wiring, &axes, chosen, rest)?;
        }
        Ok(rest)
    })
}

/// Elements put along one axis, for each position of the others. What is put twice in one place is not defined, unless
/// it is added.
pub(super) fn scatter_elements(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &ScatterElements,
) -> TractResult<Option<TypedModelPatch>> {
    let dims = |slot: usize| -> TractResult<Vec<usize>> {
        let shape = model.outlet_fact(node.inputs[slot])?.shape.as_concrete().map(<[usize]>::to_vec);
        shape.context("a shape that is not known")
    };
    let (data, indices) = (dims(0)?, dims(1)?);
    let is_whole = data.iter().zip(&indices).enumerate().all(|(axis, (a, b))| axis == op.axis || a == b);
    let is_sum = match op.reduction {
        ScatterReduction::None => false,
        ScatterReduction::Add => true,
        ScatterReduction::Mul | ScatterReduction::Min | ScatterReduction::Max => return Ok(None),
    };
    if is_constant(model, node)? || !is_whole || node.outputs[0].fact.datum_type != DatumType::F32 {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let chosen = one_hot(wiring, inputs[1], data[op.axis])?;
        let own = letters(0, data.len());
        let (before, after) = (&own[..op.axis], &own[op.axis + 1..]);
        let put = wiring.einsum(&format!("{own}Z,{own}->{before}Z{after}"), &[chosen, inputs[2]])?;
        if is_sum {
            return wiring.binary(add(), inputs[0], put);
        }
        let covered = wiring.reduced(chosen, op.axis, Reducer::Sum)?;
        let covered = wiring.moved(covered, data.len() - 1, op.axis)?;
        let one = wiring.constant(tensor0(1f32))?;
        let kept = wiring.binary(sub(), one, covered)?;
        let kept = wiring.binary(mul(), inputs[0], kept)?;
        wiring.binary(add(), kept, put)
    })
}

/// 1 at each index and 0 elsewhere, along a last axis.
fn one_hot(wiring: &mut Wiring<'_>, indices: OutletId, count: usize) -> TractResult<OutletId> {
    let axis = wiring.dims(indices)?.len();
    let [off, on] = [0f32, 1.0].map(|value| tensor0(value).into_arc_tensor());
    wiring.apply(OneHot { axis, dim: count, off, on }, &[indices])
}

/// A product with data of any type, of which the result is.
fn product(wiring: &mut Wiring<'_>, axes: &str, chosen: OutletId, data: OutletId) -> TractResult<OutletId> {
    let kind = wiring.datum_type(data)?;
    let data = wiring.cast(data, DatumType::F32)?;
    let result = wiring.einsum(axes, &[chosen, data])?;
    if kind == DatumType::F32 {
        return Ok(result);
    }
    // Whole numbers, which a cast would round down.
    let whole = wiring.apply(round_half_to_even(), &[result])?;
    wiring.cast(whole, kind)
}

/// Whether the positions, or all operands, are constants.
fn is_constant(model: &TypedModel, node: &TypedNode) -> TractResult<bool> {
    Ok(model.outlet_fact(node.inputs[1])?.konst.is_some())
}

/// The result of taking elements of constant whole numbers that are all the same, such as types of tokens, wherever they
/// are taken. Floats may be learned.
fn only_element(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Tensor>> {
    let Some(table) = model.outlet_fact(node.inputs[0])?.konst.as_ref().filter(|table| is_index(table.datum_type()))
    else {
        return Ok(None);
    };
    let Some(dims) = node.outputs[0].fact.shape.as_concrete() else { return Ok(None) };
    let elements = table.cast_to::<i64>()?;
    let elements = elements.to_plain_array_view::<i64>()?;
    let Some(first) = elements.first().filter(|first| elements.iter().all(|element| element == *first)) else {
        return Ok(None);
    };
    let same = tensor0(*first).cast_to_dt(table.datum_type())?.broadcast_scalar_to_shape(dims)?;
    Ok(Some(same))
}

/// Whether an outlet holds the numbers of an input of the model, perhaps under other axes.
fn is_input(model: &TypedModel, mut outlet: OutletId) -> bool {
    loop {
        let node = model.node(outlet.node);
        let moves = node.op_is::<AxisOp>() || node.op_as::<Cast>().is_some_and(|op| is_index(op.to));
        if !moves {
            return TypedModel::is_source(&node.op);
        }
        outlet = node.inputs[0];
    }
}
