//! Functions that are a straight line on each of equal segments of their arguments.
//!
//! `y = floor((intercept + slope·m) / 2^scale)` for the argument `h·2^low + m`, `0 <= m < 2^low`, counted from the least
//! one: `h` numbers the segments. Intercepts are in units of `2^-scale` and hold the half that rounds to nearest. So a
//! circuit proves a function of `2^w` arguments with a table of `2^(w - low)` lines.

use serde::{Deserialize, Serialize};

/// Most bits of an argument inside its segment.
const MAX_LOW_BITS: u32 = 16;
/// Most bits of a slope's fraction.
const MAX_SCALE_BITS: u32 = 20;
/// Largest magnitude of an intercept, and of a slope.
const LINE_LIMIT: u64 = 1 << 44;
/// Most arguments of all segments: a table has fewer, and distances of a softmax do not reach that of masked members.
const MAX_ARGUMENTS: usize = 1 << 20;

/// The lines of a function, segment by segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segments {
    /// Arguments of a segment, as their logarithm.
    pub low: u32,
    /// Fractional bits of intercepts and slopes.
    pub scale: u32,
    /// Intercept and slope of each segment.
    pub lines: Vec<[i64; 2]>,
}

impl Segments {
    /// The result for an argument less the least one; none where it is on no segment, or numbers are out of bounds.
    pub fn apply(&self, distance: usize) -> Option<i64> {
        let [intercept, slope] = *self.lines.get(distance >> self.low)?;
        let inside = (distance & ((1 << self.low) - 1)) as i64;
        Some(slope.checked_mul(inside)?.checked_add(intercept)? >> self.scale)
    }

    /// The results for all arguments; none where numbers are out of bounds.
    pub fn values(&self) -> Option<Vec<i64>> {
        self.is_bounded().then(|| (0..self.lines.len() << self.low).map(|d| self.apply(d)).collect())?
    }

    /// Whether all numbers are so small that nothing overflows, and gates have room for them: the sum of an intercept
    /// and a slope times an argument is below `2^61`.
    pub fn is_bounded(&self) -> bool {
        (1..=MAX_LOW_BITS).contains(&self.low)
            && (1..=MAX_SCALE_BITS).contains(&self.scale)
            && (1..=MAX_ARGUMENTS >> self.low).contains(&self.lines.len())
            && self.lines.iter().flatten().all(|number| number.unsigned_abs() <= LINE_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_those_of_the_lines() {
        let segments = Segments { low: 2, scale: 3, lines: vec![[4, 0], [-12, 16], [52, -3]] };
        assert_eq!(segments.values().unwrap(), [0, 0, 0, 0, -2, 0, 2, 4, 6, 6, 5, 5]);
        assert_eq!(segments.apply(12), None);
    }

    #[test]
    fn numbers_out_of_bounds_have_no_results() {
        let segments = Segments { low: 2, scale: 3, lines: vec![[4, 0]] };
        assert!(segments.is_bounded());
        for broken in [
            Segments { low: 0, ..segments.clone() },
            Segments { low: 17, ..segments.clone() },
            Segments { scale: 0, ..segments.clone() },
            Segments { scale: 21, ..segments.clone() },
            Segments { lines: vec![[LINE_LIMIT as i64 + 1, 0]], ..segments.clone() },
            Segments { lines: vec![[0, i64::MIN]], ..segments.clone() },
            Segments { lines: Vec::new(), ..segments.clone() },
            // Few numbers in a file, which would be results of half a terabyte.
            Segments { low: 16, lines: vec![[0; 2]; (1 << 20) - 1], ..segments.clone() },
            Segments { low: 2, lines: vec![[0; 2]; (1 << 18) + 1], ..segments.clone() },
        ] {
            assert_eq!(broken.values(), None, "{broken:?}");
        }
    }
}
