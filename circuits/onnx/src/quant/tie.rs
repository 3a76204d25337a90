//! One scale for tensors of parts that compute the same: blocks that follow each other with other weights get the
//! extremes of all of them, so that one circuit serves all.

use std::collections::{BTreeMap, HashMap};

use zkml_gpu_graph::TensorId;

use super::calibrate::Calibration;
use super::options::QuantOptions;
use super::quantise::Quantised;
use crate::import::{FloatGraph, FloatOp};

/// Tensors of a quantised graph by part, those in the same place being of the same meaning.
pub type Alike = Vec<Vec<TensorId>>;

/// The calibration and the options of a quantised model with one range, and one number of bits, for tensors that are
/// alike; `None` where the float graph has something else behind them.
pub fn tie(source: &FloatGraph, quantised: &Quantised, alike: &[Alike]) -> Option<(Calibration, QuantOptions)> {
    let sources: HashMap<TensorId, TensorId> = quantised.sources.iter().copied().collect();
    let mut ties = Ties::new(source);
    for parts in alike {
        let [first, others @ ..] = &parts[..] else { continue };
        for other in others {
            for (a, b) in first.iter().zip(other) {
                if let (Some(a), Some(b)) = (sources.get(a), sources.get(b)) {
                    ties.known.push((*a, *b));
                }
            }
        }
    }
    for (a, b) in ties.known.clone() {
        ties.join(a, b)?;
    }
    Some(ties.applied(&quantised.calibration, &quantised.options))
}

/// Float tensors that are tied, as a forest.
struct Ties<'g> {
    source: &'g FloatGraph,
    producers: HashMap<TensorId, usize>,
    /// Pairs that the quantised graph has, where a walk through a fused operation ends.
    known: Vec<(TensorId, TensorId)>,
    roots: Vec<TensorId>,
}

impl<'g> Ties<'g> {
    fn new(source: &'g FloatGraph) -> Self {
        let producers = source.nodes.iter().enumerate().map(|(index, node)| (node.output, index)).collect();
        Self { source, producers, known: Vec::new(), roots: (0..source.tensors.len()).collect() }
    }

    fn root(&self, mut tensor: TensorId) -> TensorId {
        while self.roots[tensor] != tensor {
            tensor = self.roots[tensor];
        }
        tensor
    }

    /// Ties two tensors, and what was fused into the operations that compute them.
    fn join(&mut self, mut a: TensorId, mut b: TensorId) -> Option<()> {
        loop {
            let alike = self.source.tensors[a].unit.to_bits() == self.source.tensors[b].unit.to_bits();
            let [low, high] = [self.root(a), self.root(b)];
            self.roots[low.max(high)] = low.min(high);
            let nodes = [a, b].map(|tensor| self.producers.get(&tensor).map(|node| &self.source.nodes[*node]));
            let (Some(one), Some(other)) = (nodes[0], nodes[1]) else { return alike.then_some(()) };
            if !alike || std::mem::discriminant(&one.op) != std::mem::discriminant(&other.op) {
                return None;
            }
            let ([x], [y]) = (&one.inputs[..], &other.inputs[..]) else { return Some(()) };
            // Functions, clamps and pools may have been fused with what comes before.
            let follows = matches!(
                one.op,
                FloatOp::Activation(_) | FloatOp::Clamp { .. } | FloatOp::Round { .. } | FloatOp::MaxPool(_)
            );
            if !follows || self.known.contains(&(*x, *y)) {
                return Some(());
            }
            (a, b) = (*x, *y);
        }
    }

    fn applied(&self, calibration: &Calibration, options: &QuantOptions) -> (Calibration, QuantOptions) {
        let mut calibration = calibration.clone();
        let mut tied = options.tensor_bits.clone();
        let mut classes: BTreeMap<TensorId, Vec<TensorId>> = BTreeMap::new();
        for tensor in 0..self.roots.len() {
            classes.entry(self.root(tensor)).or_default().push(tensor);
        }
        for members in classes.values().filter(|members| members.len() > 1) {
            let ranges = members.iter().map(|id| calibration.tensors[*id].1);
            let range = ranges.fold([0f32; 2], |[low, high], [a, b]| [low.min(a), high.max(b)]);
            let least = members.iter().map(|id| calibration.least[*id]).filter(|least| *least > 0.0);
            let least = least.reduce(f32::min).unwrap_or(0.0);
            let name = |id: &TensorId| &self.source.tensors[*id].name;
            let bits = members.iter().filter_map(|id| options.tensor_bits.get(name(id)).copied());
            let unnamed = members.iter().any(|id| !options.tensor_bits.contains_key(name(id)));
            let bits = bits.chain(unnamed.then_some(options.activation_bits)).max();
            for id in members {
                calibration.tensors[*id].1 = range;
                calibration.least[*id] = least;
                // Tensors that no search names have no bits of their own.
                if let (Some(bits), Some(own)) = (bits, tied.get_mut(name(id))) {
                    *own = bits;
                }
            }
        }
        (calibration, QuantOptions { tensor_bits: tied, ..options.clone() })
    }
}
