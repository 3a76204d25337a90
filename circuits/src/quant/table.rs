//! Functions as tables over integers.
//!
//! The argument of a function has a format of its own, which covers the range that calibration has seen (with headroom);
//! arguments beyond saturate. It has as many bits as the result: each entry is a row of the circuit, and finer arguments
//! bring nothing. They are rounded twice, the second time with ties away from zero, and that bias adds up: on a network of
//! five convolutions one bit more makes the error of leaky ReLUs five times as large, and leaves that of hard swish as it
//! is. Ends on which the result no longer changes are cut off. Scales are powers of two, so layers share tables.

use crate::graph::{Activation, Format};
use crate::import::Function;

use super::calibrate::{Spread, fitting};

/// Points at which a function is tried over the range of its argument.
const POINTS: u32 = 1 << 12;

/// Whether a function takes negative values for arguments in a range.
pub(super) fn is_negative(function: Function, argument: Spread) -> bool {
    points(argument).any(|x| function.apply(x) < 0.0)
}

/// Most fractional bits at which integers in `min..=max` hold a function's argument, as far as it makes a difference.
pub(super) fn argument_bits(function: Function, argument: Spread, result: Format, (min, max): (i64, i64)) -> i32 {
    let changing = changing(function, argument, result);
    match fitting(f64::from(changing.max), max).min(fitting(f64::from(-changing.min), -min)) {
        i32::MAX => result.frac_bits,
        bits => bits,
    }
}

/// A function's table for arguments of one format and results of another, without ends on which it is constant.
pub(super) fn tabulate(function: Function, argument: Format, result: Format) -> Activation {
    let value = |q: i64| result.quantise(function.apply(argument.dequantise(q)));
    let mut values: Vec<i64> = (argument.min..=argument.max).map(value).collect();
    let head = values.windows(2).take_while(|pair| pair[0] == pair[1]).count().min(values.len().saturating_sub(2));
    values.drain(..head);
    let tail = values.windows(2).rev().take_while(|pair| pair[0] == pair[1]).count();
    values.truncate((values.len() - tail).max(2));
    Activation { min: argument.min + head as i64, values }
}

/// The part of a range outside which a function's result does not change.
fn changing(function: Function, argument: Spread, result: Format) -> Spread {
    let value = |x: f32| result.quantise(function.apply(x));
    let points: Vec<f32> = points(argument).collect();
    let differs = |end: f32| points.iter().position(|x| value(*x) != value(end));
    let first = differs(argument.min).unwrap_or(1).saturating_sub(1);
    let last = points.iter().rposition(|x| value(*x) != value(argument.max)).unwrap_or(0);
    Spread { min: points[first].min(0.0), max: points[(last + 1).min(points.len() - 1)].max(0.0) }
}

fn points(Spread { min, max }: Spread) -> impl Iterator<Item = f32> {
    (0..=POINTS).map(move |i| min + (max - min) * (i as f32 / POINTS as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: Format = Format { frac_bits: 4, min: -128, max: 127 };

    #[test]
    fn ends_on_which_nothing_changes_are_cut_off() {
        let argument = Format { frac_bits: 4, min: -256, max: 255 };
        let table = tabulate(Function::HardSwish, argument, BYTE);
        assert_eq!((table.apply(-1000), table.apply(-48), table.apply(-24)), (0, 0, -6));
        assert!(table.min >= -48 && table.max() == 127 && table.apply(1000) == 127, "{table:?}");
        for q in -256..=255 {
            let exact = BYTE.quantise(Function::HardSwish.apply(argument.dequantise(q)));
            assert_eq!(table.apply(q), exact);
        }
    }

    #[test]
    fn a_constant_keeps_two_arguments() {
        let argument = Format { frac_bits: 0, min: -9, max: -4 };
        let table = tabulate(Function::HardSwish, argument, BYTE);
        assert_eq!(table.values, [0, 0]);
    }

    #[test]
    fn only_the_part_that_changes_takes_bits() {
        let argument = Spread { min: -1000.0, max: 6.0 };
        assert_eq!(argument_bits(Function::HardSwish, argument, BYTE, (-128, 127)), 4);
        assert!(is_negative(Function::HardSwish, argument));
        assert!(!is_negative(Function::HardSwish, Spread { min: 0.0, max: 6.0 }));
    }
}
