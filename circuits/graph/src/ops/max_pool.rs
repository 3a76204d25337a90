//! Maximum pooling; padding never wins.

use crate::ops::outcome::Outcome;
use crate::site::{Check, Site};
use crate::tensor::Shape;
use crate::window::{Window, covered, pool};

pub(crate) fn validate(site: &Site<'_>, window: &Window) -> Check {
    let (x, y) = (site.operand(0), site.output());
    site.check_window(window)?;
    check_cover(site, window, x.shape)?;
    site.expect("output format", y.format, x.format)?;
    site.expect("output shape", Some(y.shape), window.pooled(x.shape))
}

/// Every window covers some element of the image: there is no maximum of padding alone.
fn check_cover(site: &Site<'_>, window: &Window, x: Shape) -> Check {
    let Some([height, width]) = window.output(x.height, x.width) else { return Ok(()) };
    let empty = |axis, size, outputs| covered(window, axis, size, outputs).iter().any(Vec::is_empty);
    site.expect("windows in padding alone", empty(0, x.height, height) || empty(1, x.width, width), false)
}

pub(crate) fn run(x: &[i64], shape: Shape, window: &Window) -> Outcome {
    Outcome::Values(maxima(x, shape, window))
}

/// The greatest element of each window.
pub(crate) fn maxima(x: &[i64], shape: Shape, window: &Window) -> Vec<i64> {
    pool(x, shape, window, i64::MIN, i64::max, |best, _| best)
}
