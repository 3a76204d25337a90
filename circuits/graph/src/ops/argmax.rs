//! Indices of maxima.

use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};

pub(crate) fn validate(site: &Site<'_>, starts: &[u32], stride: usize, count: usize) -> Check {
    let (x, y) = (site.operand(0), site.output());
    site.expect("number of maxima", starts.len(), y.shape.len())?;
    site.expect("output range", (y.format.min, y.format.max), (0, count as i64 - 1))?;
    let reach = count.checked_sub(1).and_then(|steps| steps.checked_mul(stride));
    let end = starts.iter().max().zip(reach).and_then(|(start, reach)| reach.checked_add(*start as usize));
    site.expect("candidates inside the operand", end.is_some_and(|end| end < x.shape.len()), true)?;
    site.expect("two candidates or more", count > 1 && stride > 0, true)
}

pub(crate) fn run(x: &[i64], starts: &[u32], stride: usize, count: usize, last: bool) -> Outcome {
    let index = |start: &u32| {
        let candidates = (0..count).map(|k| x[*start as usize + k * stride]);
        greatest(candidates, last) as i64
    };
    Outcome::Values(starts.iter().map(index).collect())
}

/// Position of the greatest value; of equal ones the first, or the last.
fn greatest(values: impl Iterator<Item = i64>, last: bool) -> usize {
    let beats = |value: i64, best: i64| if last { value >= best } else { value > best };
    let start = (0, i64::MIN);
    values.enumerate().fold(start, |best, (i, value)| if beats(value, best.1) { (i, value) } else { best }).0
}
