//! Comparisons, truth values and choices. A truth value is a number, 0 or 1. A choice by constants is movement or a mask;
//! one by the sign of what is chosen between is what tract makes of `PRelu`, and how exporters write leaky ReLUs; one
//! between functions of a single number is a function of it; and any other is arithmetic.

use std::sync::Arc;

use tract_onnx::prelude::*;
use zkml_gpu_graph::TensorId;

use super::error::ImportError;
use super::float::FloatOp;
use super::function::{Comparison, Composed, Function};
use super::numbers::Numbers;
use super::translator::{Translator, Value};
use super::view::View;
use super::written::MASKED;

const HINT: &str = "give both branches finite numbers";
/// What takes an element out of a softmax where a condition is computed: between [`MASKED`] and any score.
pub(super) const FAR_BELOW: f32 = 1000.0;

impl Translator<'_> {
    /// A comparison, as 1 where it holds and 0 elsewhere: of a number and a constant, of two functions of one number, or
    /// of a difference and 0.
    pub(super) fn comparison(&mut self, node: &TypedNode, comparison: Comparison) -> Result<View, ImportError> {
        let zero = Arc::new(Composed::Constant(0.0));
        let (view, comparison) = match (self.constant(node, 0), self.constant(node, 1)) {
            (None, None) => {
                let (a, b) = (self.view(node, 0)?, self.view(node, 1)?);
                let compared = |a, b| Composed::Compare(comparison, a, b);
                if let Some(composed) = self.composed(node, &a, &b, compared) {
                    return Ok(composed);
                }
                (self.sum(node, "Sub")?, comparison)
            }
            (constant, other) => {
                let (operand, comparison) =
                    if constant.is_some() { (1, comparison.flipped()) } else { (0, comparison) };
                let Some((dims, elements)) = constant.or(other) else { return Err(self.unsupported(node)) };
                let dims_of_result = self.dims(node)?;
                let first = elements.first().copied().unwrap_or(0.0);
                let is_number = elements.iter().all(|element| *element == first) && !first.is_nan();
                // A learned number belongs into no table.
                if is_number && !self.source.learned.is_operand(node, 1 - operand) {
                    let view = self.view(node, operand)?;
                    let view = self.broadcast(node, view, &dims_of_result)?;
                    let compared = view.clone();
                    let limit = Arc::new(Composed::Constant(first));
                    let result = self.function(node, view, |x| Composed::Compare(comparison, x, limit));
                    if first == 0.0 {
                        match comparison {
                            Comparison::Less | Comparison::AtMost => self.signs.insert(result.tensor, (compared, true)),
                            Comparison::Greater | Comparison::AtLeast => {
                                self.signs.insert(result.tensor, (compared, false))
                            }
                            Comparison::Equal | Comparison::Different => None,
                        };
                    }
                    return Ok(result);
                }
                (self.with_constant(node, "Sub", operand, (dims, elements))?, comparison)
            }
        };
        Ok(self.function(node, view, |difference| Composed::Compare(comparison, difference, zero)))
    }

    /// `And`, `Or` and `Xor` of truth values, which are 0 and 1.
    pub(super) fn logic(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        let joined = |a: Arc<Composed>, b: Arc<Composed>| match operator {
            "And" => Composed::Product(a, b),
            "Or" => Composed::Clamp(Arc::new(Composed::Sum(a, b, [1.0, 1.0])), 0.0, 1.0),
            _ => Composed::Compare(Comparison::Different, a, b),
        };
        if let (None, None) = (self.constant(node, 0), self.constant(node, 1)) {
            let (a, b) = (self.view(node, 0)?, self.view(node, 1)?);
            if let Some(composed) = self.composed(node, &a, &b, joined) {
                return Ok(composed);
            }
        }
        match operator {
            "And" => self.binary(node, "Mul"),
            "Or" => {
                let sum = self.binary(node, "Add")?;
                Ok(self.elementwise(node, FloatOp::Clamp { min: 0.0, max: 1.0 }, sum))
            }
            _ => {
                let difference = self.binary(node, "Sub")?;
                Ok(self.function(node, difference, |x| Composed::Apply(Function::Abs, x)))
            }
        }
    }

    /// `Where`, over constants or over truth values that are computed.
    pub(super) fn select(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        if let Some((dims, condition)) = self.constant(node, 0) {
            return self.choice(node, &dims, &condition);
        }
        let condition = self.view(node, 0)?;
        if let Some(view) = self.by_sign(node, &condition) {
            return Ok(view);
        }
        let in_softmax = self.reaches_softmaxes(node);
        let branches = [1, 2].map(|i| self.branch(node, i, &condition, in_softmax));
        if let [Some(first), Some(second)] = branches
            && condition.dims == self.dims(node)?
        {
            return Ok(self.function(node, condition, |of| Composed::Choose(of, first, second)));
        }
        if in_softmax {
            for (masked, kept) in [(1, 2), (2, 1)] {
                let is_mask = self.constant(node, masked).is_some_and(|(_, of)| of.iter().all(|c| *c <= MASKED));
                if is_mask && self.constant(node, kept).is_none() {
                    return self.out_of_softmax(node, condition, kept);
                }
            }
        }
        self.chosen(node, condition, in_softmax)
    }

    /// Takes elements out of the softmax that reads them where a computed condition says so: they are far below the others
    /// then. `kept` is the branch of the others.
    fn out_of_softmax(&mut self, node: &TypedNode, condition: View, kept: usize) -> Result<View, ImportError> {
        let condition = match kept {
            1 => self.function(node, condition, |of| Composed::Affine(of, -1.0, 1.0)),
            _ => condition,
        };
        let view = self.view(node, kept)?;
        let view = self.broadcast(node, view, &self.dims(node)?)?;
        let masked = self.stored_like(node, &condition, &view);
        let shape = self.graph.tensors[view.tensor].shape;
        let tensor = self.push(node, FloatOp::sum(vec![1.0, -FAR_BELOW]), vec![view.tensor, masked], shape);
        Ok(View { tensor, ..view })
    }

    /// A branch of a choice as a function of the number that the condition is a function of.
    fn branch(&self, node: &TypedNode, i: usize, condition: &View, in_softmax: bool) -> Option<Arc<Composed>> {
        if let Some((_, elements)) = self.constant_branch(node, i, in_softmax) {
            let first = *elements.first()?;
            let is_number = first.is_finite() && elements.iter().all(|element| *element == first);
            let is_public = !self.source.learned.is_operand(node, i);
            return (is_number && is_public).then(|| Arc::new(Composed::Constant(first)));
        }
        let Some(Value::View(view)) = self.value(node, i) else { return None };
        let (root, function) = self.function_of(view.tensor);
        (root == self.function_of(condition.tensor).0 && view.aligned(condition)).then_some(function)
    }

    /// A constant branch of a choice. Where nothing but softmaxes sees the result, as that of a mask which is added to scores,
    /// its masks are numbers that a circuit holds.
    fn constant_branch(&self, node: &TypedNode, i: usize, in_softmax: bool) -> Option<(Vec<usize>, Vec<f32>)> {
        let (dims, mut elements) = self.constant(node, i)?;
        if in_softmax {
            elements.iter_mut().filter(|element| **element <= MASKED).for_each(|element| *element = -FAR_BELOW);
        }
        Some((dims, elements))
    }

    /// `b + c·(a - b)`, where the condition `c` is 0 or 1.
    fn chosen(&mut self, node: &TypedNode, condition: View, in_softmax: bool) -> Result<View, ImportError> {
        let dims = self.dims(node)?;
        let condition = self.broadcast(node, condition, &dims)?;
        let shape = self.graph.tensors[condition.tensor].shape;
        let ones = |sign: f32, area: usize| Numbers::uniform(sign, condition.len(), area);
        let area = self.area(&condition);
        let mut constants = [None, None];
        let mut views = [None, None];
        for (place, i) in [1, 2].into_iter().enumerate() {
            match self.constant_branch(node, i, in_softmax) {
                Some((dims, elements)) => {
                    let learned = self.source.learned.is_operand(node, i);
                    let numbers = Numbers::stored(&condition, (&dims, &elements), learned, area);
                    if numbers.values.iter().any(|value| !value.is_finite()) {
                        return Err(self.form(node, "an infinite branch of a condition that is computed", HINT));
                    }
                    constants[place] = Some(numbers);
                }
                None => {
                    let view = self.view(node, i)?;
                    let view = self.broadcast(node, view, &dims)?;
                    views[place] = Some(self.stored_like(node, &view, &condition));
                }
            }
        }
        let stored = |tensor: TensorId| View { tensor, ..condition.clone() };
        let [a, b] = constants;
        // a - b
        let difference = match (views, &a, &b) {
            ([Some(first), Some(second)], ..) => {
                let op = FloatOp::sum(vec![1.0, -1.0]);
                stored(self.push(node, op, vec![first, second], shape))
            }
            ([Some(first), None], _, Some(b)) => {
                self.affine(node, &ones(1.0, area), Some(&b.map(|value| -value)), stored(first))
            }
            ([None, Some(second)], Some(a), _) => self.affine(node, &ones(-1.0, area), Some(a), stored(second)),
            (_, Some(a), Some(b)) => {
                let scale = a.less(b);
                return Ok(self.affine(node, &scale, Some(b), condition.clone()));
            }
            _ => return Err(self.unsupported(node)),
        };
        let op = FloatOp::Multiply { scale: 1.0 };
        let part = self.push(node, op, vec![condition.tensor, difference.tensor], shape);
        Ok(match (views[1], b) {
            (Some(second), _) => stored(self.push(node, FloatOp::sum(vec![1.0, 1.0]), vec![part, second], shape)),
            (None, Some(b)) if b.values.iter().any(|value| *value != 0.0) || b.learned => {
                self.affine(node, &ones(1.0, area), Some(&b), stored(part))
            }
            _ => stored(part),
        })
    }

    /// `Where` over constants: a mask where one branch takes elements out of a softmax, and otherwise movement.
    fn choice(&mut self, node: &TypedNode, dims: &[usize], condition: &[f32]) -> Result<View, ImportError> {
        let masks = |i| self.constant(node, i).is_some_and(|(_, elements)| elements.iter().all(|c| *c <= MASKED));
        let (branch, kept) = match [1, 2].map(masks) {
            [false, true] if self.feeds_softmax(node) => (1, true),
            [true, false] if self.feeds_softmax(node) => (2, false),
            _ => return self.movement(node),
        };
        let view = self.broadcast(node, self.view(node, branch)?, &self.dims(node)?)?;
        let conditions = View::row_major(0, dims).broadcast_offsets(&view.dims);
        let mut shift = vec![0.0; view.len()];
        for (place, source) in view.offsets().into_iter().zip(conditions) {
            if (condition[source] != 0.0) != kept {
                shift[place] = MASKED;
            }
        }
        self.masked(node, view, &shift)
    }

    /// `Where` over a comparison with zero: `x` times one slope for negative elements and another for positive ones. `None`
    /// where it is another choice.
    fn by_sign(&mut self, node: &TypedNode, condition: &View) -> Option<View> {
        let (view, holds) = self.signs.get(&condition.tensor).cloned()?;
        if !view.aligned(condition) {
            return None;
        }
        // Equality does not matter: both branches are zero at zero.
        let (first, second) = self.slopes(node, 1, &view).zip(self.slopes(node, 2, &view))?;
        let (negative, positive) = if holds { (first, second) } else { (second, first) };
        Some(self.piecewise(node, &negative, &positive, view))
    }

    /// Factors of an operand of a choice as a multiple of the view, one for each stored element.
    fn slopes(&self, node: &TypedNode, i: usize, view: &View) -> Option<Numbers> {
        match self.value(node, i)? {
            Value::Constant(_) => {
                let (_, elements) = self.constant(node, i)?;
                elements.iter().all(|c| *c == 0.0).then(|| Numbers::uniform(0.0, view.len(), self.area(view)))
            }
            Value::View(branch) if branch.aligned(view) => self.multiple(branch.tensor, view),
            Value::View(_) | Value::Indices(_) => None,
        }
    }

    fn multiple(&self, tensor: TensorId, of: &View) -> Option<Numbers> {
        if tensor == of.tensor {
            return Some(Numbers::uniform(1.0, of.len(), self.area(of)));
        }
        self.scaled.get(&tensor).filter(|(source, _)| *source == of.tensor).map(|(_, factors)| factors.clone())
    }

    /// `negative · x` where `x` is negative and `positive · x` elsewhere.
    fn piecewise(&mut self, node: &TypedNode, negative: &Numbers, positive: &Numbers, view: View) -> View {
        if let (Some(below), Some(above)) = (negative.constant(), positive.constant())
            && above != 1.0
        {
            let part = |x: &Arc<Composed>, low, high| Arc::new(Composed::Clamp(Arc::clone(x), low, high));
            let parts = |x: Arc<Composed>| {
                let (negative, positive) = (part(&x, f32::NEG_INFINITY, 0.0), part(&x, 0.0, f32::INFINITY));
                Composed::Sum(negative, positive, [below, above])
            };
            return self.function(node, view, parts);
        }
        if positive.constant() != Some(1.0) {
            // Functions keep positive numbers, so the rest is a sum of both parts.
            let parts = [(f32::NEG_INFINITY, 0.0, negative), (0.0, f32::INFINITY, positive)];
            let parts = parts.map(|(min, max, slopes)| {
                let part = self.elementwise(node, FloatOp::Clamp { min, max }, view.clone());
                self.affine(node, slopes, None, part).tensor
            });
            return self.add(node, parts.to_vec(), view);
        }
        if let Some(slope) = negative.constant() {
            let op = match slope {
                0.0 => FloatOp::Clamp { min: 0.0, max: f32::INFINITY },
                slope => FloatOp::Activation(Function::LeakyRelu { slope }),
            };
            let (x, applied) = (view.tensor, op.clone());
            let result = self.elementwise(node, op, view);
            self.note_function(x, result.tensor, &applied);
            return result;
        }
        // x + (slope - 1) · min(x, 0): one product with a diagonal, and nothing is rearranged. Learned slopes are
        // weights of it, and in no table.
        let clamp = FloatOp::Clamp { min: f32::NEG_INFINITY, max: 0.0 };
        let part = self.elementwise(node, clamp, view.clone());
        let part = self.affine(node, &negative.map(|slope| slope - 1.0), None, part).tensor;
        self.add(node, vec![view.tensor, part], view)
    }

    fn add(&mut self, node: &TypedNode, inputs: Vec<TensorId>, view: View) -> View {
        let shape = self.graph.tensors[view.tensor].shape;
        let tensor = self.push(node, FloatOp::sum(vec![1.0; inputs.len()]), inputs, shape);
        View { tensor, ..view }
    }
}
