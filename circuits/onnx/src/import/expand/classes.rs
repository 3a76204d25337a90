//! What classifiers and regressions of `ai.onnx.ml` make of their scores.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::array::{Gather, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::logic::comp_gt;
use tract_onnx::tract_core::ops::math::{neg, sub};
use tract_onnx::tract_core::ops::nn::{Reducer, Softmax, SoftmaxKind, sigmoid};
use tract_onnx::tract_hir::internal::*;

use super::refused_attribute;
use super::wiring::Wiring;

/// A function of all scores of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Softmax,
    Logistic,
}

/// The score of one class of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Single {
    /// What it must exceed.
    pub(super) threshold: f32,
    /// What both scores sum to.
    pub(super) total: f32,
}

impl Transform {
    pub(super) fn read(node: &NodeProto) -> TractResult<Self> {
        match node.get_attr_opt("post_transform")?.unwrap_or("NONE") {
            "NONE" => Ok(Self::None),
            "SOFTMAX" => Ok(Self::Softmax),
            "LOGISTIC" => Ok(Self::Logistic),
            other => Err(refused_attribute(node, format!("post_transform {other}"), "use NONE, SOFTMAX or LOGISTIC")),
        }
    }

    pub(super) fn wire(self, wiring: &mut Wiring<'_>, scores: OutletId) -> TractResult<OutletId> {
        match self {
            Self::None => Ok(scores),
            Self::Softmax => wiring.apply(Softmax::new(tvec!(1), None, SoftmaxKind::Softmax), &[scores]),
            Self::Logistic => wiring.apply(sigmoid(), &[scores]),
        }
    }
}

/// The classes' numbers, in order. Those with names are refused, because no circuit gives text.
pub(super) fn labels(node: &NodeProto, numbers: &str, names: &str) -> TractResult<Vec<i64>> {
    let hint = "number the classes, as a label encoder does";
    if node.attribute.iter().any(|attribute| attribute.name == names && !attribute.strings.is_empty()) {
        return Err(refused_attribute(node, "classes that have names", hint));
    }
    let labels: Vec<i64> = node.get_attr_opt_vec(numbers)?.unwrap_or_default();
    ensure!(!labels.is_empty(), "a classifier without classes");
    if labels.len() < 2 {
        return Err(refused_attribute(node, "a single class", "there is nothing to choose"));
    }
    Ok(labels)
}

/// The label of each row and its scores: `scores` are of all classes, or of one of two.
pub(super) fn classify(
    wiring: &mut Wiring<'_>,
    scores: OutletId,
    single: Option<Single>,
    labels: &[i64],
    transform: Transform,
) -> TractResult<TVec<OutletId>> {
    let Some(Single { threshold, total }) = single else {
        let index = wiring.reduced(scores, 1, Reducer::ArgMax(false))?;
        let label = label(wiring, index, labels)?;
        return Ok(tvec!(label, transform.wire(wiring, scores)?));
    };
    let above = wiring.with_number(TypedBinOp(comp_gt(), None), scores, threshold)?;
    let above = wiring.cast(above, DatumType::I64)?;
    let index = wiring.apply(AxisOp::Rm(1), &[above])?;
    let label = label(wiring, index, labels)?;
    // A logistic of both is that of the score and of its negative.
    let other = if transform == Transform::Logistic {
        wiring.apply(neg(), &[scores])?
    } else {
        let total = wiring.constant(tensor2(&[[total]]))?;
        wiring.binary(sub(), total, scores)?
    };
    let both = wiring.apply(TypedConcat::new(1), &[other, scores])?;
    let both = if transform == Transform::Logistic { transform.wire(wiring, both)? } else { both };
    Ok(tvec!(label, both))
}

/// The labels at indices.
fn label(wiring: &mut Wiring<'_>, index: OutletId, labels: &[i64]) -> TractResult<OutletId> {
    if labels.iter().copied().eq(0..labels.len() as i64) {
        return Ok(index);
    }
    let labels = wiring.constant(tensor1(labels))?;
    wiring.apply(Gather::new(0), &[labels, index])
}

/// Rows of features as floats.
pub(super) fn rows(wiring: &mut Wiring<'_>, x: OutletId) -> TractResult<OutletId> {
    let x = if wiring.dims(x)?.len() == 1 { wiring.apply(AxisOp::Add(0), &[x])? } else { x };
    ensure!(wiring.dims(x)?.len() == 2, "features in rows");
    wiring.cast(x, DatumType::F32)
}

/// Types and shapes of what a model gives: so many results for each row or, of a classifier of so many classes, a label and
/// their scores.
pub(super) fn model_rules<'r, 'p: 'r, 's: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
    [classes, results]: [usize; 2],
) -> InferenceResult {
    if classes > 0 {
        return classifier_rules(s, inputs, outputs, classes);
    }
    check_input_arity(inputs, 1)?;
    check_output_arity(outputs, 1)?;
    rows_rules(s, inputs, &outputs[0], results)
}

/// Types and shapes of a label and of the scores of each row.
fn classifier_rules<'r, 'p: 'r, 's: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
    classes: usize,
) -> InferenceResult {
    check_input_arity(inputs, 1)?;
    check_output_arity(outputs, 2)?;
    s.equals(&outputs[0].datum_type, DatumType::I64)?;
    s.equals(&outputs[0].rank, 1)?;
    s.given(&inputs[0].shape, move |s, dims| {
        let rows = if dims.len() == 1 { 1.to_dim() } else { dims[0].clone() };
        s.equals(&outputs[0].shape[0], rows)
    })?;
    rows_rules(s, inputs, &outputs[1], classes)
}

/// Type and shape of so many numbers for each row.
pub(super) fn rows_rules<'r, 'p: 'r, 's: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    output: &'p TensorProxy,
    columns: usize,
) -> InferenceResult {
    s.equals(&output.datum_type, DatumType::F32)?;
    s.equals(&output.rank, 2)?;
    s.equals(&output.shape[1], columns.to_dim())?;
    s.given(&inputs[0].shape, move |s, dims| {
        let rows = if dims.len() == 1 { 1.to_dim() } else { dims[0].clone() };
        s.equals(&output.shape[0], rows)
    })
}
