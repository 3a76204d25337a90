//! Someone else's code, to be run on an operation's inputs.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use zkml_gpu_engine::bench::Outcome;

/// A run: how long it took, and what it gave if that is wanted.
type PeerRun<'a> = Box<dyn Fn(bool) -> (Duration, Outcome) + 'a>;

/// Someone else's code for an operation, with the operation's inputs.
pub struct Peer<'a> {
    /// Whose code.
    pub name: &'static str,
    run: PeerRun<'a>,
}

impl fmt::Debug for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Peer<'a> {
    /// Someone's code: `run` is timed, on what `fresh` makes for it; `read` converts the result.
    pub fn new<I, O>(
        name: &'static str,
        fresh: impl Fn() -> I + 'a,
        run: impl Fn(I) -> O + 'a,
        read: impl Fn(O) -> Outcome + 'a,
    ) -> Self {
        let run: PeerRun<'a> = Box::new(move |wanted| {
            let input = fresh();
            let start = Instant::now();
            let output = black_box(run(input));
            let time = start.elapsed();
            (time, if wanted { read(output) } else { Outcome::default() })
        });
        Self { name, run }
    }

    /// Runs it once: the time.
    pub fn time(&self) -> Duration {
        (self.run)(false).0
    }

    /// Runs it once: what it gave.
    pub fn outcome(&self) -> Outcome {
        (self.run)(true).1
    }
}
