//! Inputs of indices that are compared or computed with as well, as RoBERTa counts the tokens that are no padding.
//!
//! An index is stored one-hot, for the rows that are taken of tables. Whatever else is a function of it is a row of a table
//! too: of truth values for a comparison with a number, of the numbers themselves otherwise.

use std::collections::HashMap;

use tract_onnx::tract_core::ops::array::{Gather, OneHot};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::{Cast, cast};
use tract_onnx::tract_hir::internal::*;

use super::super::facts::is_index;

/// Most indices that are computed with as numbers: with 8 bits, all whole numbers up to it are exact.
const MAX_NUMBERS: usize = 64;

/// Writes what is compared or computed with indices as rows of tables.
pub(super) fn write_tables(model: &mut TypedModel) -> TractResult<()> {
    for input in model.input_outlets()?.to_vec() {
        if !is_index(model.outlet_fact(input)?.datum_type) {
            continue;
        }
        let Uses { heights, others } = Uses::of(model, input)?;
        let Some(&height) = heights.first() else { continue };
        if heights.iter().any(|other| *other != height) {
            continue;
        }
        let mut numbers = HashMap::new();
        for (outlet, inlet) in others {
            if let Some(truths) = truths(model, outlet, inlet, height)? {
                let result = OutletId::new(inlet.node, 0);
                let name = format!("{}.part1", model.node(inlet.node).name);
                let mut patch = TypedModelPatch::default();
                let index = patch.tap_model(model, outlet)?;
                let rows = rows(&mut patch.model, &name, truths, index)?;
                patch.shunt_outside(model, result, rows)?;
                patch.apply(model)?;
            } else if height <= MAX_NUMBERS {
                let rows = match numbers.get(&outlet) {
                    Some(rows) => *rows,
                    None => {
                        let name = format!("{}.numbers{}", model.node(input.node).name, numbers.len());
                        let table = tensor1(&(0..height as i64).collect::<Vec<i64>>());
                        let table = table.cast_to_dt(model.outlet_fact(outlet)?.datum_type)?.into_owned();
                        let rows = rows(model, &name, table, outlet)?;
                        numbers.insert(outlet, rows);
                        rows
                    }
                };
                model.add_edge(rows, inlet)?;
            }
        }
    }
    Ok(())
}

/// What is done with an input of indices.
struct Uses {
    /// Heights of the tables that rows are taken of.
    heights: Vec<usize>,
    /// All else, and which outlet it reads: the input's, or one of the same numbers under other axes.
    others: Vec<(OutletId, InletId)>,
}

impl Uses {
    fn of(model: &TypedModel, input: OutletId) -> TractResult<Self> {
        let mut uses = Self { heights: Vec::new(), others: Vec::new() };
        let mut queue = vec![input];
        while let Some(outlet) = queue.pop() {
            for inlet in model.node(outlet.node).outputs[outlet.slot].successors.clone() {
                let node = model.node(inlet.node);
                let is_same = node.op_is::<AxisOp>() || node.op_as::<Cast>().is_some_and(|op| is_index(op.to));
                if is_same {
                    queue.push(OutletId::new(node.id, 0));
                } else if let Some(op) = node.op_as::<OneHot>() {
                    uses.heights.push(op.dim);
                } else if let (Some(op), 1) = (node.op_as::<Gather>(), inlet.slot) {
                    let table = model.outlet_fact(node.inputs[0])?;
                    uses.heights.extend(table.shape.as_concrete().and_then(|dims| dims.get(op.axis)));
                } else {
                    uses.others.push((outlet, inlet));
                }
            }
        }
        Ok(uses)
    }
}

/// For each index whether a comparison with one number holds; `None` for other nodes.
fn truths(model: &TypedModel, outlet: OutletId, inlet: InletId, height: usize) -> TractResult<Option<Tensor>> {
    let node = model.node(inlet.node);
    let Some(op) = node.op_as::<TypedBinOp>() else { return Ok(None) };
    let Some(number) = &model.outlet_fact(node.inputs[1 - inlet.slot])?.konst else { return Ok(None) };
    let keeps_shape = model.outlet_fact(outlet)?.shape == node.outputs[0].fact.shape;
    let (Ok(numbers), true) = (number.cast_to::<i64>(), keeps_shape) else { return Ok(None) };
    let numbers = numbers.to_plain_array_view::<i64>()?;
    let Some(&number) = numbers.iter().next().filter(|first| numbers.iter().all(|number| number == *first)) else {
        return Ok(None);
    };
    let holds: fn(i64, i64) -> bool = match op.0.name() {
        "Eq" => |a, b| a == b,
        "NE" => |a, b| a != b,
        "LT" => |a, b| a < b,
        "LTE" => |a, b| a <= b,
        "GT" => |a, b| a > b,
        "GTE" => |a, b| a >= b,
        _ => return Ok(None),
    };
    let of = |index: i64| if inlet.slot == 0 { holds(index, number) } else { holds(number, index) };
    Ok(Some(tensor1(&(0..height as i64).map(of).collect::<Vec<bool>>())))
}

/// Rows of a table of one number each.
fn rows(model: &mut TypedModel, name: &str, table: Tensor, indices: OutletId) -> TractResult<OutletId> {
    let table = model.add_const(format!("{name}.table"), table)?;
    let indices = model.wire_node(format!("{name}.indices"), cast(DatumType::I64), &[indices])?;
    Ok(model.wire_node(name, Gather::new(0), &[table, indices[0]])?[0])
}
