//! `LinearClassifier`, `LinearRegressor`, `Scaler` and `Normalizer` of `ai.onnx.ml`.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::math::{abs, add, mul, recip, sub};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm};
use tract_onnx::tract_hir::internal::*;

use super::classes::{Single, Transform, classify, labels, model_rules, rows};
use super::refused_attribute;
use super::wiring::{Wiring, elementwise_rules};

type Read = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Weighted sums of the features of a row.
#[derive(Clone, Debug)]
struct Linear {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    /// Empty for a regression.
    labels: Vec<i64>,
    results: usize,
    transform: Transform,
}

pub(super) fn read_classifier(_: &ParsingContext<'_>, node: &NodeProto) -> Read {
    let labels = labels(node, "classlabels_ints", "classlabels_strings")?;
    let intercepts: Vec<f32> = node.get_attr_opt_vec("intercepts")?.unwrap_or_default();
    // Two classes may have one score.
    let results = if intercepts.len() == 1 && labels.len() == 2 { 1 } else { labels.len() };
    read_linear(node, intercepts, labels, results)
}

pub(super) fn read_regressor(_: &ParsingContext<'_>, node: &NodeProto) -> Read {
    let targets = node.get_attr_opt("targets")?.unwrap_or(1usize);
    read_linear(node, node.get_attr_opt_vec("intercepts")?.unwrap_or_default(), Vec::new(), targets)
}

fn read_linear(node: &NodeProto, mut intercepts: Vec<f32>, labels: Vec<i64>, results: usize) -> Read {
    let coefficients: Vec<f32> = node.get_attr_vec("coefficients")?;
    if intercepts.is_empty() && results <= coefficients.len() {
        intercepts = vec![0.0; results];
    }
    ensure!(
        results > 0 && intercepts.len() == results && coefficients.len().is_multiple_of(results),
        "{} coefficients and {} intercepts of {results} results",
        coefficients.len(),
        intercepts.len()
    );
    Ok((expand(Linear { coefficients, intercepts, labels, results, transform: Transform::read(node)? }), vec![]))
}

impl Expansion for Linear {
    fn name(&self) -> StaticName {
        "LinearModel".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(if self.labels.is_empty() { 1 } else { 2 })
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        model_rules(s, inputs, outputs, [self.labels.len(), self.results])
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let x = rows(&mut wiring, inputs[0])?;
        let features = self.coefficients.len() / self.results;
        let coefficients = wiring.floats(&[self.results, features], &self.coefficients)?;
        let scores = wiring.einsum("nf,cf->nc", &[x, coefficients])?;
        let intercepts = wiring.floats(&[1, self.results], &self.intercepts)?;
        let scores = wiring.binary(add(), scores, intercepts)?;
        if self.labels.is_empty() {
            return Ok(tvec!(self.transform.wire(&mut wiring, scores)?));
        }
        let single = (self.results < self.labels.len()).then_some(Single { threshold: 0.0, total: 1.0 });
        classify(&mut wiring, scores, single, &self.labels, self.transform)
    }
}

/// `(x - offset) · scale`, each of one number or of one for each feature.
#[derive(Clone, Debug)]
struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

pub(super) fn read_scaler(_: &ParsingContext<'_>, node: &NodeProto) -> Read {
    let list = |name: &str| TractResult::Ok(node.get_attr_opt_vec::<f32>(name)?.filter(|list| !list.is_empty()));
    let [offset, scale] = [(list("offset")?, 0.0), (list("scale")?, 1.0)].map(|(list, no)| list.unwrap_or(vec![no]));
    Ok((expand(Scaler { offset, scale }), vec![]))
}

impl Expansion for Scaler {
    fn name(&self) -> StaticName {
        "Scaler".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        elementwise_rules(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let x = wiring.cast(inputs[0], DatumType::F32)?;
        let [offset, scale] = [&self.offset, &self.scale].map(|list| wiring.floats(&[list.len()], list));
        let moved = wiring.binary(sub(), x, offset?)?;
        Ok(tvec!(wiring.binary(mul(), moved, scale?)?))
    }
}

/// What a row is divided by.
#[derive(Clone, Copy, Debug)]
enum Normalizer {
    Max,
    L1,
    L2,
}

pub(super) fn read_normalizer(_: &ParsingContext<'_>, node: &NodeProto) -> Read {
    let op = match node.get_attr_opt("norm")?.unwrap_or("MAX") {
        "MAX" => Normalizer::Max,
        "L1" => Normalizer::L1,
        "L2" => Normalizer::L2,
        norm => return Err(refused_attribute(node, format!("norm {norm}"), "use MAX, L1 or L2")),
    };
    Ok((expand(op), vec![]))
}

impl Expansion for Normalizer {
    fn name(&self) -> StaticName {
        "Normalizer".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        elementwise_rules(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let x = wiring.cast(inputs[0], DatumType::F32)?;
        let last = wiring.dims(x)?.len().checked_sub(1).context("a normaliser of a single number")?;
        let (of, reducer) = match self {
            Self::Max => (x, Reducer::Max),
            Self::L1 => (wiring.apply(abs(), &[x])?, Reducer::Sum),
            Self::L2 => {
                // By the root of the mean of squares, and that by the root of their number.
                let roots = (wiring.dims(x)?[last] as f32).sqrt();
                let norm = RmsNorm { axis: last, eps: tensor0(0f32).into_arc_tensor() };
                let normal = wiring.apply(norm, &[x])?;
                return Ok(tvec!(wiring.with_number(mul(), normal, roots.recip())?));
            }
        };
        let norm = wiring.apply(Reduce::new(tvec!(last), reducer), &[of])?;
        let inverse = wiring.apply(recip(), &[norm])?;
        Ok(tvec!(wiring.binary(mul(), x, inverse)?))
    }
}
