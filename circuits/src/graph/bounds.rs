//! Worst-case bounds of accumulators: interval arithmetic over the formats' ranges.
//!
//! A circuit sizes its range checks by these, so they hold for every input in range, not only for samples. For one
//! window they are exact: each operand takes the end of its range that the sign of its weight asks for. Zero padding
//! is included, as an operand that may also be zero.

use super::{Format, Graph, Linear, MatMul, Node, Op};

/// Least and greatest value that an accumulator can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Least value, inclusive.
    pub min: i64,
    /// Greatest value, inclusive.
    pub max: i64,
}

impl Bounds {
    /// The smallest interval that holds both.
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// All numbers up to a magnitude.
    const fn within(magnitude: i64) -> Self {
        Self { min: -magnitude, max: magnitude }
    }

    /// Largest magnitude.
    pub fn magnitude(self) -> i64 {
        self.max.max(self.min.saturating_neg())
    }

    fn add_product(&mut self, factor: i64, Format { min, max, .. }: Format) {
        let (a, b) = (factor.saturating_mul(min), factor.saturating_mul(max));
        self.min = self.min.saturating_add(a.min(b));
        self.max = self.max.saturating_add(a.max(b));
    }
}

impl Graph {
    /// Bounds of each node's accumulators over all inputs within the formats' ranges; zero for nodes without
    /// accumulators. Saturated at `i64`'s ends on graphs that [`Graph::validate`] refuses.
    pub fn accumulator_bounds(&self) -> Vec<Bounds> {
        self.nodes.iter().map(|node| self.node_bounds(node)).collect()
    }

    pub(super) fn node_bounds(&self, node: &Node) -> Bounds {
        let format = |i: usize| self.tensors[node.inputs[i]].format;
        let mut bounds = Bounds::default();
        match &node.op {
            Op::Linear(linear) => {
                return linear.channel_bounds(format(0)).into_iter().reduce(Bounds::union).unwrap_or_default();
            }
            Op::Combine { multipliers, offset } => {
                multipliers.iter().enumerate().for_each(|(i, &m)| bounds.add_product(m, format(i)));
                bounds.min = bounds.min.saturating_add(offset.iter().copied().min().unwrap_or(0));
                bounds.max = bounds.max.saturating_add(offset.iter().copied().max().unwrap_or(0));
            }
            Op::AveragePool { multipliers, .. } => {
                for (count, &m) in multipliers.iter().enumerate().skip(1) {
                    let mut of_count = Bounds::default();
                    of_count.add_product(m.saturating_mul(count as i64), format(0));
                    bounds = bounds.union(of_count);
                }
            }
            Op::MatMul(MatMul { inner, rescale, .. }) => {
                let most = format(0).magnitude().saturating_mul(format(1).magnitude());
                return Bounds::within(most.saturating_mul(rescale.multiplier).saturating_mul(*inner as i64));
            }
            Op::Multiply(rescale) => {
                let most = format(0).magnitude().saturating_mul(format(1).magnitude());
                return Bounds::within(most.saturating_mul(rescale.multiplier));
            }
            Op::Softmax(softmax) => return Bounds { min: 0, max: softmax.magnitude() },
            Op::Normalise(normalise) => return Bounds::within(normalise.magnitude()),
            Op::MaxPool(_) | Op::Reshape | Op::Rearrange { .. } | Op::ArgMax { .. } => {}
        }
        bounds
    }
}

impl Linear {
    /// Bounds of each output channel's accumulators for inputs of this format.
    pub fn channel_bounds(&self, input: Format) -> Vec<Bounds> {
        let padded = self.window.is_padded() || self.input_dilation != [1, 1];
        let Format { frac_bits, min, max } = input;
        let range = if padded { Format { frac_bits, min: min.min(0), max: max.max(0) } } else { input };
        let rows = self.weights.chunks((self.weights.len() / self.out_channels.max(1)).max(1));
        let bounds = |(row, &bias): (&[i32], &i64)| {
            // Both ends need only the sums of the positive and of the negative weights.
            let positive: i64 = row.iter().map(|&w| i64::from(w.max(0))).sum();
            let negative: i64 = row.iter().map(|&w| i64::from(w.min(0))).sum();
            let mut bounds = Bounds { min: bias, max: bias };
            bounds.add_product(positive, range);
            bounds.add_product(negative, range);
            bounds
        };
        rows.zip(&self.bias).map(bounds).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shape, Storage, Tensor, Window};
    use super::*;

    #[test]
    fn dense_bounds_are_attained() {
        let format = Format { frac_bits: 0, min: -3, max: 7 };
        let tensor = |n: usize, format| Tensor {
            name: String::new(),
            shape: Shape::vector(n),
            format,
            logical_shape: vec![n],
            storage: Storage::Plain,
        };
        let linear = Linear { raw: true, ..Linear::dense(2, vec![2, -5, 1, 0, 4, -1], vec![10, -20]) };
        let wide = Format { frac_bits: 0, min: -1000, max: 1000 };
        let graph = Graph {
            name: String::new(),
            shift: 1,
            tensors: vec![tensor(3, format), tensor(2, wide)],
            activations: Vec::new(),
            nodes: vec![Node {
                name: String::new(),
                op: Op::Linear(linear),
                inputs: vec![0],
                output: 1,
                activation: None,
            }],
            inputs: vec![0],
            outputs: vec![1],
        };
        let [bounds] = graph.accumulator_bounds()[..] else { unreachable!() };
        let mut seen = Bounds { min: i64::MAX, max: i64::MIN };
        for code in 0..8 {
            let input = (0..3).map(|i| if code >> i & 1 == 0 { -3 } else { 7 }).collect();
            for &acc in &graph.run(&[input]).unwrap().accumulators[0] {
                seen = seen.union(Bounds { min: acc, max: acc });
            }
        }
        assert_eq!(bounds, seen);
    }

    #[test]
    fn padding_widens_a_range_that_excludes_zero() {
        let window = Window { kernel: [1, 3], pad_before: [0, 1], pad_after: [0, 1], ..Window::UNIT };
        let linear = Linear { window, ..Linear::dense(1, vec![1, 1, 1], vec![0]) };
        let bounds = linear.channel_bounds(Format { frac_bits: 0, min: 5, max: 9 });
        assert_eq!(bounds, [Bounds { min: 0, max: 27 }]);
    }
}
