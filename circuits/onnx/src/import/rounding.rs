//! What a quantised model does with a tensor's numbers, as an operator that tract runs: each becomes the nearest integer
//! of a scale, clamped to those of a type, and is a number again. In the file this is `QuantizeLinear` with the
//! `DequantizeLinear` behind it; no file has this operator itself.

use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_hir::infer::InferenceOp;
use tract_onnx::tract_hir::ops::element_wise::ElementWiseIntoHir;

use super::error::ImportError;
use super::execute::rounded;
use super::protos::{attribute, bodies};

/// The operator of such nodes.
pub(super) const OPERATOR: &str = "RoundToScale";
/// Their attributes: what 1 stands for, the least and the greatest integer, and of the file's own integers which one stands
/// for 0 and their type.
pub(super) const STEP: &str = "step";
pub(super) const LEAST: &str = "least";
pub(super) const GREATEST: &str = "greatest";
pub(super) const ZERO: &str = "zero";
pub(super) const KIND: &str = "kind";

/// Rounding to integers of a scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rounding {
    /// What 1 stands for: the bits of a float, which are equal or not.
    step: u32,
    /// Least and greatest integer.
    pub(super) integers: [i64; 2],
}

impl Rounding {
    /// What 1 stands for.
    pub(super) const fn step(&self) -> f32 {
        f32::from_bits(self.step)
    }
}

impl ElementWiseMiniOp for Rounding {
    fn name(&self) -> String {
        OPERATOR.into()
    }

    fn eval_in_place(&self, tensor: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        let step = self.step();
        let mut view = tensor.to_plain_array_view_mut::<f32>()?;
        view.iter_mut().for_each(|value| *value = rounded(*value, step, self.integers) * step);
        Ok(())
    }
}

/// Refuses a file that has such nodes, in branches and loops too: they are written here alone.
pub(super) fn refuse(graph: &GraphProto) -> Result<(), ImportError> {
    for node in &graph.node {
        if node.op_type == OPERATOR {
            let (operator, node) = (node.op_type.clone(), node.name.clone());
            return Err(ImportError::UnsupportedOperator { operator, node });
        }
        bodies(node).try_for_each(refuse)?;
    }
    Ok(())
}

/// Makes a reader of models read such nodes.
pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(OPERATOR, read);
}

fn read(_: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let step = attribute(node, STEP).map_or(1.0, |attribute| attribute.f);
    let integers = [LEAST, GREATEST].map(|name| attribute(node, name).map_or(0, |attribute| attribute.i));
    let rounding = Rounding { step: step.to_bits(), integers };
    Ok((ElementWiseOp(Box::new(rounding), None).into_hir(), Vec::new()))
}
