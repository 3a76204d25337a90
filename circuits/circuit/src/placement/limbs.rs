//! How many limbs range checks need.

use std::collections::BTreeSet;

use zkml_gpu_graph::{Graph, Op};

use super::tables::{Kept, Tabulated, exponential_lines_of, kept};
use crate::system::formulas::line_cells;

/// Bits of what range checks hold, from the worst case over all inputs in range and all learned values of the declared
/// widths: no input fails for want of room, and no limb tells of a weight.
#[derive(Clone, Debug, Default)]
pub(crate) struct RangeBits {
    /// Of the excess by which a rounded accumulator leaves its function's arguments.
    excess: u32,
    /// Of the difference of two members of a maximum.
    spread: u32,
    /// Of ranges to which results are clamped, as may be shown by limbs.
    clamped: BTreeSet<u32>,
    /// Of results by lines, as distances from the least of their bits.
    by_lines: u32,
    /// Of arguments in a segment and rests, of functions by lines.
    lines: BTreeSet<[u32; 2]>,
}

/// How many limbs range checks need.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limbs {
    /// Of an excess, or of a clamped value's distance from the least.
    pub(crate) excess: usize,
    /// Whether the highest limb of such a distance is short.
    pub(crate) short: bool,
    /// Of the difference of two members of a maximum.
    pub(crate) spread: usize,
}

impl RangeBits {
    pub(crate) fn of(graph: &Graph) -> Self {
        let bits = |value: u64| 64 - value.leading_zeros();
        let mut result = Self::default();
        for (node, bounds) in graph.nodes.iter().zip(graph.accumulator_bounds()) {
            let input = graph.tensors[node.inputs[0]].format;
            let range = input.max.abs_diff(input.min);
            let spread = match &node.op {
                Op::Linear(linear) if linear.pool != [1, 1] => graph.spread(node, linear),
                Op::MaxPool(_) => range,
                // count·(x_y - x_k) + k - y, see `rows::candidate`
                Op::ArgMax { count, .. } => *count as u64 * range + *count as u64 - 1,
                Op::Linear(_)
                | Op::Combine { .. }
                | Op::AveragePool { .. }
                | Op::Reshape
                | Op::Rearrange { .. }
                | Op::MatMul(_)
                | Op::Multiply(_)
                | Op::Softmax(_)
                | Op::Normalise(_)
                | Op::Enter => 0,
            };
            result.spread = result.spread.max(bits(spread));
            if let Some(function) = graph.function(node).filter(|_| node.op.requantises()) {
                let rounded = |acc: i64| zkml_gpu_graph::requantise(acc, graph.shift * node.op.limbs());
                let above = rounded(bounds.max).saturating_sub(function.max()).max(0);
                let below = function.min().saturating_sub(rounded(bounds.min)).max(0);
                result.excess = result.excess.max(bits(above.max(below) as u64));
            }
            match kept(graph, node, Tabulated::default()) {
                Some(Kept::Clamped { bits, .. }) => {
                    result.clamped.insert(bits);
                }
                Some(Kept::ByLines(activation, segments)) => {
                    result.lines.insert([segments.low, segments.scale]);
                    result.by_lines = result.by_lines.max(result_bits(&activation.values) + 1);
                }
                Some(Kept::LookedUp(_)) | None => {}
            }
            if let Op::Softmax(softmax) = &node.op
                && let Some(segments) = exponential_lines_of(softmax, Tabulated::default())
            {
                result.lines.insert([segments.low, segments.scale]);
                result.by_lines = result.by_lines.max(result_bits(&softmax.exp.values));
            }
        }
        result
    }

    /// Whether some range of at most so many bits is clamped.
    pub(crate) fn has_clamps_of(&self, bits: u32) -> bool {
        self.clamped.first().is_some_and(|least| *least <= bits)
    }

    /// Whether some function is by lines.
    pub(crate) const fn has_lines(&self) -> bool {
        self.by_lines > 0
    }

    /// Most range cells that a result by lines takes besides those of its requantisation.
    pub(crate) fn line_cells(&self, limb_bits: u32) -> usize {
        self.lines.iter().map(|[low, scale]| line_cells(*low, *scale, limb_bits)).max().unwrap_or(0)
    }

    /// Limbs of so many bits.
    pub(crate) fn limbs(&self, limb_bits: u32, tabulated: Tabulated) -> Limbs {
        let limbs = |bits: u32| bits.div_ceil(limb_bits) as usize;
        let clamped = || self.clamped.iter().copied().filter(|bits| *bits > tabulated.bits);
        let by_lines = if tabulated.lines { 0 } else { self.by_lines };
        Limbs {
            excess: clamped().chain([self.excess, by_lines]).map(limbs).max().unwrap_or(0),
            short: clamped().any(|bits| !bits.is_multiple_of(limb_bits)),
            spread: limbs(self.spread),
        }
    }
}

/// Bits of results: they are from `-2^bits` to `2^bits - 1`.
pub(super) fn result_bits(values: &[i64]) -> u32 {
    let bits = |value: &i64| 64 - (if *value < 0 { !*value } else { *value }).leading_zeros();
    values.iter().map(bits).max().unwrap_or(0)
}
