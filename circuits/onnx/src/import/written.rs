//! Numbers that people write into models, rather than train.

/// A summand from which on an exponential is 0 next to any other's: exporters write -10000, the least float or
/// infinity.
pub(crate) const MASKED: f32 = -5000.0;

/// Greatest number of any kind that is written as it is.
const MOST_WHOLE: f32 = 1024.0;
/// Widths of layers and heads: up to this one each number, then multiples of eight.
const EVERY_WIDTH: u32 = 128;
/// Constants of functions: `sqrt(2/π)` and the cubic term of GELU, and the factor of its approximation by a sigmoid.
const OF_FUNCTIONS: [f64; 3] = [0.797_884_560_802_865_4, 0.044_715, 1.702];
/// Bits of a significand that a number with few of them has: up to 15 times a power of two.
const FEW_BITS: u32 = 4;

/// Whether a number is one of the constants that people write, up to the sign:
///
/// - whole and at most 1024, or up to 15 times a power of two;
/// - `n`, its square root or fourth root, or the reciprocal of one of these, for a width `n` (up to 128, or a multiple
///   of eight up to 1024);
/// - a constant of GELU; an epsilon from `1e-5` to `1e-12`; infinity, or so low that it is a mask.
#[must_use]
pub fn is_written(value: f32) -> bool {
    let magnitude = value.abs();
    let few = !value.is_nan() && value.to_bits() & ((1 << (f32::MANTISSA_DIGITS - FEW_BITS)) - 1) == 0;
    let whole = magnitude <= MOST_WHOLE && magnitude.fract() == 0.0;
    // Computed in single or double precision, in one step or two.
    let near = |constant: f64| (f64::from(magnitude) / constant - 1.0).abs() <= f64::from(f32::EPSILON);
    let widths = (1..=EVERY_WIDTH).chain((EVERY_WIDTH..=MOST_WHOLE as u32).step_by(8)).map(f64::from);
    let mut roots = widths.flat_map(|n| [n, n.sqrt(), n.sqrt().sqrt()]);
    few || whole
        || value <= MASKED
        || magnitude == f32::INFINITY
        || roots.any(|root| near(root) || near(root.recip()))
        || OF_FUNCTIONS.into_iter().any(near)
        || (5..=12).any(|digits| near(10f64.powi(-digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_attention_and_of_functions_are_written() {
        let roots = [8f32, 32.0, 64.0, 96.0, 768.0].map(|n| n.sqrt().recip());
        let others = [0.0, 1.0, -1.0, 0.5, 0.25, 1.5, 6.0, 1.0 / 6.0, 2f32.sqrt(), 0.797_884_6, 0.044_715, 1e-5, 1e-12];
        for value in roots.into_iter().chain(others).chain([-1e9, f32::MIN, f32::NEG_INFINITY, 100.0]) {
            assert!(is_written(value), "{value}");
        }
    }

    #[test]
    fn other_numbers_are_not() {
        for value in [0.7f32, 0.71, 0.21, 0.3, -0.37, 1.01, 2.9, f32::NAN] {
            assert!(!is_written(value), "{value}");
        }
        let numbers = (0..100_000).map(|i| (0.01 + 0.99 * (f64::from(i) * 0.618_033_988_75).fract()) as f32);
        let written = numbers.filter(|value| is_written(*value)).count();
        assert!(written < 100, "{written} of 100000");
    }
}
