//! Functions by straight lines: long tables of smooth functions as one line for each of equal segments.
//!
//! A segment of `2^low` arguments has the slope between its ends, rounded to a multiple of `2^-(low + 2)`, and the
//! intercept that halves the greatest distances above and below. On a segment of length `L` a function with second
//! derivative `f″` is at most `max |f″|·L²/16` off such a line, the rounded slope adds a sixteenth of a unit, the rounded
//! result half of one. No bound of the derivative is needed: every argument is tried, and what is more than
//! [`MOST_OFF_BY_LINES`] off anywhere has shorter segments, or stays a table. Segments begin at multiples of their length,
//! so that kinks at 0 and at powers of two lie between them, or where results reach the end of their range.

use zkml_gpu_graph::{ARGUMENT_LIMIT, Activation, Format, Segments};

use crate::import::Function;

/// Greatest distance of a result from the function itself, in units of the result; by a table it is half a unit.
pub const MOST_OFF_BY_LINES: f64 = 0.75;
/// Fewest rows of a table that is tried by lines.
const LEAST_ROWS: usize = 1 << 11;
/// Arguments of a segment, as their logarithm: the most, and the least that make a table worth replacing.
const LOW_BITS: std::ops::RangeInclusive<u32> = 4..=9;
/// Places where results reach the end of their range that are tried as beginnings of segments.
const MOST_KINKS: usize = 4;
/// Fractional bits that a slope has more than a segment has bits.
const SLOPE_BITS: u32 = 2;

/// A function by the longest segments whose lines are near it, for arguments of one format and results of another; none
/// where there are few arguments, or it is no smooth function.
pub(super) fn by_lines(function: &Function, argument: Format, result: Format) -> Option<Activation> {
    let rows = usize::try_from(argument.max - argument.min).ok()?.checked_add(1)?;
    if rows < LEAST_ROWS || function.is_stepped() {
        return None;
    }
    let step = result.step();
    let exact = |q: i64| {
        let y = f64::from(function.apply(argument.dequantise(q))) / step;
        (!y.is_nan()).then(|| y.clamp(result.min as f64, result.max as f64))
    };
    let bounds = [result.min, result.max];
    let is_end = |q: i64| exact(q).is_some_and(|y| bounds.contains(&(y.round() as i64)));
    // Where results reach the end of their range there may be a kink.
    let kinks = (argument.min + 1..=argument.max).filter(|q| is_end(*q) != is_end(q - 1)).take(MOST_KINKS);
    let begins: Vec<i64> = [0].into_iter().chain(kinks).collect();
    let longest = 1i64 << LOW_BITS.end();
    let from = |begin: &i64| {
        // Whole segments of every length, so that all lengths have the same results to be near.
        let first = begin + (argument.min - begin).div_euclid(longest) * longest;
        let last = begin + ((argument.max - begin).div_euclid(longest) + 1) * longest - 1;
        let is_within = first >= -ARGUMENT_LIMIT && last <= ARGUMENT_LIMIT;
        let results = is_within.then(|| (first..=last).map(exact).collect::<Option<Vec<f64>>>()).flatten()?;
        Some((first, results))
    };
    let all: Vec<(i64, Vec<f64>)> = begins.iter().filter_map(from).collect();
    LOW_BITS.rev().find_map(|low| all.iter().find_map(|(first, results)| of_length(*first, results, low, bounds)))
}

/// The lines of segments of `2^low` arguments, without whole segments at the ends on which nothing changes; none where one
/// is off.
fn of_length(first: i64, results: &[f64], low: u32, [least, greatest]: [i64; 2]) -> Option<Activation> {
    let length = 1usize << low;
    let segments: Vec<&[f64]> = results.chunks(length).collect();
    let is_flat = |segment: &&&[f64], end: f64| segment.iter().all(|y| y.round() == end.round());
    let head = segments.iter().take_while(|segment| is_flat(segment, results[0])).count();
    let tail = segments.iter().rev().take_while(|segment| is_flat(segment, results[results.len() - 1])).count();
    // A flat segment stays at each end: it is what arguments beyond it saturate to.
    let kept = head.saturating_sub(1)..segments.len() - tail.saturating_sub(1).min(segments.len() - head.max(1));
    let exact = &results[kept.start * length..kept.end * length];
    let found = fitted(first + (kept.start * length) as i64, exact, low, [least, greatest])?;
    // What is cut off has the result of the end, which may be rounded otherwise than by a table.
    let is_near = |(q, exact): (i64, &f64)| (found.apply(q) as f64 - exact).abs() <= MOST_OFF_BY_LINES;
    (first..).zip(results).all(is_near).then_some(found)
}

/// Exponentials of so many distances from 0 on by the longest segments whose lines are near them; none where there are few.
/// The last segment may go on beyond them.
pub(super) fn exponentials(count: usize, exact: impl Fn(usize) -> f64) -> Option<Activation> {
    if count < LEAST_ROWS {
        return None;
    }
    let most = exact(0);
    let exact: Vec<f64> = (0..count.next_multiple_of(1 << LOW_BITS.end())).map(exact).collect();
    // The greatest of all is at 0 alone.
    let falls = |exp: &Activation| {
        let [first, rest @ ..] = &exp.values[..] else { return false };
        *first as f64 == most && rest.iter().all(|e| e < first)
    };
    let of_length = |low: u32| {
        let whole = count.next_multiple_of(1 << low);
        let mut exp = fitted(0, &exact[..whole], low, [0, most as i64])?;
        exp.values.truncate(count);
        Some(exp).filter(falls)
    };
    LOW_BITS.rev().find_map(of_length)
}

/// The lines of segments of `2^low` arguments from `first` on; none where a result is off.
fn fitted(first: i64, results: &[f64], low: u32, [least, greatest]: [i64; 2]) -> Option<Activation> {
    let length = 1usize << low;
    let scale = low + SLOPE_BITS;
    let unit = 2f64.powi(scale as i32);
    let line = |segment: &[f64]| {
        let slope = ((segment[length - 1] - segment[0]) / (length - 1) as f64 * unit).round();
        let rests = || segment.iter().zip(0u32..).map(|(y, m)| y * unit - slope * f64::from(m));
        let (below, above) =
            rests().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), rest| (a.min(rest), b.max(rest)));
        let intercept = ((below + above) / 2.0 + unit / 2.0).round();
        [intercept as i64, slope as i64]
    };
    let lines = results.chunks(length).map(line).collect();
    let activation = Activation::of_segments(first, Segments { low, scale, lines })?;
    let near =
        |(y, exact): (&i64, &f64)| (*y as f64 - exact).abs() <= MOST_OFF_BY_LINES && (least..=greatest).contains(y);
    activation.values.iter().zip(results).all(near).then_some(activation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: Format = Format::new(12, -(1 << 15), (1 << 15) - 1);

    /// The greatest distance of the results from the function itself, beyond the ends as well.
    fn off(function: &Function, argument: Format, result: Format, by_lines: &Activation) -> f64 {
        let exact = |q: i64| {
            let y = f64::from(function.apply(argument.dequantise(q))) / result.step();
            y.clamp(result.min as f64, result.max as f64)
        };
        let distance = |q: i64| (by_lines.apply(q) as f64 - exact(q)).abs();
        (argument.min..=argument.max).map(distance).fold(0.0, f64::max)
    }

    #[test]
    fn smooth_functions_have_few_lines_near_them() {
        for function in [Function::Sigmoid, Function::Tanh, Function::Gelu, Function::HardSwish, Function::Silu] {
            let lines = by_lines(&function, WORD, WORD).unwrap_or_else(|| panic!("{function:?}"));
            let segments = lines.segments.as_ref().unwrap();
            assert!(segments.lines.len() <= 1 << 11 && segments.low >= 5, "{function:?}: {}", segments.lines.len());
            let off = off(&function, WORD, WORD, &lines);
            assert!((0.4..=MOST_OFF_BY_LINES).contains(&off), "{function:?} is {off} off");
        }
    }

    #[test]
    fn what_is_cut_off_is_near_as_well() {
        let mut by_lines_of = 0;
        for function in
            [Function::Tanh, Function::Sigmoid, Function::Exp, Function::Gelu, Function::Silu, Function::Erf]
        {
            for (argument, result) in (8..=13).flat_map(|argument| (8..=15).map(move |result| (argument, result))) {
                let [argument, result] = [argument, result].map(|bits| Format::new(bits, -(1 << 15), (1 << 15) - 1));
                let Some(lines) = by_lines(&function, argument, result) else { continue };
                by_lines_of += 1;
                let off = off(&function, argument, result, &lines);
                assert!(off <= MOST_OFF_BY_LINES, "{function:?}, {argument:?}, {result:?}: {off}");
            }
        }
        assert!(by_lines_of > 150, "{by_lines_of}");
    }

    #[test]
    fn a_kink_at_zero_lies_between_two_lines() {
        let leaky = Function::LeakyRelu { slope: 0.125 };
        let lines = by_lines(&leaky, WORD, WORD).unwrap();
        assert_eq!(lines.segments.as_ref().unwrap().low, *LOW_BITS.end());
        assert!(off(&leaky, WORD, WORD, &lines) <= 0.5);
    }

    #[test]
    fn a_kink_where_results_saturate_lies_between_two_lines() {
        let [argument, result] = [13, 14].map(|frac_bits| Format::new(frac_bits, -(1 << 15), (1 << 15) - 1));
        let lines = by_lines(&Function::Gelu, argument, result).unwrap();
        assert!(lines.segments.as_ref().unwrap().low >= 6 && lines.apply(20_000) == result.max);
        assert!(off(&Function::Gelu, argument, result, &lines) <= MOST_OFF_BY_LINES);
    }

    #[test]
    fn ends_on_which_nothing_changes_are_one_segment() {
        let argument = Format::new(10, -(1 << 15), (1 << 15) - 1);
        let lines = by_lines(&Function::Sigmoid, argument, WORD).unwrap();
        let segments = lines.segments.as_ref().unwrap();
        assert!(lines.values.len() < 1 << 15, "{}", lines.values.len());
        assert_eq!((lines.apply(-40_000), lines.apply(40_000)), (0, 1 << 12));
        assert_eq!([segments.lines[0][1], segments.lines[segments.lines.len() - 1][1]], [0, 0]);
    }

    #[test]
    fn exponentials_are_greatest_at_the_maximum_alone() {
        let most = f64::from(1 << 16);
        let of = |step: f64| move |d: usize| most * (-(d as f64) * step).exp();
        for count in [1 << 16, (1 << 16) - 12_345] {
            let exact = of(1.0 / f64::from(1 << 12));
            let exp = exponentials(count, exact).unwrap();
            let segments = exp.segments.as_ref().unwrap();
            assert!(segments.low >= 5 && exp.values.len() == count && exp.has_lines_of_values(false));
            assert_eq!(segments.lines.len(), count.div_ceil(1 << segments.low));
            assert!(exp.values[0] == 1 << 16 && exp.values[1..].iter().all(|e| (0..1 << 16).contains(e)));
            let off = |(d, e): (usize, &i64)| (*e as f64 - exact(d)).abs();
            assert!(exp.values.iter().enumerate().map(off).fold(0.0, f64::max) <= MOST_OFF_BY_LINES);
        }
        // Members next to the maximum would be as great as it.
        assert_eq!(exponentials(1 << 14, of(1e-7)), None);
        assert_eq!(exponentials(1 << 10, of(1e-3)), None);
    }

    #[test]
    fn what_jumps_and_what_is_short_stays_a_table() {
        assert_eq!(by_lines(&Function::Sign, WORD, WORD), None);
        assert_eq!(by_lines(&Function::Sigmoid, Format::new(6, -512, 511), WORD), None);
    }
}
