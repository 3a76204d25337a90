//! Elementwise operators: sums, scales, shifts and clamps.

use tract_onnx::prelude::*;

use super::translate::Translator;
use super::view::View;
use super::{FloatOp, ImportError};

impl Translator<'_> {
    /// `Neg`.
    pub(super) fn unary(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        if operator != "Neg" {
            return Err(self.unsupported(node));
        }
        let view = self.view(node, 0)?;
        Ok(self.elementwise(node, FloatOp::Combine { factors: vec![-1.0] }, view))
    }

    /// A binary operator over two activations, or an activation and a constant on either side.
    pub(super) fn binary(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        match (self.constant(node, 0), self.constant(node, 1)) {
            (None, None) => self.sum(node, operator),
            (None, Some(constant)) => self.with_constant(node, operator, 0, constant),
            (Some(constant), _) => {
                // The flipped form of each operator, with the activation on the left.
                let flipped = match operator {
                    "Sub" => "SubF",
                    "SubF" => "Sub",
                    "Div" => return Err(self.form(node, "an activation as divisor", "divide by constants only")),
                    other => other,
                };
                self.with_constant(node, flipped, 1, constant)
            }
        }
    }

    fn sum(&mut self, node: &TypedNode, operator: &str) -> Result<View, ImportError> {
        let factors = match operator {
            "Add" => vec![1.0, 1.0],
            "Sub" => vec![1.0, -1.0],
            "SubF" => vec![-1.0, 1.0],
            _ => return Err(self.form(node, "two activations as operands", "one operand must be constant")),
        };
        let (a, b) = (self.view(node, 0)?, self.view(node, 1)?);
        if !a.aligned(&b) {
            let hint = "operands need equal shapes and the same order of axes";
            return Err(self.form(node, format!("operands of {:?} and {:?}", a.dims, b.dims), hint));
        }
        let shape = self.graph.tensors[a.tensor].shape;
        let other = self.stored_as(node, b.tensor, shape);
        let (inputs, factors) = if other == a.tensor {
            (vec![other], vec![factors.iter().sum()])
        } else {
            (vec![a.tensor, other], factors)
        };
        let tensor = self.push(node, FloatOp::Combine { factors }, inputs, shape);
        Ok(View { tensor, ..a })
    }

    fn with_constant(
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
        if let ("Max" | "Min", Some(&bound)) = (operator, constant.first()) {
            if constant.iter().any(|c| *c != bound) {
                return Err(self.form(node, "bounds that differ by element", "clamp to one bound"));
            }
            let (min, max) = if operator == "Max" { (bound, f32::INFINITY) } else { (f32::NEG_INFINITY, bound) };
            return Ok(self.elementwise(node, FloatOp::Clamp { min, max }, view));
        }
        let Some(c) = self.by_channel(&view, &dims, &constant) else {
            let hint = "scales and shifts must be one number, or one a channel or feature";
            return Err(self.form(node, format!("a constant of {dims:?} for an operand of {:?}", view.dims), hint));
        };
        let (ones, zeros) = (vec![1.0; c.len()], vec![0.0; c.len()]);
        let map = |f: fn(f32) -> f32| c.iter().map(|v| f(*v)).collect();
        let (scale, shift) = match operator {
            "Add" => (ones, c),
            "Sub" => (ones, map(|v| -v)),
            "SubF" => (vec![-1.0; c.len()], c),
            "Mul" => (c, zeros),
            "Div" => (map(f32::recip), zeros),
            _ => return Err(self.unsupported(node)),
        };
        if scale.iter().chain(&shift).any(|v| !v.is_finite()) {
            return Err(ImportError::NotFinite { node: self.origin(node).0.into(), what: "constants" });
        }
        Ok(self.elementwise(node, FloatOp::Affine { scale, shift }, view))
    }

    /// Appends a node that keeps its operand's storage.
    fn elementwise(&mut self, node: &TypedNode, op: FloatOp, view: View) -> View {
        let shape = self.graph.tensors[view.tensor].shape;
        let tensor = self.push(node, op, vec![view.tensor], shape);
        View { tensor, ..view }
    }

    /// A broadcast constant as one value a stored channel; `None` where it varies within a channel or would make
    /// the operand larger.
    fn by_channel(&self, view: &View, dims: &[usize], constant: &[f32]) -> Option<Vec<f32>> {
        let lead = view.dims.len().checked_sub(dims.len())?;
        let mut broadcast = View::row_major(0, dims);
        for (axis, &dim) in dims.iter().enumerate() {
            match dim {
                1 => broadcast.strides[axis] = 0,
                _ if dim != view.dims[lead + axis] => return None,
                _ => {}
            }
        }
        broadcast.dims.clone_from(&view.dims);
        broadcast.strides.splice(0..0, vec![0; lead]);
        let shape = self.graph.tensors[view.tensor].shape;
        let area = shape.height * shape.width;
        let mut channels: Vec<Option<f32>> = vec![None; shape.channels];
        for (offset, source) in view.offsets().into_iter().zip(broadcast.offsets()) {
            let value = constant[source];
            if *channels[offset / area].get_or_insert(value) != value {
                return None;
            }
        }
        channels.into_iter().collect()
    }
}
