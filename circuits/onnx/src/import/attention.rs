//! What transformers add to networks: products of two activations, as in scaled dot-product attention, softmax, and
//! normalisation. LayerNorm, RMSNorm, and an InstanceNorm that is written out are one operation, over other axes or
//! without the mean; the learned scale and shift after them are operations of their own.
//!
//! Softmax and normalisation run over the outermost axis of storage, and a product of activations reads blocks of
//! neighbours, so the last axis of each product's result is stored outermost: attention's scores are then stored as the
//! softmax over them and the product with the values read them, and nothing is moved between.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Recip, Rsqrt, Sqrt, Square};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax, SoftmaxKind};
use zkml_gpu_graph::Shape;

use super::error::ImportError;
use super::float::{FloatMatMul, FloatNormalise, FloatOp, FloatOrigin, FloatSoftmax};
use super::function::Function;
use super::reduce::Pooled;
use super::translator::Translator;
use super::view::View;

/// Axes of a product of two activations, as positions in an operand or the result.
#[derive(Debug, Default)]
struct Axes {
    /// In both operands and the result.
    batch: Vec<[usize; 3]>,
    /// In both operands alone.
    contracted: Vec<[usize; 2]>,
    /// In one operand and the result.
    free: [Vec<[usize; 2]>; 2],
    /// In one operand alone: of one element.
    single: [Vec<usize>; 2],
}

impl Translator<'_> {
    /// A product of two activations.
    pub(super) fn contraction(&mut self, node: &TypedNode, op: &EinSum) -> Result<View, ImportError> {
        let plain = op.q_params.is_none() && node.inputs.len() == 2;
        let dims = self.dims(node)?;
        let views = [self.view(node, 0)?, self.view(node, 1)?];
        let axes = plain.then(|| axes(op, &views, &dims)).flatten();
        let axes = axes.ok_or_else(|| self.form(node, format!("the sum {}", op.axes), "use plain matrix products"))?;
        // Axes along which an operand is repeated.
        let mut views = self.repeated(node, views, &axes, &dims)?;
        // The operand that has the result's last axis is the left one, whose axis is stored outermost.
        let last = |side: usize| axes.free[side].iter().filter(|[_, out]| dims[*out] != 1).map(|[_, out]| *out).max();
        let left = usize::from(last(1) > last(0));
        let sides = [left, 1 - left];
        let extent = |list: &[[usize; 2]]| list.iter().map(|[_, out]| dims[*out]).product::<usize>();
        let [rows, columns] = sides.map(|side| extent(&axes.free[side]));
        let heads: usize = axes.batch.iter().map(|[.., out]| dims[*out]).product();
        let inner: usize = axes.contracted.iter().map(|[a, _]| views[0].dims[*a]).product();

        let order = |side: usize, head_minor: bool| -> Vec<usize> {
            let batch = axes.batch.iter().map(|axis| axis[side]);
            let contracted = axes.contracted.iter().map(|axis| axis[side]);
            let free = axes.free[side].iter().map(|[own, _]| *own);
            let single = axes.single[side].iter().copied();
            match head_minor {
                true => single.chain(contracted).chain(batch).chain(free).collect(),
                false => single.chain(batch).chain(contracted).chain(free).collect(),
            }
        };
        let moved = |head_minor: bool| -> usize {
            let moved = |side: &usize| !views[*side].permuted(&order(*side, head_minor)).is_row_major();
            sides.iter().filter(|side| moved(side)).map(|side| views[*side].len()).sum()
        };
        let head_minor = moved(true) < moved(false);
        let mut inputs = Vec::with_capacity(2);
        for (side, width) in sides.into_iter().zip([rows, columns]) {
            let shape = Shape { channels: heads * inner, height: 1, width };
            let view = std::mem::replace(&mut views[side], View::row_major(0, &[]));
            let view = self.arranged(node, &view, &order(side, head_minor), shape);
            inputs.push(self.stored_as(node, view.tensor, shape));
        }
        let product = FloatMatMul { heads, inner, rows, columns, head_minor, scale: 1.0, offset: Vec::new() };
        let shape = Shape { channels: rows * heads, height: 1, width: columns };
        let tensor = self.push(node, FloatOp::MatMul(product), inputs, shape);
        // Stored as rows, heads, columns.
        let left_axes = axes.free[left].iter().map(|[_, out]| *out);
        let heads = axes.batch.iter().map(|[.., out]| *out);
        let order: Vec<usize> = left_axes.chain(heads).chain(axes.free[1 - left].iter().map(|[_, out]| *out)).collect();
        let missing = (0..dims.len()).filter(|axis| !order.contains(axis));
        let order: Vec<usize> = missing.chain(order.iter().copied()).collect();
        let sizes: Vec<usize> = order.iter().map(|axis| dims[*axis]).collect();
        Ok(View::row_major(tensor, &sizes).unpermuted(&order))
    }

    /// Operands whose batch axes have the result's extents.
    fn repeated(
        &mut self,
        node: &TypedNode,
        views: [View; 2],
        axes: &Axes,
        dims: &[usize],
    ) -> Result<[View; 2], ImportError> {
        let mut result = Vec::with_capacity(2);
        for (side, view) in views.into_iter().enumerate() {
            let mut wanted = view.dims.clone();
            axes.batch.iter().for_each(|axis| wanted[axis[side]] = dims[axis[2]]);
            result.push(self.broadcast(node, view, &wanted)?);
        }
        result.try_into().map_err(|_| self.unsupported(node))
    }

    /// `Softmax` and `LogSoftmax`.
    pub(super) fn softmax(&mut self, node: &TypedNode, op: &Softmax) -> Result<View, ImportError> {
        if op.quant_output_dt.is_some() {
            return Err(self.unsupported(node));
        }
        let view = self.view(node, 0)?;
        if op.kind != SoftmaxKind::Softmax {
            return self.log_softmax(node, view, &op.axes);
        }
        let mask = self.masks.get(&view.tensor).cloned();
        let (view, groups, len) = self.grouped(node, view, &op.axes);
        // A mask is of the tensor that was masked: in its order.
        let masked = match mask {
            Some(mask) => self.mask_of(node, &mask, view.tensor)?,
            None => Vec::new(),
        };
        let shape = self.graph.tensors[view.tensor].shape;
        let op = FloatOp::Softmax(FloatSoftmax { groups, len, masked });
        let tensor = self.push(node, op, vec![view.tensor], shape);
        Ok(View { tensor, ..view })
    }

    /// `d - log(Σ e^d)`, where `d` is what each number is less than the greatest: the sum is from 1 to the number of
    /// summands, and its logarithm has no steep part.
    fn log_softmax(&mut self, node: &TypedNode, view: View, axes: &[usize]) -> Result<View, ImportError> {
        if self.masks.contains_key(&view.tensor) {
            return Err(self.form(node, "a mask", "take the logarithm of a Softmax"));
        }
        let minus = FloatOp::sum(vec![1.0, -1.0]);
        let greatest = self.pool_axes(node, axes, view.clone(), Pooled::Maximum);
        let shape = self.graph.tensors[view.tensor].shape;
        let greatest = self.stored_like(node, &greatest, &view);
        let less = self.push(node, minus.clone(), vec![view.tensor, greatest], shape);
        let less = View { tensor: less, ..view };
        let exponentials = self.elementwise(node, FloatOp::Activation(Function::Exp), less.clone());
        let sums = self.pool_axes(node, axes, exponentials, Pooled::Sum);
        let logarithms = self.elementwise(node, FloatOp::Activation(Function::Log), sums);
        let logarithms = self.stored_like(node, &logarithms, &less);
        let tensor = self.push(node, minus, vec![less.tensor, logarithms], shape);
        Ok(View { tensor, ..less })
    }

    /// The mask of a tensor that is the masked one, or the same elements rearranged.
    fn mask_of(&self, node: &TypedNode, mask: &[bool], tensor: usize) -> Result<Vec<bool>, ImportError> {
        if let Some(own) = self.masks.get(&tensor) {
            return Ok(own.clone());
        }
        let Some(producer) = self.graph.producer(tensor) else { return Err(self.unsupported(node)) };
        match &self.graph.nodes[producer].op {
            FloatOp::Rearrange { origins } => {
                let of = |origin: &FloatOrigin| match origin {
                    FloatOrigin::Element { element, .. } => mask[*element as usize],
                    FloatOrigin::Constant(_) => false,
                };
                Ok(origins.iter().map(of).collect())
            }
            FloatOp::Reshape => Ok(mask.to_vec()),
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
            | FloatOp::AveragePool { .. }
            | FloatOp::ArgMax { .. } => Err(self.unsupported(node)),
        }
    }

    /// A view of a tensor that stores these axes outermost; the number of groups, and of each one's members.
    fn grouped(&mut self, node: &TypedNode, view: View, axes: &[usize]) -> (View, usize, usize) {
        let len: usize = axes.iter().map(|&a| view.dims[a]).product();
        let mut order = axes.to_vec();
        order.sort_by_key(|&a| std::cmp::Reverse(view.strides[a]));
        let mut rest: Vec<usize> = (0..view.dims.len()).filter(|a| !axes.contains(a)).collect();
        rest.sort_by_key(|&a| std::cmp::Reverse(view.strides[a]));
        order.extend(rest);
        let groups = view.len() / len.max(1);
        if view.permuted(&order).is_row_major() {
            return (view, groups, len);
        }
        let shape = Shape { channels: len, height: 1, width: groups };
        (self.arranged(node, &view, &order, shape), groups, len)
    }

    /// `x / sqrt(mean(x²) + ε)` over one axis, which tract recognises; with `x` less its mean a layer norm.
    pub(super) fn rms_norm(&mut self, node: &TypedNode, op: &RmsNorm) -> Result<View, ImportError> {
        let epsilon = op.eps.cast_to_scalar::<f32>().map_err(|_| self.unsupported(node))?;
        self.normalise(node, node.inputs[0], &[op.axis], epsilon)
    }

    /// The product that ends a normalisation written out; `None` for other products.
    pub(super) fn normalisation(&mut self, node: &TypedNode) -> Option<Result<View, ImportError>> {
        let matched = |slot: usize| {
            let (source, axes, epsilon) = self.inverse_deviation(node.inputs[slot])?;
            (source == node.inputs[1 - slot]).then_some((source, axes, epsilon))
        };
        let (source, axes, epsilon) = matched(0).or_else(|| matched(1))?;
        Some(self.normalise(node, source, &axes, epsilon))
    }

    fn normalise(
        &mut self,
        node: &TypedNode,
        source: OutletId,
        axes: &[usize],
        epsilon: f32,
    ) -> Result<View, ImportError> {
        let mean = self.less_mean(source, axes);
        let (outlet, centred) = mean.map_or((source, false), |outlet| (outlet, true));
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(self.form(node, format!("the epsilon {epsilon}"), "it must be a small positive number"));
        }
        let view = self.outlet(outlet).ok_or_else(|| self.unsupported(node))?;
        let (view, groups, len) = self.grouped(node, view, axes);
        let shape = self.graph.tensors[view.tensor].shape;
        let op = FloatOp::Normalise(FloatNormalise { groups, len, centred, epsilon });
        let tensor = self.push(node, op, vec![view.tensor], shape);
        Ok(View { tensor, ..view })
    }

    /// `d`, axes and `ε` of `1 / sqrt(mean(d²) + ε)`.
    fn inverse_deviation(&self, outlet: OutletId) -> Option<(OutletId, Vec<usize>, f32)> {
        let model = &self.source.model;
        let node = model.node(outlet.node);
        let function = &node.op_as::<ElementWiseOp>()?.0;
        let sum = if function.is::<Rsqrt>() {
            node.inputs[0]
        } else if function.is::<Recip>() {
            let root = model.node(node.inputs[0].node);
            root.op_as::<ElementWiseOp>().filter(|op| op.0.is::<Sqrt>())?;
            root.inputs[0]
        } else {
            return None;
        };
        let (mean, epsilon) = self.with_scalar(sum, "Add")?;
        let (squares, axes) = self.mean(mean)?;
        let square = |outlet: OutletId| {
            let node = model.node(outlet.node);
            node.op_as::<ElementWiseOp>().filter(|op| op.0.is::<Square>()).map(|_| node.inputs[0])
        };
        let reduce = model.node(mean.node).op_as::<Reduce>();
        let source = match reduce {
            Some(reduce) if reduce.reducer == Reducer::MeanOfSquares => squares,
            _ => square(squares)?,
        };
        Some((source, axes, epsilon))
    }

    /// `x` of `x - mean(x)`.
    fn less_mean(&self, outlet: OutletId, axes: &[usize]) -> Option<OutletId> {
        let node = self.source.model.node(outlet.node);
        node.op_as::<TypedBinOp>().filter(|op| op.0.name() == "Sub")?;
        let (x, over) = self.mean(node.inputs[1])?;
        (x == node.inputs[0] && over == axes).then_some(x)
    }

    /// Operand and axes of a mean, or of a mean of squares.
    fn mean(&self, outlet: OutletId) -> Option<(OutletId, Vec<usize>)> {
        let model = &self.source.model;
        let sum = |outlet: OutletId, reducer: Reducer| {
            let node = model.node(outlet.node);
            let reduce = node.op_as::<Reduce>().filter(|reduce| reduce.reducer == reducer)?;
            Some((node.inputs[0], reduce.axes.to_vec()))
        };
        if let Some(found) = sum(outlet, Reducer::MeanOfSquares) {
            return Some(found);
        }
        let (total, scale) = self.with_scalar(outlet, "Mul")?;
        let (operand, axes) = sum(total, Reducer::Sum)?;
        let dims = model.outlet_fact(operand).ok()?.shape.as_concrete()?.to_vec();
        let len: usize = axes.iter().map(|&a| dims[a]).product();
        ((scale * len as f32 - 1.0).abs() < 1e-5).then_some((operand, axes))
    }

    /// The operand and the number of a binary operator with one number.
    fn with_scalar(&self, outlet: OutletId, operator: &str) -> Option<(OutletId, f32)> {
        let model = &self.source.model;
        let node = model.node(outlet.node);
        node.op_as::<TypedBinOp>().filter(|op| op.0.name() == operator)?;
        let scalar = |slot: usize| {
            let constant = model.outlet_fact(node.inputs[slot]).ok()?.konst.clone()?;
            let constant = constant.cast_to::<f32>().ok()?;
            let values = constant.to_plain_array_view::<f32>().ok()?;
            let first = *values.iter().next()?;
            values.iter().all(|v| *v == first).then_some((node.inputs[1 - slot], first))
        };
        scalar(1).or_else(|| scalar(0))
    }
}

/// The axes of a product of two activations; `None` for diagonals, and for sums over one operand only.
fn axes(op: &EinSum, views: &[View; 2], dims: &[usize]) -> Option<Axes> {
    let mut axes = Axes::default();
    for axis in op.axes.iter_all_axes() {
        let one = |list: &TVec<usize>| if list.len() > 1 { None } else { Some(list.first().copied()) };
        match (one(&axis.inputs[0])?, one(&axis.inputs[1])?, one(&axis.outputs[0])?) {
            (Some(a), Some(b), Some(out)) => axes.batch.push([a, b, out]),
            (Some(a), Some(b), None) => axes.contracted.push([a, b]),
            (Some(a), None, Some(out)) => axes.free[0].push([a, out]),
            (None, Some(b), Some(out)) => axes.free[1].push([b, out]),
            (Some(a), None, None) if views[0].dims[a] == 1 => axes.single[0].push(a),
            (None, Some(b), None) if views[1].dims[b] == 1 => axes.single[1].push(b),
            (None, None, Some(out)) if dims[out] == 1 => {}
            _ => return None,
        }
    }
    axes.batch.sort_unstable_by_key(|axis| axis[2]);
    axes.contracted.sort_unstable();
    axes.free.iter_mut().for_each(|free| free.sort_unstable_by_key(|axis| axis[1]));
    Some(axes)
}
