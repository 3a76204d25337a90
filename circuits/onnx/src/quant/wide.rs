//! Functions of numbers that span decades: logarithms, reciprocals, roots and powers of numbers near 0, and exponentials
//! of which the greatest is far above the others.
//!
//! One table has one step for all arguments, which is too coarse near 0 where it reaches the greatest one. Here the
//! argument has more bits than a table has rows, and the function is a sum of parts. Between two powers of two part `k`
//! has steps of its own, and below and above it saturates, as every table does:
//!
//! ```text
//! f(x) = T_0(x) + Σ_(k > 0) T_k(x)        T_k(x) = f(clamp(x, p_k, p_(k+1))) - f(p_k),  T_0(x) = f(clamp(x, p_0, p_1))
//! ```
//!
//! All parts but one are constant at any argument, so the sum has the rounding of one table, and what a part's integers
//! are rounded by cancels. Which intervals there are follows from the extremes and the least magnitude on the samples,
//! and from where an interval's step would be too coarse.

use std::collections::{BTreeSet, HashMap};

use zkml_gpu_graph::{ACTIVATION_LIMIT, Activation, Format, TensorId};

use super::calibrate::{Observations, Spread};
use super::context::Context;
use super::group::Group;
use super::scales::Classes;
use super::table;
use crate::import::{FloatOp, Function};

/// Bits of the widest argument.
const MOST_BITS: u32 = ACTIVATION_LIMIT.ilog2() + 1;
/// Points of each sign at which a function is tried, at equal ratios.
const POINTS: u32 = 400;
/// Error of a table, as a part of the results' range, from which on there are parts.
const COARSE: f64 = 1.0 / 64.0;
/// Bits of a table that would do with one more or less; those of a search that begins with few say nothing.
const ENOUGH_BITS: u32 = 10;
/// Error of an interval's table that is aimed at.
const FINE: f64 = 1.0 / 1024.0;
/// log2 of an interval's steps: the least that is tried, and the greatest.
const STEPS: [i32; 2] = [8, 11];
/// Octaves of an interval, at most.
const MOST_OCTAVES: i32 = 6;
/// Most parts: each is a node with a table.
const MOST_PARTS: usize = 24;
/// Bits by which the integers of parts are finer than the result's.
pub(super) const FINER: i32 = 4;
/// How far below the least magnitude of the samples arguments are told apart, in octaves.
const BELOW: i32 = 1;

/// The intervals of a function's arguments, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wide {
    intervals: Vec<Interval>,
    /// Fractional bits that the argument needs.
    pub(super) frac_bits: i32,
    /// Bits of the argument.
    pub(super) bits: u32,
}

/// Arguments with one step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    low: f64,
    high: f64,
    /// log2 of the step.
    step: i32,
}

/// A table of one part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Fractional bits of its argument.
    pub(super) frac_bits: i32,
    /// The table.
    pub(super) table: Activation,
}

impl Wide {
    /// The parts of a function with results of a format, for arguments of so many fractional bits.
    /// What stands for 1 in the argument stands for `gain`.
    pub(super) fn parts(&self, function: &Function, (argument_bits, gain): (i32, f64), result: Format) -> Vec<Part> {
        let finer = 2f64.powi(result.frac_bits + FINER);
        let [least, greatest] = [result.min, result.max].map(|end| end as f64 * 2f64.powi(FINER));
        let value = |x: f64| {
            let y = apply(function, x * gain) * finer;
            // Beyond its range a result saturates; where there is none it is never asked for.
            if y.is_nan() { 0 } else { y.clamp(least, greatest).round() as i64 }
        };
        let mut parts: Vec<Part> = Vec::new();
        for interval in &self.intervals {
            let frac_bits = (-interval.step).min(argument_bits);
            let scale = 2f64.powi(frac_bits);
            let [min, max] = [interval.low, interval.high].map(|end| (end * scale).round() as i64);
            // Where an argument has fewer bits than the plan is for, an interval near 0 may hold no two arguments: what
            // there is of it is the end of the next one.
            if min == max {
                continue;
            }
            let base = if parts.is_empty() { 0 } else { value(min as f64 / scale) };
            let values = (min..=max).map(|q| value(q as f64 / scale) - base).collect();
            parts.push(Part { frac_bits, table: Activation::table(min, values) });
        }
        parts
    }
}

/// The arguments that are to be wide.
#[derive(Debug, Default)]
pub(super) struct WideArguments {
    /// By the functions' results.
    plans: HashMap<TensorId, Wide>,
    /// Bits of tensors that share a scale with one.
    bits: HashMap<TensorId, u32>,
}

impl WideArguments {
    /// Of all functions; `classes` are tensors with one scale.
    pub(super) fn new(context: &Context<'_>, classes: &Classes) -> Self {
        let tensors = 0..context.source.tensors.len();
        let root = |group: &Group| classes.root(group.argument);
        let needs = |group: &&Group| plan(context, group, classes, false).is_some();
        let needed: BTreeSet<TensorId> = context.groups.iter().filter(needs).map(root).collect();
        let mut this = Self::default();
        for of in needed {
            // Every function of the same numbers has parts, or none has: a table of one would have a row for each.
            let alike = || context.groups.iter().filter(|group| group.function.is_some() && root(group) == of);
            let plans: Option<Vec<Wide>> = alike().map(|group| plan(context, group, classes, true)).collect();
            let Some(plans) = plans else { continue };
            for (group, plan) in alike().zip(plans) {
                // A sum is no finer than what is added, where no other function takes that.
                let head = &context.source.nodes[group.head];
                let is_sum = matches!(head.op, FloatOp::Combine { .. });
                let is_taken = |id: TensorId| {
                    let takes = |group: &Group| group.function.is_some() && root(group) == classes.root(id);
                    context.groups.iter().any(takes)
                };
                let may_be_wide = |id: &TensorId| is_sum && !is_taken(*id) && !is_narrow(context, classes, *id);
                let operands = head.inputs.iter().copied().filter(may_be_wide);
                for wide in operands.chain([group.argument]) {
                    let root = classes.root(wide);
                    for alike in tensors.clone().filter(|id| classes.root(*id) == root) {
                        let bits = this.bits.entry(alike).or_default();
                        *bits = (*bits).max(plan.bits);
                    }
                }
                this.plans.insert(group.output, plan);
            }
        }
        this
    }

    /// The intervals of the function that gives a tensor; none where one table will do.
    pub(super) fn of(&self, output: TensorId) -> Option<&Wide> {
        self.plans.get(&output)
    }

    /// The bits that a tensor has for a function; 0 where there are none.
    pub(super) fn bits(&self, id: TensorId) -> u32 {
        self.bits.get(&id).copied().unwrap_or(0)
    }
}

/// The intervals of a group's function; none where one table will do, unless it has parts `anyway`, and where the argument
/// cannot be wide.
fn plan(context: &Context<'_>, group: &Group, classes: &Classes, anyway: bool) -> Option<Wide> {
    let function = group.function.as_ref().filter(|function| !function.is_stepped())?;
    let Context { source, observations, options, .. } = *context;
    let is_told = source.tensors[group.output].integers.is_some();
    if is_told || group.pool != [1, 1] || is_narrow(context, classes, group.argument) {
        return None;
    }
    let seen = Seen::new(observations, group.argument, options.headroom)?;
    let values: Vec<(f64, f64)> =
        seen.points().map(|x| (x, apply(function, x))).filter(|(_, y)| y.is_finite()).collect();
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (_, y)| (l.min(*y), h.max(*y)));
    let extent = high - low;
    if values.is_empty() || extent <= 0.0 || !extent.is_finite() {
        return None;
    }
    let own = context.own_bits(group.output).max(ENOUGH_BITS);
    let unit = 2f64.powi((extent.log2() - f64::from(own)).ceil() as i32);
    let result = Format::new(-(unit.log2() as i32), i64::MIN / 4, i64::MAX / 4);
    let widened = observations.spread(group.argument).widened(options.headroom);
    let narrow = if matches!(source.nodes[group.head].op, FloatOp::Activation(_)) {
        let bits = context.own_bits(group.argument).max(ENOUGH_BITS);
        let signed = widened.min < 0.0;
        let (min, max) = super::fitting::range(signed, bits);
        let frac_bits = observations.frac_bits(group.argument, (min, max), options.headroom, None);
        Format::new(frac_bits, min, max)
    } else {
        table::argument(function, widened, result, own, i32::MAX)
    };
    let step = 2f64.powi(-narrow.frac_bits);
    if !anyway && error(function, &values, step) <= COARSE * extent {
        return None;
    }
    let intervals = seen.intervals(function, &values, FINE * extent)?;
    let frac_bits = intervals.iter().map(|interval| -interval.step).max()?;
    let most = seen.most();
    let bits = (most * 2f64.powi(frac_bits)).log2().ceil().max(2.0) as u32 + u32::from(seen.min < 0.0);
    Some(Wide { intervals, frac_bits, bits: bits.min(MOST_BITS) }).filter(|wide| anyway || wide.intervals.len() > 1)
}

/// Whether a tensor, or one of its scale, has no bits to spare: exponentials have a row for each distance, products grow
/// with both factors and weights have what bits their operand leaves, and a clamp to another range than one of a power of
/// two of values has a table. Or the model's file tells its integers.
fn is_narrow(context: &Context<'_>, classes: &Classes, id: TensorId) -> bool {
    let source = context.source;
    let takes = |op: &FloatOp| {
        matches!(op, FloatOp::Softmax(_) | FloatOp::MatMul(_) | FloatOp::Normalise(_) | FloatOp::Linear(_))
    };
    let is_cut =
        |group: &&Group| group.clamp.is_some_and(|[low, high]| low.is_finite() && low != 0.0 || high.is_finite());
    let root = classes.root(id);
    let mut alike = (0..source.tensors.len()).filter(|other| classes.root(*other) == root);
    alike.any(|id| {
        source.tensors[id].integers.is_some()
            || context.groups.iter().filter(is_cut).any(|group| group.output == id)
            || source.readers(id).any(|node| takes(&source.nodes[node].op))
            || source.producer(id).is_some_and(|node| matches!(source.nodes[node].op, FloatOp::Softmax(_)))
    })
}

fn apply(function: &Function, x: f64) -> f64 {
    f64::from(function.apply(x as f32))
}

/// The greatest error of a function whose arguments are rounded to multiples of a step, at points with their values.
fn error(function: &Function, points: &[(f64, f64)], step: f64) -> f64 {
    let at = |(x, y): &(f64, f64)| {
        // Halfway between two multiples is the worst that rounding does.
        let ends = [(x / step).floor() * step, (x / step).ceil() * step];
        let differences = ends.map(|end| (apply(function, end) - y).abs());
        let near = (x / step).round() * step;
        let worst = (apply(function, near) - y).abs();
        let spread = differences.iter().copied().fold(0.0, f64::max) / 2.0;
        if worst.is_nan() { f64::INFINITY } else { worst.max(if spread.is_finite() { spread } else { worst }) }
    };
    points.iter().map(at).fold(0.0, f64::max)
}

/// Arguments on the samples, with headroom.
#[derive(Clone, Copy, Debug)]
struct Seen {
    min: f64,
    max: f64,
    /// Least magnitude but 0.
    least: f64,
}

impl Seen {
    fn new(observations: &Observations, argument: TensorId, headroom: f32) -> Option<Self> {
        let Spread { min, max } = observations.spread(argument).widened(headroom);
        let least = f64::from(observations.least(argument));
        (least > 0.0).then(|| Self { min: min.into(), max: max.into(), least })
    }

    fn most(&self) -> f64 {
        self.max.max(-self.min)
    }

    /// Points of both signs, at equal ratios from the least magnitude on.
    fn points(self) -> impl Iterator<Item = f64> {
        let side = move |end: f64, sign: f64| {
            let ratio = (end / self.least).max(1.0);
            let count = if end >= self.least { POINTS } else { 0 };
            (0..count).map(move |i| sign * self.least * ratio.powf(f64::from(i) / f64::from(POINTS - 1)))
        };
        side(self.max, 1.0).chain(side(-self.min, -1.0))
    }

    /// Intervals that keep an error at points with their values, as few as there are; none where there would be too
    /// many.
    fn intervals(&self, function: &Function, values: &[(f64, f64)], bound: f64) -> Option<Vec<Interval>> {
        let mut intervals = Vec::new();
        // Where the numbers of both signs meet.
        let mut innermost = i32::MAX;
        for (end, sign) in [(self.max, 1.0), (-self.min, -1.0)] {
            if end < self.least {
                continue;
            }
            let mut high = end.log2().ceil() as i32;
            let last = self.least.log2().floor() as i32 - BELOW;
            while high > last {
                let interval = widest(function, values, (high, last), sign, bound);
                high = if sign > 0.0 { interval.low } else { -interval.high }.log2().round() as i32;
                intervals.push(interval);
                if intervals.len() > MOST_PARTS {
                    return None;
                }
            }
            innermost = innermost.min(high);
        }
        let edge = 2f64.powi(innermost);
        let between = match (self.min < 0.0, self.max > 0.0) {
            (true, true) => Some([-edge, edge]),
            // 0 itself, where there is a value.
            (false, true) => Some([0.0, edge]),
            (true, false) => Some([-edge, 0.0]),
            (false, false) => None,
        };
        let is_between = |[low, high]: &[f64; 2]| low * high < 0.0 || apply(function, 0.0).is_finite();
        if let Some([low, high]) = between.filter(is_between) {
            intervals.push(Interval { low, high, step: innermost - STEPS[0] });
        }
        intervals.sort_by(|a, b| a.low.total_cmp(&b.low));
        (intervals.len() <= MOST_PARTS).then_some(intervals)
    }
}

/// The interval below `2^high` with the most octaves, and with the fewest steps, that keeps the error; with one octave
/// and the most steps where none does.
fn widest(function: &Function, values: &[(f64, f64)], (high, last): (i32, i32), sign: f64, bound: f64) -> Interval {
    let interval = |octaves: i32, steps: i32| {
        let [outer, inner] = [high, high - octaves].map(|exponent| sign * 2f64.powi(exponent));
        Interval { low: outer.min(inner), high: outer.max(inner), step: high - steps }
    };
    let keeps = |interval: &Interval| {
        let inside: Vec<(f64, f64)> =
            values.iter().copied().filter(|(x, _)| (interval.low..=interval.high).contains(x)).collect();
        error(function, &inside, 2f64.powi(interval.step)) <= bound
    };
    let most = MOST_OCTAVES.min(high - last);
    let all = (STEPS[0]..=STEPS[1]).flat_map(|steps| (1..=most).rev().map(move |octaves| (octaves, steps)));
    let mut best: Option<(i32, i32)> = None;
    for (octaves, steps) in all {
        let longer = best.is_none_or(|(known, of)| octaves << of > known << steps);
        if longer && keeps(&interval(octaves, steps)) {
            best = Some((octaves, steps));
        }
    }
    let (octaves, steps) = best.unwrap_or((1, STEPS[1]));
    interval(octaves, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(seen: Seen, function: &Function) -> (Vec<(f64, f64)>, f64) {
        let values: Vec<(f64, f64)> = seen.points().map(|x| (x, apply(function, x))).collect();
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), (_, y)| (l.min(*y), h.max(*y)));
        (values, high - low)
    }

    #[test]
    fn parts_add_up_to_the_function_within_the_error_that_is_aimed_at() {
        let spans = [(0.0, 20.0, 0.01), (0.0, 1250.0, 1e-4), (-3.0, 3.0, 0.002)];
        for function in [Function::Reciprocal, Function::Log, Function::Sqrt, Function::Abs] {
            for (min, max, least) in spans {
                if min < 0.0 && matches!(function, Function::Log | Function::Sqrt) {
                    continue;
                }
                let seen = Seen { min, max, least };
                let (values, extent) = values(seen, &function);
                let intervals = seen.intervals(&function, &values, FINE * extent).expect("few enough intervals");
                let ends = intervals.windows(2).all(|pair| pair[0].high == pair[1].low);
                assert!(ends, "{function:?}: {intervals:?}");
                let frac_bits = intervals.iter().map(|interval| -interval.step).max().unwrap_or(0);
                let result_bits = (extent / 65536.0).log2().floor() as i32;
                let result = Format::new(-result_bits, -(1 << 17), 1 << 17);
                let wide = Wide { intervals, frac_bits, bits: MOST_BITS };
                let step = 2f64.powi(-(result.frac_bits + FINER));
                for fewer in [0, 4, 8, 12] {
                    let argument_bits = frac_bits - fewer;
                    let parts = wide.parts(&function, (argument_bits, 1.0), result);
                    let own = 2f64.powi(-argument_bits);
                    for (x, y) in &values {
                        // The argument as it is, and what its own rounding does to the function.
                        let x = (x / own).round() * own;
                        let rounded = |part: &Part| part.table.apply((x * 2f64.powi(part.frac_bits)).round() as i64);
                        let sum = parts.iter().map(rounded).sum::<i64>() as f64 * step;
                        let y = if fewer == 0 { *y } else { apply(&function, x) };
                        let is_seen = x.abs() >= least && y.is_finite();
                        assert!(
                            !is_seen || (sum - y).abs() <= 2.0 * FINE * extent,
                            "{function:?} of {x} with {fewer} bits fewer: {sum} for {y}"
                        );
                    }
                }
            }
        }
    }
}
