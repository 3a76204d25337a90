//! `OneHot`, and what other operators make of it: a 1 at each index.
//!
//! An input of indices is stored so already. An index that is computed is compared with the number of each place, which
//! is exact of indices of maxima, because those are whole numbers whatever else a circuit rounds. Others have the bits of
//! an activation, and are refused where those may not be enough.

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::OneHot;
use zkml_gpu_graph::{Shape, TensorId};

use super::error::ImportError;
use super::float::{FloatOp, FloatOrigin};
use super::function::{Comparison, Composed};
use super::translator::{Translator, Value};
use super::view::View;

/// Most places of an index that is not one of a maximum: with 8 bits, all whole numbers up to it are exact.
const MAX_PLACES: usize = 64;

impl Translator<'_> {
    /// `on` at each index along a new axis, and `off` elsewhere.
    pub(super) fn one_hot(&mut self, node: &TypedNode, op: &OneHot) -> Result<View, ImportError> {
        let scalar = |tensor: &Tensor| tensor.cast_to_scalar::<f32>().ok().filter(|value| value.is_finite());
        let (Some(off), Some(on)) = (scalar(&op.off), scalar(&op.on)) else {
            return Err(self.form(node, "values that are not finite numbers", "use 0 and 1"));
        };
        let is_plain = off == 0.0 && on == 1.0;
        match self.value(node, 0) {
            Some(Value::Indices(indices)) => {
                let Shape { width, .. } = self.graph.tensors[indices.tensor].shape;
                let mut view = indices.clone();
                view.dims.insert(op.axis, op.dim);
                view.strides.insert(op.axis, width);
                if is_plain {
                    return Ok(view);
                }
                let offset = if off == 0.0 { Vec::new() } else { vec![off; view.len()] };
                Ok(self.elementwise(node, FloatOp::Combine { factors: vec![on - off], offset }, view))
            }
            Some(Value::View(_)) => {
                let chosen = self.compared(node, op)?;
                // In the same table.
                let scaled = |of| Composed::Affine(of, on - off, off);
                Ok(if is_plain { chosen } else { self.function(node, chosen, scaled) })
            }
            Some(Value::Constant(_)) | None => {
                Err(self.form(node, "constant indices", "fold constants before the export"))
            }
        }
    }

    /// Whether each place's number is the index.
    fn compared(&mut self, node: &TypedNode, op: &OneHot) -> Result<View, ImportError> {
        let mut view = self.view(node, 0)?;
        if !self.is_index_of_maximum(view.tensor) {
            if op.dim > MAX_PLACES {
                let form = format!("indices of {} places that are computed", op.dim);
                let hint = "take them by ArgMax or ArgMin, as an input, or use at most 64 places";
                return Err(self.form(node, form, hint));
            }
            // Negative ones count from the end.
            let zero = Arc::new(Composed::Constant(0.0));
            view = self.function(node, view, |index| {
                let negative = Arc::new(Composed::Compare(Comparison::Less, index.clone(), zero));
                let from_end = Arc::new(Composed::Affine(index.clone(), 1.0, op.dim as f32));
                Composed::Choose(negative, from_end, index)
            });
        }
        let dims = self.dims(node)?;
        let view = self.broadcast(node, view.with(op.axis), &dims)?;
        let inner: usize = dims[op.axis + 1..].iter().product();
        let mut offset = vec![0.0; view.len()];
        for (i, place) in view.offsets().into_iter().enumerate() {
            offset[place] = -((i / inner % op.dim) as f32);
        }
        let difference = self.elementwise(node, FloatOp::Combine { factors: vec![1.0], offset }, view);
        let zero = Arc::new(Composed::Constant(0.0));
        Ok(self.function(node, difference, |of| Composed::Compare(Comparison::Equal, of, zero)))
    }

    /// Whether a tensor holds nothing but indices of maxima.
    fn is_index_of_maximum(&self, tensor: TensorId) -> bool {
        let Some(producer) = self.graph.producer(tensor) else { return false };
        let node = &self.graph.nodes[producer];
        match &node.op {
            FloatOp::ArgMax { .. } => true,
            FloatOp::Reshape => self.is_index_of_maximum(node.inputs[0]),
            FloatOp::Rearrange { origins } => {
                let is_element = |origin: &FloatOrigin| matches!(origin, FloatOrigin::Element { .. });
                origins.iter().all(is_element) && node.inputs.iter().all(|input| self.is_index_of_maximum(*input))
            }
            FloatOp::Linear(_)
            | FloatOp::Affine { .. }
            | FloatOp::Combine { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Softmax(_)
            | FloatOp::Normalise(_)
            | FloatOp::Activation(_)
            | FloatOp::Clamp { .. }
            | FloatOp::Round { .. }
            | FloatOp::MaxPool(_)
            | FloatOp::AveragePool { .. } => false,
        }
    }
}
