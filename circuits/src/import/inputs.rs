//! How a model's inputs are stored: images as they are, matrices with one channel a feature.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::axes::Axis;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;

use crate::graph::Shape;

use super::ImportError;
use super::translate::Translator;

/// What first gives meaning to an input's axes.
enum Use {
    /// A convolution or pool: channels, then space.
    Image,
    /// A matrix product; whether it contracts the last axis.
    Matrix { last: bool },
    /// Elementwise operations only.
    Elements,
}

impl Translator<'_> {
    /// Chooses the storage of an input from its rank and its first use.
    pub(super) fn input(&mut self, outlet: OutletId) -> Result<(), ImportError> {
        let node = self.source.model.node(outlet.node);
        let fact = &node.outputs[outlet.slot].fact;
        if fact.datum_type != DatumType::F32 {
            let got = format!("{:?}", fact.datum_type);
            return Err(ImportError::ElementType { tensor: node.name.clone(), got });
        }
        let Some(dims) = fact.shape.as_concrete() else { return Err(self.unsupported(node)) };
        let dims = dims.to_vec();
        let (len, rank) = (dims.iter().product::<usize>(), dims.len());
        let wide = dims.iter().filter(|d| **d != 1).count();
        let matrix = |features: usize| Shape { channels: features, height: 1, width: len / features.max(1) };
        let (shape, transposed) = match self.first_use(outlet) {
            Use::Image if rank >= 3 && wide <= 3 => {
                let space = if rank >= 4 { [dims[rank - 2], dims[rank - 1]] } else { [1, dims[rank - 1]] };
                (Shape { channels: len / (space[0] * space[1]), height: space[0], width: space[1] }, false)
            }
            _ if wide < 2 => (Shape::vector(len), false),
            Use::Matrix { last: true } if rank < 4 => {
                let features = dims.iter().rev().find(|d| **d != 1);
                (matrix(features.copied().unwrap_or(1)), true)
            }
            Use::Matrix { last: false } if rank < 4 => {
                let features = dims.iter().find(|d| **d != 1);
                (matrix(features.copied().unwrap_or(1)), false)
            }
            _ if rank == 4 && dims[0] == 1 => (Shape { channels: dims[1], height: dims[2], width: dims[3] }, false),
            _ => (Shape::vector(len), false),
        };
        self.add_input(outlet, shape, transposed, &dims);
        Ok(())
    }

    /// Follows elementwise operations and changes of axes to the first convolution, pool or product.
    fn first_use(&self, outlet: OutletId) -> Use {
        let model = &self.source.model;
        let mut queue = vec![(outlet, true)];
        let mut seen = Vec::new();
        while let Some((outlet, same_axes)) = queue.pop() {
            for inlet in &model.node(outlet.node).outputs[outlet.slot].successors {
                let node = model.node(inlet.node);
                if node.op_is::<Conv>() || node.op_is::<MaxPool>() || node.op_is::<SumPool>() {
                    return Use::Image;
                }
                if let Some(op) = node.op_as::<EinSum>() {
                    return Use::Matrix { last: !same_axes || contracts_last(op, inlet.slot, model, outlet) };
                }
                let elementwise = node.op_is::<TypedBinOp>() || node.op_is::<ElementWiseOp>();
                if (elementwise || node.op_is::<AxisOp>()) && !seen.contains(&node.id) {
                    seen.push(node.id);
                    queue.push((OutletId::new(node.id, 0), same_axes && elementwise));
                }
            }
        }
        Use::Elements
    }
}

/// Whether a product sums over the last axis (with more than one element) of an operand and not over its first.
fn contracts_last(op: &EinSum, slot: usize, model: &TypedModel, outlet: OutletId) -> bool {
    let Ok(Some(dims)) = model.outlet_fact(outlet).map(|f| f.shape.as_concrete()) else { return true };
    let contracted = |position: usize| {
        let axis = op.axes.iter_all_axes().find(|a: &&Axis| a.inputs[slot].contains(&position));
        axis.is_some_and(|a| a.outputs[0].is_empty())
    };
    dims.iter().rposition(|d| *d != 1).is_none_or(contracted)
}
