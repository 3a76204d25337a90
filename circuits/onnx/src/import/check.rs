//! What a graph must not say, found before tract reads it: tract panics, does not end, or allocates without bound on
//! some of it.

use std::collections::HashSet;

use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, NodeProto, ValueInfoProto, tensor_shape_proto, type_proto};

use super::error::ImportError;
use super::operators::{FOLDED_OPERATORS, LEARNER_OPERATORS, LEARNERS, SUPPORTED_OPERATORS};
use super::{quirks, rounding, unroll};

/// Most nodes: several times those of the largest convolutional networks; tract's passes look at all pairs.
pub(super) const MAX_NODES: usize = 1 << 12;
/// Greatest extent, step or padding of a window.
const MAX_EXTENT: i64 = 1 << 15;
/// Longest symbolic dimension in bytes, and deepest nesting of its parentheses: tract parses it by recursion.
const MAX_DIMENSION_BYTES: usize = 128;
const MAX_DIMENSION_DEPTH: usize = 8;

/// Checks a graph whose nodes have these names and operators; `onnx` says which operators tract knows, and `invalid`
/// makes an error of a sentence.
pub(super) fn check(
    graph: &GraphProto,
    origins: &[(String, String)],
    onnx: &Onnx,
    invalid: impl Fn(String) -> ImportError,
) -> Result<(), ImportError> {
    if graph.node.len() > MAX_NODES {
        return Err(invalid(format!("it has {} nodes, at most {MAX_NODES} are read", graph.node.len())));
    }
    check_names(graph).map_err(&invalid)?;
    graph.input.iter().try_for_each(check_dimensions).map_err(&invalid)?;
    let nodes = || graph.node.iter().zip(origins);
    let constants = unroll::constants(graph);
    let problem = |(node, (name, operator)): (&NodeProto, &(String, String))| {
        let is_own = matches!(node.domain.as_str(), "" | "ai.onnx");
        let lists: &[&[&str]] = match node.domain.as_str() {
            "" | "ai.onnx" => &[SUPPORTED_OPERATORS, FOLDED_OPERATORS, &[rounding::OPERATOR]],
            LEARNERS => &[LEARNER_OPERATORS],
            _ => &[],
        };
        let listed = lists.iter().any(|list| list.contains(&operator.as_str()));
        // Whatever makes constants of constants has been computed before anything is asked of it.
        let is_folded = is_own
            && onnx.op_register.0.contains_key(operator)
            && node.output.iter().all(|output| constants.contains(&**output));
        if listed || is_folded {
            return unroll::check_attributes(node).err();
        }
        Some(ImportError::UnsupportedOperator { operator: operator.clone(), node: name.clone() })
    };
    if let Some(error) = ImportError::of(nodes().filter_map(problem).collect()) {
        return Err(error);
    }
    for (node, (name, operator)) in nodes() {
        check_permutation(node, name)?;
        quirks::check_padding(node, name)?;
        check_window(node).map_err(|problem| invalid(format!("{operator} at node '{name}' has {problem}")))?;
    }
    Ok(())
}

/// Every value has one source, and every value that is read has one. tract takes the last of several, and indexes its
/// table of values by the names of outputs without checking them.
fn check_names(graph: &GraphProto) -> Result<(), String> {
    let mut known: HashSet<&str> = HashSet::new();
    // An input may carry the name of a constant: its default, with which older files list all weights as inputs.
    for names in
        [graph.input.iter().map(|v| &v.name).collect::<Vec<_>>(), graph.initializer.iter().map(|t| &t.name).collect()]
    {
        let unique: HashSet<&str> = names.iter().map(|name| name.as_str()).collect();
        if unique.len() != names.len() {
            return Err("an input or constant is declared twice".into());
        }
        known.extend(unique);
    }
    let outputs = graph.node.iter().flat_map(|n| &n.output).filter(|name| !name.is_empty());
    for name in outputs {
        if !known.insert(name) {
            return Err(format!("'{name}' has two sources"));
        }
    }
    let read = graph.node.iter().flat_map(|n| &n.input).filter(|name| !name.is_empty());
    match read.chain(graph.output.iter().map(|v| &v.name)).find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(format!("nothing computes '{name}'")),
        None => Ok(()),
    }
}

fn check_dimensions(input: &ValueInfoProto) -> Result<(), String> {
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(format!("input '{}' has no type", input.name));
    };
    for dim in tensor.shape.iter().flat_map(|shape| &shape.dim) {
        if let Some(tensor_shape_proto::dimension::Value::DimParam(name)) = &dim.value
            && !is_dimension(name)
        {
            let shown: String = name.chars().take(MAX_DIMENSION_BYTES).collect();
            return Err(format!("input '{}' has a dimension called '{shown}'", input.name));
        }
    }
    Ok(())
}

/// Whether a symbolic dimension is short and flat enough to be parsed by recursion.
fn is_dimension(name: &str) -> bool {
    let mut depth = 0usize;
    let deepest = name.chars().map(|c| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        depth
    });
    name.len() <= MAX_DIMENSION_BYTES && deepest.max().unwrap_or(0) <= MAX_DIMENSION_DEPTH
}

/// Permutations that are none, for which tract would not end.
fn check_permutation(node: &NodeProto, name: &str) -> Result<(), ImportError> {
    for attribute in node.attribute.iter().filter(|a| node.op_type == "Transpose" && a.name == "perm") {
        let mut axes = attribute.ints.clone();
        axes.sort_unstable();
        if !axes.iter().copied().eq(0..axes.len() as i64) {
            return Err(ImportError::UnsupportedForm {
                operator: node.op_type.clone(),
                node: name.into(),
                form: format!("perm {:?}", &attribute.ints[..axes.len().min(16)]),
                hint: "every axis must occur once",
            });
        }
    }
    Ok(())
}

/// Windows of impossible extents, over which tract divides by zero or overflows.
fn check_window(node: &NodeProto) -> Result<(), String> {
    // `Pad` has it as an attribute in older files.
    if !matches!(node.op_type.as_str(), "Conv" | "MaxPool" | "AveragePool" | "Pad") {
        return Ok(());
    }
    let ints =
        |name: &str| node.attribute.iter().find(|a| a.name == name).map(|a| a.ints.as_slice()).unwrap_or_default();
    let mut axes = None;
    for (name, least, an_axis) in [("kernel_shape", 1, 1), ("strides", 1, 1), ("dilations", 1, 1), ("pads", 0, 2)] {
        let values = ints(name);
        if let Some(value) = values.iter().find(|value| !(least..=MAX_EXTENT).contains(*value)) {
            return Err(format!("{value} in {name}, expected {least} to {MAX_EXTENT}"));
        }
        if !values.is_empty()
            && (!values.len().is_multiple_of(an_axis)
                || *axes.get_or_insert(values.len() / an_axis) != values.len() / an_axis)
        {
            return Err(format!("{} values of {name} for another number of axes", values.len()));
        }
    }
    let groups = node.attribute.iter().filter(|a| a.name == "group").map(|a| a.i);
    match groups.into_iter().find(|group| *group < 1) {
        Some(group) => Err(format!("{group} groups")),
        None => Ok(()),
    }
}
