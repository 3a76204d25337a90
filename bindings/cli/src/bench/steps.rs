//! Time by protocol step, from the tracing spans of the engine.
//!
//! A span's own time is what passes in it and in no span inside it, so that steps add up. On a GPU work is recorded by
//! one step and awaited by a later one, which reads a result: its time stands where the host waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use zkml_gpu::engine::prover::TRACING_TARGET;

use super::record::Step;

/// The step that is no span: inference and the witness's first phase.
const WITNESS: &str = "witness";
/// What no step accounts for.
const OTHER: &str = "other";
/// The span of a whole proof, whose own time belongs to no step.
const GROUP: &str = "prove";

/// Own times by name, in the order in which spans first began.
type Times = Vec<(&'static str, Duration)>;

/// Listens to the spans of this process.
#[derive(Clone, Default)]
pub(super) struct Steps(Arc<Mutex<Times>>);

/// A span under way.
struct Open {
    start: Instant,
    /// Time of the spans inside it.
    inside: Duration,
}

impl Steps {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        let steps = Self::default();
        // It fails where somebody listens already, which this program does in other commands only.
        let _ = tracing_subscriber::registry().with(steps.clone()).try_init();
        steps
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, step: &'static str, own: Duration) {
        let mut times = self.times();
        match times.iter_mut().find(|(name, _)| *name == step) {
            Some((_, time)) => *time += own,
            None => times.push((step, own)),
        }
    }

    /// Forgets what was heard so far.
    pub(super) fn clear(&self) {
        self.times().clear();
    }

    /// The steps of a proof that took `prove_ms`, of which `witness_ms` before the prover.
    pub(super) fn of_proof(&self, prove_ms: f64, witness_ms: f64) -> Vec<Step> {
        let mut steps = vec![Step { name: WITNESS.into(), ms: witness_ms }];
        let times = self.times();
        let named = times.iter().filter(|(name, _)| *name != GROUP);
        steps.extend(named.map(|(name, time)| Step { name: (*name).into(), ms: time.as_secs_f64() * 1e3 }));
        let told: f64 = steps.iter().map(|step| step.ms).sum();
        steps.push(Step { name: OTHER.into(), ms: (prove_ms - told).max(0.0) });
        steps
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Steps {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let ours = attributes.metadata().target() == TRACING_TARGET;
        if let Some(span) = context.span(id).filter(|_| ours) {
            span.extensions_mut().replace(Open { start: Instant::now(), inside: Duration::ZERO });
            self.add(span.name(), Duration::ZERO);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { start, inside }) = span.extensions_mut().remove::<Open>() else { return };
        let whole = start.elapsed();
        // The next one of ours: there may be somebody else's spans between.
        for outer in span.scope().skip(1) {
            if let Some(open) = outer.extensions_mut().get_mut::<Open>() {
                open.inside += whole;
                break;
            }
        }
        self.add(span.name(), whole.saturating_sub(inside));
    }
}

#[cfg(test)]
mod tests {
    use tracing::info_span;

    use super::*;

    #[test]
    fn steps_have_their_own_time_and_add_up() {
        let steps = Steps::default();
        let subscriber = tracing_subscriber::registry().with(steps.clone());
        let start = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            let _prove = info_span!(target: TRACING_TARGET, "prove").entered();
            for _ in 0..2 {
                let _outer = info_span!(target: TRACING_TARGET, "commit").entered();
                let _other = info_span!(target: "elsewhere", "noise").entered();
                let _inner = info_span!(target: TRACING_TARGET, "transform").entered();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
        let found = steps.of_proof(1e6, 5.0);
        let names: Vec<&str> = found.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["witness", "commit", "transform", "other"]);
        assert!((found.iter().map(|step| step.ms).sum::<f64>() - 1e6).abs() < 1e-6, "{found:?}");
        // What passed inside counts once.
        assert!(found[2].ms >= 40.0 && found[1].ms + found[2].ms <= elapsed_ms, "{found:?} in {elapsed_ms}");
        steps.clear();
        assert_eq!(steps.of_proof(1.0, 0.0).len(), 2);
    }
}
