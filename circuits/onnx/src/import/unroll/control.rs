//! `If`, `Loop` and `Scan`.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::super::error::ImportError;
use super::super::protos::attribute;
use super::known::Known;
use super::writer::{Names, Writer};
use super::{inline, unsupported};

/// First version in which `Scan` has no batch.
const SCAN_WITHOUT_BATCH: i64 = 9;
const HINT: &str = "export a model for each case, or for a fixed number of steps";

/// `If` over a constant: the branch that is taken.
pub(super) fn condition(node: &NodeProto, known: &Known, writer: &mut Writer) -> Result<(), ImportError> {
    let condition = node.input.first().and_then(|input| known.integers(input));
    let Some([holds]) = condition.as_deref() else {
        return Err(unsupported(node, "a condition that is computed", HINT));
    };
    let (name, place) = if *holds != 0 { ("then_branch", "then") } else { ("else_branch", "else") };
    let body = body(node, name, 0)?;
    let names = inline::constants(body, place, writer);
    let results = inline::nodes(body, place, names, writer)?;
    bind(node, &results, writer)
}

/// `Loop` over a constant number of steps.
pub(super) fn repetition(node: &NodeProto, known: &Known, writer: &mut Writer) -> Result<(), ImportError> {
    let count = node.input.first().filter(|name| !name.is_empty()).and_then(|name| known.integers(name));
    let condition = node.input.get(1).filter(|name| !name.is_empty());
    let condition_holds = condition.is_none_or(|name| known.integers(name).is_some_and(|values| values == [1]));
    let body = body(node, "body", node.input.len().max(2))?;
    let (Some([count]), true, true) = (count.as_deref(), condition_holds, goes_on(body)) else {
        return Err(unsupported(node, "a number of steps that is computed", HINT));
    };
    let states = node.input.len().saturating_sub(2);
    if *count < 1 || body.output.len() <= states {
        return Err(unsupported(node, format!("{count} steps"), HINT));
    }
    let shared = inline::constants(body, "body", writer);
    let mut state: Vec<String> = node.input.iter().skip(2).cloned().collect();
    let mut collected = vec![Vec::new(); body.output.len() - 1 - states];
    for step in 0..*count {
        let mut names = shared.clone();
        let number = writer.integers(&format!("number{step}"), &[step], true);
        let outside = [number, writer.truth("condition")].into_iter().chain(state);
        names.extend(body.input.iter().map(|input| input.name.clone()).zip(outside));
        let results = inline::nodes(body, &format!("step{step}"), names, writer)?;
        state = results[1..=states].to_vec();
        collect(&mut collected, &results[1 + states..], step as usize, &[], writer)?;
    }
    let collected = join(&collected, &[], &[], writer)?;
    bind(node, &[state, collected].concat(), writer)
}

/// Whether the condition that a loop's body computes is the one that it is given, or always holds.
fn goes_on(body: &GraphProto) -> bool {
    let (Some(output), Some(input)) = (body.output.first(), body.input.get(1)) else { return false };
    let mut name = &output.name;
    // No longer than the body.
    for _ in 0..=body.node.len() {
        if *name == input.name {
            return true;
        }
        if let Some(tensor) = body.initializer.iter().find(|tensor| tensor.name == *name) {
            return holds(tensor);
        }
        let Some(node) = body.node.iter().find(|node| node.output.contains(name)) else { return false };
        match (&*node.op_type, node.input.first()) {
            ("Constant", _) => return attribute(node, "value").and_then(|value| value.t.as_ref()).is_some_and(holds),
            ("Identity" | "Cast", Some(input)) => name = input,
            _ => return false,
        }
    }
    false
}

/// Whether a constant is a truth value that holds, or a whole number that becomes one.
fn holds(tensor: &TensorProto) -> bool {
    let is_whole =
        [DataType::Bool, DataType::Int32, DataType::Int64].iter().any(|kind| *kind as i32 == tensor.data_type);
    let bytes = tensor.raw_data.iter().any(|byte| *byte != 0);
    is_whole && (bytes || tensor.int32_data.iter().any(|of| *of != 0) || tensor.int64_data.iter().any(|of| *of != 0))
}

/// `Scan` over sequences whose length is known.
pub(super) fn scan(node: &NodeProto, known: &Known, writer: &mut Writer) -> Result<(), ImportError> {
    if writer.opset < SCAN_WITHOUT_BATCH {
        return Err(unsupported(node, "a batch of its own, as before opset 9", "export with opset 9 or later"));
    }
    let scanned = attribute(node, "num_scan_inputs").and_then(|of| usize::try_from(of.i).ok()).unwrap_or(0);
    let body = body(node, "body", node.input.len())?;
    let Some(states) = node.input.len().checked_sub(scanned).filter(|states| body.output.len() >= *states) else {
        return Err(unsupported(node, "a body of other inputs or outputs", "export the model again"));
    };
    let sequences = &node.input[states..];
    let axes = list(node, "scan_input_axes");
    let mut count = None;
    let mut places = Vec::new();
    for (i, sequence) in sequences.iter().enumerate() {
        let shape = known.shape(sequence).unwrap_or_default();
        let axis = axes.get(i).copied().unwrap_or(0);
        let place = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok();
        let Some((place, extent)) = place.and_then(|place| Some((place, *shape.get(place)?))) else {
            return Err(unsupported(node, "a sequence of unknown length", HINT));
        };
        if extent == 0 || *count.get_or_insert(extent) != extent {
            return Err(unsupported(node, "sequences of other lengths", "give all one length"));
        }
        places.push(place as i64);
    }
    let Some(count) = count else { return Err(unsupported(node, "no sequence", HINT)) };
    let backward = list(node, "scan_input_directions");
    let shared = inline::constants(body, "body", writer);
    let mut state = node.input[..states].to_vec();
    let mut collected = vec![Vec::new(); body.output.len() - states];
    let output_axes = list(node, "scan_output_axes");
    for step in 0..count {
        let mut outside = std::mem::take(&mut state);
        for (i, sequence) in sequences.iter().enumerate() {
            let place = if backward.get(i) == Some(&1) { count - 1 - step } else { step };
            outside.push(writer.take(&format!("step{step}.element{i}"), sequence, places[i], place)?);
        }
        let mut names: Names = shared.clone();
        names.extend(body.input.iter().map(|input| input.name.clone()).zip(outside));
        let results = inline::nodes(body, &format!("step{step}"), names, writer)?;
        state = results[..states].to_vec();
        collect(&mut collected, &results[states..], step, &output_axes, writer)?;
    }
    let collected = join(&collected, &output_axes, &list(node, "scan_output_directions"), writer)?;
    bind(node, &[state, collected].concat(), writer)
}

/// Adds a step's results to those of the steps before, with the axis along which they are joined.
fn collect(
    collected: &mut [Vec<String>],
    results: &[String],
    step: usize,
    axes: &[i64],
    writer: &mut Writer,
) -> Result<(), ImportError> {
    for (i, (all, result)) in collected.iter_mut().zip(results).enumerate() {
        let axis = axes.get(i).copied().unwrap_or(0);
        all.push(writer.unsqueeze(&format!("step{step}.result{i}"), result, &[axis])?);
    }
    Ok(())
}

/// The results of all steps as one value each; a direction of 1 has the last step first.
fn join(
    collected: &[Vec<String>],
    axes: &[i64],
    directions: &[i64],
    writer: &mut Writer,
) -> Result<Vec<String>, ImportError> {
    let one = |(i, all): (usize, &Vec<String>)| {
        let mut all = all.clone();
        if directions.get(i) == Some(&1) {
            all.reverse();
        }
        writer.concat(&format!("results{i}"), &all, axes.get(i).copied().unwrap_or(0))
    };
    collected.iter().enumerate().map(one).collect()
}

fn bind(node: &NodeProto, results: &[String], writer: &mut Writer) -> Result<(), ImportError> {
    results.iter().enumerate().try_for_each(|(i, result)| writer.bind(result, node.output.get(i)))
}

/// The graph in an attribute, which must have so many inputs.
fn body<'n>(node: &'n NodeProto, name: &str, inputs: usize) -> Result<&'n GraphProto, ImportError> {
    let graph = attribute(node, name).and_then(|attribute| attribute.g.as_ref());
    let is_whole = |graph: &&GraphProto| {
        let outputs = node.output.iter().rposition(|output| !output.is_empty()).map_or(0, |last| last + 1);
        // The condition of a loop is no result.
        graph.input.len() == inputs && graph.output.len() >= outputs + usize::from(node.op_type == "Loop")
    };
    graph
        .filter(is_whole)
        .ok_or_else(|| unsupported(node, format!("{name} of other inputs or outputs"), "export the model again"))
}

fn list(node: &NodeProto, name: &str) -> Vec<i64> {
    attribute(node, name).map(|attribute| attribute.ints.clone()).unwrap_or_default()
}
