//! Functions by straight lines: how many results their rows have.
//!
//! Such a result takes the cells of two activation lanes or more: those of one for itself and its requantisation, those of
//! another for its line, and the range cells that requantisation leaves on its row for the argument in its segment and the
//! rest of the division ([`LineCells`](crate::system::formulas::LineCells)). So the columns stay as they are, and rows with
//! such results have fewer of them.

use rustc_hash::FxHashMap;
use zkml_gpu_graph::{Activation, Graph, Node, Op, Segments, TensorId};

use super::limbs::{Limbs, result_bits};
use super::tables::{Kept, Tabulated, exponential_lines_of, kept};
use super::widths::Widths;
use crate::system::formulas::{line_cells, spare};
use crate::system::{Lines, exact_cells};

/// The rows of functions by lines, without a number of lanes, by the outputs of their nodes.
#[derive(Debug, Default)]
pub(crate) struct ByLines {
    /// Of what follows requantisation.
    pub(crate) functions: FxHashMap<TensorId, Lines>,
    /// Of the exponentials of a softmax.
    pub(crate) exponentials: FxHashMap<TensorId, Lines>,
}

/// Under these widths and limbs.
pub(crate) fn by_lines(graph: &Graph, widths: &Widths, limbs: &Limbs) -> ByLines {
    let tabulated = Tabulated::of(widths);
    if tabulated.lines {
        return ByLines::default();
    }
    let longest = graph.nodes.iter().map(|node| node.op.limbs()).max().unwrap_or(1);
    let cells = |shifts: u32| exact_cells(graph.shift * shifts, widths.limb_bits);
    let remainder = if widths.shared_remainders { cells(1) } else { cells(longest) };
    let excess = limbs.excess + usize::from(limbs.short);
    let places = |segments: &Segments, shifts: u32, most: usize| {
        let own = line_cells(segments.low, segments.scale, widths.limb_bits);
        let lanes = widths.activation_lanes;
        let has_room = |places: &usize| {
            let blocks = places * cells(shifts).div_ceil(remainder);
            let last = spare(remainder, excess, [*places, blocks], places * own - 1);
            2 * places <= lanes && blocks <= lanes && last < lanes * (remainder + excess)
        };
        (1..=most.min(lanes / 2)).rev().find(has_room).unwrap_or(1)
    };
    let function = |node: &Node| match kept(graph, node, tabulated) {
        Some(Kept::ByLines(activation, segments)) => {
            // Of an average there is one on a row.
            let most = if matches!(node.op, Op::AveragePool { .. }) { 1 } else { usize::MAX };
            let places = places(segments, node.op.limbs(), most);
            Some((node.output, rows(activation, segments, (places, node.op.limbs(), false))))
        }
        Some(Kept::Clamped { .. } | Kept::LookedUp(_)) | None => None,
    };
    let exponentials = |node: &Node| {
        let Op::Softmax(softmax) = &node.op else { return None };
        let segments = exponential_lines_of(softmax, tabulated)?;
        Some((node.output, rows(&softmax.exp, segments, (places(segments, 1, usize::MAX), 1, true))))
    };
    ByLines {
        functions: graph.nodes.iter().filter_map(function).collect(),
        exponentials: graph.nodes.iter().filter_map(exponentials).collect(),
    }
}

fn rows(activation: &Activation, segments: &Segments, (places, shifts, exponentials): (usize, u32, bool)) -> Lines {
    Lines {
        lanes: 0,
        places,
        exponentials,
        shifts: shifts as usize,
        // One beyond each end, or one for masked members.
        segments: segments.lines.len() + if exponentials { 1 } else { 2 },
        low: segments.low,
        scale: segments.scale,
        bits: result_bits(&activation.values),
    }
}
