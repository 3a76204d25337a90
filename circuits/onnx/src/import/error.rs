//! What can go wrong between a file and a float graph.

use std::path::PathBuf;

use super::operators::{FOLDED_OPERATORS, LEARNER_OPERATORS, SUPPORTED_OPERATORS};

/// Why a model could not be imported or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file could not be read.
    #[error("cannot read '{}': {source}\nhint: check the path and its permissions", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are no ONNX model, or only a part of one.
    #[error(
        "'{file}' is not a whole ONNX model: {cause}\nhint: export the model again, and compare the sizes where the file was copied"
    )]
    NotOnnx {
        /// The file, or the name given with the bytes.
        file: String,
        /// What the decoder said.
        cause: String,
    },
    /// The model contradicts itself: shapes that do not fit, names that do not exist.
    #[error(
        "'{file}' is not a valid model: {cause}\nhint: check it with `onnx.checker.check_model(model, full_check=True)`"
    )]
    Invalid {
        /// The file, or the name given with the bytes.
        file: String,
        /// What the analysis said.
        cause: String,
    },
    /// Metadata that does not say what it is for.
    #[error("the model's metadata has {key} = '{}'\nhint: the values are `private` and `public`", .value.escape_debug())]
    Declaration {
        /// The entry.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// An entry of the metadata that is meant for this project, and that it does not know.
    #[error(
        "the model's metadata has '{}', which is no entry that is known\nhint: `{known}` is, with the values `private` and `public`; a misspelt one would have no effect",
        .key.escape_debug()
    )]
    UnknownDeclaration {
        /// The entry.
        key: String,
        /// The one that there is.
        known: &'static str,
    },
    /// A size for a dimension that is not there, or a second one.
    #[error("the size {size} of the symbolic dimension '{}' {problem}\nhint: {}", .symbol.escape_debug(), symbols(known))]
    Symbol {
        /// The dimension's name, as it was given.
        symbol: String,
        /// Its size.
        size: usize,
        /// What is wrong with it.
        problem: &'static str,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A dimension without a number.
    #[error(
        "input '{input}' has the unknown dimension '{dimension}' at axis {axis}\nhint: give its size, as in `{dimension}=16`"
    )]
    Dimension {
        /// The input.
        input: String,
        /// The symbol, or the input's name and the axis where the model names none.
        dimension: String,
        /// Position in the input's shape.
        axis: usize,
    },
    /// A tensor beyond any size that could be proved.
    #[error("'{tensor}' has {} elements, expected at most {limit}\nhint: check the sizes given for symbolic dimensions", .elements.map_or("more than 2^64".to_string(), |n| n.to_string()))]
    TooLarge {
        /// The tensor.
        tensor: String,
        /// Its number of elements, where it can be counted.
        elements: Option<usize>,
        /// The most elements a tensor may have.
        limit: usize,
    },
    /// A tensor without any element.
    #[error(
        "'{tensor}' would have the shape {shape:?}, which holds nothing\nhint: check the sizes of windows and slices before it"
    )]
    Empty {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A model that would grow far beyond its file, or beyond what could be proved.
    #[error(
        "at node '{node}' the model has {total} {what}, expected at most {limit}\nhint: fold constants before the export, or use a smaller model"
    )]
    Inflated {
        /// The node.
        node: String,
        /// What there is too much of.
        what: &'static str,
        /// How much, as far as it was counted.
        total: usize,
        /// How much there may be.
        limit: usize,
    },
    /// A learned value that is infinite or not a number.
    #[error("node '{node}' has {what} that are not finite\nhint: check the exported weights")]
    NotFinite {
        /// The node.
        node: String,
        /// Which values.
        what: &'static str,
    },
    /// A tensor whose elements are not 32-bit floats.
    #[error(
        "'{tensor}' holds {got} values, expected F32\nhint: export the float model, not one that is already quantised"
    )]
    ElementType {
        /// The tensor.
        tensor: String,
        /// Its element type.
        got: String,
    },
    /// An operator outside the supported list.
    #[error("operator {operator} at node '{node}' is not supported\nhint: {}", known_as(operator))]
    UnsupportedOperator {
        /// ONNX operator.
        operator: String,
        /// ONNX node.
        node: String,
    },
    /// A supported operator in a form that is not.
    #[error("operator {operator} at node '{node}' is not supported with {form}\nhint: {hint}")]
    UnsupportedForm {
        /// ONNX operator.
        operator: String,
        /// ONNX node.
        node: String,
        /// The attribute or layout at fault.
        form: String,
        /// What would do.
        hint: &'static str,
    },
    /// Several operators that are not supported, or not in their form: all that are found.
    #[error("{} operators are not supported:{}\nhint: {LIST}", problems.len(), listed(problems))]
    Several {
        /// What is wrong with each.
        problems: Vec<ImportError>,
    },
    /// Inputs that do not fit the model.
    #[error(
        "the model takes {expected}, got {got}\nhint: values come flat, one list an input, in the order of the model's axes"
    )]
    Inputs {
        /// What the model takes.
        expected: String,
        /// What was given.
        got: String,
    },
    /// The float run failed.
    #[error("the float run of '{model}' failed: {cause}\nhint: please report this model")]
    Run {
        /// Name of the model.
        model: String,
        /// What the runtime said.
        cause: String,
    },
}

/// Where the supported operators are listed.
const LIST: &str = "docs/guide/models.md lists what is supported";

/// What to do about an operator that is not supported: one of the list is not supported where it stands.
fn known_as(operator: &str) -> &'static str {
    if operator == "ZipMap" {
        "export without it, as skl2onnx does with the option `zipmap=False`"
    } else if [SUPPORTED_OPERATORS, FOLDED_OPERATORS, LEARNER_OPERATORS].iter().any(|list| list.contains(&operator)) {
        "it is supported over other operands, such as constants; docs/guide/models.md says of which"
    } else {
        LIST
    }
}

/// A line for each problem, without its hint.
fn listed(problems: &[ImportError]) -> String {
    let line = |problem: &ImportError| {
        let text = problem.to_string();
        format!("\n- {}", text.lines().next().unwrap_or_default())
    };
    problems.iter().map(line).collect()
}

fn symbols(known: &[String]) -> String {
    let names: Vec<String> = known.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
    match &names[..] {
        [] => "the model's inputs have no symbolic dimension".into(),
        names => format!("the model's inputs have {}; give each one size", names.join(", ")),
    }
}

impl ImportError {
    /// Several problems as one error; `None` where there is none.
    pub(super) fn of(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 | 1 => problems.pop(),
            _ => Some(Self::Several { problems }),
        }
    }

    /// Whether an operator is to blame, so that others may be looked at.
    pub(super) const fn is_of_operator(&self) -> bool {
        matches!(self, Self::UnsupportedOperator { .. } | Self::UnsupportedForm { .. })
    }
}
