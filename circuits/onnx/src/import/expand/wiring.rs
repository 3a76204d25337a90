//! Nodes of a typed model under construction in the place of one operator.

use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::change_axes::wire_rank_broadcast;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_hir::internal::*;

/// Nodes whose names begin with that of the operator that they are parts of, and count.
pub(super) struct Wiring<'m> {
    pub(super) model: &'m mut TypedModel,
    prefix: &'m str,
    parts: usize,
}

impl<'m> Wiring<'m> {
    pub(super) const fn new(model: &'m mut TypedModel, prefix: &'m str) -> Self {
        Self { model, prefix, parts: 0 }
    }

    fn name(&mut self) -> String {
        self.parts += 1;
        format!("{}.part{}", self.prefix, self.parts)
    }

    /// Extents of a value.
    pub(super) fn dims(&self, outlet: OutletId) -> TractResult<Vec<usize>> {
        let fact = self.model.outlet_fact(outlet)?;
        let dims = fact.shape.as_concrete().map(<[usize]>::to_vec);
        dims.with_context(|| format!("the shape of an operand of '{}' is not known", self.prefix))
    }

    /// The constant that a value is.
    pub(super) fn konst(&self, outlet: OutletId) -> TractResult<Option<Arc<Tensor>>> {
        Ok(self.model.outlet_fact(outlet)?.konst.clone())
    }

    pub(super) fn datum_type(&self, outlet: OutletId) -> TractResult<DatumType> {
        Ok(self.model.outlet_fact(outlet)?.datum_type)
    }

    /// The first result of an operator.
    pub(super) fn apply(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> TractResult<OutletId> {
        let name = self.name();
        Ok(self.model.wire_node(name, op, inputs)?[0])
    }

    /// An operator of two operands, of which the one of lower rank has axes before its first.
    pub(super) fn binary(
        &mut self,
        op: impl Into<Box<dyn TypedOp>>,
        a: OutletId,
        b: OutletId,
    ) -> TractResult<OutletId> {
        let name = self.name();
        let operands = wire_rank_broadcast(&name, self.model, &[a, b])?;
        Ok(self.model.wire_node(name, op, &operands)?[0])
    }

    pub(super) fn constant(&mut self, tensor: impl IntoArcTensor) -> TractResult<OutletId> {
        let name = self.name();
        self.model.add_const(name, tensor)
    }

    /// Floats of a shape.
    pub(super) fn floats(&mut self, shape: &[usize], values: &[f32]) -> TractResult<OutletId> {
        self.constant(Tensor::from_shape(shape, values)?)
    }

    /// An operator of a value and a number.
    pub(super) fn with_number(
        &mut self,
        op: impl Into<Box<dyn TypedOp>>,
        x: OutletId,
        number: f32,
    ) -> TractResult<OutletId> {
        let number = self.constant(tensor0(number))?;
        self.binary(op, x, number)
    }

    /// An Einstein sum of floats.
    pub(super) fn einsum(&mut self, axes: &str, inputs: &[OutletId]) -> TractResult<OutletId> {
        self.apply(EinSum::new(axes.parse()?, DatumType::F32), inputs)
    }

    pub(super) fn cast(&mut self, x: OutletId, to: DatumType) -> TractResult<OutletId> {
        if self.datum_type(x)? == to { Ok(x) } else { self.apply(cast(to), &[x]) }
    }

    pub(super) fn moved(&mut self, x: OutletId, from: usize, to: usize) -> TractResult<OutletId> {
        if from == to { Ok(x) } else { self.apply(AxisOp::Move(from, to), &[x]) }
    }

    /// The same elements under other axes, from axis `at` on as far as the given ones reach.
    pub(super) fn reshaped(&mut self, x: OutletId, at: usize, count: usize, to: &[usize]) -> TractResult<OutletId> {
        let from = self.dims(x)?[at..at + count].iter().map(ToDim::to_dim).collect();
        self.apply(AxisOp::Reshape(at, from, to.iter().map(ToDim::to_dim).collect()), &[x])
    }

    /// What is made of all elements of an axis, which is dropped.
    pub(super) fn reduced(&mut self, x: OutletId, axis: usize, reducer: Reducer) -> TractResult<OutletId> {
        let reduced = self.apply(Reduce::new(tvec!(axis), reducer), &[x])?;
        self.apply(AxisOp::Rm(axis), &[reduced])
    }
}

/// A patch with what is made of a node's operands.
pub(super) fn rewired(
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    made: &dyn Fn(&mut Wiring<'_>, &[OutletId]) -> TractResult<OutletId>,
) -> TractResult<Option<TypedModelPatch>> {
    let wire = |patch: &mut TypedModelPatch, inputs: &[OutletId]| -> TractResult<TVec<OutletId>> {
        Ok(tvec!(made(&mut Wiring::new(&mut patch.model, name), inputs)?))
    };
    TypedModelPatch::rewire(model, &node.inputs, &[node.id.into()], &wire).map(Some)
}

/// Type and shape of one result with as many floats as the one operand has elements.
pub(super) fn elementwise_rules<'r, 'p: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
) -> InferenceResult {
    check_input_arity(inputs, 1)?;
    check_output_arity(outputs, 1)?;
    s.equals(&outputs[0].datum_type, DatumType::F32)?;
    s.equals(&inputs[0].shape, &outputs[0].shape)
}

/// Names of axes for Einstein sums: so many that no other call names, beginning with a number.
pub(super) fn letters(first: usize, count: usize) -> String {
    ('a'..='z').chain('A'..='Z').skip(first).take(count).collect()
}
