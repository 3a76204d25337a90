//! How many limbs range checks need.

use zkml_gpu_graph::{Graph, Op};

/// Limbs of the range checks, from the worst case over all inputs in range and all learned values of the declared
/// widths: no input fails for want of room, and no limb tells of a weight.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limbs {
    pub(crate) excess: usize,
    pub(crate) spread: usize,
}

impl Limbs {
    pub(crate) fn of(graph: &Graph) -> Self {
        let limbs = |value: u64| (64 - value.leading_zeros()).div_ceil(graph.shift) as usize;
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
            result.spread = result.spread.max(limbs(spread));
            if let Some(activation) = graph.activation(node).filter(|_| node.op.requantises()) {
                let rounded = |acc: i64| zkml_gpu_graph::requantise(acc, graph.shift * node.op.limbs());
                let above = rounded(bounds.max).saturating_sub(activation.max()).max(0);
                let below = activation.min.saturating_sub(rounded(bounds.min)).max(0);
                result.excess = result.excess.max(limbs(above.max(below) as u64));
            }
        }
        result
    }
}
