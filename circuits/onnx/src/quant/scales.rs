//! One scale for each class of tensors that share elements.
//!
//! A change of shape and a maximum keep an element's format, and a rearrangement its fractional bits, so tensors that
//! are related by movement form classes: a class has the fractional bits at which all its members fit, and every
//! producer quantises straight into them. A concatenation then costs no rescaling. Ranges stay each tensor's own: a
//! ReLU's output is unsigned whatever it is concatenated with.
//!
//! Three cases are cut out of a class, and rescaled where they enter it: indices of maxima, whose scale is fixed;
//! tensors that something else reads at a much finer scale than the class has; and results of weights that are too
//! large for their operand's scale, where that is the class's.

use std::collections::{BTreeMap, HashSet};

use zkml_gpu_graph::{FRAC_BITS_LIMIT, Storage, TensorId};

use super::context::{Context, Scales};
use super::error::QuantError;
use super::fitting::range;
use super::group::Group;
use super::ops::{ScaleOf, constant_bits, is_signed, limit, scale_of};
use super::table;

/// Bits that a tensor may lose to its class before it is cut out, where something else reads it.
const TOLERATED_LOSS: i32 = 2;

/// Classes of tensors as a forest.
pub(super) struct Classes(Vec<TensorId>);

impl Classes {
    pub(super) fn root(&self, mut id: TensorId) -> TensorId {
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
    /// Tensors whose bits matter, in lists of those with one scale. Indices, of maxima too, and raw outputs have the
    /// bits that they have.
    pub(super) fn units(&self) -> Vec<Vec<TensorId>> {
        let classes = self.classes(&self.fixed_operands());
        let told: HashSet<TensorId> = self.told().map(|id| classes.root(id)).collect();
        let fixed = |group: &&Group| {
            group.raw || self.scale_of(group) == ScaleOf::Indices || told.contains(&classes.root(group.output))
        };
        let results = self.groups.iter().filter(|group| !fixed(group)).map(|group| group.output);
        let mut units: BTreeMap<TensorId, Vec<TensorId>> = BTreeMap::new();
        let numbers =
            |id: &TensorId| self.source.tensors[*id].storage != Storage::OneHot && !told.contains(&classes.root(*id));
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
        if let Some(id) = (0..own.len()).find(|id| of(*id) < -FRAC_BITS_LIMIT) {
            return Err(QuantError::Scale { node: self.source.tensors[id].name.clone(), what: "activations" });
        }
        // In its own unit 1 is 1.
        if let Some(id) = self.told().find(|id| of(*id) != 0) {
            let what = "weights, biases or factors";
            return Err(QuantError::Scale { node: self.source.tensors[id].name.clone(), what });
        }
        Ok(Scales { frac_bits: (0..own.len()).map(of).collect(), signed, cuts })
    }

    /// Tensors whose integers the model's file tells.
    fn told(&self) -> impl Iterator<Item = TensorId> + '_ {
        let tensors = self.source.tensors.iter().enumerate();
        let used =
            |id: &TensorId| self.source.inputs.contains(id) || self.groups.iter().any(|group| group.output == *id);
        tensors.filter(|(_, tensor)| tensor.integers.is_some()).map(|(id, _)| id).filter(used)
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
            self.groups.iter().filter(same).any(|group| self.scale_of(group) == ScaleOf::Accumulator && reads(group))
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
                if limit < -FRAC_BITS_LIMIT {
                    let (node, what) = (node.name.clone(), "weights, biases or factors");
                    return Err(QuantError::Scale { node, what });
                }
            }
        }
        Ok(())
    }

    /// Groups that rearrange, with their operands.
    fn rearranged(&self) -> Vec<(usize, usize, TensorId)> {
        let groups = self.groups.iter().enumerate().filter(|(_, group)| self.scale_of(group) == ScaleOf::Moved);
        let operands = |(g, group): (usize, &Group)| {
            let inputs = &self.source.nodes[group.head].inputs;
            inputs.iter().enumerate().map(move |(i, &id)| (g, i, id))
        };
        groups.flat_map(operands).collect()
    }

    /// Classes of tensors with one format: changes of shape and maxima.
    fn rigid(&self) -> Classes {
        let mut classes = Classes((0..self.source.tensors.len()).collect());
        for group in self.groups {
            if self.scale_of(group) == ScaleOf::Operand {
                classes.join(self.source.nodes[group.head].inputs[0], group.output);
            }
        }
        classes
    }

    /// Classes of tensors with one scale.
    pub(super) fn classes(&self, cuts: &HashSet<(usize, usize)>) -> Classes {
        let mut classes = self.rigid();
        for (g, i, operand) in self.rearranged() {
            if !cuts.contains(&(g, i)) {
                classes.join(operand, self.groups[g].output);
            }
        }
        classes
    }

    /// Operands of rearrangements that are indices of maxima.
    pub(super) fn fixed_operands(&self) -> HashSet<(usize, usize)> {
        let classes = self.rigid();
        let indices = self.groups.iter().filter(|group| self.scale_of(group) == ScaleOf::Indices);
        let fixed: HashSet<TensorId> = indices.map(|group| classes.root(group.output)).collect();
        let operands = self.rearranged().into_iter();
        operands.filter(|(_, _, id)| fixed.contains(&classes.root(*id))).map(|(g, i, _)| (g, i)).collect()
    }

    /// Whether something other than movement reads a tensor or another of its format, or the caller gets it.
    fn is_read_elsewhere(&self, formats: &Classes, id: TensorId) -> bool {
        let moves = |i: usize| matches!(scale_of(&self.source.nodes[i].op), ScaleOf::Moved | ScaleOf::Operand);
        let is_read = |id| self.source.outputs.contains(&id) || self.source.readers(id).any(|i| !moves(i));
        (0..self.source.tensors.len()).any(|other| formats.root(other) == formats.root(id) && is_read(other))
    }

    /// Whether each tensor may hold negative numbers.
    fn signs(&self) -> Vec<bool> {
        let mut signed = vec![true; self.source.tensors.len()];
        for &id in &self.source.inputs {
            let least = self.source.tensors[id].integers.map(|[min, _]| min as f32);
            signed[id] = least.unwrap_or(self.observations.spread(id).min) < 0.0;
        }
        for group in self.groups {
            let node = &self.source.nodes[group.head];
            let operands = node.inputs.iter().any(|&id| signed[id]);
            let computed = is_signed(node, operands);
            let argument = self.observations.spread(group.argument).widened(self.options.headroom);
            let negative = match &group.function {
                Some(function) => table::is_negative(function, argument),
                None => computed,
            };
            let told = self.source.tensors[group.output].integers.is_none_or(|[min, _]| min < 0);
            signed[group.output] = negative && told && group.clamp.is_none_or(|[min, _]| min < 0.0);
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
                Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => {
                    self.observations.frac_bits(id, range(signed[id], self.bits(id)), headroom, None)
                }
            };
        }
        for group in self.groups {
            let limits = range(signed[group.output], self.bits(group.output));
            own[group.output] = match self.scale_of(group) {
                ScaleOf::Operand => continue,
                ScaleOf::Indices => 0,
                ScaleOf::Shares => self.bits(group.output) as i32,
                // Elements count where they are computed.
                ScaleOf::Moved => constant_bits(&self.source.nodes[group.head].op, self.activation_bits),
                ScaleOf::Accumulator | ScaleOf::Function => {
                    self.observations.frac_bits(group.output, limits, headroom, group.clamp)
                }
            };
        }
        self.told().for_each(|id| own[id] = 0);
        // More would be of no use: it is less than the last bit of anything that a circuit computes with.
        own.iter_mut().filter(|bits| **bits != i32::MAX).for_each(|bits| *bits = (*bits).min(FRAC_BITS_LIMIT));
        own
    }

    /// What the scale of a group's result follows from.
    fn scale_of(&self, group: &Group) -> ScaleOf {
        scale_of(&self.source.nodes[group.head].op)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_take_the_least_of_their_members() {
        let mut classes = Classes((0..4).collect());
        classes.join(3, 1);
        classes.join(1, 0);
        let shared = minima(&classes, &[7, 5, 2, 6]);
        assert_eq!((shared[classes.root(3)], shared[classes.root(2)]), (5, 2));
    }
}
