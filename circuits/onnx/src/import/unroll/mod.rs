//! Loops and choices, written out as plain operators before anything else is read of a file: `If` as the branch that is
//! taken, `Loop` and `Scan` as copies of their body, recurrent layers as their steps.
//!
//! What that needs to be known, a condition or the length of a sequence, is inferred from the part of the graph before
//! the operator. So operators that need nothing from each other are written out together, and the next ones after them.
//! What comes of it is checked like any other graph: by its number of nodes, its names and its operators.

mod activation;
mod cell;
mod control;
mod inline;
mod known;
mod recurrent;
mod writer;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::InferenceModel;

use super::error::ImportError;
use known::Known;
pub(super) use known::constants;
pub(super) use recurrent::check_attributes;
use writer::Writer;

/// Operators that are written out.
pub(super) const WRITTEN_OUT: [&str; 6] = ["GRU", "If", "LSTM", "Loop", "RNN", "Scan"];
/// Most such operators one after another: each time the graph before them is inferred.
const MAX_ROUNDS: usize = 64;

/// Writes out whatever stands before any other loop or choice; tells whether there was something. `round` counts the
/// calls, and `infer` infers types and shapes of a part of the model.
pub(super) fn step(
    proto: &mut ModelProto,
    round: usize,
    infer: impl Fn(&ModelProto) -> Result<InferenceModel, ImportError>,
) -> Result<bool, ImportError> {
    let Some(graph) = &proto.graph else { return Ok(false) };
    let ready = ready(graph);
    let Some(first) = ready.iter().min() else { return Ok(false) };
    if round == MAX_ROUNDS {
        let form = format!("{MAX_ROUNDS} loops and conditions before it");
        return Err(unsupported(&graph.node[*first], form, "join loops that follow one another"));
    }
    let read = ready.iter().flat_map(|place| &graph.node[*place].input).filter(|name| !name.is_empty());
    let known = Known::infer(proto, read.cloned().collect(), infer)?;
    let mut writer = Writer::new(proto);
    let mut problems = Vec::new();
    let Some(graph) = &mut proto.graph else { return Ok(false) };
    for (place, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        if !ready.contains(&place) {
            writer.keep(node);
            continue;
        }
        match write(&node, &known, &mut writer) {
            Err(problem) if problem.is_of_operator() => problems.push(problem),
            result => result?,
        }
    }
    if let Some(problem) = ImportError::of(problems) {
        return Err(problem);
    }
    writer.check_size()?;
    let (nodes, constants) = writer.finish();
    graph.node = nodes;
    graph.initializer.extend(constants);
    Ok(true)
}

fn write(node: &NodeProto, known: &Known, writer: &mut Writer) -> Result<(), ImportError> {
    writer.begin(node);
    match &*node.op_type {
        "If" => control::condition(node, known, writer),
        "Loop" => control::repetition(node, known, writer),
        "Scan" => control::scan(node, known, writer),
        _ => recurrent::layer(node, known, writer),
    }
}

/// Places of the loops and choices that depend on no other one.
fn ready(graph: &GraphProto) -> HashSet<usize> {
    let is_pending = |node: &NodeProto| WRITTEN_OUT.contains(&&*node.op_type) && is_own(node);
    let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in &graph.node {
        node.input.iter().for_each(|input| readers.entry(input).or_default().push(node));
    }
    let mut late: HashSet<&str> = HashSet::new();
    let mut queue: Vec<&str> = graph.node.iter().filter(|node| is_pending(node)).flat_map(outputs).collect();
    while let Some(value) = queue.pop() {
        if late.insert(value) {
            queue.extend(readers.get(value).into_iter().flatten().flat_map(|node| outputs(node)));
        }
    }
    let is_ready = |node: &NodeProto| is_pending(node) && node.input.iter().all(|input| !late.contains(&**input));
    graph.node.iter().enumerate().filter(|(_, node)| is_ready(node)).map(|(place, _)| place).collect()
}

fn outputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.output.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// Whether a node's operator is of ONNX's own domain.
fn is_own(node: &NodeProto) -> bool {
    matches!(&*node.domain, "" | "ai.onnx")
}

/// What a node is called in errors, and in the names of what is made of it.
fn called(node: &NodeProto) -> &str {
    if node.name.is_empty() {
        node.output.iter().map(String::as_str).find(|name| !name.is_empty()).unwrap_or("")
    } else {
        &node.name
    }
}

fn unsupported(node: &NodeProto, form: impl Into<String>, hint: &'static str) -> ImportError {
    ImportError::UnsupportedForm { operator: node.op_type.clone(), node: shown(called(node)), form: form.into(), hint }
}

/// The beginning of a name, which may be of any length.
fn shown(name: &str) -> String {
    name.chars().take(256).collect()
}
