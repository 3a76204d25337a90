//! Elementwise operators: sums, scales, shifts, clamps and functions of one number.

use std::collections::HashSet;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::logic::Not;
use tract_onnx::tract_core::ops::math::{
    Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Ceil, Cos, Cosh, Erf, Exp, Floor, Ln, Neg, PowConst, Recip,
    RoundHalfToEven, Rsqrt, Sign, Sin, Sinh, Sqrt, Square, Tan, Tanh,
};
use tract_onnx::tract_core::ops::nn::gelu_approximate::GeluApproximate;
use tract_onnx::tract_core::ops::nn::gelu_exact::GeluExact;
use tract_onnx::tract_core::ops::nn::silu::Silu;
use tract_onnx::tract_core::ops::nn::{HardSwish, LeakyRelu, Sigmoid, Softmax, SoftmaxKind};
use zkml_gpu_graph::{Shape, TensorId};

use super::error::ImportError;
use super::float::{FloatOp, FloatOrigin};
use super::function::{Angle, Composed, Function};
use super::movement::is_movement;
use super::numbers::Numbers;
use super::rounding::Rounding;
use super::select::FAR_BELOW;
use super::translator::Translator;
use super::view::View;
use super::written::MASKED;

const EXPONENT_HINT: &str = "make it a Constant node, if it may be public";

/// The function that an elementwise operator of tract computes.
fn function(op: &ElementWiseOp) -> Option<Function> {
    let op = &op.0;
    if let Some(LeakyRelu { alpha }) = op.downcast_ref() {
        Some(Function::LeakyRelu { slope: *alpha })
    } else if let Some(PowConst { exponent }) = op.downcast_ref() {
        Some(Function::Power { exponent: *exponent })
    } else if op.downcast_ref::<GeluApproximate>().is_some_and(|gelu| !gelu.fast_impl) {
        Some(Function::GeluTanh)
    } else {
        let functions = [
            (op.is::<HardSwish>(), Function::HardSwish),
            (op.is::<Abs>(), Function::Abs),
            (op.is::<Square>(), Function::Square),
            (op.is::<Sqrt>(), Function::Sqrt),
            (op.is::<Rsqrt>(), Function::InverseSqrt),
            (op.is::<Recip>(), Function::Reciprocal),
            (op.is::<Exp>(), Function::Exp),
            (op.is::<Ln>(), Function::Log),
            (op.is::<Tanh>(), Function::Tanh),
            (op.is::<Sigmoid>(), Function::Sigmoid),
            (op.is::<Silu>(), Function::Silu),
            (op.is::<Erf>(), Function::Erf),
            (op.is::<GeluExact>(), Function::Gelu),
            (op.is::<Sign>(), Function::Sign),
            (op.is::<Floor>(), Function::Floor),
            (op.is::<Ceil>(), Function::Ceil),
            (op.is::<RoundHalfToEven>(), Function::Round),
            (op.is::<Sin>(), Function::Angle(Angle::Sin)),
            (op.is::<Cos>(), Function::Angle(Angle::Cos)),
            (op.is::<Tan>(), Function::Angle(Angle::Tan)),
            (op.is::<Asin>(), Function::Angle(Angle::Asin)),
            (op.is::<Acos>(), Function::Angle(Angle::Acos)),
            (op.is::<Atan>(), Function::Angle(Angle::Atan)),
            (op.is::<Sinh>(), Function::Angle(Angle::Sinh)),
            (op.is::<Cosh>(), Function::Angle(Angle::Cosh)),
            (op.is::<Asinh>(), Function::Angle(Angle::Asinh)),
            (op.is::<Acosh>(), Function::Angle(Angle::Acosh)),
            (op.is::<Atanh>(), Function::Angle(Angle::Atanh)),
        ];
        functions.into_iter().find(|(is, _)| *is).map(|(_, function)| function)
    }
}

impl Translator<'_> {
    /// `Neg`, `Not`, and functions.
    pub(super) fn unary(&mut self, node: &TypedNode, op: &ElementWiseOp) -> Result<View, ImportError> {
        if op.0.is::<Not>() {
            let view = self.view(node, 0)?;
            return Ok(self.function(node, view, |condition| Composed::Affine(condition, -1.0, 1.0)));
        }
        if let Some(rounding) = op.0.downcast_ref::<Rounding>() {
            let [min, max] = rounding.integers;
            let view = self.view(node, 0)?;
            return Ok(self.elementwise(node, FloatOp::Round { step: rounding.step(), min, max }, view));
        }
        let negative = op.0.is::<Neg>();
        let op = match function(op) {
            _ if negative => FloatOp::sum(vec![-1.0]),
            Some(Function::LeakyRelu { slope }) if !slope.is_finite() => {
                return Err(self.form(node, "a slope that is not finite", "check the exported attributes"));
            }
            Some(Function::Power { .. }) if self.source.learned.is_exponent(node) => {
                return Err(self.form(node, "a learned exponent, which the circuit's key would tell", EXPONENT_HINT));
            }
            Some(function) => FloatOp::Activation(function),
            None => return Err(self.unsupported(node)),
        };
        let view = self.view(node, 0)?;
        if let FloatOp::Activation(function) = &op
            && self.function_of(view.tensor).1.is_curved()
        {
            // One table for both: what is between them would have to be wide.
            return Ok(self.function(node, view, |inner| Composed::Apply(function.clone(), inner)));
        }
        let (x, applied) = (view.tensor, op.clone());
        let result = self.elementwise(node, op, view);
        self.note_function(x, result.tensor, &applied);
        Ok(result)
    }

    /// A further function of each element, as one with those that the tensor is already.
    pub(super) fn function(
        &mut self,
        node: &TypedNode,
        view: View,
        further: impl FnOnce(Arc<Composed>) -> Composed,
    ) -> View {
        let (root, inner) = self.function_of(view.tensor);
        self.apply(node, View { tensor: root, ..view }, Arc::new(further(inner)))
    }

    /// A function of each element.
    pub(super) fn apply(&mut self, node: &TypedNode, view: View, composed: Arc<Composed>) -> View {
        let root = view.tensor;
        let result = self.elementwise(node, FloatOp::Activation(Function::Composed(Arc::clone(&composed))), view);
        self.pointwise.insert(result.tensor, (root, composed));
        result
    }

    /// Remembers that a tensor is a function of each element of another one.
    pub(super) fn note_function(&mut self, x: TensorId, result: TensorId, op: &FloatOp) {
        let (root, inner) = self.function_of(x);
        let composed = match op {
            FloatOp::Activation(function) => Composed::Apply(function.clone(), inner),
            FloatOp::Clamp { min, max } => Composed::Clamp(inner, *min, *max),
            FloatOp::Combine { factors, offset } if offset.is_empty() => Composed::Affine(inner, factors[0], 0.0),
            FloatOp::Round { .. }
            | FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. }
            | FloatOp::Reshape
            | FloatOp::Rearrange { .. }
            | FloatOp::ArgMax { .. } => return,
        };
        self.pointwise.insert(result, (root, Arc::new(composed)));
    }

    /// What a tensor is a function of, element by element: another tensor, or itself.
    pub(super) fn function_of(&self, tensor: TensorId) -> (TensorId, Arc<Composed>) {
        self.pointwise.get(&tensor).cloned().unwrap_or_else(|| (tensor, Arc::new(Composed::Argument)))
    }

    /// Two functions of the same tensor as one; `None` where they are of different ones, or have too many parts.
    pub(super) fn composed(
        &mut self,
        node: &TypedNode,
        a: &View,
        b: &View,
        join: impl Fn(Arc<Composed>, Arc<Composed>) -> Composed,
    ) -> Option<View> {
        let ((mut root, mut left), (other, mut right)) = (self.function_of(a.tensor), self.function_of(b.tensor));
        if root != other || !a.aligned(b) || !left.is_short() || !right.is_short() {
            return None;
        }
        if a.tensor == b.tensor && !left.is_curved() && self.has_other_readers(node) {
            // A clamp that is a tensor of its own anyway is nearer than what it clamps.
            root = a.tensor;
            (left, right) = (Arc::new(Composed::Argument), Arc::new(Composed::Argument));
        }
        Some(self.apply(node, View { tensor: root, ..a.clone() }, Arc::new(join(left, right))))
    }

    /// Whether something else reads the first operand of a node.
    fn has_other_readers(&self, node: &TypedNode) -> bool {
        let model = &self.source.model;
        let Some(outlet) = node.inputs.first() else { return false };
        let readers = &model.node(outlet.node).outputs[outlet.slot].successors;
        let is_output = model.output_outlets().is_ok_and(|outputs| outputs.contains(outlet));
        is_output || readers.iter().any(|inlet| inlet.node != node.id)
    }

    /// `Mul` of two activations.
    fn multiply(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        if let Some(normalised) = self.normalisation(node) {
            return normalised;
        }
        let (a, b) = (self.view(node, 0)?, self.view(node, 1)?);
        if let Some(composed) = self.composed(node, &a, &b, Composed::Product) {
            return Ok(composed);
        }
        let dims = self.dims(node)?;
        let (a, b) = if b.dims == dims && a.dims != dims { (b, a) } else { (a, b) };
        let a = self.broadcast(node, a, &dims)?;
        let other = self.stored_like(node, &b, &a);
        let shape = self.graph.tensors[a.tensor].shape;
        let tensor = self.push(node, FloatOp::Multiply { scale: 1.0 }, vec![a.tensor, other], shape);
        Ok(View { tensor, ..a })
    }

    /// A binary operator over two activations, or an activation and a constant on either side.
    pub(super) fn binary(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        if operator == "Div" && node.outputs[0].fact.datum_type != DatumType::F32 {
            return Err(self.form(node, "a quotient of whole numbers", "divide floats, and round"));
        }
        match (self.constant(node, 0), self.constant(node, 1)) {
            // A product of whole numbers with a power of two, as tract writes it.
            (None, Some((dims, bits))) if operator == "ShiftLeft" => {
                self.with_constant(node, "Mul", 0, (dims, bits.into_iter().map(f32::exp2).collect()))
            }
            (None, None) if operator == "Mul" => self.multiply(node),
            (None, None) if matches!(operator, "Max" | "Min") => self.greatest(node, operator),
            (None, None) => self.sum(node, operator),
            (None, Some(constant)) => self.with_constant(node, operator, 0, constant),
            (Some(constant), _) => {
                // The flipped form of each operator, with the activation on the left.
                let flipped = match operator {
                    "Sub" => "SubF",
                    "SubF" => "Sub",
                    "Div" => return Err(self.unsupported(node)),
                    other => other,
                };
                self.with_constant(node, flipped, 1, constant)
            }
        }
    }

    /// The greater, or the less, of two activations: one of them and what the other has more.
    fn greatest(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        let (a, b) = (self.view(node, 0)?, self.view(node, 1)?);
        let chosen = |a: Arc<Composed>, b: Arc<Composed>| Composed::Greatest(a, b, operator == "Max");
        if let Some(composed) = self.composed(node, &a, &b, chosen) {
            return Ok(composed);
        }
        let more = self.sum(node, "Sub")?;
        let more = self.elementwise(node, clamp(operator, 0.0), more);
        let b = self.broadcast(node, b, &more.dims.clone())?;
        let b = self.stored_like(node, &b, &more);
        let shape = self.graph.tensors[more.tensor].shape;
        let tensor = self.push(node, FloatOp::sum(vec![1.0, 1.0]), vec![more.tensor, b], shape);
        Ok(View { tensor, ..more })
    }

    pub(super) fn sum(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        let factors = match operator {
            "Add" => vec![1.0, 1.0],
            "Sub" => vec![1.0, -1.0],
            "SubF" => vec![-1.0, 1.0],
            _ => return Err(self.form(node, "two activations as operands", "one operand must be constant")),
        };
        let (a, b) = (self.view(node, 0)?, self.view(node, 1)?);
        let joined = |left, right| Composed::Sum(left, right, [factors[0], factors[1]]);
        // What is a scale and a shift needs no table.
        if !(self.function_of(a.tensor).1.is_linear() && self.function_of(b.tensor).1.is_linear())
            && let Some(composed) = self.composed(node, &a, &b, joined)
        {
            return Ok(composed);
        }
        let dims = self.dims(node)?;
        // The operand that has all elements says how they are stored.
        let (a, b, factors) = if b.dims == dims && a.dims != dims {
            (b, a, factors.into_iter().rev().collect())
        } else {
            (a, b, factors)
        };
        let a = self.broadcast(node, a, &dims)?;
        let other = self.stored_like(node, &b, &a);
        let shape = self.graph.tensors[a.tensor].shape;
        let (inputs, factors) = if other == a.tensor {
            (vec![other], vec![factors.iter().sum()])
        } else {
            (vec![a.tensor, other], factors)
        };
        let tensor = self.push(node, FloatOp::sum(factors), inputs, shape);
        Ok(View { tensor, ..a })
    }

    /// A tensor that holds a view, broadcast where it is smaller, as another view of all elements is stored.
    pub(super) fn stored_like(&mut self, node: &TypedNode, view: &View, like: &View) -> usize {
        let shape = self.graph.tensors[like.tensor].shape;
        if view.aligned(like) {
            return self.stored_as(node, view.tensor, shape);
        }
        let mut origins = vec![FloatOrigin::Constant(0.0); like.len()];
        for (place, source) in like.offsets().into_iter().zip(view.broadcast_offsets(&like.dims)) {
            origins[place] = FloatOrigin::Element { operand: 0, element: source as u32 };
        }
        self.push(node, FloatOp::Rearrange { origins }, vec![view.tensor], shape)
    }

    pub(super) fn with_constant(
        &mut self,
        node: &TypedNode,
        operator: &str,
        operand: usize,
        (dims, constant): (Vec<usize>, Vec<f32>),
    ) -> Result<View, ImportError> {
        let view = self.view(node, operand)?;
        if constant.iter().any(|c| c.is_nan()) {
            return Err(ImportError::NotFinite { node: self.origin(node).0.into(), what: "constants" });
        }
        let result = self.dims(node)?;
        let view = self.broadcast(node, view, &result)?;
        let (learned, area) = (self.source.learned.is_operand(node, 1 - operand), self.area(&view));
        let numbers = Numbers::stored(&view, (&dims, &constant), learned, area);
        if let ("Max" | "Min", Some(bound)) = (operator, numbers.constant()) {
            let (x, op) = (view.tensor, clamp(operator, bound));
            let result = self.elementwise(node, op.clone(), view);
            if !numbers.learned {
                self.note_function(x, result.tensor, &op);
            }
            return Ok(result);
        }
        if let ("Pow", 1, Some(base)) = (operator, operand, numbers.constant())
            && base > 0.0
        {
            // base^x = e^(x·ln base).
            let exponential = |x| Composed::Apply(Function::Exp, Arc::new(Composed::Affine(x, libm::logf(base), 0.0)));
            return Ok(self.function(node, view, exponential));
        }
        if operator == "Add" && numbers.values.iter().any(|v| *v <= MASKED) && self.feeds_softmax(node) {
            return self.masked(node, view, &numbers.values);
        }
        if let ("Mul", Some(factor)) = (operator, numbers.constant())
            && factor.abs() >= -MASKED
            && self.reaches_softmaxes(node)
        {
            // A mask that is computed: what is as far from the scores as this, and a number that a circuit holds.
            let far = |x| Composed::Clamp(Arc::new(Composed::Affine(x, factor, 0.0)), -FAR_BELOW, FAR_BELOW);
            return Ok(self.function(node, view, far));
        }
        let factors = if operator == "Div" { numbers.map(f32::recip) } else { numbers };
        if factors.values.iter().any(|v| !v.is_finite()) {
            return Err(ImportError::NotFinite { node: self.origin(node).0.into(), what: "constants" });
        }
        let [one, minus] = [1.0, -1.0].map(|sign| Numbers::uniform(sign, factors.values.len(), area));
        let (x, single) = (view.tensor, linear(operator, &factors));
        let result = match operator {
            "Add" => self.affine(node, &one, Some(&factors), view),
            "Sub" => self.affine(node, &one, Some(&factors.map(|v| -v)), view),
            "SubF" => self.affine(node, &minus, Some(&factors), view),
            "Mul" | "Div" => {
                let source = view.tensor;
                let view = self.affine(node, &factors, None, view);
                self.scaled.insert(view.tensor, (source, factors));
                view
            }
            "Max" | "Min" => {
                // max(x, c) = max(x - c, 0) + c.
                let view = self.affine(node, &one, Some(&factors.map(|v| -v)), view);
                let view = self.elementwise(node, clamp(operator, 0.0), view);
                self.affine(node, &one, Some(&factors), view)
            }
            _ => return Err(self.unsupported(node)),
        };
        if let Some((scale, shift)) = single {
            let (root, inner) = self.function_of(x);
            self.pointwise.insert(result.tensor, (root, Arc::new(Composed::Affine(inner, scale, shift))));
        }
        Ok(result)
    }

    /// Elements of a channel of the tensor behind a view.
    pub(super) fn area(&self, view: &View) -> usize {
        let shape = self.graph.tensors[view.tensor].shape;
        shape.height * shape.width
    }

    /// Whether a node's result is read, by nothing but softmaxes.
    pub(super) fn feeds_softmax(&self, node: &TypedNode) -> bool {
        let (model, outlet) = (&self.source.model, OutletId::new(node.id, 0));
        let readers = &node.outputs[0].successors;
        let is_output = model.output_outlets().is_ok_and(|outputs| outputs.contains(&outlet));
        let to_softmax = |inlet: &InletId| model.node(inlet.node).op_is::<Softmax>();
        !readers.is_empty() && !is_output && readers.iter().all(to_softmax)
    }

    /// Whether nothing sees a node's result but softmaxes, of sums with it and of what is moved.
    pub(super) fn reaches_softmaxes(&self, node: &TypedNode) -> bool {
        let model = &self.source.model;
        let Ok(outputs) = model.output_outlets() else { return false };
        let (mut queue, mut seen) = (vec![node.id], HashSet::from([node.id]));
        while let Some(id) = queue.pop() {
            let readers = &model.node(id).outputs[0].successors;
            if readers.is_empty() || outputs.contains(&OutletId::new(id, 0)) {
                return false;
            }
            for reader in readers.iter().map(|inlet| model.node(inlet.node)) {
                let is_sum = reader.op_as::<TypedBinOp>().is_some_and(|op| op.0.name() == "Add");
                if is_sum || reader.op_is::<AxisOp>() || is_movement(reader) {
                    queue.extend(seen.insert(reader.id).then_some(reader.id));
                } else if reader.op_as::<Softmax>().is_none_or(|op| op.kind != SoftmaxKind::Softmax) {
                    return false;
                }
            }
        }
        true
    }

    /// A sum with a constant that takes elements out of the softmax that reads it: at least [`MASKED`] below the
    /// others.
    pub(super) fn masked(&mut self, node: &TypedNode, view: View, constant: &[f32]) -> Result<View, ImportError> {
        let mask: Vec<bool> = constant.iter().map(|v| *v <= MASKED).collect();
        let shift: Vec<f32> = constant.iter().map(|v| if *v <= MASKED { 0.0 } else { *v }).collect();
        if shift.iter().any(|v| !v.is_finite()) {
            return Err(ImportError::NotFinite { node: self.origin(node).0.into(), what: "constants" });
        }
        let shape = self.graph.tensors[view.tensor].shape;
        // A tensor of its own, which the mask belongs to.
        let offset = if shift.iter().all(|v| *v == 0.0) { Vec::new() } else { shift };
        let op = FloatOp::Combine { factors: vec![1.0], offset };
        let tensor = self.push(node, op, vec![view.tensor], shape);
        self.masks.insert(tensor, mask);
        Ok(View { tensor, ..view })
    }

    /// Appends a node that keeps its operand's storage.
    pub(super) fn elementwise(&mut self, node: &TypedNode, op: FloatOp, view: View) -> View {
        let shape = self.graph.tensors[view.tensor].shape;
        let tensor = self.push(node, op, vec![view.tensor], shape);
        View { tensor, ..view }
    }

    /// Appends a scale and a shift: by channel where they do not vary within one, and otherwise over the vector of all
    /// elements.
    pub(super) fn affine(&mut self, node: &TypedNode, scale: &Numbers, shift: Option<&Numbers>, view: View) -> View {
        let shape = self.graph.tensors[view.tensor].shape;
        let learned = scale.learned;
        let shift = shift.filter(|shift| shift.learned || shift.values.iter().any(|s| *s != 0.0));
        let shifts = shift.map_or(Some(Vec::new()), |shift| shift.by_channel.clone());
        if let Some((scale, shift)) = scale.by_channel.clone().zip(shifts) {
            return self.elementwise(node, FloatOp::Affine { scale, shift, learned }, view);
        }
        let shift = shift.map(|shift| shift.values.clone()).unwrap_or_default();
        if let Some(factor) = scale.constant() {
            return self.elementwise(node, FloatOp::Combine { factors: vec![factor], offset: shift }, view);
        }
        let vector = Shape::vector(shape.len());
        let elements = self.stored_as(node, view.tensor, vector);
        let op = FloatOp::Affine { scale: scale.values.clone(), shift, learned };
        let scaled = self.push(node, op, vec![elements], vector);
        View { tensor: self.stored_as(node, scaled, shape), ..view }
    }
}

/// Scale and shift of an operator with one number, a constant of the architecture.
fn linear(operator: &str, numbers: &Numbers) -> Option<(f32, f32)> {
    let number = numbers.constant()?;
    match operator {
        "Add" => Some((1.0, number)),
        "Sub" => Some((1.0, -number)),
        "SubF" => Some((-1.0, number)),
        "Mul" | "Div" => Some((number, 0.0)),
        _ => None,
    }
}

fn clamp(operator: &str, bound: f32) -> FloatOp {
    let (min, max) = if operator == "Max" { (bound, f32::INFINITY) } else { (f32::NEG_INFINITY, bound) };
    FloatOp::Clamp { min, max }
}
