//! Inference in floating point: what a proof's time is compared with.

use std::time::{Duration, Instant};

use zkml_gpu::{Error, Model, Sample};

use super::statistics::Spread;
use crate::report::elapsed_ms;

/// Times that are taken.
const TIMES: usize = 20;
/// Inferences for one of them take this long together at least: far more than the clock's resolution.
const LEAST: Duration = Duration::from_millis(2);

/// Milliseconds of one inference by tract's optimised plan, on one thread, which is what it has.
///
/// # Errors
/// As [`Model::run`].
pub(super) fn time(model: &Model, sample: &Sample) -> Result<Spread, Error> {
    let mut count = 1u32;
    // The first fills caches, the others tell how many make a time.
    while run(model, sample, count)? < LEAST.as_secs_f64() * 1e3 {
        count *= 2;
    }
    let times: Result<Vec<f64>, Error> =
        (0..TIMES).map(|_| Ok(run(model, sample, count)? / f64::from(count))).collect();
    Ok(Spread::of(times?))
}

/// Milliseconds of so many.
fn run(model: &Model, sample: &Sample, count: u32) -> Result<f64, Error> {
    let start = Instant::now();
    for _ in 0..count {
        std::hint::black_box(model.run(std::hint::black_box(sample))?);
    }
    Ok(elapsed_ms(start))
}
