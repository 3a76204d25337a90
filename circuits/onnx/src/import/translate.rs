//! From tract's typed model to the float graph, node by node.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::Gather;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::deconv::Deconv;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::nn::{Reduce, RmsNorm, Softmax};

use zkml_gpu_graph::{Shape, Storage, TensorId};

use super::analyse::bounded;
use super::elementwise::Numbers;
use super::movement::is_movement;
use super::read::Source;
use super::view::View;
use super::{Composed, FloatGraph, FloatNode, FloatOp, FloatTensor, ImportError};

/// What a tract outlet holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A constant.
    Constant(Arc<Tensor>),
    /// A view of a stored tensor.
    View(View),
    /// An input of indices: a view of their numbers, of which the tensor holds the one-hot form.
    Indices(View),
    /// Whether elements are negative: the view's, in a comparison with zero.
    Negative {
        /// What is compared.
        view: View,
        /// Set where the comparison holds for negative elements, clear where for positive ones.
        holds: bool,
    },
}

/// A float graph under construction.
pub(super) struct Translator<'a> {
    pub(super) source: &'a Source,
    pub(super) graph: FloatGraph,
    pub(super) values: HashMap<OutletId, Value>,
    reshaped: HashMap<(TensorId, Shape), TensorId>,
    pub(super) rearranged: HashMap<(View, Shape), TensorId>,
    /// Tensors that are another one times a constant for each element, in stored order.
    pub(super) scaled: HashMap<TensorId, (TensorId, Numbers)>,
    /// Tensors that are a function of each element of another one, without learned numbers: it may become a table.
    pub(super) pointwise: HashMap<TensorId, (TensorId, Arc<Composed>)>,
    /// Elements of tensors that no softmax may count, in stored order.
    pub(super) masks: HashMap<TensorId, Vec<bool>>,
}

/// Translates a typed model, without any folding.
pub(super) fn translate(source: &Source) -> Result<FloatGraph, ImportError> {
    let graph = FloatGraph { name: source.name.clone(), ..FloatGraph::default() };
    let mut this = Translator {
        source,
        graph,
        values: HashMap::new(),
        reshaped: HashMap::new(),
        rearranged: HashMap::new(),
        scaled: HashMap::new(),
        pointwise: HashMap::new(),
        masks: HashMap::new(),
    };
    let invalid = |e: TractError| ImportError::Invalid { file: source.file.clone(), cause: super::read::chain(&e) };
    // Inputs first and in the model's order, whether or not anything reads them.
    for &outlet in source.model.input_outlets().map_err(invalid)? {
        this.input(outlet)?;
    }
    for id in source.model.eval_order().map_err(invalid)? {
        this.node(source.model.node(id))?;
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
        if let Some(constant) = &node.outputs[0].fact.konst {
            self.values.insert(outlet, Value::Constant(Arc::clone(constant)));
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
        if let Some(comparison) = self.comparison(node)? {
            self.values.insert(outlet, comparison);
            return Ok(());
        }
        let view = self.operation(node)?;
        if node.outputs.len() != 1 || view.dims != self.dims(node)? {
            return Err(self.unsupported(node));
        }
        self.values.insert(outlet, Value::View(view));
        Ok(())
    }

    /// Extents of a node's output.
    pub(super) fn dims(&self, node: &TypedNode) -> Result<Vec<usize>, ImportError> {
        node.outputs[0].fact.shape.as_concrete().map(<[usize]>::to_vec).ok_or_else(|| self.unsupported(node))
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
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            self.binary(node, op.0.name())
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            self.unary(node, op)
        } else if let Some(op) = node.op_as::<AxisOp>() {
            self.axis(node, op)
        } else if node.op_is::<Iff>() {
            self.select(node)
        } else if node.op_is::<Cast>() {
            self.cast(node)
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

    /// A change of element type that changes no value: whole numbers to numbers.
    fn cast(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        let from = node.inputs.first().and_then(|&input| self.source.model.outlet_fact(input).ok());
        let to = node.outputs[0].fact.datum_type;
        match from.map(|fact| fact.datum_type) {
            Some(from) if from == to || from == DatumType::I64 && (to == DatumType::F32 || to == DatumType::I32) => {
                self.view(node, 0)
            }
            _ => Err(self.form(node, format!("elements of {to:?}"), "compute with 32-bit floats only")),
        }
    }

    fn output(&mut self, outlet: OutletId) -> Result<(), ImportError> {
        let node = self.source.model.node(outlet.node);
        let Some(Value::View(mut view)) = self.values.get(&outlet).cloned() else {
            return Err(self.form(node, "a constant as output of the model", "remove that output"));
        };
        let transposed = view.transposition(self.graph.tensors[view.tensor].shape);
        let transposed = transposed.unwrap_or_else(|| {
            let order: Vec<usize> = (0..view.dims.len()).collect();
            view = self.arranged(node, &view, &order, Shape::vector(view.len()));
            false
        });
        let storage = if transposed { Storage::Transposed } else { Storage::Plain };
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

    /// Registers an input of the model with its view.
    pub(super) fn add_input(&mut self, outlet: OutletId, shape: Shape, transposed: bool, dims: &[usize]) {
        let name = self.source.model.node(outlet.node).name.clone();
        let id = self.graph.tensors.len();
        let storage = if transposed { Storage::Transposed } else { Storage::Plain };
        self.graph.tensors.push(FloatTensor { name, shape, logical_shape: dims.to_vec(), storage });
        self.graph.inputs.push(id);
        let mut view = View::row_major(id, dims);
        if transposed {
            // The last axis with more than one element counts features, the others rows.
            let feature = dims.iter().rposition(|d| *d != 1).unwrap_or(0);
            let rows: Vec<usize> = dims.iter().enumerate().map(|(i, d)| if i == feature { 1 } else { *d }).collect();
            view.strides = View::row_major(id, &rows).strides;
            view.strides[feature] = shape.height * shape.width;
        }
        self.values.insert(outlet, Value::View(view));
    }

    /// Appends a node and its result.
    pub(super) fn push(&mut self, node: &TypedNode, op: FloatOp, inputs: Vec<TensorId>, shape: Shape) -> TensorId {
        let name = self.origin(node).0.to_string();
        let output = self.graph.tensors.len();
        let logical_shape = vec![shape.channels, shape.height, shape.width];
        self.graph.tensors.push(FloatTensor { name: name.clone(), shape, logical_shape, storage: Storage::Plain });
        self.graph.nodes.push(FloatNode { name, op, inputs, output });
        output
    }

    /// A tensor with the elements of another under a given shape.
    pub(super) fn stored_as(&mut self, node: &TypedNode, tensor: TensorId, shape: Shape) -> TensorId {
        if self.graph.tensors[tensor].shape == shape {
            return tensor;
        }
        if let Some(&known) = self.reshaped.get(&(tensor, shape)) {
            return known;
        }
        let id = self.push(node, FloatOp::Reshape, vec![tensor], shape);
        self.reshaped.insert((tensor, shape), id);
        id
    }

    /// Operand `i`, where it is computed.
    pub(super) fn view(&self, node: &TypedNode, i: usize) -> Result<View, ImportError> {
        match self.value(node, i) {
            Some(Value::View(view)) => Ok(view.clone()),
            _ => Err(self.form(node, "a constant in the place of an activation", "fold constants before the export")),
        }
    }

    /// What an outlet holds, where it is computed.
    pub(super) fn outlet(&self, outlet: OutletId) -> Option<View> {
        match self.values.get(&outlet)? {
            Value::View(view) => Some(view.clone()),
            _ => None,
        }
    }

    /// Operand `i`, whatever it is.
    pub(super) fn value(&self, node: &TypedNode, i: usize) -> Option<&Value> {
        self.values.get(node.inputs.get(i)?)
    }

    /// Operand `i`, where it is constant.
    pub(super) fn constant_tensor(&self, node: &TypedNode, i: usize) -> Option<&Arc<Tensor>> {
        match self.value(node, i)? {
            Value::Constant(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// Operand `i`, where it is constant: its shape and elements.
    pub(super) fn constant(&self, node: &TypedNode, i: usize) -> Option<(Vec<usize>, Vec<f32>)> {
        let tensor = self.constant_tensor(node, i)?;
        let tensor = tensor.cast_to::<f32>().ok()?;
        let elements = tensor.to_plain_array_view::<f32>().ok()?.iter().copied().collect();
        Some((tensor.shape().to_vec(), elements))
    }

    /// ONNX name and operator behind a tract node, whose name begins with that of its source.
    pub(super) fn origin<'n>(&'n self, node: &'n TypedNode) -> (&'n str, &'n str) {
        let candidates = self.source.origins.iter().filter(|(name, _)| node.name.starts_with(name.as_str()));
        match candidates.max_by_key(|(name, _)| name.len()) {
            Some((name, operator)) => (name, operator),
            None => (&node.name, ""),
        }
    }

    /// The error of an operator that is not supported.
    pub(super) fn unsupported(&self, node: &TypedNode) -> ImportError {
        let (name, operator) = self.origin(node);
        let operator = if operator.is_empty() { node.op.name().into_owned() } else { operator.to_string() };
        ImportError::UnsupportedOperator { operator, node: name.to_string() }
    }

    /// The error of a supported operator in a form that is not.
    pub(super) fn form(&self, node: &TypedNode, form: impl Into<String>, hint: &'static str) -> ImportError {
        let (name, operator) = self.origin(node);
        let operator = if operator.is_empty() { node.op.name().into_owned() } else { operator.to_string() };
        ImportError::UnsupportedForm { operator, node: name.to_string(), form: form.into(), hint }
    }
}
