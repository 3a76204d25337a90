//! One scale for each class of tensors that share elements.
//!
//! A change of shape and a maximum keep an element's format, and a rearrangement its fractional bits, so tensors that
//! are related by movement form classes: a class has the fractional bits at which all its members fit, and every
//! producer quantises straight into them. A concatenation then costs no rescaling. Ranges stay each tensor's own: a
//! ReLU's output is unsigned whatever it is concatenated with.
//!
//! Three cases are cut out of a class, and rescaled where they enter it: indices of maxima, whose scale is fixed; tensors
//! that something else reads at a much finer scale than the class has; and results of weights that are too large for
//! their operand's scale, where that is the class's.

use std::collections::{BTreeMap, HashSet};

use crate::import::{FloatGraph, FloatNode, FloatOp, FloatOrigin};
use zkml_gpu_graph::{ACTIVATION_LIMIT, BIAS_LIMIT, Format, Storage, TensorId};

use super::calibrate::{Observations, fitting};
use super::convert::{FACTOR_LIMIT, WEIGHT_LIMIT};
use super::group::Group;
use super::{QuantError, QuantOptions, table};

/// Further bits of what exponentials are taken of, and of their shares; each one doubles their tables.
const EXPONENTIAL_BITS: u32 = 2;
const MAX_EXPONENTIAL_BITS: u32 = 12;
/// Fractional bits of the greatest 1 that is an activation.
const MAX_ONE_HOT_BITS: u32 = ACTIVATION_LIMIT.ilog2();
/// Bits that a tensor may lose to its class before it is cut out, where something else reads it.
const TOLERATED_LOSS: i32 = 2;

/// What is known before scales are chosen.
pub(super) struct Context<'a> {
    pub(super) source: &'a FloatGraph,
    pub(super) groups: &'a [Group],
    pub(super) observations: &'a Observations,
    pub(super) options: &'a QuantOptions,
    pub(super) activation_bits: u32,
}

/// Scales of all tensors.
pub(super) struct Scales {
    /// Fractional bits by tensor of the float graph.
    pub(super) frac_bits: Vec<i32>,
    /// Whether a tensor may hold negative numbers.
    pub(super) signed: Vec<bool>,
    /// Group and position of the operands that are rescaled where they are rearranged.
    pub(super) cuts: HashSet<(usize, usize)>,
}

/// Classes of tensors as a forest.
struct Classes(Vec<TensorId>);

impl Classes {
    fn root(&self, mut id: TensorId) -> TensorId {
        while self.0[id] != id {
            id = self.0[id];
        }
        id
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

impl Context<'_> {
    /// Bits of a tensor's integers: more for what a softmax takes, whose rounding its exponentials multiply, and for shares, of which
    /// most are small.
    pub(super) fn bits(&self, id: TensorId) -> u32 {
        let named = self.options.tensor_bits.get(&self.source.tensors[id].name);
        let own = named.copied().unwrap_or(self.activation_bits);
        let exponential = |i: usize| matches!(self.source.nodes[i].op, FloatOp::Softmax(_));
        let near = self.source.readers(id).any(exponential) || self.source.producer(id).is_some_and(exponential);
        let extra = if near { (own + EXPONENTIAL_BITS).min(MAX_EXPONENTIAL_BITS) } else { 0 };
        own.max(extra)
    }

    /// Fractional bits of the 1 in the one-hot form of an index: as many as requantisation takes away, so that a table of weights has
    /// the scale of the rows that are taken from it.
    fn one_hot_bits(&self) -> u32 {
        self.options.shift.min(MAX_ONE_HOT_BITS)
    }

    /// The format of an input.
    pub(super) fn input_format(&self, id: TensorId, scales: &Scales) -> Format {
        let bits = self.one_hot_bits();
        match self.source.tensors[id].storage {
            Storage::OneHot => Format { frac_bits: bits as i32, min: 0, max: 1 << bits },
            _ => self.full_format(id, scales),
        }
    }

    /// The format of a tensor with all integers of its sign.
    pub(super) fn full_format(&self, id: TensorId, scales: &Scales) -> Format {
        let (min, max) = range(scales.signed[id], self.bits(id));
        Format { frac_bits: scales.frac_bits[id], min, max }
    }

    /// Tensors whose bits matter, in lists of those with one scale. Indices, of maxima too, and raw outputs have the bits that they have.
    pub(super) fn units(&self) -> Vec<Vec<TensorId>> {
        let classes = self.classes(&self.fixed_operands());
        let fixed = |group: &&Group| group.raw || matches!(self.source.nodes[group.head].op, FloatOp::ArgMax { .. });
        let results = self.groups.iter().filter(|group| !fixed(group)).map(|group| group.output);
        let mut units: BTreeMap<TensorId, Vec<TensorId>> = BTreeMap::new();
        let numbers = |id: &TensorId| self.source.tensors[*id].storage != Storage::OneHot;
        for id in self.source.inputs.iter().copied().filter(numbers).chain(results) {
            units.entry(classes.root(id)).or_default().push(id);
        }
        units.into_values().collect()
    }

    /// Chooses all scales.
    pub(super) fn scales(&self) -> Result<Scales, QuantError> {
        let signed = self.signs();
        let own = self.own(&signed);
        let mut cuts = self.fixed_operands();
        let (alone, together) = (self.rigid(), self.classes(&cuts));
        let (fine, shared) = (minima(&alone, &own), minima(&together, &own));
        for (g, i, operand) in self.rearranged() {
            let (fine, shared) = (fine[alone.root(operand)], shared[together.root(operand)]);
            let loses = fine != i32::MAX && fine.saturating_sub(shared) >= TOLERATED_LOSS;
            if loses && self.is_read_elsewhere(&alone, operand) {
                cuts.insert((g, i));
            }
        }
        let (classes, frac_bits) = loop {
            let classes = self.classes(&cuts);
            let mut frac_bits = minima(&classes, &own);
            match self.settle(&classes, &mut frac_bits) {
                Ok(()) => break (classes, frac_bits),
                Err(error) if !self.cut_one(&classes, &alone, &mut cuts) => return Err(error),
                Err(_) => {}
            }
        };
        let of = |id| match frac_bits[classes.root(id)] {
            i32::MAX => 0,
            bits => bits,
        };
        Ok(Scales { frac_bits: (0..own.len()).map(of).collect(), signed, cuts })
    }

    /// Cuts a producer's result out of its class where no scale of the class may suit the weights, because the operand
    /// is in the class as well; tells whether there was one. Longer circles are broken anywhere.
    fn cut_one(&self, classes: &Classes, formats: &Classes, cuts: &mut HashSet<(usize, usize)>) -> bool {
        let entries = self.rearranged();
        let joined: Vec<_> = entries.iter().filter(|(g, i, _)| !cuts.contains(&(*g, *i))).collect();
        let circular = |id: TensorId| {
            let same = |group: &&Group| formats.root(group.output) == formats.root(id);
            let operands = |group: &Group| self.source.nodes[group.head].inputs.clone();
            let reads = |group: &Group| operands(group).iter().any(|x| classes.root(*x) == classes.root(id));
            self.groups.iter().filter(same).any(|group| computes(&self.source.nodes[group.head]) && reads(group))
        };
        let entry = joined.iter().find(|(_, _, id)| circular(*id)).or(joined.first());
        entry.is_some_and(|(g, i, _)| cuts.insert((*g, *i)))
    }

    /// Lowers scales until the weights, biases and factors of every producer fit.
    fn settle(&self, classes: &Classes, frac_bits: &mut [i32]) -> Result<(), QuantError> {
        let mut changed = true;
        while changed {
            changed = false;
            for group in self.groups.iter().filter(|group| !group.raw && group.function.is_none()) {
                let node = &self.source.nodes[group.head];
                let scale = |id| match frac_bits[classes.root(id)] {
                    i32::MAX => 0,
                    bits => bits,
                };
                let root = classes.root(group.output);
                let limit = limit(node, scale, self.options.shift)?;
                if limit < scale(root) {
                    frac_bits[root] = limit;
                    changed = true;
                }
                if limit < -64 {
                    let (node, what) = (node.name.clone(), "weights, biases or factors");
                    return Err(QuantError::Scale { node, what });
                }
            }
        }
        Ok(())
    }

    /// Groups that rearrange, with their operands.
    fn rearranged(&self) -> Vec<(usize, usize, TensorId)> {
        let node = |group: &Group| &self.source.nodes[group.head];
        let groups = self.groups.iter().map(node).enumerate();
        let groups = groups.filter(|(_, node)| matches!(node.op, FloatOp::Rearrange { .. }));
        groups.flat_map(|(g, node)| node.inputs.iter().enumerate().map(move |(i, &id)| (g, i, id))).collect()
    }

    /// Classes of tensors with one format: changes of shape and maxima.
    fn rigid(&self) -> Classes {
        let mut classes = Classes((0..self.source.tensors.len()).collect());
        for group in self.groups {
            let node = &self.source.nodes[group.head];
            if matches!(node.op, FloatOp::MaxPool(_) | FloatOp::Reshape) {
                classes.join(node.inputs[0], group.output);
            }
        }
        classes
    }

    /// Classes of tensors with one scale.
    fn classes(&self, cuts: &HashSet<(usize, usize)>) -> Classes {
        let mut classes = self.rigid();
        for (g, i, operand) in self.rearranged() {
            if !cuts.contains(&(g, i)) {
                classes.join(operand, self.groups[g].output);
            }
        }
        classes
    }

    /// Operands of rearrangements that are indices of maxima.
    fn fixed_operands(&self) -> HashSet<(usize, usize)> {
        let classes = self.rigid();
        let node = |group: &&Group| matches!(self.source.nodes[group.head].op, FloatOp::ArgMax { .. });
        let fixed: HashSet<TensorId> = self.groups.iter().filter(node).map(|g| classes.root(g.output)).collect();
        let operands = self.rearranged().into_iter();
        operands.filter(|(_, _, id)| fixed.contains(&classes.root(*id))).map(|(g, i, _)| (g, i)).collect()
    }

    /// Whether something other than movement reads a tensor or another of its format, or the caller gets it.
    fn is_read_elsewhere(&self, formats: &Classes, id: TensorId) -> bool {
        let moves = |i: usize| {
            matches!(self.source.nodes[i].op, FloatOp::Rearrange { .. } | FloatOp::Reshape | FloatOp::MaxPool(_))
        };
        let is_read = |id| self.source.outputs.contains(&id) || self.source.readers(id).any(|i| !moves(i));
        (0..self.source.tensors.len()).any(|other| formats.root(other) == formats.root(id) && is_read(other))
    }

    /// Whether each tensor may hold negative numbers.
    fn signs(&self) -> Vec<bool> {
        let mut signed = vec![true; self.source.tensors.len()];
        self.source.inputs.iter().for_each(|&id| signed[id] = self.observations.spread(id).min < 0.0);
        for group in self.groups {
            let node = &self.source.nodes[group.head];
            let operands = node.inputs.iter().any(|&id| signed[id]);
            let computed = match &node.op {
                FloatOp::Combine { factors, offset } => operands || factors.iter().chain(offset).any(|v| *v < 0.0),
                FloatOp::AveragePool { scale, .. } => operands || *scale < 0.0,
                FloatOp::Rearrange { origins } => {
                    operands || origins.iter().any(|o| matches!(o, FloatOrigin::Constant(c) if *c < 0.0))
                }
                FloatOp::Clamp { .. } | FloatOp::Activation(_) | FloatOp::MaxPool(_) | FloatOp::Reshape => operands,
                FloatOp::ArgMax { .. } | FloatOp::Softmax(_) => false,
                FloatOp::Multiply { scale } => node.inputs[0] != node.inputs[1] || *scale < 0.0,
                _ => true,
            };
            let argument = self.observations.spread(group.argument).widened(self.options.headroom);
            let negative = match &group.function {
                Some(function) => table::is_negative(function, argument),
                None => computed,
            };
            signed[group.output] = negative && group.clamp.is_none_or(|[min, _]| min < 0.0);
        }
        signed
    }

    /// Most fractional bits at which each tensor that something computes fits; `i32::MAX` where any do.
    fn own(&self, signed: &[bool]) -> Vec<i32> {
        let mut own = vec![i32::MAX; self.source.tensors.len()];
        let headroom = self.options.headroom;
        for &id in &self.source.inputs {
            own[id] = match self.source.tensors[id].storage {
                Storage::OneHot => self.one_hot_bits() as i32,
                _ => self.observations.frac_bits(id, range(signed[id], self.bits(id)), headroom, None),
            };
        }
        for group in self.groups {
            let limits = range(signed[group.output], self.bits(group.output));
            own[group.output] = match &self.source.nodes[group.head].op {
                FloatOp::MaxPool(_) | FloatOp::Reshape => continue,
                FloatOp::ArgMax { .. } => 0,
                // Shares are at most 1.
                FloatOp::Softmax(_) => self.bits(group.output) as i32,
                // Elements count where they are computed.
                FloatOp::Rearrange { origins } => self.constants(origins),
                _ => self.observations.frac_bits(group.output, limits, headroom, group.clamp),
            };
        }
        own
    }

    /// Most fractional bits at which the constants of a rearrangement fit.
    fn constants(&self, origins: &[FloatOrigin]) -> i32 {
        let bits = |origin: &FloatOrigin| match *origin {
            FloatOrigin::Constant(c) => {
                let (min, max) = range(c < 0.0, self.activation_bits);
                fitting(f64::from(c.abs()), if c < 0.0 { -min } else { max })
            }
            FloatOrigin::Element { .. } => i32::MAX,
        };
        origins.iter().map(bits).min().unwrap_or(i32::MAX)
    }
}

/// Whether a node's result is an accumulator's requantisation.
fn computes(node: &FloatNode) -> bool {
    matches!(
        node.op,
        FloatOp::Linear(_)
            | FloatOp::Combine { .. }
            | FloatOp::AveragePool { .. }
            | FloatOp::MatMul(_)
            | FloatOp::Multiply { .. }
            | FloatOp::Normalise(_)
    )
}

/// The integers of a format with this many bits.
pub(super) fn range(signed: bool, bits: u32) -> (i64, i64) {
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// The least value of each class, at the class's root.
fn minima(classes: &Classes, own: &[i32]) -> Vec<i32> {
    let mut shared = vec![i32::MAX; own.len()];
    for (id, &bits) in own.iter().enumerate() {
        let root = classes.root(id);
        shared[root] = shared[root].min(bits);
    }
    shared
}

/// Most fractional bits of a node's result at which its weights, biases and factors fit.
pub(super) fn limit(node: &FloatNode, scale: impl Fn(TensorId) -> i32, shift: u32) -> Result<i32, QuantError> {
    let largest = |values: &[f32]| values.iter().fold(0f64, |m, v| m.max(f64::from(v.abs())));
    let shift = shift as i32;
    let product = |factor: f64, most: i64, operand: TensorId| {
        fitting(factor, most).saturating_add(scale(operand)).saturating_sub(shift)
    };
    let summand = |value: f64| fitting(value, BIAS_LIMIT).saturating_sub(shift);
    let finite = |values: &[f32]| match values.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(QuantError::NotFinite { node: node.name.clone(), what: "weights" }),
    };
    Ok(match &node.op {
        FloatOp::Linear(linear) => {
            finite(&linear.weights)?;
            finite(&linear.bias)?;
            product(largest(&linear.weights), WEIGHT_LIMIT, node.inputs[0]).min(summand(largest(&linear.bias)))
        }
        FloatOp::Combine { factors, offset } => {
            finite(factors)?;
            finite(offset)?;
            let products =
                factors.iter().zip(&node.inputs).map(|(f, &id)| product(f64::from(f.abs()), FACTOR_LIMIT, id));
            products.min().unwrap_or(i32::MAX).min(summand(largest(offset)))
        }
        FloatOp::AveragePool { scale: factor, .. } => product(f64::from(factor.abs()), FACTOR_LIMIT, node.inputs[0]),
        FloatOp::Clamp { .. } | FloatOp::Activation(_) => product(1.0, FACTOR_LIMIT, node.inputs[0]),
        _ => i32::MAX,
    })
}

/// A format's part that an activation's bounds leave.
pub(super) fn bounded(format: Format, clamp: Option<[f32; 2]>) -> Format {
    let Some([low, high]) = clamp else { return format };
    // The casts saturate, so that infinite bounds leave the range as it is.
    let scaled = |v: f32| (f64::from(v) * 2f64.powi(format.frac_bits)).round() as i64;
    let min = scaled(low).clamp(format.min, format.max);
    Format { min, max: scaled(high).clamp(min, format.max), ..format }
}

#[cfg(test)]
mod tests {
    use crate::import::FloatLinear;

    use super::*;

    fn node(op: FloatOp) -> FloatNode {
        FloatNode { name: "n".into(), op, inputs: vec![0], output: 1 }
    }

    #[test]
    fn a_scale_is_limited_by_weights_biases_and_factors() {
        let linear = |weight: f32, bias: f32| node(FloatOp::Linear(FloatLinear::dense(1, vec![weight], vec![bias])));
        let of = |node: &FloatNode| limit(node, |_| 4, 11).unwrap();
        // 2^8 · 100 is the last that fits 16 bits, and 2^20 · 2^20 the last that fits a bias.
        assert_eq!(of(&linear(-100.0, 0.0)), 8 + 4 - 11);
        assert_eq!(of(&linear(1.0, (1 << 20) as f32)), 14 + 4 - 11);
        assert_eq!(of(&linear(0.001, (1 << 20) as f32)), 20 - 11);
        assert_eq!(of(&node(FloatOp::sum(vec![1.0]))), 30 + 4 - 11);
        assert_eq!(of(&node(FloatOp::Reshape)), i32::MAX);
        assert!(matches!(limit(&linear(f32::NAN, 0.0), |_| 4, 11), Err(QuantError::NotFinite { .. })));
        assert!(matches!(limit(&linear(1.0, f32::INFINITY), |_| 4, 11), Err(QuantError::NotFinite { .. })));
    }

    #[test]
    fn classes_take_the_least_of_their_members() {
        let mut classes = Classes((0..4).collect());
        classes.join(3, 1);
        classes.join(1, 0);
        let shared = minima(&classes, &[7, 5, 2, 6]);
        assert_eq!((shared[classes.root(3)], shared[classes.root(2)]), (5, 2));
    }

    #[test]
    fn an_activation_leaves_a_part_of_the_range() {
        let format = Format { frac_bits: 2, min: -128, max: 127 };
        assert_eq!(bounded(format, Some([0.0, 6.0])), Format { min: 0, max: 24, ..format });
        assert_eq!(bounded(format, Some([f32::NEG_INFINITY, 0.0])), Format { max: 0, ..format });
        assert_eq!(bounded(format, Some([100.0, 200.0])), Format { min: 127, ..format });
    }
}
