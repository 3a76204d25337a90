//! The structural invariants of a quantised graph.
//!
//! With them no accumulator can overflow `i64`: an activation lies within `±2^16`, a weight within `±2^15`, a bias
//! within `±2^40`, and a product of multipliers, activations and their number within `±2^61`.

use super::window::covered;
use super::{
    Activation, Bounds, Format, Graph, Linear, MatMul, Node, Normalise, Op, Origin, Rescale, Shape, Softmax, Storage,
    TensorId, Width, Window,
};

/// Largest magnitude of an activation: 16 bits unsigned.
pub const ACTIVATION_LIMIT: i64 = (1 << 16) - 1;
/// Bits of a weight, with its sign.
pub const WEIGHT_BITS: u32 = 16;
/// Largest magnitude of a bias.
pub const BIAS_LIMIT: i64 = 1 << 40;
/// Largest shift.
pub const MAX_SHIFT: u32 = 20;
/// Most limbs of a remainder: as many bits as a dividend has, where a limb has one.
pub const MAX_REMAINDER_LIMBS: u32 = 40;
/// Most bits of a remainder: its power of two is a factor of 64 bits.
pub const MAX_REMAINDER_BITS: u32 = 59;
/// Most bits of a dividend: twice as many fit 128 bits, and an accumulator 64.
pub const MAX_DIVIDEND_BITS: u32 = 40;
const ACCUMULATOR_LIMIT: i128 = 1 << 61;
/// Most bits that a circuit makes room for.
const MAX_WIDTH_BITS: u32 = 60;
/// Largest kernel, stride, dilation and padding of a window.
const WINDOW_LIMIT: usize = 1 << 16;

/// Why a graph is not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidateError {
    /// The shift is outside `1..=20`.
    #[error(
        "graph '{graph}' has the requantisation shift {got}, expected 1..={MAX_SHIFT}\nhint: quantise the model again"
    )]
    Shift {
        /// Name of the graph.
        graph: String,
        /// The shift.
        got: u32,
    },
    /// A tensor that does not exist.
    #[error("{place} names tensor {got}, but the graph has {tensors}\nhint: the graph is damaged, quantise it again")]
    UnknownTensor {
        /// The node, or the list of inputs or outputs.
        place: String,
        /// The index.
        got: TensorId,
        /// Number of tensors.
        tensors: usize,
    },
    /// A tensor that is read before it is computed, computed twice, or an input that is computed.
    #[error(
        "{place} {problem} tensor '{tensor}'\nhint: a node must follow the producers of its operands, and a tensor has one producer"
    )]
    Order {
        /// The node, or the list of inputs or outputs.
        place: String,
        /// What it does.
        problem: &'static str,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor whose format or shape is empty or too wide.
    #[error(
        "tensor '{tensor}' has {what} {got}, expected {expected}\nhint: quantise the model with at most 16 activation bits"
    )]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// The property.
        what: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        expected: String,
    },
    /// A node whose attributes or shapes contradict each other.
    #[error("node '{node}' has {what} {got}, expected {expected}\nhint: the graph is damaged, quantise it again")]
    Node {
        /// Name of the node.
        node: String,
        /// The property.
        what: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        expected: String,
    },
}

type Check = Result<(), ValidateError>;

impl Graph {
    /// Checks every structural invariant: indices, order of evaluation, shapes, formats, and the bounds on weights,
    /// biases and multipliers that exclude overflow.
    ///
    /// # Errors
    ///
    /// [`ValidateError`], which names the node or tensor.
    pub fn validate(&self) -> Check {
        if !(1..=MAX_SHIFT).contains(&self.shift) {
            return Err(ValidateError::Shift { graph: self.name.clone(), got: self.shift });
        }
        self.check_order()?;
        let raw: Vec<TensorId> = self.nodes.iter().filter(|n| n.is_raw()).map(|n| n.output).collect();
        for (id, tensor) in self.tensors.iter().enumerate() {
            let limit = if raw.contains(&id) { i64::MAX / 2 } else { ACTIVATION_LIMIT };
            check_tensor(tensor, limit)?;
        }
        self.nodes.iter().try_for_each(|node| self.check_node(node))
    }

    fn check_order(&self) -> Check {
        let mut known = vec![false; self.tensors.len()];
        for &id in &self.inputs {
            self.define(&mut known, id, "the list of inputs", "repeats")?;
        }
        for node in &self.nodes {
            let place = format!("node '{}'", node.name);
            for &id in &node.inputs {
                self.expect_known(&known, id, &place, "reads the not yet computed")?;
            }
            self.define(&mut known, node.output, &place, "computes again the")?;
        }
        for &id in &self.outputs {
            self.expect_known(&known, id, "the list of outputs", "holds the never computed")?;
        }
        Ok(())
    }

    fn define(&self, known: &mut [bool], id: TensorId, place: &str, problem: &'static str) -> Check {
        let tensors = self.tensors.len();
        match known.get_mut(id) {
            None => Err(ValidateError::UnknownTensor { place: place.into(), got: id, tensors }),
            Some(true) => {
                Err(ValidateError::Order { place: place.into(), problem, tensor: self.tensors[id].name.clone() })
            }
            Some(slot) => {
                *slot = true;
                Ok(())
            }
        }
    }

    fn expect_known(&self, known: &[bool], id: TensorId, place: &str, problem: &'static str) -> Check {
        match known.get(id) {
            Some(true) => Ok(()),
            Some(false) => {
                Err(ValidateError::Order { place: place.into(), problem, tensor: self.tensors[id].name.clone() })
            }
            None => Err(ValidateError::UnknownTensor { place: place.into(), got: id, tensors: self.tensors.len() }),
        }
    }

    fn check_node(&self, node: &Node) -> Check {
        let operands = match &node.op {
            Op::Combine { multipliers, .. } => multipliers.len().max(1),
            Op::MatMul(_) | Op::Multiply(_) => 2,
            Op::Rearrange { .. } => node.inputs.len().max(1),
            _ => 1,
        };
        expect(node, "number of operands", node.inputs.len(), operands)?;
        self.check_activation(node)?;
        let (x, y) = (&self.tensors[node.inputs[0]], &self.tensors[node.output]);
        match &node.op {
            Op::Linear(linear) => {
                check_linear(node, linear, x.shape)?;
                check_width(node, linear.width, || linear.channel_bounds(x.format))?;
                self.check_raw(node, linear)?;
                expect(node, "output shape", Some(y.shape), linear_output(linear, x.shape))
            }
            Op::Combine { multipliers, offset, width } => {
                for &id in &node.inputs {
                    expect(node, "operand shape", self.tensors[id].shape, y.shape)?;
                }
                if !offset.is_empty() {
                    expect(node, "number of summands", offset.len(), y.shape.len())?;
                }
                check_summands(node, "summand", offset)?;
                check_width(node, *width, || vec![Bounds::of(offset)])?;
                check_multipliers(node, multipliers.iter().map(|m| i128::from(*m).abs()).sum())
            }
            Op::MaxPool(window) => {
                check_window(node, window)?;
                check_cover(node, window, x.shape)?;
                expect(node, "output format", y.format, x.format)?;
                expect(node, "output shape", Some(y.shape), pool_output(window, x.shape))
            }
            Op::AveragePool { window, multipliers } => {
                check_window(node, window)?;
                let area = window.taps();
                expect(node, "number of multipliers", multipliers.len(), area + 1)?;
                let largest = multipliers.iter().map(|m| i128::from(*m).abs()).max().unwrap_or(0);
                check_multipliers(node, largest * area as i128)?;
                expect(node, "output shape", Some(y.shape), pool_output(window, x.shape))
            }
            Op::Reshape => {
                expect(node, "output format", y.format, x.format)?;
                expect(node, "number of elements", y.shape.len(), x.shape.len())
            }
            Op::Rearrange { origins } => self.check_rearrangement(node, origins),
            Op::MatMul(product) => self.check_product(node, product),
            Op::Multiply(rescale) => {
                expect(node, "operand shape", self.tensors[node.inputs[1]].shape, x.shape)?;
                expect(node, "output shape", y.shape, x.shape)?;
                self.check_rescale(node, rescale)
            }
            Op::Softmax(softmax) => {
                expect(node, "output shape", y.shape, x.shape)?;
                check_softmax(node, softmax, x)?;
                self.check_rescale(node, &softmax.rescale)
            }
            Op::Normalise(normalise) => {
                expect(node, "output shape", y.shape, x.shape)?;
                check_normalise(node, normalise, x)?;
                self.check_rescale(node, &normalise.rescale)
            }
            Op::ArgMax { starts, stride, count, .. } => {
                expect(node, "number of maxima", starts.len(), y.shape.len())?;
                expect(node, "output range", (y.format.min, y.format.max), (0, *count as i64 - 1))?;
                let reach = count.checked_sub(1).and_then(|steps| steps.checked_mul(*stride));
                let end = starts.iter().max().zip(reach).and_then(|(start, reach)| reach.checked_add(*start as usize));
                expect(node, "candidates inside the operand", end.is_some_and(|end| end < x.shape.len()), true)?;
                expect(node, "two candidates or more", *count > 1 && *stride > 0, true)
            }
        }
    }

    fn check_product(&self, node: &Node, product: &MatMul) -> Check {
        let MatMul { heads, inner, rows, columns, .. } = *product;
        let small = [heads, inner, rows, columns].iter().all(|n| (1..=1 << 20).contains(n));
        expect(node, "extents of a product that are positive and small", small, true)?;
        let shape = |channels, width| Shape { channels, height: 1, width };
        let blocks = heads.checked_mul(inner).unwrap_or(0);
        expect(node, "left operand's shape", self.tensors[node.inputs[0]].shape, shape(blocks, rows))?;
        expect(node, "right operand's shape", self.tensors[node.inputs[1]].shape, shape(blocks, columns))?;
        expect(node, "output shape", self.tensors[node.output].shape, shape(rows * heads, columns))?;
        self.check_rescale(node, &product.rescale)
    }

    /// A shift that is known, and accumulators within bounds.
    fn check_rescale(&self, node: &Node, rescale: &Rescale) -> Check {
        let known =
            (1..=MAX_REMAINDER_LIMBS).contains(&rescale.limbs) && self.shift * rescale.limbs <= MAX_REMAINDER_BITS;
        expect(node, "a shift of few limbs", known, true)?;
        expect(node, "a positive multiplier", rescale.multiplier > 0, true)?;
        // Saturated where it overflows.
        let magnitude = self.node_bounds(node).magnitude();
        if i128::from(magnitude) > ACCUMULATOR_LIMIT {
            return Err(mismatch(node, "accumulators up to", magnitude.to_string(), "at most 2^61".into()));
        }
        Ok(())
    }

    fn check_activation(&self, node: &Node) -> Check {
        let Some(index) = node.activation else { return Ok(()) };
        expect(node, "an activation after requantisation", node.op.requantises(), true)?;
        let Some(Activation { min, values }) = self.activations.get(index) else {
            let known = format!("below {}", self.activations.len());
            return Err(mismatch(node, "activation", index.to_string(), known));
        };
        let domain =
            (-ACTIVATION_LIMIT..=ACTIVATION_LIMIT).contains(min) && values.len() <= 2 * ACTIVATION_LIMIT as usize;
        expect(node, "an activation with two arguments or more, within 17 bits", domain && values.len() > 1, true)?;
        let Format { min, max, .. } = self.tensors[node.output].format;
        let inside = values.iter().all(|value| (min..=max).contains(value));
        expect(node, "an activation inside the output's range", inside, true)
    }

    fn check_rearrangement(&self, node: &Node, origins: &[Origin]) -> Check {
        let y = &self.tensors[node.output];
        expect(node, "number of elements", origins.len(), y.shape.len())?;
        for &id in &node.inputs {
            let x = self.tensors[id].format;
            expect(node, "fractional bits", y.format.frac_bits, x.frac_bits)?;
            expect(node, "operands inside the output's range", y.format.min <= x.min && x.max <= y.format.max, true)?;
        }
        let known = |origin: &Origin| match *origin {
            Origin::Element { operand, element } => {
                let operand = node.inputs.get(operand as usize);
                operand.is_some_and(|&id| (element as usize) < self.tensors[id].shape.len())
            }
            Origin::Constant(value) => (y.format.min..=y.format.max).contains(&value),
        };
        expect(node, "known origins of all elements", origins.iter().all(known), true)
    }

    fn check_raw(&self, node: &Node, linear: &Linear) -> Check {
        if !linear.raw {
            return Ok(());
        }
        expect(node, "pooling of a raw output", linear.pool, [1, 1])?;
        let readers = self.nodes.iter().filter(|n| n.inputs.contains(&node.output)).count();
        expect(node, "readers of a raw output", readers, 0)?;
        let places = self.outputs.iter().filter(|output| **output == node.output).count();
        expect(node, "places of a raw output among the graph's outputs", places, 1)
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(node: &Node, what: &'static str, got: T, expected: T) -> Check {
    if got == expected { Ok(()) } else { Err(mismatch(node, what, format!("{got:?}"), format!("{expected:?}"))) }
}

fn mismatch(node: &Node, what: &'static str, got: String, expected: String) -> ValidateError {
    ValidateError::Node { node: node.name.clone(), what, got, expected }
}

fn check_tensor(tensor: &super::Tensor, limit: i64) -> Check {
    let fail = |what, got: String, expected: String| {
        Err(ValidateError::Tensor { tensor: tensor.name.clone(), what, got, expected })
    };
    let Shape { channels, height, width } = tensor.shape;
    match channels.checked_mul(height).and_then(|n| n.checked_mul(width)) {
        Some(n) if n > 0 && n < 1 << 40 => {}
        _ => return fail("shape", format!("{:?}", tensor.shape), "1 to 2^40 elements".into()),
    }
    let Format { frac_bits, min, max } = tensor.format;
    if min > max || min < -limit || max > limit {
        return fail("range", format!("{min}..={max}"), format!("a non-empty range within ±{limit}"));
    }
    if frac_bits.abs() > 64 {
        return fail("fractional bits", frac_bits.to_string(), "-64..=64".into());
    }
    let logical = tensor.logical_shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let elements = match tensor.storage {
        Storage::Plain | Storage::Transposed => tensor.shape.len(),
        Storage::OneHot => tensor.shape.height * tensor.shape.width,
    };
    if logical != Some(elements) {
        return fail("logical shape", format!("{:?}", tensor.logical_shape), format!("{elements} elements"));
    }
    if tensor.storage == Storage::OneHot && (min != 0 || max == 0) {
        return fail("range", format!("{min}..={max}"), "0 and a positive number".into());
    }
    Ok(())
}

/// Numbers so small that no extent or position overflows.
fn check_window(node: &Node, window: &Window) -> Check {
    let Window { kernel, stride, dilation, pad_before, pad_after } = window;
    let positive = [kernel, stride, dilation].into_iter().flatten().all(|n| (1..=WINDOW_LIMIT).contains(n));
    if positive && pad_before.iter().chain(pad_after).all(|pad| *pad <= WINDOW_LIMIT) {
        return Ok(());
    }
    let expected = format!("positive kernel, stride and dilation, padding, all at most {WINDOW_LIMIT}");
    Err(mismatch(node, "window", format!("{window:?}"), expected))
}

/// Every window covers some element of the image: there is no maximum of padding alone.
fn check_cover(node: &Node, window: &Window, x: Shape) -> Check {
    let Some([height, width]) = window.output(x.height, x.width) else { return Ok(()) };
    let empty = |axis, size, outputs| covered(window, axis, size, outputs).iter().any(Vec::is_empty);
    expect(node, "windows in padding alone", empty(0, x.height, height) || empty(1, x.width, width), false)
}

fn check_linear(node: &Node, linear: &Linear, x: Shape) -> Check {
    check_window(node, &linear.window)?;
    let dilated = linear.input_dilation.iter().all(|d| (1..=WINDOW_LIMIT).contains(d));
    expect(node, "input dilation that is positive and small", dilated, true)?;
    let matrix = linear.window == Window::UNIT && x.height == 1 && !linear.raw && linear.pool == [1, 1];
    expect(node, "a transposed result of a matrix product", matrix || !linear.transposed, true)?;
    let pooled = linear.pool.iter().all(|size| (1..=WINDOW_LIMIT).contains(size));
    expect(node, "pooling window that is positive and small", pooled, true)?;
    let divides = |n: usize| linear.groups > 0 && n.is_multiple_of(linear.groups);
    expect(node, "groups that divide the channels", divides(x.channels) && divides(linear.out_channels), true)?;
    let taps = linear.window.taps();
    let expected = linear.out_channels.checked_mul(x.channels / linear.groups).and_then(|n| n.checked_mul(taps));
    expect(node, "number of weights", Some(linear.weights.len()), expected)?;
    expect(node, "number of biases", linear.bias.len(), linear.out_channels)?;
    let limit = 1i32 << (WEIGHT_BITS - 1);
    let (min, max) = linear.weights.iter().fold((0, 0), |(lo, hi), &w| (w.min(lo), w.max(hi)));
    if min < -limit || max >= limit {
        return Err(mismatch(node, "weights", format!("{min}..={max}"), format!("{WEIGHT_BITS} bits with sign")));
    }
    check_summands(node, "bias", &linear.bias)
}

fn check_groups(node: &Node, groups: usize, len: usize, x: &super::Tensor) -> Check {
    expect(node, "groups of members", groups.checked_mul(len), Some(x.shape.len()))
}

fn check_softmax(node: &Node, softmax: &Softmax, x: &super::Tensor) -> Check {
    let Softmax { groups, len, ref masked, ref exp, bits, .. } = *softmax;
    check_groups(node, groups, len, x)?;
    expect(node, "a mask of all elements or none", masked.is_empty() || masked.len() == x.shape.len(), true)?;
    let kept = |p: usize| (0..len).any(|c| !softmax.is_masked(c * groups + p));
    expect(node, "a member that is kept in each group", (0..groups).all(kept), true)?;
    let reach = x.format.max.abs_diff(x.format.min) as usize;
    expect(node, "exponentials from the maximum on", (exp.min, exp.values.len()), (0, reach + 1))?;
    let first = exp.values.first().copied().unwrap_or(0);
    let falls = (1..=1 << 20).contains(&first) && exp.values[1..].iter().all(|e| (0..first).contains(e));
    expect(node, "exponentials that are greatest at the maximum alone", falls, true)?;
    expect(node, "a dividend that is not too wide", bits <= MAX_DIVIDEND_BITS && len < 1 << 20, true)
}

fn check_normalise(node: &Node, normalise: &Normalise, x: &super::Tensor) -> Check {
    check_groups(node, normalise.groups, normalise.len, x)?;
    expect(node, "a positive epsilon that is not too large", (1..1 << 60).contains(&normalise.epsilon), true)?;
    let narrow = normalise.bits <= MAX_DIVIDEND_BITS && normalise.len < 1 << 20;
    expect(node, "a dividend that is not too wide", narrow, true)?;
    let product = normalise.bits + (i128::BITS - normalise.largest_variance(x.format.magnitude()).leading_zeros()) / 2;
    expect(node, "roots and variances that a few limbs hold", product < 90, true)?;
    // Sums of squares then fit 64 bits.
    let variance = normalise.largest_variance(x.format.magnitude());
    expect(node, "variances below 2^61", variance < ACCUMULATOR_LIMIT, true)
}

/// A width below the accumulators' limit, that the learned values keep to. What is not learned (the products of a sum of activations) comes to
/// the width of summands: `|acc| <= 2^61 + 2^60` in all.
fn check_width(node: &Node, width: Option<Width>, exact: impl Fn() -> Vec<Bounds>) -> Check {
    let Some(width) = width else { return Ok(()) };
    if width.bits.max(width.spread_bits) > MAX_WIDTH_BITS {
        let expected = format!("at most {MAX_WIDTH_BITS}");
        return Err(mismatch(node, "bits of learned accumulators", format!("{width:?}"), expected));
    }
    let exact = exact();
    if !width.holds(&exact) {
        let got = format!("{:?}", exact.into_iter().reduce(Bounds::union).unwrap_or_default());
        return Err(mismatch(
            node,
            "learned values with accumulators",
            got,
            format!("those of the declared {width:?}"),
        ));
    }
    Ok(())
}

fn check_summands(node: &Node, what: &'static str, summands: &[i64]) -> Check {
    match summands.iter().find(|b| !(-BIAS_LIMIT..=BIAS_LIMIT).contains(*b)) {
        Some(summand) => Err(mismatch(node, what, summand.to_string(), format!("at most ±{BIAS_LIMIT}"))),
        None => Ok(()),
    }
}

fn check_multipliers(node: &Node, sum: i128) -> Check {
    if sum > ACCUMULATOR_LIMIT / i128::from(ACTIVATION_LIMIT) {
        return Err(mismatch(node, "sum of multipliers", sum.to_string(), "accumulators within ±2^61".into()));
    }
    Ok(())
}

fn linear_output(linear: &Linear, x: Shape) -> Option<Shape> {
    let [h, w] = linear.output(x)?;
    let [ph, pw] = linear.pool;
    if linear.transposed {
        return Some(Shape { channels: w, height: 1, width: linear.out_channels });
    }
    Some(Shape { channels: linear.out_channels, height: h.checked_div(ph)?, width: w.checked_div(pw)? })
}

fn pool_output(window: &Window, x: Shape) -> Option<Shape> {
    let [height, width] = window.output(x.height, x.width)?;
    Some(Shape { channels: x.channels, height, width })
}

#[cfg(test)]
mod tests {
    use super::super::Tensor;
    use super::*;

    fn graph() -> Graph {
        let tensor = |name: &str, n| Tensor {
            name: name.into(),
            shape: Shape::vector(n),
            format: Format { frac_bits: 4, min: -128, max: 127 },
            logical_shape: vec![1, n],
            storage: Storage::Plain,
        };
        let op = Op::Linear(Linear::dense(2, vec![1; 6], vec![0; 2]));
        let nodes = vec![Node { name: "fc".into(), op, inputs: vec![0], output: 1, activation: None }];
        let tensors = vec![tensor("x", 3), tensor("y", 2)];
        Graph { name: "g".into(), shift: 11, tensors, activations: vec![], nodes, inputs: vec![0], outputs: vec![1] }
    }

    fn linear(graph: &mut Graph) -> &mut Linear {
        match &mut graph.nodes[0].op {
            Op::Linear(linear) => linear,
            _ => unreachable!(),
        }
    }

    #[test]
    fn a_sound_graph_is_accepted() {
        assert_eq!(graph().validate(), Ok(()));
        let mut declared = graph();
        linear(&mut declared).width = Some(Width { bits: 9, spread_bits: 10 });
        assert_eq!(declared.validate(), Ok(()));
        let [bounds] = declared.accumulator_bounds()[..] else { unreachable!() };
        assert_eq!((bounds.min, bounds.max), (-503, 503));
    }

    #[test]
    fn a_declared_width_holds_twice_what_it_was_declared_for() {
        let bounds = [Bounds { min: -3, max: 4 }, Bounds { min: 0, max: 7 }];
        assert_eq!(Width::of(&bounds), Width { bits: 4, spread_bits: 4 });
        assert_eq!(Width::of(&[Bounds { min: -8, max: 0 }]), Width { bits: 5, spread_bits: 5 });
        // Twice 511 are ten bits, but less than a 64th would be left.
        assert_eq!(Width::of(&[Bounds { min: 0, max: 511 }]).bits, 11);
        assert_eq!(Width::of(&[Bounds { min: -503, max: 0 }]).bits, 10);
        assert_eq!(Width::of(&[]), Width::default());
        assert_eq!((Width::limit(10), Width::limit(64)), (1007, u64::MAX - 1 - u64::MAX / 64));
    }

    #[test]
    fn each_broken_invariant_is_refused_with_its_place() {
        type Change = (&'static str, fn(&mut Graph));
        let changes: [Change; 26] = [
            ("'g'", |g| g.shift = 0),
            ("'g'", |g| g.shift = 21),
            ("'fc'", |g| g.nodes[0].inputs = vec![7]),
            ("'fc'", |g| g.nodes[0].inputs = vec![1]),
            ("'fc'", |g| g.nodes[0].output = 0),
            ("outputs", |g| g.outputs = vec![9]),
            ("'x'", |g| g.tensors[0].format.min = 128),
            ("'y'", |g| g.tensors[1].format.max = 1 << 16),
            ("'fc'", |g| g.tensors[1].shape = Shape { channels: 1, height: 2, width: 1 }),
            ("'fc'", |g| linear(g).weights[0] = 1 << 15),
            ("'fc'", |g| linear(g).bias[1] = (1 << 40) + 1),
            ("'fc'", |g| linear(g).window.pad_before = [1, 0]),
            ("'fc'", |g| linear(g).window.dilation = [0, 1]),
            ("'fc'", |g| linear(g).input_dilation = [1, 0]),
            ("'fc'", |g| linear(g).groups = 2),
            ("'fc'", |g| linear(g).groups = 0),
            ("'fc'", |g| {
                linear(g).raw = true;
                g.outputs = vec![];
            }),
            ("'fc'", |g| g.nodes[0].activation = Some(0)),
            ("'fc'", |g| {
                g.activations = vec![Activation { min: 0, values: vec![0, 128] }];
                g.nodes[0].activation = Some(0);
            }),
            ("'fc'", |g| {
                let element = |element| Origin::Element { operand: 0, element };
                g.nodes[0].op = Op::Rearrange { origins: vec![element(0), element(3)] };
            }),
            ("'fc'", |g| g.nodes[0].op = Op::Rearrange { origins: vec![Origin::Constant(0), Origin::Constant(128)] }),
            // Accumulators of three weights of 1 reach -384 and 381: nine bits, and their differences 765.
            ("'fc'", |g| linear(g).width = Some(Width { bits: 8, spread_bits: 10 })),
            ("'fc'", |g| linear(g).width = Some(Width { bits: 9, spread_bits: 9 })),
            ("'fc'", |g| linear(g).width = Some(Width { bits: 61, spread_bits: 10 })),
            ("'fc'", |g| {
                g.tensors[1].shape = Shape::vector(3);
                g.tensors[1].logical_shape = vec![1, 3];
                let width = Some(Width { bits: 3, spread_bits: 4 });
                g.nodes[0].op = Op::Combine { multipliers: vec![1], offset: vec![0, 8, -9], width };
            }),
            ("'fc'", |g| {
                g.tensors[1].format = Format { frac_bits: 0, min: 0, max: 1 };
                g.nodes[0].op = Op::ArgMax { starts: vec![0, 2], stride: 1, count: 2, last: false };
            }),
        ];
        for (i, (place, change)) in changes.into_iter().enumerate() {
            let mut graph = graph();
            change(&mut graph);
            let message = graph.validate().expect_err(&format!("change {i}")).to_string();
            assert!(message.contains(place) && message.contains("hint:"), "change {i}: {message}");
        }
    }
}
