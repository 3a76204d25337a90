//! Embeddings: `Gather` of rows of a constant table at indices that are an input of the model, and their one-hot form.
//!
//! The indices are public, so they are stored one-hot: whoever reads a statement writes a 1 into the channel of each
//! index, and a row of the table is a product of the table with that, as of any other weights. An index is no number to
//! compute with otherwise.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::{Gather, OneHot};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use zkml_gpu_graph::{Shape, Storage};

use super::error::ImportError;
use super::facts::{bounded, is_index};
use super::float::{FloatLinear, FloatOp, FloatTensor};
use super::translator::{Translator, Value};
use super::view::View;

const HINT: &str = "take rows of constant tables of one height with it, and give numbers as floats";

impl Translator<'_> {
    /// Registers an input of indices, whose number of classes is the height of the tables that it is used with.
    pub(super) fn indices(&mut self, outlet: OutletId) -> Result<(), ImportError> {
        let node = self.source.model.node(outlet.node);
        let Some(dims) = node.outputs[outlet.slot].fact.shape.as_concrete() else { return Err(self.unsupported(node)) };
        let heights = self.table_heights(outlet)?;
        let (Some(&channels), true) = (heights.first(), heights.windows(2).all(|pair| pair[0] == pair[1])) else {
            let got = format!("indices, for tables of the heights {heights:?},");
            return Err(ImportError::ElementType { tensor: node.name.clone(), got });
        };
        let shape = Shape { channels, height: 1, width: dims.iter().product() };
        bounded(&node.name, &[shape.channels, shape.width])?;
        let (name, id) = (node.name.clone(), self.graph.tensors.len());
        self.graph.tensors.push(FloatTensor::new(name, shape, dims.to_vec(), Storage::OneHot));
        self.graph.inputs.push(id);
        self.values.insert(outlet, Value::Indices(View::row_major(id, dims)));
        Ok(())
    }

    /// Whether an outlet of whole numbers says which rows of constant tables are taken.
    pub(super) fn is_looked_up(&self, outlet: OutletId) -> bool {
        let model = &self.source.model;
        let mut queue = vec![outlet];
        while let Some(outlet) = queue.pop() {
            for inlet in &model.node(outlet.node).outputs[outlet.slot].successors {
                let node = model.node(inlet.node);
                if node.op_is::<Gather>() && inlet.slot == 1 || node.op_is::<OneHot>() {
                    return true;
                }
                if moves_indices(node) {
                    queue.push(OutletId::new(node.id, 0));
                }
            }
        }
        false
    }

    /// Heights of the tables that are read at the indices in an outlet, which changes of axes and of type do not matter
    /// for.
    fn table_heights(&self, outlet: OutletId) -> Result<Vec<usize>, ImportError> {
        let model = &self.source.model;
        let mut heights = Vec::new();
        let mut queue = vec![outlet];
        while let Some(outlet) = queue.pop() {
            for inlet in &model.node(outlet.node).outputs[outlet.slot].successors {
                let node = model.node(inlet.node);
                if moves_indices(node) {
                    queue.push(OutletId::new(node.id, 0));
                } else if let Some(op) = node.op_as::<OneHot>() {
                    heights.push(op.dim);
                } else if let (Some(op), 1) = (node.op_as::<Gather>(), inlet.slot)
                    && let Some(table) = node.inputs.first().and_then(|table| model.outlet_fact(*table).ok())
                    && let (true, Some(dims)) = (table.konst.is_some(), table.shape.as_concrete())
                {
                    heights.extend(dims.get(op.axis));
                } else {
                    return Err(self.form(node, "an input of integers", HINT));
                }
            }
        }
        Ok(heights)
    }

    /// Indices under other axes or of another type; `None` for other nodes.
    pub(super) fn moved_indices(&self, node: &TypedNode) -> Result<Option<View>, ImportError> {
        let Some(Value::Indices(view)) = self.value(node, 0).filter(|_| moves_indices(node)) else { return Ok(None) };
        let moved = match node.op_as::<AxisOp>() {
            Some(op) => view.clone().changed(op),
            None => Some(view.clone()),
        };
        moved.map(Some).ok_or_else(|| self.form(node, "indices in another order", HINT))
    }

    /// Rows of a constant table at the indices of an input.
    pub(super) fn embedding(&mut self, node: &TypedNode, op: &Gather) -> Result<View, ImportError> {
        let (Some((dims, table)), Some(Value::Indices(indices))) =
            (self.constant(node, 0), self.value(node, 1).cloned())
        else {
            return Err(self.form(node, "a table that is computed", HINT));
        };
        let Shape { channels: classes, width: rows, .. } = self.graph.tensors[indices.tensor].shape;
        let (before, after) = (&dims[..op.axis], &dims[op.axis + 1..]);
        let inner: usize = after.iter().product();
        let out_channels = before.iter().product::<usize>() * inner;
        let entry = |out: usize, class: usize| table[(out / inner * classes + class) * inner + out % inner];
        let weights = (0..out_channels).flat_map(|out| (0..classes).map(move |class| entry(out, class))).collect();
        let linear = FloatLinear::dense(out_channels, weights, vec![0.0; out_channels]);
        let shape = Shape { channels: out_channels, height: 1, width: rows };
        let tensor = self.push(node, FloatOp::Linear(linear), vec![indices.tensor], shape);
        let features = View::row_major(tensor, &[before, after].concat());
        let mut view = View { strides: features.strides.iter().map(|stride| stride * rows).collect(), ..features };
        view.dims.splice(op.axis..op.axis, indices.dims);
        view.strides.splice(op.axis..op.axis, indices.strides);
        Ok(view)
    }
}

/// Whether a node changes axes or the integer type only.
fn moves_indices(node: &TypedNode) -> bool {
    let cast = node.op_as::<Cast>().is_some_and(|op| is_index(op.to));
    cast || node.op_is::<AxisOp>()
}
