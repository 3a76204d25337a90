//! Reductions: sums, means and maxima over any axes, and indices of maxima.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use zkml_gpu_graph::{Shape, TensorId, Window};

use super::error::ImportError;
use super::float::{FloatOp, FloatOrigin};
use super::function::Function;
use super::translator::Translator;
use super::view::View;

/// Most factors of one product: each one's rounding counts in the result.
const MAX_FACTORS: usize = 64;
/// Most elements of one mean over a whole image.
const MAX_MEAN: usize = 256;

/// What is made of all elements of some axes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pooled {
    Maximum,
    Sum,
    Mean,
}

impl Translator<'_> {
    /// `ReduceMean` and `GlobalAveragePool`, which tract writes as a sum and a product, `ReduceSum`, `GlobalMaxPool`,
    /// `ReduceMax` and `ReduceMin`, `ArgMax` and `ArgMin`, and means of squares over several axes: a normalisation is recognised by the product that
    /// ends it, and then nothing reads its mean.
    pub(super) fn reduce(&mut self, node: &TypedNode, op: &Reduce) -> Result<View, ImportError> {
        let view = self.view(node, 0)?;
        match op.reducer {
            Reducer::Sum => Ok(self.pool_axes(node, &op.axes, view, Pooled::Sum)),
            Reducer::Max | Reducer::Any => Ok(self.pool_axes(node, &op.axes, view, Pooled::Maximum)),
            // The least of numbers is the greatest of their negatives, as which all are true of truth values.
            Reducer::Min | Reducer::All => {
                let negative = self.negative(node, view);
                let greatest = self.pool_axes(node, &op.axes, negative, Pooled::Maximum);
                Ok(self.negative(node, greatest))
            }
            Reducer::MeanOfSquares => {
                let squares = self.elementwise(node, FloatOp::Activation(Function::Square), view);
                Ok(self.pool_axes(node, &op.axes, squares, Pooled::Mean))
            }
            Reducer::ArgMax(last) => self.arg_max(node, op, view, last),
            Reducer::ArgMin(last) => {
                let negative = self.negative(node, view);
                self.arg_max(node, op, negative, last)
            }
            Reducer::Prod => self.product_of_axes(node, op, view),
        }
    }

    /// A product of all elements of the axes, two by two.
    fn product_of_axes(&mut self, node: &TypedNode, op: &Reduce, mut view: View) -> Result<View, ImportError> {
        let along = |axes: &[usize]| {
            let of = |list: &[usize]| axes.iter().map(|axis| list[*axis]).collect::<Vec<usize>>();
            View { tensor: view.tensor, dims: of(&view.dims), strides: of(&view.strides) }.offsets()
        };
        let kept: Vec<usize> = (0..view.dims.len()).filter(|axis| !op.axes.contains(axis)).collect();
        let (members, results) = (along(&op.axes), along(&kept));
        if members.len() > MAX_FACTORS {
            return Err(self.form(node, format!("{} factors", members.len()), "multiply fewer elements"));
        }
        let shape = Shape::vector(results.len());
        let mut factors = Vec::with_capacity(members.len());
        for member in members {
            let element = |result: &usize| FloatOrigin::Element { operand: 0, element: (result + member) as u32 };
            let origins = results.iter().map(element).collect();
            factors.push(self.push(node, FloatOp::Rearrange { origins }, vec![view.tensor], shape));
        }
        while factors.len() > 1 {
            let pairs: Vec<Vec<TensorId>> = factors.chunks(2).map(<[TensorId]>::to_vec).collect();
            factors = Vec::with_capacity(pairs.len());
            for pair in pairs {
                let product = match pair[..] {
                    [one] => one,
                    _ => self.push(node, FloatOp::Multiply { scale: 1.0 }, pair, shape),
                };
                factors.push(product);
            }
        }
        op.axes.iter().for_each(|axis| view.dims[*axis] = 1);
        let tensor = factors.first().copied().unwrap_or(view.tensor);
        Ok(View::row_major(tensor, &view.dims))
    }

    fn negative(&mut self, node: &TypedNode, view: View) -> View {
        self.elementwise(node, FloatOp::sum(vec![-1.0]), view)
    }

    /// One window over all elements of the axes.
    pub(super) fn pool_axes(&mut self, node: &TypedNode, reduced: &[usize], mut view: View, pooled: Pooled) -> View {
        let shape = self.graph.tensors[view.tensor].shape;
        let area = reduced.iter().map(|&a| view.dims[a]).product::<usize>();
        let mut axes: Vec<usize> = reduced.to_vec();
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
        view.tensor = match pooled {
            Pooled::Maximum => self.push(node, FloatOp::MaxPool(window), vec![input], Shape::vector(shape.channels)),
            Pooled::Sum => self.mean_all(node, input, shape, area as f32),
            Pooled::Mean => self.mean_all(node, input, shape, 1.0),
        };
        view.strides.iter_mut().for_each(|s| *s /= area);
        reduced.iter().for_each(|&a| view.dims[a] = 1);
        view
    }

    /// The mean over height and width, times `scale`; a large window as the mean of its columns' means, because the
    /// multiplier of a mean over many elements would be rounded too much.
    fn mean_all(&mut self, node: &TypedNode, mut input: TensorId, mut shape: Shape, scale: f32) -> TensorId {
        let area = shape.height * shape.width;
        let count_padding = true;
        if area > MAX_MEAN && shape.height > 1 && shape.width > 1 {
            let kernel = [shape.height, 1];
            let window = Window { kernel, stride: kernel, ..Window::UNIT };
            shape.height = 1;
            input = self.push(node, FloatOp::AveragePool { window, count_padding, scale: 1.0 }, vec![input], shape);
        }
        let kernel = [shape.height, shape.width];
        let window = Window { kernel, stride: kernel, ..Window::UNIT };
        let pool = FloatOp::AveragePool { window, count_padding, scale };
        self.push(node, pool, vec![input], Shape::vector(shape.channels))
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
