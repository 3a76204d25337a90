//! Reductions: sums, means and maxima over any axes, and indices of maxima.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

use crate::graph::{Shape, Window};

use super::translate::Translator;
use super::view::View;
use super::{FloatOp, ImportError};

impl Translator<'_> {
    /// `ReduceMean` and `GlobalAveragePool`, which tract writes as a sum and a product, `ReduceSum`, `GlobalMaxPool`,
    /// `ReduceMax` and `ArgMax`.
    pub(super) fn reduce(&mut self, node: &TypedNode, op: &Reduce) -> Result<View, ImportError> {
        let view = self.view(node, 0)?;
        match op.reducer {
            Reducer::Sum | Reducer::Max => Ok(self.pool_axes(node, op, view)),
            Reducer::ArgMax(last) => self.arg_max(node, op, view, last),
            _ => Err(self.unsupported(node)),
        }
    }

    /// One window over all elements of the axes.
    fn pool_axes(&mut self, node: &TypedNode, op: &Reduce, mut view: View) -> View {
        let shape = self.graph.tensors[view.tensor].shape;
        let area = op.axes.iter().map(|&a| view.dims[a]).product::<usize>();
        let mut axes: Vec<usize> = op.axes.to_vec();
        axes.sort_unstable_by_key(|&a| std::cmp::Reverse(view.strides[a]));
        if !view.is_dense(axes.iter().copied(), 1) {
            let mut order: Vec<usize> = (0..view.dims.len()).filter(|a| !axes.contains(a)).collect();
            order.sort_by_key(|&a| std::cmp::Reverse(view.strides[a]));
            order.extend(&axes);
            let arranged = Shape { channels: view.len() / area, height: 1, width: area };
            view = self.arranged(node, &view, &order, arranged);
        }
        let [height, width] = if shape.height * shape.width == area { [shape.height, shape.width] } else { [1, area] };
        let shape = Shape { channels: view.len() / area, height, width };
        let input = self.stored_as(node, view.tensor, shape);
        let window = Window { kernel: [height, width], stride: [height, width], ..Window::UNIT };
        let pool = match op.reducer {
            Reducer::Max => FloatOp::MaxPool(window),
            _ => FloatOp::AveragePool { window, count_padding: true, scale: area as f32 },
        };
        view.tensor = self.push(node, pool, vec![input], Shape::vector(shape.channels));
        view.strides.iter_mut().for_each(|s| *s /= area);
        op.axes.iter().for_each(|&a| view.dims[a] = 1);
        view
    }

    fn arg_max(&mut self, node: &TypedNode, op: &Reduce, mut view: View, last: bool) -> Result<View, ImportError> {
        let &[axis] = &op.axes[..] else { return Err(self.unsupported(node)) };
        let (count, stride) = (view.dims[axis], view.strides[axis]);
        if count < 2 {
            return Err(self.form(node, "an axis of one element", "its index is always 0, remove the operator"));
        }
        view.dims[axis] = 1;
        let starts: Vec<u32> = view.offsets().into_iter().map(|offset| offset as u32).collect();
        let shape = Shape::vector(starts.len());
        let op = FloatOp::ArgMax { starts, stride, count, last };
        let tensor = self.push(node, op, vec![view.tensor], shape);
        Ok(View::row_major(tensor, &view.dims))
    }
}
