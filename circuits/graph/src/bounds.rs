//! Worst-case bounds of accumulators: interval arithmetic over the formats' ranges.
//!
//! A circuit sizes its range checks by these, so they hold for every input in range, not only for samples. For one
//! window they are exact: each operand takes the end of its range that the sign of its weight asks for. Zero padding
//! is included, as an operand that may also be zero.
//!
//! But a circuit's key shows its range checks, and exact bounds follow from the weights. So a graph declares how wide the accumulators of
//! learned values are ([`Width`]), in whole bits; circuits are sized by that, and [`Graph::validate`] refuses weights that do not keep to it.

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

    /// Those of a list of numbers; zero for none.
    pub fn of(values: &[i64]) -> Self {
        let (min, max) = (values.iter().copied().min(), values.iter().copied().max());
        Self { min: min.unwrap_or(0), max: max.unwrap_or(0) }
    }

    /// Greatest difference of two numbers.
    pub const fn spread(&self) -> u64 {
        self.max.abs_diff(self.min)
    }

    /// All numbers up to a magnitude.
    pub const fn within(magnitude: i64) -> Self {
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

/// Room in a declared width, as a multiple of the values that it is declared for: others of the same scale keep to it as well.
const HEADROOM: u64 = 2;

/// Bits of what learned values make, declared for everyone to see: numbers up to [`Width::limit`] of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Width {
    /// Of a magnitude: an accumulator's, or a summand's.
    pub bits: u32,
    /// Of the difference of two accumulators of one channel.
    pub spread_bits: u32,
}

impl Width {
    /// Greatest number of so many bits: `2^bits - 1`, less a 64th of the whole, so that rounding to fewer digits makes no further bit.
    pub fn limit(bits: u32) -> u64 {
        let whole = 1u64.checked_shl(bits).unwrap_or(u64::MAX);
        whole - 1 - whole / 64
    }

    /// The width to declare for values within these bounds, those of each channel: the least whole bits that hold twice the greatest magnitude,
    /// and twice the greatest difference.
    pub fn of(channels: &[Bounds]) -> Self {
        let holds = |bits: &u32, value: u64| Self::limit(*bits) >= value.saturating_mul(HEADROOM);
        let bits = |value: u64| (0..u64::BITS).find(|bits| holds(bits, value)).unwrap_or(u64::BITS);
        let greatest = |of: fn(&Bounds) -> u64| bits(channels.iter().map(of).max().unwrap_or(0));
        Self { bits: greatest(|bounds| bounds.magnitude().unsigned_abs()), spread_bits: greatest(Bounds::spread) }
    }

    /// Whether values within these bounds keep to the width.
    pub fn holds(self, channels: &[Bounds]) -> bool {
        let within = |bounds: &Bounds| {
            Self::limit(self.bits) >= bounds.magnitude().unsigned_abs()
                && Self::limit(self.spread_bits) >= bounds.spread()
        };
        channels.iter().all(within)
    }

    /// The least and the greatest value.
    pub fn bounds(self) -> Bounds {
        Bounds::within(i64::try_from(Self::limit(self.bits)).unwrap_or(i64::MAX))
    }
}

impl Graph {
    /// Public bounds of each node's accumulators over all inputs within the formats' ranges, and over all learned values of the widths that
    /// are declared; zero for nodes without accumulators. Saturated at `i64`'s ends on graphs that [`Graph::validate`] refuses.
    pub fn accumulator_bounds(&self) -> Vec<Bounds> {
        self.nodes.iter().map(|node| self.node_bounds(node)).collect()
    }

    /// Public bound of the difference of two accumulators of one channel of a product.
    pub fn spread(&self, node: &Node, linear: &Linear) -> u64 {
        let exact = || linear.channel_bounds(self.tensors[node.inputs[0]].format);
        match linear.width {
            Some(width) => Width::limit(width.spread_bits),
            None => exact().iter().map(Bounds::spread).max().unwrap_or(0),
        }
    }

    pub(super) fn node_bounds(&self, node: &Node) -> Bounds {
        let format = |i: usize| self.tensors[node.inputs[i]].format;
        let mut bounds = Bounds::default();
        match &node.op {
            Op::Linear(Linear { width: Some(width), .. }) => return width.bounds(),
            Op::Linear(linear) => {
                return linear.channel_bounds(format(0)).into_iter().reduce(Bounds::union).unwrap_or_default();
            }
            Op::Combine { multipliers, offset, width } => {
                multipliers.iter().enumerate().for_each(|(i, &m)| bounds.add_product(m, format(i)));
                let summands = width.map_or_else(|| Bounds::of(offset), Width::bounds);
                bounds.min = bounds.min.saturating_add(summands.min);
                bounds.max = bounds.max.saturating_add(summands.max);
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
    /// Exact bounds of each output channel's accumulators for inputs of this format. They follow from the weights: a circuit must be sized by
    /// [`width`](Self::width) where there is one.
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
