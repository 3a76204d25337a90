//! `CumSum`: a product with a triangular matrix of ones.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::CumSum;
use zkml_gpu_graph::Shape;

use super::error::ImportError;
use super::float::{FloatLinear, FloatOp};
use super::translator::Translator;
use super::view::View;

/// Longest axis: the matrix is a square of it.
const MAX_LEN: usize = 1 << 10;

impl Translator<'_> {
    /// Sums of the elements up to each place of an axis.
    pub(super) fn cumulative_sum(&mut self, node: &TypedNode, op: &CumSum) -> Result<View, ImportError> {
        let view = self.view(node, 0)?;
        let len = view.dims[op.axis];
        if len > MAX_LEN {
            return Err(self.form(node, format!("an axis of {len} elements"), "sum over at most 1024 elements"));
        }
        // Places first, then rows: one channel a place.
        let mut order = vec![op.axis];
        order.extend((0..view.dims.len()).filter(|axis| *axis != op.axis));
        let shape = Shape { channels: len, height: 1, width: view.len() / len };
        let input = self.arranged(node, &view, &order, shape);
        let counts = |to: usize, from: usize| {
            let (before, here) = (if op.reverse { from > to } else { from < to }, from == to);
            f32::from(u8::from(before || (here && !op.exclusive)))
        };
        let weights = (0..len).flat_map(|to| (0..len).map(move |from| counts(to, from))).collect();
        let linear = FloatLinear::dense(len, weights, vec![0.0; len]);
        let tensor = self.push(node, FloatOp::Linear(linear), vec![input.tensor], shape);
        let sizes: Vec<usize> = order.iter().map(|&axis| view.dims[axis]).collect();
        Ok(View::row_major(tensor, &sizes).unpermuted(&order))
    }
}
