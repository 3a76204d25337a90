//! The tables of a network, and which of its tensors share cells.

use zkml_gpu_graph::{Activation, Function, Graph, Node, Op, Segments, Softmax};

use super::error::LayoutError;
use super::tensors::Tensors;
use super::widths::Widths;

/// Whether the results of a node are what its function says, and not its gates.
const fn follows_function(op: &Op) -> bool {
    match op {
        Op::Linear(_)
        | Op::Combine { .. }
        | Op::AveragePool { .. }
        | Op::MatMul(_)
        | Op::Multiply(_)
        | Op::Softmax(_)
        | Op::Normalise(_)
        | Op::ArgMax { .. }
        | Op::Enter => true,
        Op::MaxPool(_) | Op::Reshape | Op::Rearrange { .. } => false,
    }
}

/// How functions are kept: which have tables as long as their arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tabulated {
    /// Clamps to ranges of up to so many bits.
    pub(crate) bits: u32,
    /// Functions that are by straight lines otherwise.
    pub(crate) lines: bool,
}

impl Tabulated {
    /// As the widths say.
    pub(crate) const fn of(widths: &Widths) -> Self {
        Self { bits: widths.table_bits, lines: !widths.lines }
    }
}

/// What keeps the results of a node to its function, where that is not its gates alone.
pub(super) enum Kept<'g> {
    /// Limbs: in the range of `2^bits` values from `least` on.
    Clamped { least: i64, bits: u32 },
    /// The lines of a function with these arguments.
    ByLines(&'g Activation, &'g Segments),
    /// A table of the function.
    LookedUp(Function),
}

/// What keeps the results of a node to its function.
pub(super) fn kept<'g>(graph: &'g Graph, node: &Node, tabulated: Tabulated) -> Option<Kept<'g>> {
    if let Some((activation, segments)) = by_lines(graph, node).filter(|_| !tabulated.lines) {
        return Some(Kept::ByLines(activation, segments));
    }
    let function = graph.function(node).filter(|_| follows_function(&node.op))?;
    // The index of a maximum has no limbs: it is looked up.
    let bits = function.clamped_bits().filter(|bits| *bits > tabulated.bits && !matches!(node.op, Op::ArgMax { .. }));
    Some(match bits {
        Some(bits) => Kept::Clamped { least: function.min(), bits },
        None => Kept::LookedUp(function),
    })
}

/// The lines of a node's function, where its rows have room for them: those with requantised values and nothing besides.
pub(super) fn by_lines<'g>(graph: &'g Graph, node: &Node) -> Option<(&'g Activation, &'g Segments)> {
    let has_room = match &node.op {
        Op::Linear(linear) => !linear.raw && linear.pool == [1, 1],
        Op::Combine { .. } | Op::AveragePool { .. } | Op::MatMul(_) | Op::Multiply(_) | Op::Normalise(_) => true,
        Op::Softmax(_) | Op::MaxPool(_) | Op::Reshape | Op::Rearrange { .. } | Op::ArgMax { .. } | Op::Enter => false,
    };
    let activation = graph.activations.get(node.activation.filter(|_| has_room)?)?;
    Some((activation, activation.segments.as_ref()?))
}

/// The activation tables that the graph needs.
pub(crate) fn activations(graph: &Graph, tabulated: Tabulated) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for kept in graph.nodes.iter().filter_map(|node| kept(graph, node, tabulated)) {
        let Kept::LookedUp(function) = kept else { continue };
        let activation = function.into_table();
        if !all.contains(&activation) {
            all.push(activation);
        }
    }
    all
}

/// The functions by lines of a graph.
pub(crate) fn lines(graph: &Graph, tabulated: Tabulated) -> Vec<Segments> {
    let mut all: Vec<Segments> = Vec::new();
    for kept in graph.nodes.iter().filter_map(|node| kept(graph, node, tabulated)) {
        let Kept::ByLines(_, segments) = kept else { continue };
        if !all.contains(segments) {
            all.push(segments.clone());
        }
    }
    all
}

/// The tables of exponentials that the graph needs.
pub(crate) fn exponentials(graph: &Graph, tabulated: Tabulated) -> Vec<Activation> {
    let mut all: Vec<Activation> = Vec::new();
    for node in &graph.nodes {
        let Op::Softmax(softmax) = &node.op else { continue };
        if exponential_lines_of(softmax, tabulated).is_none() && !all.contains(&softmax.exp) {
            all.push(softmax.exp.clone());
        }
    }
    all
}

/// The exponentials by lines of a graph.
pub(crate) fn exponential_lines(graph: &Graph, tabulated: Tabulated) -> Vec<Segments> {
    let mut all: Vec<Segments> = Vec::new();
    for node in &graph.nodes {
        let Op::Softmax(softmax) = &node.op else { continue };
        let Some(segments) = exponential_lines_of(softmax, tabulated) else { continue };
        if !all.contains(segments) {
            all.push(segments.clone());
        }
    }
    all
}

/// The lines of a softmax's exponentials, where they are by lines.
pub(super) fn exponential_lines_of(softmax: &Softmax, tabulated: Tabulated) -> Option<&Segments> {
    softmax.exp.segments.as_ref().filter(|_| !tabulated.lines)
}

/// Which tensors share cells, for operand rows of `lanes` cells.
pub(crate) fn tensors(graph: &Graph, lanes: usize) -> Result<Tensors, LayoutError> {
    Tensors::new(graph, lanes).map_err(|index| LayoutError::Unsupported {
        node: graph.nodes[index].name.clone(),
        reason: "it reads a tensor under another shape than an earlier node: the graph was not lowered".into(),
    })
}
