//! From tract's typed model to the float graph, node by node.

use std::collections::HashSet;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::{CumSum, Gather, OneHot};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::deconv::Deconv;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::math::IsNan;
use tract_onnx::tract_core::ops::nn::{Reduce, RmsNorm, Softmax};
use zkml_gpu_graph::{Shape, Storage};

use super::error::ImportError;
use super::facts::bounded;
use super::float::{FloatGraph, FloatOp};
use super::function::{Comparison, Composed, Function};
use super::guard::chain;
use super::movement::is_movement;
use super::source::Source;
use super::translator::{Translator, Value};
use super::view::View;

/// Translates a typed model, without any folding.
pub(super) fn translate(source: &Source) -> Result<FloatGraph, ImportError> {
    let mut this = Translator::new(source);
    let invalid = |e: TractError| ImportError::Invalid { file: source.file.clone(), cause: chain(&e) };
    // Inputs first and in the model's order, whether or not anything reads them.
    for &outlet in source.model.input_outlets().map_err(invalid)? {
        this.input(outlet)?;
    }
    let mut problems = Vec::new();
    let mut unknown: HashSet<usize> = HashSet::new();
    for id in source.model.eval_order().map_err(invalid)? {
        let node = source.model.node(id);
        // What reads the result of an operator that is not supported says nothing new.
        if node.inputs.iter().any(|input| unknown.contains(&input.node)) {
            unknown.insert(id);
            continue;
        }
        match this.node(node) {
            Err(problem) if problem.is_of_operator() => {
                unknown.insert(id);
                problems.push(problem);
            }
            result => result?,
        }
    }
    if let Some(problem) = ImportError::of(problems) {
        return Err(problem);
    }
    for &outlet in source.model.output_outlets().map_err(invalid)? {
        this.output(outlet)?;
    }
    Ok(this.graph)
}

impl Translator<'_> {
    fn node(&mut self, node: &TypedNode) -> Result<(), ImportError> {
        let outlet = OutletId::new(node.id, 0);
        if self.values.contains_key(&outlet) {
            return Ok(());
        }
        let constants: Option<Vec<&Arc<Tensor>>> =
            node.outputs.iter().map(|output| output.fact.konst.as_ref()).collect();
        if let Some(constants) = constants {
            for (slot, constant) in constants.into_iter().enumerate() {
                self.values.insert(OutletId::new(node.id, slot), Value::Constant(Arc::clone(constant)));
            }
            return Ok(());
        }
        for output in &node.outputs {
            let shape = output.fact.shape.as_concrete().ok_or_else(|| self.unsupported(node))?;
            bounded(&node.name, shape)?;
        }
        if let Some(indices) = self.moved_indices(node)? {
            self.values.insert(outlet, Value::Indices(indices));
            return Ok(());
        }
        if node.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<IsNan>()) {
            // What a circuit computes is a number.
            let dims = self.dims(node)?;
            let never = Tensor::from_shape(&dims, &vec![false; dims.iter().product()]);
            let never = never.map_err(|_| self.unsupported(node))?;
            self.values.insert(outlet, Value::Constant(never.into_arc_tensor()));
            return Ok(());
        }
        let view = self.operation(node)?;
        if node.outputs.len() != 1 || view.dims != self.dims(node)? {
            return Err(self.unsupported(node));
        }
        self.values.insert(outlet, Value::View(view));
        Ok(())
    }

    fn operation(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        if let Some(op) = node.op_as::<Conv>() {
            self.convolution(node, op)
        } else if let Some(op) = node.op_as::<Deconv>() {
            self.transposed_convolution(node, op)
        } else if let Some(op) = node.op_as::<EinSum>() {
            self.product(node, op)
        } else if let Some(op) = node.op_as::<MaxPool>() {
            self.max_pool(node, op)
        } else if let Some(op) = node.op_as::<SumPool>() {
            self.sum_pool(node, op)
        } else if let Some(op) = node.op_as::<Softmax>() {
            self.softmax(node, op)
        } else if let Some(op) = node.op_as::<RmsNorm>() {
            self.rms_norm(node, op)
        } else if let Some(op) = node.op_as::<Reduce>() {
            self.reduce(node, op)
        } else if let Some(op) = node.op_as::<CumSum>() {
            self.cumulative_sum(node, op)
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            match op.0.name() {
                "LT" => self.comparison(node, Comparison::Less),
                "LTE" => self.comparison(node, Comparison::AtMost),
                "GT" => self.comparison(node, Comparison::Greater),
                "GTE" => self.comparison(node, Comparison::AtLeast),
                "Eq" => self.comparison(node, Comparison::Equal),
                "NE" => self.comparison(node, Comparison::Different),
                "And" | "Or" | "Xor" => self.logic(node, op.0.name()),
                operator => self.binary(node, operator),
            }
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            self.unary(node, op)
        } else if let Some(op) = node.op_as::<AxisOp>() {
            self.axis(node, op)
        } else if node.op_is::<Iff>() {
            self.select(node)
        } else if node.op_is::<Cast>() {
            self.cast(node)
        } else if let Some(op) = node.op_as::<OneHot>() {
            self.one_hot(node, op)
        } else if let Some(op) = node.op_as::<Gather>()
            && matches!(self.value(node, 1), Some(Value::Indices(_)))
        {
            self.embedding(node, op)
        } else if is_movement(node) {
            self.movement(node)
        } else {
            Err(self.unsupported(node))
        }
    }

    fn axis(&mut self, node: &TypedNode, op: &AxisOp) -> Result<View, ImportError> {
        let view = self.view(node, 0)?;
        if let Some(changed) = view.clone().changed(op) {
            return Ok(changed);
        }
        let order: Vec<usize> = (0..view.dims.len()).collect();
        let view = self.arranged(node, &view, &order, Shape::vector(view.len()));
        view.changed(op).ok_or_else(|| self.unsupported(node))
    }

    /// A change of element type: whole numbers and truth values are numbers, numbers lose their fraction, and what is
    /// not 0 is true.
    fn cast(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        let from = node.inputs.first().and_then(|&input| self.source.model.outlet_fact(input).ok());
        let from = from.map(|fact| fact.datum_type);
        let to = node.outputs[0].fact.datum_type;
        // tract has a type of its own for whole numbers that may be sizes.
        let is_integer = |kind: DatumType| matches!(kind, DatumType::I64 | DatumType::I32 | DatumType::TDim);
        let is_whole = |kind: DatumType| is_integer(kind) || kind == DatumType::Bool;
        match from {
            Some(from) if from == to => self.view(node, 0),
            Some(from) if is_whole(from) && (to == DatumType::F32 || is_integer(to)) => self.view(node, 0),
            Some(DatumType::F32) if is_integer(to) => {
                let view = self.view(node, 0)?;
                Ok(self.function(node, view, |x| Composed::Apply(Function::Truncate, x)))
            }
            Some(from) if (from == DatumType::F32 || is_integer(from)) && to == DatumType::Bool => {
                let view = self.view(node, 0)?;
                let zero = Arc::new(Composed::Constant(0.0));
                Ok(self.function(node, view, |x| Composed::Compare(Comparison::Different, x, zero)))
            }
            _ => Err(self.form(node, format!("elements of {to:?}"), "compute with 32-bit floats only")),
        }
    }

    fn output(&mut self, outlet: OutletId) -> Result<(), ImportError> {
        let node = self.source.model.node(outlet.node);
        let Some(Value::View(mut view)) = self.values.get(&outlet).cloned() else {
            return Err(self.form(node, "a constant as output of the model", "remove that output"));
        };
        let shape = self.graph.tensors[view.tensor].shape;
        // Of a transposed tensor the last axis counts the channels.
        let last = view.dims.iter().rev().copied().find(|dim| *dim != 1).unwrap_or(1);
        let transposition = view.transposition(shape).filter(|is_transposed| !is_transposed || shape.channels == last);
        let storage = match (transposition, view.interleaved(shape)) {
            (Some(true), _) => Storage::Transposed,
            (Some(false), _) => Storage::Plain,
            (None, Some(count)) => Storage::Interleaved { inferences: count as u32, transposed: false },
            (None, None) => {
                let order: Vec<usize> = (0..view.dims.len()).collect();
                view = self.arranged(node, &view, &order, Shape::vector(view.len()));
                Storage::Plain
            }
        };
        let mut id = view.tensor;
        if self.graph.inputs.contains(&id) || self.graph.outputs.contains(&id) {
            let tensor = self.graph.tensors[id].clone();
            id = self.push(node, FloatOp::Reshape, vec![id], tensor.shape);
        }
        let tensor = &mut self.graph.tensors[id];
        if let Some(label) = self.source.model.outlet_label(outlet) {
            tensor.name = label.to_string();
        }
        tensor.logical_shape = view.dims;
        tensor.storage = storage;
        self.graph.outputs.push(id);
        Ok(())
    }
}
