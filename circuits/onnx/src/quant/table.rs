//! Functions as tables over integers.
//!
//! The argument of a function has a format of its own, which covers the range that calibration has seen (with
//! headroom); arguments beyond saturate. Its scale is the result's times the steepest slope, rounded down to a power of
//! two: the positive half of a leaky ReLU is then exact. Each entry is a row of the circuit, so ends on which the
//! result no longer changes are cut off, and finer arguments are not worth their rows: they are rounded twice, the
//! second time with ties away from zero, and that bias adds up (with one bit more, the error of a network with five
//! leaky ReLUs grew by a factor of five). Ranges are powers of two, so layers share tables.

use zkml_gpu_graph::{Activation, Format};

use super::calibrate::Spread;
use super::fitting::{fitting, range};
use crate::import::Function;

/// Bits by which an argument may be wider than a result.
const EXTRA_BITS: u32 = 2;
/// Most bits of an argument.
const MAX_BITS: u32 = 16;
/// Points at which a function is tried over the range of its argument.
const POINTS: u32 = 1 << 12;

/// Whether a function takes negative values for arguments in a range.
pub(super) fn is_negative(function: &Function, argument: Spread) -> bool {
    points(function, argument).into_iter().any(|x| function.apply(x) < 0.0)
}

/// The format of a function's argument, of at most `limit` fractional bits, for results of `bits` bits.
pub(super) fn argument(function: &Function, seen: Spread, result: Format, bits: u32, limit: i32) -> Format {
    let Spread { min: low, max: high } = changing(function, seen, result);
    let fits = |(min, max): (i64, i64)| fitting(f64::from(high), max).min(fitting(f64::from(-low), -min));
    let widest = (bits + EXTRA_BITS).min(MAX_BITS);
    // The margin is for the rounding of a slope that is a power of two.
    let slope = (steepest(function, Spread { min: low, max: high }).log2() + 0.01).floor();
    let wanted = if slope.is_finite() { result.frac_bits.saturating_add(slope as i32) } else { result.frac_bits };
    let frac_bits = wanted.min(fits(range(true, widest))).min(limit);
    let narrow = (2..widest).find(|bits| fits(range(true, *bits)) >= frac_bits);
    let (min, max) = range(true, narrow.unwrap_or(widest));
    Format::new(frac_bits, min, max)
}

/// A function's table for arguments of one format and results of another, without ends on which it is constant.
pub(super) fn tabulate(function: &Function, argument: Format, result: Format) -> Activation {
    let value = |q: i64| result.quantise(function.apply(argument.dequantise(q)));
    let mut values: Vec<i64> = (argument.min..=argument.max).map(value).collect();
    let head = values.windows(2).take_while(|pair| pair[0] == pair[1]).count().min(values.len().saturating_sub(2));
    values.drain(..head);
    let tail = values.windows(2).rev().take_while(|pair| pair[0] == pair[1]).count();
    values.truncate((values.len() - tail).max(2));
    Activation::table(argument.min + head as i64, values)
}

/// The part of a range outside which a function's result does not change.
fn changing(function: &Function, argument: Spread, result: Format) -> Spread {
    let value = |x: f32| result.quantise(function.apply(x));
    let points = points(function, argument);
    let differs = |end: f32| points.iter().position(|x| value(*x) != value(end));
    let first = differs(argument.min).unwrap_or(1).saturating_sub(1);
    let last = points.iter().rposition(|x| value(*x) != value(argument.max)).unwrap_or(0);
    Spread { min: points[first].min(0.0), max: points[(last + 1).min(points.len() - 1)].max(0.0) }
}

/// The greatest slope of a function over a range.
fn steepest(function: &Function, argument: Spread) -> f32 {
    let points = points(function, argument);
    let slope = |pair: &[f32]| ((function.apply(pair[1]) - function.apply(pair[0])) / (pair[1] - pair[0])).abs();
    points.windows(2).map(slope).filter(|slope| slope.is_finite()).fold(0.0, f32::max)
}

/// Points of a range. Of a function that jumps they are multiples of a power of two, so that whole numbers are among them
/// and the jump lies between the same ones wherever the range ends.
fn points(function: &Function, Spread { min, max }: Spread) -> Vec<f32> {
    let step = ((max - min) / POINTS as f32).log2().ceil().exp2();
    if function.is_stepped() && step.is_normal() {
        let [first, last] = [(min / step).floor(), (max / step).ceil()].map(|end| end as i32);
        return (first..=last.max(first + 1)).map(|i| i as f32 * step).collect();
    }
    // Half of it, twice: the length of a range of floats may be beyond floats, but half of it is not.
    let half = max / 2.0 - min / 2.0;
    let at = move |part: f32| match max - min {
        length if length.is_finite() => min + length * part,
        _ => min + half * part + half * part,
    };
    (0..=POINTS).map(move |i| at(i as f32 / POINTS as f32)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::import::{Comparison, Composed};

    const BYTE: Format = Format::new(4, -128, 127);

    #[test]
    fn ends_on_which_nothing_changes_are_cut_off() {
        let argument = Format::new(4, -256, 255);
        let table = tabulate(&Function::HardSwish, argument, BYTE);
        assert_eq!((table.apply(-1000), table.apply(-48), table.apply(-24)), (0, 0, -6));
        assert!(table.min >= -48 && table.max() == 127 && table.apply(1000) == 127, "{table:?}");
        for q in -256..=255 {
            let exact = BYTE.quantise(Function::HardSwish.apply(argument.dequantise(q)));
            assert_eq!(table.apply(q), exact);
        }
    }

    #[test]
    fn a_constant_keeps_two_arguments() {
        let argument = Format::new(0, -9, -4);
        let table = tabulate(&Function::HardSwish, argument, BYTE);
        assert_eq!(table.values, [0, 0]);
    }

    #[test]
    fn an_argument_has_the_scale_of_the_result_and_covers_what_changes_it() {
        let format = |function, min, max| argument(&function, Spread { min, max }, BYTE, 8, 64);
        let (leaky, narrow) = (Function::LeakyRelu { slope: 0.125 }, Format::new(4, -128, 127));
        assert_eq!(format(leaky.clone(), -7.0, 7.5), narrow);
        assert_eq!(format(leaky.clone(), -20.0, 7.5), Format { min: -512, max: 511, ..narrow });
        // An argument that is too wide for its scale is coarser.
        assert_eq!(format(leaky.clone(), -60.0, 7.5), Format::new(3, -512, 511));
        // Below -3 nothing changes.
        assert_eq!(format(Function::HardSwish, -1000.0, 6.0), narrow);
        assert_eq!(argument(&leaky, Spread { min: -7.0, max: 7.5 }, BYTE, 8, 2).frac_bits, 2);
    }

    #[test]
    fn a_jump_at_a_single_number_is_seen() {
        let [argument, one] = [Arc::new(Composed::Argument), Arc::new(Composed::Constant(1.0))];
        let is_one = Function::Composed(Arc::new(Composed::Compare(Comparison::Equal, argument, one)));
        for max in [1.25, 1.2501, 3.7, 900.0] {
            let seen = Spread { min: 0.0, max };
            let format = super::argument(&is_one, seen, BYTE, 8, 64);
            let table = tabulate(&is_one, format, BYTE);
            let at = |x: f32| BYTE.dequantise(table.apply(format.quantise(x)));
            assert_eq!([0.0, 1.0, 1.25].map(at), [0.0, 1.0, 0.0], "{max}");
        }
    }

    #[test]
    fn the_sign_of_results_is_that_over_the_range() {
        assert!(is_negative(&Function::HardSwish, Spread { min: -9.0, max: 6.0 }));
        assert!(!is_negative(&Function::HardSwish, Spread { min: 0.0, max: 6.0 }));
    }
}
