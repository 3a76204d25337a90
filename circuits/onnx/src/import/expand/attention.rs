//! `Attention` of opset 23, written out: products of queries and keys, masks, softmax, and a product with the values.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::array::TypedConcat;
use tract_onnx::tract_core::ops::logic::{Iff, and};
use tract_onnx::tract_core::ops::math::{add, mul, tanh};
use tract_onnx::tract_core::ops::nn::{Softmax, SoftmaxKind};
use tract_onnx::tract_hir::internal::*;

use super::super::facts::bounded;
use super::super::protos::node_name;
use super::wiring::Wiring;
use super::{refused, refused_attribute};

#[derive(Clone, Debug)]
struct Attention {
    node: String,
    q_num_heads: Option<usize>,
    kv_num_heads: Option<usize>,
    is_causal: bool,
    scale: Option<f32>,
    softcap: f32,
    mask: Option<usize>,
    past: Option<[usize; 2]>,
    /// Whether the keys and the values are results too.
    present: [bool; 2],
    inputs: usize,
}

pub(super) fn read(_: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let slots: Vec<Option<usize>> = tract_onnx::model::optional_inputs(node).take(node.input.len().max(7)).collect();
    let named = |output: usize| node.output.get(output).is_some_and(|name| !name.is_empty());
    if slots[6].is_some() {
        let hint = "give the keys and values that count, or mask the others";
        return Err(refused_attribute(node, "nonpad_kv_seqlen", hint));
    }
    if named(3) {
        return Err(refused_attribute(node, "an output of the products of queries and keys", "drop the fourth output"));
    }
    let past = match [slots[4], slots[5]] {
        [Some(key), Some(value)] => Some([key, value]),
        [None, None] => None,
        _ => return Err(refused_attribute(node, "past keys or past values alone", "give both or none")),
    };
    let count = |name: &str| TractResult::Ok(node.get_attr_opt::<usize>(name)?.filter(|count| *count > 0));
    let op = Attention {
        node: node_name(node),
        q_num_heads: count("q_num_heads")?,
        kv_num_heads: count("kv_num_heads")?,
        is_causal: node.get_attr_opt::<i64>("is_causal")?.unwrap_or(0) != 0,
        scale: node.get_attr_opt("scale")?,
        softcap: node.get_attr_opt("softcap")?.unwrap_or(0.0),
        mask: slots[3],
        past,
        present: [named(1), named(2)],
        inputs: slots.iter().flatten().count(),
    };
    if !(op.softcap >= 0.0 && op.softcap.is_finite() && op.scale.is_none_or(f32::is_finite)) {
        return Err(refused_attribute(node, "a scale or softcap that is no number", "check the exported attributes"));
    }
    Ok((expand(op), vec![]))
}

impl Expansion for Attention {
    fn name(&self) -> StaticName {
        "Attention".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(1 + self.present.into_iter().filter(|present| *present).count())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.inputs)?;
        check_output_arity(outputs, self.nboutputs()?)?;
        for output in outputs {
            s.equals(&inputs[0].datum_type, &output.datum_type)?;
        }
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        let known = move |s: &mut Solver<'r>, dims: [&[TDim]; 3], past: Option<&[TDim]>| {
            let heads = self.heads(dims)?;
            let [_, key, value] = [0, 1, 2].map(|i| self.by_heads(dims[i], heads[i]));
            let (key, value) = (key?, value?);
            let query = dims[0];
            let result = match query {
                [batch, length, _] => tvec!(batch.clone(), length.clone(), value[3].clone() * heads[0]),
                [batch, own, length, _] => tvec!(batch.clone(), own.clone(), length.clone(), value[3].clone()),
                _ => bail!("attention over {} axes", query.len()),
            };
            s.equals(&outputs[0].shape, ShapeFactoid::from(result))?;
            let length = past.map_or(key[2].clone(), |past| past[2].clone() + &key[2]);
            let kept = [key, value].into_iter().zip(self.present).filter(|(_, present)| *present);
            for ((dims, _), output) in kept.zip(&outputs[1..]) {
                let dims = tvec!(dims[0].clone(), dims[1].clone(), length.clone(), dims[3].clone());
                s.equals(&output.shape, ShapeFactoid::from(dims))?;
            }
            Ok(())
        };
        s.given_3(&inputs[0].shape, &inputs[1].shape, &inputs[2].shape, move |s, q, k, v| match self.past {
            Some([past, _]) => s.given(&inputs[past].shape, move |s, past| known(s, [&q, &k, &v], Some(&past))),
            None => known(s, [&q, &k, &v], None),
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let shapes: Vec<Vec<TDim>> = inputs[..3]
            .iter()
            .map(|input| Ok(wiring.dims(*input)?.iter().map(ToDim::to_dim).collect()))
            .collect::<TractResult<_>>()?;
        let is_flat = shapes[0].len() == 3;
        let heads = self.heads([&shapes[0], &shapes[1], &shapes[2]])?;
        let mut operands = [inputs[0], inputs[1], inputs[2]];
        if is_flat {
            for (operand, heads) in operands.iter_mut().zip(heads) {
                let width = wiring.dims(*operand)?[2];
                let split = wiring.reshaped(*operand, 2, 1, &[heads, width / heads])?;
                *operand = wiring.moved(split, 2, 1)?;
            }
        }
        let [query, mut key, mut value] = operands;
        if let Some([past_key, past_value]) = self.past {
            key = wiring.apply(TypedConcat::new(2), &[inputs[past_key], key])?;
            value = wiring.apply(TypedConcat::new(2), &[inputs[past_value], value])?;
        }
        let result = self.attend(&mut wiring, inputs, query, key, value)?;
        let result = if is_flat {
            let joined = wiring.moved(result, 1, 2)?;
            let width = wiring.dims(joined)?[2..].iter().product();
            wiring.reshaped(joined, 2, 2, &[width])?
        } else {
            result
        };
        let kept = [key, value].into_iter().zip(self.present).filter(|(_, present)| *present);
        Ok([result].into_iter().chain(kept.map(|(outlet, _)| outlet)).collect())
    }
}

impl Attention {
    /// Heads of queries, keys and values.
    fn heads(&self, dims: [&[TDim]; 3]) -> TractResult<[usize; 3]> {
        let heads = if dims[0].len() == 3 {
            let own = self.q_num_heads.context("q_num_heads, which operands of three axes need")?;
            let shared = self.kv_num_heads.context("kv_num_heads, which operands of three axes need")?;
            [own, shared, shared]
        } else {
            ensure!(dims.iter().all(|dims| dims.len() == 4), "attention takes operands of three or four axes");
            [dims[0][1].to_usize()?, dims[1][1].to_usize()?, dims[2][1].to_usize()?]
        };
        ensure!(heads[1] == heads[2] && heads[0].is_multiple_of(heads[1]), "heads {heads:?}");
        Ok(heads)
    }

    /// Extents of an operand as batch, heads, length and width.
    fn by_heads(&self, dims: &[TDim], heads: usize) -> TractResult<TVec<TDim>> {
        match dims {
            [batch, length, width] => {
                let width = width.to_usize()?;
                ensure!(width.is_multiple_of(heads), "{heads} heads of {width} elements");
                Ok(tvec!(batch.clone(), heads.to_dim(), length.clone(), (width / heads).to_dim()))
            }
            [..] => Ok(dims.into()),
        }
    }

    /// The attention of operands of four axes.
    fn attend(
        &self,
        wiring: &mut Wiring<'_>,
        inputs: &[OutletId],
        query: OutletId,
        key: OutletId,
        value: OutletId,
    ) -> TractResult<OutletId> {
        let dims = wiring.dims(query)?;
        let shared = wiring.dims(key)?[1];
        // Queries of several heads that share their keys are an axis of their own.
        let groups = dims[1] / shared;
        let (query, axes) = if groups == 1 {
            (query, ["bhmk,bhnk->bhmn", "bhmn,bhnv->bhmv"])
        } else {
            (wiring.reshaped(query, 1, 1, &[shared, groups])?, ["bhgmk,bhnk->bhgmn", "bhgmn,bhnv->bhgmv"])
        };
        let scores = wiring.einsum(axes[0], &[query, key])?;
        let scale = self.scale.unwrap_or_else(|| (dims[3] as f32).sqrt().recip());
        let mut scores = wiring.with_number(mul(), scores, scale)?;
        if self.softcap > 0.0 {
            let part = wiring.with_number(mul(), scores, self.softcap.recip())?;
            let curved = wiring.apply(tanh(), &[part])?;
            scores = wiring.with_number(mul(), curved, self.softcap)?;
        }
        let scores = self.masked(wiring, inputs, scores, (dims[1], groups))?;
        let last = wiring.dims(scores)?.len() - 1;
        let shares = wiring.apply(Softmax::new(tvec!(last), None, SoftmaxKind::Softmax), &[scores])?;
        let result = wiring.einsum(axes[1], &[shares, value])?;
        if groups == 1 { Ok(result) } else { wiring.reshaped(result, 1, 2, &[dims[1]]) }
    }

    /// Scores with the mask's summands, and those that do not count far below the others.
    fn masked(
        &self,
        wiring: &mut Wiring<'_>,
        inputs: &[OutletId],
        scores: OutletId,
        (heads, groups): (usize, usize),
    ) -> TractResult<OutletId> {
        let mut scores = scores;
        let dims = wiring.dims(scores)?;
        let [length, seen] = [dims[dims.len() - 2], dims[dims.len() - 1]];
        bounded(&self.node, &[length, seen])?;
        let past = self.past.map(|[past, _]| wiring.dims(inputs[past])).transpose()?.map_or(0, |dims| dims[2]);
        let mut counts = match self.is_causal {
            true => {
                let counts: Vec<bool> =
                    (0..length).flat_map(|row| (0..seen).map(move |column| column <= row + past)).collect();
                Some(Tensor::from_shape(&[length, seen], &counts)?.into_arc_tensor())
            }
            false => None,
        };
        let mut computed = None;
        if let Some(mask) = self.mask {
            let mut mask = inputs[mask];
            let given = wiring.dims(mask)?;
            if given.last() != Some(&seen) {
                let form = format!("a mask of {given:?} for {seen} keys");
                return Err(refused("Attention", &self.node, form, "give a mask for all keys"));
            }
            for _ in given.len()..4 {
                mask = wiring.apply(AxisOp::Add(0), &[mask])?;
            }
            if groups > 1 {
                let split = if wiring.dims(mask)?[1] == 1 { [1, 1] } else { [heads / groups, groups] };
                mask = wiring.reshaped(mask, 1, 1, &split)?;
            }
            if wiring.datum_type(mask)? == DatumType::Bool {
                computed = Some(mask);
            } else if let (Some(addends), Some(causal)) = (wiring.konst(mask)?, &counts) {
                // One constant of both.
                let both = below(&addends, causal)?;
                let mask = wiring.constant(both)?;
                scores = wiring.binary(add(), scores, mask)?;
                counts = None;
            } else {
                scores = wiring.binary(add(), scores, mask)?;
            }
        }
        let causal = counts.map(|counts| wiring.constant(counts)).transpose()?;
        let counts = match (computed, causal) {
            (Some(computed), Some(causal)) => Some(wiring.binary(and(), computed, causal)?),
            (computed, causal) => computed.or(causal),
        };
        let Some(mut counts) = counts else { return Ok(scores) };
        for _ in wiring.dims(counts)?.len()..dims.len() {
            counts = wiring.apply(AxisOp::Add(0), &[counts])?;
        }
        let never = wiring.floats(&vec![1; dims.len()], &[f32::NEG_INFINITY])?;
        wiring.apply(Iff, &[counts, scores, never])
    }
}

/// Summands of scores, and minus infinity where a score does not count.
fn below(addends: &Tensor, counts: &Tensor) -> TractResult<Tensor> {
    let addends = addends.cast_to::<f32>()?;
    let (addends, counts) = (addends.to_plain_array_view::<f32>()?, counts.to_plain_array_view::<bool>()?);
    let mut shape = addends.shape().to_vec();
    let rank = shape.len();
    shape[rank - 2..].copy_from_slice(counts.shape());
    let (addends, counts) = (addends.broadcast(shape.clone()), counts.broadcast(shape.clone()));
    let (addends, counts) = addends.zip(counts).context("a mask of another shape than the scores")?;
    let both: Vec<f32> =
        addends.iter().zip(&counts).map(|(addend, counts)| if *counts { *addend } else { f32::NEG_INFINITY }).collect();
    Tensor::from_shape(&shape, &both)
}
