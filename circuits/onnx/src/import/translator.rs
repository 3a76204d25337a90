//! A float graph under construction, and what is known of tract's values.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::*;
use zkml_gpu_graph::{Shape, Storage, TensorId};

use super::error::ImportError;
use super::float::{FloatGraph, FloatNode, FloatOp, FloatTensor};
use super::function::Composed;
use super::inputs::Images;
use super::numbers::Numbers;
use super::operators::MOVING_OPERATORS;
use super::source::Source;
use super::view::View;

/// What a tract outlet holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A constant.
    Constant(Arc<Tensor>),
    /// A view of a stored tensor.
    View(View),
    /// An input of indices: a view of their numbers, of which the tensor holds the one-hot form.
    Indices(View),
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
    /// Tensors of truth values that say which elements of a view are negative, or which are positive where the flag is
    /// clear; what is said of zeros is not known.
    pub(super) signs: HashMap<TensorId, (View, bool)>,
    /// Elements of tensors that no softmax may count, in stored order.
    pub(super) masks: HashMap<TensorId, Vec<bool>>,
}

impl<'a> Translator<'a> {
    /// A graph without tensors.
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            graph: FloatGraph { name: source.name.clone(), ..FloatGraph::default() },
            values: HashMap::new(),
            reshaped: HashMap::new(),
            rearranged: HashMap::new(),
            scaled: HashMap::new(),
            pointwise: HashMap::new(),
            signs: HashMap::new(),
            masks: HashMap::new(),
        }
    }

    /// Extents of a node's output.
    pub(super) fn dims(&self, node: &TypedNode) -> Result<Vec<usize>, ImportError> {
        node.outputs[0].fact.shape.as_concrete().map(<[usize]>::to_vec).ok_or_else(|| self.unsupported(node))
    }

    /// Registers an input of the model with its view.
    pub(super) fn add_input(&mut self, outlet: OutletId, shape: Shape, transposed: bool, dims: &[usize]) {
        let name = self.source.model.node(outlet.node).name.clone();
        let id = self.graph.tensors.len();
        let storage = if transposed { Storage::Transposed } else { Storage::Plain };
        self.graph.tensors.push(FloatTensor::new(name, shape, dims.to_vec(), storage));
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

    /// Registers an input that is a batch of images.
    pub(super) fn add_images(&mut self, outlet: OutletId, images: Images, dims: &[usize]) {
        let Images { shape, count, transposed, order } = images;
        let name = self.source.model.node(outlet.node).name.clone();
        let id = self.graph.tensors.len();
        let storage = Storage::Interleaved { inferences: count as u32, transposed };
        self.graph.tensors.push(FloatTensor::new(name, shape, dims.to_vec(), storage));
        self.graph.inputs.push(id);
        let sizes: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
        self.values.insert(outlet, Value::View(View::row_major(id, &sizes).unpermuted(&order)));
    }

    /// Appends a node and its result. What is moved for an operator that computes has the name of the tensor that is
    /// moved: the operator's is that of its computation.
    pub(super) fn push(&mut self, node: &TypedNode, op: FloatOp, inputs: Vec<TensorId>, shape: Shape) -> TensorId {
        let (origin, operator) = self.origin(node);
        let moved = |how: &str| match inputs.first() {
            Some(&tensor) if !MOVING_OPERATORS.contains(&operator) => {
                format!("{}.{how}", self.graph.tensors[tensor].name)
            }
            _ => origin.to_string(),
        };
        let name = match &op {
            FloatOp::Reshape => moved("reshaped"),
            FloatOp::Rearrange { .. } => moved("rearranged"),
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
            | FloatOp::ArgMax { .. } => origin.to_string(),
        };
        let output = self.graph.tensors.len();
        let logical_shape = vec![shape.channels, shape.height, shape.width];
        self.graph.tensors.push(FloatTensor::new(name.clone(), shape, logical_shape, Storage::Plain));
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
        let Value::View(view) = self.values.get(&outlet)? else { return None };
        Some(view.clone())
    }

    /// Operand `i`, whatever it is.
    pub(super) fn value(&self, node: &TypedNode, i: usize) -> Option<&Value> {
        self.values.get(node.inputs.get(i)?)
    }

    /// Operand `i`, where it is constant.
    pub(super) fn constant_tensor(&self, node: &TypedNode, i: usize) -> Option<&Arc<Tensor>> {
        let Value::Constant(tensor) = self.value(node, i)? else { return None };
        Some(tensor)
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
