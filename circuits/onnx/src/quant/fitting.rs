//! How many fractional bits hold a number.

/// The integers of a format with this many bits.
pub(super) fn range(signed: bool, bits: u32) -> (i64, i64) {
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// Beyond the scales at which any 32-bit float, the least (2^-149) and the greatest (2^128) among them, is an integer of
/// at most 64 bits.
const MOST_BITS: f64 = 256.0;

/// Largest fractional bits at which `value` rounds to at most `limit`; no bound for values that are not positive.
pub(super) fn fitting(value: f64, limit: i64) -> i32 {
    if value <= 0.0 {
        return i32::MAX;
    }
    let estimate = ((limit as f64 + 0.5) / value).log2().floor().clamp(-MOST_BITS, MOST_BITS) as i32;
    let fits = |bits: i32| (value * 2f64.powi(bits)).round() <= limit as f64;
    if fits(estimate) { estimate } else { estimate - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_scale_that_fits_is_found() {
        assert_eq!(fitting(1.0, 127), 6);
        assert_eq!(fitting(1.0, 128), 7);
        assert_eq!(fitting(0.9, 127), 7);
        assert_eq!(fitting(1000.0, 255), -2);
        assert_eq!(fitting(0.0, 255), i32::MAX);
        assert_eq!(fitting(2f64.powi(100), 1), -100);
        for value in [f32::MAX, 1e30, f32::MIN_POSITIVE, f32::from_bits(1)].map(f64::from) {
            for limit in [1, 127, 32767, 1 << 40] {
                let bits = fitting(value, limit);
                let scaled = |bits: i32| (value * 2f64.powi(bits)).round();
                assert!(scaled(bits) <= limit as f64 && scaled(bits + 1) > limit as f64, "{value:e} {limit} {bits}");
            }
        }
    }
}
