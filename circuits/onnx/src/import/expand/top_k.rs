//! `TopK`: an element's rank is the number of those that come before it.
//!
//! Each pair is compared by the index of its maximum, which is exact of the integers in a circuit, and of equal ones
//! the first comes first. So the ranks are a permutation whatever the numbers are, and each place has one element.

use tract_onnx::tract_core::ops::array::{Gather, Topk, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::logic::comp_eq;
use tract_onnx::tract_core::ops::math::{neg, sub};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_hir::internal::*;

use super::refused;
use super::wiring::{Wiring, letters};

/// Most pairs of one operator.
const MAX_PAIRS: usize = 1 << 14;

pub(super) fn top_k(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Topk,
) -> TractResult<Option<TypedModelPatch>> {
    let fact = model.outlet_fact(node.inputs[0])?;
    let dims = fact.shape.as_concrete().context("a shape that is not known")?;
    let Some(k) = model.outlet_fact(node.inputs[1])?.konst.clone() else {
        return Err(refused("TopK", name, "a computed number of places", "make it a constant"));
    };
    let k = usize::try_from(k.cast_to_scalar::<i64>()?)?;
    let count = dims[op.axis];
    ensure!((1..=count).contains(&k), "the {k} greatest of {count} elements");
    if fact.datum_type != DatumType::F32 {
        return Err(refused("TopK", name, format!("elements of {:?}", fact.datum_type), "cast them to floats"));
    }
    let lanes = dims.iter().product::<usize>() / count;
    let pairs = lanes.saturating_mul(count).saturating_mul(count - 1) / 2;
    if k > 1 && pairs > MAX_PAIRS {
        let hint = "at most 16384 pairs are compared, 181 elements; take one by ArgMax, or give them all as an output";
        return Err(refused("TopK", name, format!("{k} places and {pairs} pairs to compare"), hint));
    }
    if count == 1 {
        return Err(refused("TopK", name, "an axis of one element", "its index is always 0, remove the operator"));
    }
    let wire = |patch: &mut TypedModelPatch, inputs: &[OutletId]| -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(&mut patch.model, name);
        let last = dims.len() - 1;
        let x = wiring.moved(inputs[0], op.axis, last)?;
        let x = if op.largest { x } else { wiring.apply(neg(), &[x])? };
        let (values, indices) = if k == 1 { greatest(&mut wiring, x)? } else { greatest_of(&mut wiring, x, k)? };
        let values = if op.largest { values } else { wiring.apply(neg(), &[values])? };
        let result = [values, indices].map(|result| wiring.moved(result, last, op.axis));
        result.into_iter().collect()
    };
    let outputs = [OutletId::new(node.id, 0), OutletId::new(node.id, 1)];
    TypedModelPatch::rewire(model, &node.inputs, &outputs, &wire).map(Some)
}

/// The greatest element of the last axis and its index.
fn greatest(wiring: &mut Wiring<'_>, x: OutletId) -> TractResult<(OutletId, OutletId)> {
    let axes: TVec<usize> = tvec!(wiring.dims(x)?.len() - 1);
    let value = wiring.apply(Reduce::new(axes.clone(), Reducer::Max), &[x])?;
    Ok((value, wiring.apply(Reduce::new(axes, Reducer::ArgMax(false)), &[x])?))
}

/// The `k` greatest elements of the last axis and their indices.
fn greatest_of(wiring: &mut Wiring<'_>, x: OutletId, k: usize) -> TractResult<(OutletId, OutletId)> {
    let dims = wiring.dims(x)?;
    let (last, count) = (dims.len() - 1, dims[dims.len() - 1]);
    let pairs: Vec<[usize; 2]> = (0..count).flat_map(|a| (a + 1..count).map(move |b| [a, b])).collect();
    let flat: Vec<i64> = pairs.iter().flatten().map(|element| *element as i64).collect();
    let flat = wiring.constant(Tensor::from_shape(&[pairs.len(), 2], &flat)?)?;
    let compared = wiring.apply(Gather::new(last), &[x, flat])?;
    // Whether the second of a pair comes before the first, and the other way round.
    let second = wiring.reduced(compared, last + 1, Reducer::ArgMax(false))?;
    let second = wiring.cast(second, DatumType::F32)?;
    let one = wiring.constant(tensor0(1f32))?;
    let first = wiring.binary(sub(), one, second)?;
    let both = wiring.apply(TypedConcat::new(last), &[second, first])?;
    // Those that come before each element.
    let mut others = vec![Vec::with_capacity(count - 1); count];
    for (pair, [a, b]) in pairs.iter().enumerate() {
        others[*a].push(pair as i64);
        others[*b].push((pairs.len() + pair) as i64);
    }
    let others = wiring.constant(Tensor::from_shape(&[count, count - 1], &others.concat())?)?;
    let before = wiring.apply(Gather::new(last), &[both, others])?;
    // One sum for each place, so that it is compared before it is rounded to the bits of an activation.
    let own = letters(0, last);
    let ones = wiring.floats(&[k, count - 1], &vec![1.0; k * (count - 1)])?;
    let ranks = wiring.einsum(&format!("{own}YZ,XZ->{own}XY"), &[before, ones])?;
    let places: Vec<f32> = (0..k).map(|place| place as f32).collect();
    let places = wiring.floats(&[k, 1], &places)?;
    let chosen = wiring.binary(TypedBinOp(comp_eq(), None), ranks, places)?;
    let chosen = wiring.cast(chosen, DatumType::F32)?;
    let values = wiring.einsum(&format!("{own}XY,{own}Y->{own}X"), &[chosen, x])?;
    Ok((values, wiring.reduced(chosen, last + 1, Reducer::ArgMax(false))?))
}
