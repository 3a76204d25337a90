//! Choice by constants, which is movement or a mask; and by sign: the form into which tract puts `PRelu`, and in which
//! exporters write leaky ReLUs.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use zkml_gpu_graph::TensorId;

use super::error::ImportError;
use super::float::FloatOp;
use super::function::Function;
use super::numbers::Numbers;
use super::translator::{Translator, Value};
use super::view::View;
use super::written::MASKED;

const HINT: &str = "choose between multiples of x by the sign of the same x";

impl Translator<'_> {
    /// A comparison of an activation with zero; `None` for other operators.
    pub(super) fn comparison(&self, node: &TypedNode) -> Result<Option<Value>, ImportError> {
        let Some(op) = node.op_as::<TypedBinOp>() else { return Ok(None) };
        let less = match op.0.name() {
            "LT" | "LTE" => true,
            "GT" | "GTE" => false,
            "Eq" | "NE" => return Err(self.form(node, "activations as operands", HINT)),
            _ => return Ok(None),
        };
        let zero = |i| self.constant(node, i).is_some_and(|(_, elements)| elements.iter().all(|c| *c == 0.0));
        // Equality does not matter: every branch that is accepted is zero at zero.
        let (operand, holds) = match (zero(0), zero(1)) {
            (true, false) => (1, !less),
            (false, true) => (0, less),
            _ => return Err(self.form(node, "a comparison with other than zero", HINT)),
        };
        Ok(Some(Value::Negative { view: self.view(node, operand)?, holds }))
    }

    /// `Where`, over constants or a comparison with zero.
    pub(super) fn select(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        match self.constant(node, 0) {
            Some((dims, condition)) => self.choice(node, &dims, &condition),
            None => self.by_sign(node),
        }
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

    /// `Where` over a comparison with zero: `x` times one slope for negative elements and another for positive ones.
    fn by_sign(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        let Some(Value::Negative { view, holds }) = self.value(node, 0).cloned() else {
            return Err(self.form(node, "a condition that is no comparison with zero", HINT));
        };
        let (first, second) = (self.slopes(node, 1, &view), self.slopes(node, 2, &view));
        let Some((first, second)) = first.zip(second) else {
            return Err(self.form(node, "branches that are no multiples of what is compared", HINT));
        };
        let (negative, positive) = if holds { (first, second) } else { (second, first) };
        Ok(self.piecewise(node, &negative, &positive, view))
    }

    /// Factors of an operand of a choice as a multiple of the view, one for each stored element.
    fn slopes(&self, node: &TypedNode, i: usize, view: &View) -> Option<Numbers> {
        match self.value(node, i)? {
            Value::Constant(_) => {
                let (_, elements) = self.constant(node, i)?;
                elements.iter().all(|c| *c == 0.0).then(|| Numbers::uniform(0.0, view.len(), self.area(view)))
            }
            Value::View(branch) if branch.aligned(view) => self.multiple(branch.tensor, view),
            Value::View(_) | Value::Indices(_) | Value::Negative { .. } => None,
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
            return self.elementwise(node, op, view);
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
