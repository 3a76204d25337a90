//! What is known before a graph is converted, and the scales that are chosen from it.

use std::collections::HashSet;

use zkml_gpu_graph::{ACTIVATION_LIMIT, Format, Storage, TensorId};

use super::calibrate::Observations;
use super::fitting::range;
use super::group::Group;
use super::options::QuantOptions;
use super::wide::WideArguments;
use crate::import::{FloatGraph, FloatOp};

/// Further bits of what exponentials are taken of, and of their shares; each one doubles their tables.
const EXPONENTIAL_BITS: u32 = 2;
const MAX_EXPONENTIAL_BITS: u32 = 12;
/// Fractional bits of the greatest 1 that is an activation.
const MAX_ONE_HOT_BITS: u32 = ACTIVATION_LIMIT.ilog2();

/// What is known before scales are chosen.
pub(super) struct Context<'a> {
    pub(super) source: &'a FloatGraph,
    pub(super) groups: &'a [Group],
    pub(super) observations: &'a Observations,
    pub(super) options: &'a QuantOptions,
    pub(super) activation_bits: u32,
    /// Arguments of functions that span decades.
    pub(super) wide: WideArguments,
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

impl<'a> Context<'a> {
    /// Of a model; arguments of functions may be wide, or all have one table.
    pub(super) fn new(
        (source, groups): (&'a FloatGraph, &'a [Group]),
        observations: &'a Observations,
        options: &'a QuantOptions,
        activation_bits: u32,
        may_be_wide: bool,
    ) -> Self {
        let wide = WideArguments::default();
        let mut context = Self { source, groups, observations, options, activation_bits, wide };
        if may_be_wide {
            let classes = context.classes(&context.fixed_operands());
            context.wide = WideArguments::new(&context, &classes);
        }
        context
    }

    /// Bits of a tensor's integers: more than others have for the argument of a function that spans decades.
    pub(super) fn bits(&self, id: TensorId) -> u32 {
        self.own_bits(id).max(self.wide.bits(id))
    }

    /// Bits of a tensor's integers: more for what a softmax takes, whose rounding its exponentials multiply, and for
    /// shares, of which most are small.
    pub(super) fn own_bits(&self, id: TensorId) -> u32 {
        if let Some([min, max]) = self.source.tensors[id].integers {
            return (u64::BITS - max.abs_diff(min).leading_zeros()).max(2);
        }
        let named = self.options.tensor_bits.get(&self.source.tensors[id].name);
        let own = named.copied().unwrap_or(self.activation_bits);
        let exponential = |i: usize| matches!(self.source.nodes[i].op, FloatOp::Softmax(_));
        let near = self.source.readers(id).any(exponential) || self.source.producer(id).is_some_and(exponential);
        let extra = if near { (own + EXPONENTIAL_BITS).min(MAX_EXPONENTIAL_BITS) } else { 0 };
        own.max(extra)
    }

    /// Fractional bits of the 1 in the one-hot form of an index: as many as requantisation takes away, so that a table
    /// of weights has the scale of the rows that are taken from it.
    pub(super) fn one_hot_bits(&self) -> u32 {
        self.options.shift.min(MAX_ONE_HOT_BITS)
    }

    /// The format of an input.
    pub(super) fn input_format(&self, id: TensorId, scales: &Scales) -> Format {
        let bits = self.one_hot_bits();
        match self.source.tensors[id].storage {
            Storage::OneHot => Format::new(bits as i32, 0, 1 << bits),
            Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => self.full_format(id, scales),
        }
    }

    /// The format of a tensor with all integers of its sign, or with those that the model's file tells.
    pub(super) fn full_format(&self, id: TensorId, scales: &Scales) -> Format {
        if let Some([min, max]) = self.source.tensors[id].integers {
            return Format::new(scales.frac_bits[id], min, max);
        }
        let (min, max) = range(scales.signed[id], self.bits(id));
        Format::new(scales.frac_bits[id], min, max)
    }
}
