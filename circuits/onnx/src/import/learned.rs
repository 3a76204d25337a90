//! Which numbers of a model are learned.
//!
//! Where weights are committed, nothing that a key shows may depend on what was learned: it goes into the bank of
//! weights, whatever that costs. What is the architecture's stays a constant of the circuit, and may be a factor, a
//! bound or a function's table.
//!
//! An ONNX file has numbers in *initializers*, in `Constant` nodes and in attributes. Those of constant nodes and
//! attributes are the architecture's, but for the lists of floats that trees and linear models have as attributes. These
//! and floats in initializers are **learned**, and so is whatever is computed from them, but for
//!
//! - operands that say how an operator works ([`SETTINGS`]), most of which were attributes in older versions of ONNX:
//!   bounds of `Clip`, values of `Pad` and `OneHot`, scales of `Resize`;
//! - a single number among the [constants that people write](is_written) where arithmetic alone reads it
//!   ([`ARITHMETIC`]): exporters turn the `1/sqrt(d)` of attention and the parts of a GELU into initializers. A trained
//!   number is one of these with a probability below 10^-3, and then the key tells this one number;
//! - the epsilon of a normalisation, and a mask: a summand of a softmax's operand that holds 0 and numbers below
//!   [`MASKED`](super::written::MASKED) alone.
//!
//! Integers and truth values are positions, sizes and choices: the architecture's. A tensor that changes nothing (a
//! scale of ones, a shift of zeros) is not there.
//!
//! What depends on the learned numbers is found by changing them. tract reads the model a second time, with every
//! learned number a little greater; a constant that an operator then takes with another value is learned, whatever
//! folded it from whatever, and so is one whose operator is not found again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tensor::load_tensor;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::PowConst;

use super::operators::LEARNERS;
use super::rounding;
use super::written::is_written;

/// Operands that say how an operator works, by operator and position.
const SETTINGS: &[(&str, &[usize])] =
    &[("Clip", &[1, 2]), ("Dropout", &[1]), ("OneHot", &[2]), ("Pad", &[2]), ("Resize", &[1, 2]), ("Upsample", &[1])];
/// Operators whose operand may be a constant that somebody wrote. The slope of `PRelu` is always learned.
const ARITHMETIC: &[&str] = &[
    "Add",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Min",
    "Mul",
    "Pow",
    "Sub",
    "Sum",
    "Where",
];

/// What is learned of a typed model.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Constant operands: node and position.
    operands: HashSet<(usize, usize)>,
    /// Nodes with a learned exponent.
    exponents: HashSet<usize>,
}

impl Learned {
    /// Compares a model with the same one of other learned numbers; without one everything counts as learned.
    pub(super) fn of(model: &TypedModel, changed: Option<&TypedModel>) -> Self {
        let mut twins: HashMap<&str, Option<&TypedNode>> = HashMap::new();
        for node in changed.iter().flat_map(|changed| changed.nodes()) {
            twins.entry(&node.name).and_modify(|twin| *twin = None).or_insert(Some(node));
        }
        let constant = |model: &TypedModel, outlet: OutletId| -> Option<Arc<Tensor>> {
            model.outlet_fact(outlet).ok().and_then(|fact| fact.konst.clone())
        };
        let mut learned = Self::default();
        for node in model.nodes() {
            let same = |twin: &&TypedNode| twin.op.name() == node.op.name() && twin.inputs.len() == node.inputs.len();
            let twin = twins.get(node.name.as_str()).copied().flatten().filter(same);
            for (slot, outlet) in node.inputs.iter().enumerate() {
                let Some(own) = constant(model, *outlet) else { continue };
                let other = twin.zip(changed).and_then(|(twin, changed)| constant(changed, twin.inputs[slot]));
                if other.is_none_or(|other| other != own) {
                    learned.operands.insert((node.id, slot));
                }
            }
            if let Some(own) = exponent(node)
                && twin.and_then(exponent).is_none_or(|other| other != own)
                && !is_written(own)
            {
                learned.exponents.insert(node.id);
            }
        }
        learned
    }

    /// Whether a node's operand is a constant that is learned.
    pub(super) fn is_operand(&self, node: &TypedNode, slot: usize) -> bool {
        self.operands.contains(&(node.id, slot))
    }

    /// Whether a node raises to a learned power.
    pub(super) fn is_exponent(&self, node: &TypedNode) -> bool {
        self.exponents.contains(&node.id)
    }
}

fn exponent(node: &TypedNode) -> Option<f32> {
    node.op_as::<ElementWiseOp>()?.0.downcast_ref::<PowConst>().map(|power| power.exponent)
}

/// Makes every learned number a little greater; tells whether there was one. `onnx` reads tensors in the model's other
/// files.
pub(super) fn change(graph: &mut GraphProto, onnx: &Onnx, folder: Option<&str>) -> TractResult<bool> {
    let mut settings: HashSet<String> = HashSet::new();
    let mut computed: HashSet<String> = HashSet::new();
    for node in &graph.node {
        let own = SETTINGS.iter().find(|(operator, _)| *operator == node.op_type).map_or(&[][..], |(_, slots)| slots);
        for (slot, name) in node.input.iter().enumerate() {
            if own.contains(&slot) {
                settings.insert(name.clone());
            } else if !ARITHMETIC.contains(&node.op_type.as_str()) {
                computed.insert(name.clone());
            }
        }
    }
    let mut found = false;
    for tensor in &mut graph.initializer {
        let float = [DataType::Float, DataType::Double, DataType::Float16].map(|kind| kind as i32);
        if settings.contains(&tensor.name) || !float.contains(&tensor.data_type) {
            continue;
        }
        let values = load_tensor(&*onnx.provider, tensor, folder)?;
        let is_scalar = values.len() == 1 && !computed.contains(&tensor.name);
        let number = values.cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().next().copied();
        if !(is_scalar && number.is_some_and(is_written)) {
            *tensor = greater(tensor, &values)?;
            found = true;
        }
    }
    // What is rounded to a scale may be rounded to the same number again: the scale changes with it.
    for node in graph.node.iter_mut().filter(|node| node.op_type == rounding::OPERATOR) {
        let steps = node.attribute.iter_mut().filter(|attribute| attribute.name == rounding::STEP);
        steps.for_each(|attribute| attribute.f = greater_number(attribute.f));
    }
    let learners = graph.node.iter_mut().filter(|node| node.domain == LEARNERS);
    for value in learners.flat_map(|node| &mut node.attribute).flat_map(|attribute| &mut attribute.floats) {
        *value = greater_number(*value);
        found = true;
    }
    Ok(found)
}

/// A number a little greater in magnitude, and not 0.
fn greater_number(value: f32) -> f32 {
    if value == 0.0 { 1.0 / 256.0 } else { value * (1.0 + 1.0 / 256.0) }
}

/// A tensor with numbers a little greater in magnitude, equal ones alike, and none of them 0.
fn greater(tensor: &TensorProto, values: &Tensor) -> TractResult<TensorProto> {
    let values = values.cast_to::<f32>()?;
    let numbers = values.to_plain_array_view::<f32>()?;
    let raw_data = numbers.iter().flat_map(|value| greater_number(*value).to_le_bytes()).collect();
    Ok(TensorProto {
        name: tensor.name.clone(),
        dims: tensor.dims.clone(),
        data_type: DataType::Float as i32,
        raw_data,
        ..TensorProto::default()
    })
}
