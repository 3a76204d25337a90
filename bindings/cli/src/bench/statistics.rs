//! What many runs of one thing took.

use serde::{Deserialize, Serialize};

/// Order statistics of runs: they assume no distribution, and a run that something else disturbed moves the median
/// little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spread {
    /// The middle.
    pub(super) median: f64,
    /// A quarter of the runs are below.
    pub(super) lower_quartile: f64,
    /// A quarter of the runs are above.
    pub(super) upper_quartile: f64,
    /// The least.
    pub(super) least: f64,
    /// The greatest.
    pub(super) greatest: f64,
}

impl Spread {
    /// Of values in any order; zeros where there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self {
            median: quantile(&values, 0.5),
            lower_quartile: quantile(&values, 0.25),
            upper_quartile: quantile(&values, 0.75),
            least: quantile(&values, 0.0),
            greatest: quantile(&values, 1.0),
        }
    }

    /// Half of what lies between the quartiles, as a part of the median.
    pub(super) fn relative(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / 2.0 / self.median.max(f64::MIN_POSITIVE)
    }

    /// Whether it may stand in a file: positive numbers in order.
    pub(super) fn is_sound(&self) -> bool {
        let ordered = [self.least, self.lower_quartile, self.median, self.upper_quartile, self.greatest];
        ordered.is_sorted() && self.least > 0.0 && self.greatest.is_finite()
    }
}

/// The value below which this part of the sorted values lies, between two of them by their distance.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = part * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_runs_by_their_distance() {
        let spread = Spread::of([5.0, 1.0, 2.0, 4.0, 3.0]);
        let values = [spread.least, spread.lower_quartile, spread.median, spread.upper_quartile, spread.greatest];
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Spread::of([1.0, 2.0, 4.0, 9.0]).median, 3.0);
        assert_eq!(Spread::of([7.0]).upper_quartile, 7.0);
        assert_eq!(Spread::of([]), Spread::default());
        assert!((spread.relative() - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn numbers_out_of_order_or_range_are_unsound() {
        let sound = Spread::of([1.0, 2.0, 3.0]);
        assert!(sound.is_sound());
        for wrong in [
            Spread { median: 0.5, ..sound },
            Spread { least: 0.0, ..sound },
            Spread { greatest: f64::INFINITY, ..sound },
            Spread { median: f64::NAN, ..sound },
            Spread { upper_quartile: 9.0, ..sound },
        ] {
            assert!(!wrong.is_sound(), "{wrong:?}");
        }
    }
}
