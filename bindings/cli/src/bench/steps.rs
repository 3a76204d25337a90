//! Time and memory by protocol step, from the tracing spans of the engine.
//!
//! A span's own time is what passes in it and in no span inside it, so that steps add up. On a GPU work is recorded by
//! one step and awaited by a later one, which reads a result: its time stands where the host waits. Memory is what was
//! resident at most while a step ran, and none inside it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use tracing_subscriber::util::SubscriberInitExt;
use zkml_gpu::engine::prover::TRACING_TARGET;

use super::record::Step;
use crate::resources::take_peak_rss_bytes;

/// What no step accounts for.
const OTHER: &str = "other";
/// The span of a whole proof, whose own time belongs to no step.
const GROUP: &str = "prove";

/// What was heard.
#[derive(Default)]
struct Heard {
    /// Whether to ask for the memory.
    memory: bool,
    /// In the order in which spans first began.
    steps: Vec<Own>,
}

/// A step's own time and memory.
struct Own {
    name: &'static str,
    time: Duration,
    peak_rss_bytes: Option<u64>,
}

impl Heard {
    /// The step of this name, which may be new.
    fn step(&mut self, name: &'static str) -> &mut Own {
        let index = self.steps.iter().position(|step| step.name == name).unwrap_or(self.steps.len());
        if index == self.steps.len() {
            self.steps.push(Own { name, time: Duration::ZERO, peak_rss_bytes: None });
        }
        &mut self.steps[index]
    }

    /// Whatever memory was resident since the last call belongs to this step.
    fn take_memory(&mut self, name: &'static str) {
        if self.memory {
            let peak = take_peak_rss_bytes();
            let step = self.step(name);
            step.peak_rss_bytes = step.peak_rss_bytes.max(peak);
        }
    }
}

/// Listens to the spans of this process.
#[derive(Clone, Default)]
pub(super) struct Steps(Arc<Mutex<Heard>>);

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

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was heard so far. From now on it hears of times, and of memory if it is to.
    pub(super) fn clear(&self, memory: bool) {
        if memory {
            take_peak_rss_bytes();
        }
        *self.heard() = Heard { memory, steps: Vec::new() };
    }

    /// The steps of a proof that took `prove_ms`.
    pub(super) fn of_proof(&self, prove_ms: f64) -> Vec<Step> {
        let heard = self.heard();
        let named = heard.steps.iter().filter(|step| step.name != GROUP);
        let step = |Own { name, time, peak_rss_bytes }: &Own| Step {
            name: (*name).into(),
            ms: time.as_secs_f64() * 1e3,
            peak_rss_bytes: *peak_rss_bytes,
        };
        let mut steps: Vec<Step> = named.map(step).collect();
        let told: f64 = steps.iter().map(|step| step.ms).sum();
        steps.push(Step { name: OTHER.into(), ms: (prove_ms - told).max(0.0), peak_rss_bytes: None });
        steps
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Steps {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let ours = attributes.metadata().target() == TRACING_TARGET;
        if let Some(span) = context.span(id).filter(|_| ours) {
            let mut heard = self.heard();
            // The next one of ours: there may be somebody else's spans between.
            let ours = |outer: &SpanRef<'_, S>| outer.extensions().get::<Open>().is_some();
            if let Some(outer) = span.scope().skip(1).find(ours) {
                heard.take_memory(outer.name());
            }
            heard.step(span.name());
            span.extensions_mut().replace(Open { start: Instant::now(), inside: Duration::ZERO });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { start, inside }) = span.extensions_mut().remove::<Open>() else { return };
        let whole = start.elapsed();
        for outer in span.scope().skip(1) {
            if let Some(open) = outer.extensions_mut().get_mut::<Open>() {
                open.inside += whole;
                break;
            }
        }
        let mut heard = self.heard();
        heard.take_memory(span.name());
        heard.step(span.name()).time += whole.saturating_sub(inside);
    }
}

#[cfg(test)]
mod tests {
    use tracing::info_span;

    use super::*;

    const BYTES: usize = 32 << 20;

    #[test]
    fn steps_have_their_own_time_and_add_up() {
        let steps = Steps::default();
        let subscriber = tracing_subscriber::registry().with(steps.clone());
        steps.clear(true);
        let start = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            let _prove = info_span!(target: TRACING_TARGET, "prove").entered();
            for _ in 0..2 {
                let _outer = info_span!(target: TRACING_TARGET, "commit").entered();
                let _other = info_span!(target: "elsewhere", "noise").entered();
                let _inner = info_span!(target: TRACING_TARGET, "transform").entered();
                drop(std::hint::black_box(vec![1u8; BYTES]));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
        let found = steps.of_proof(1e6);
        let names: Vec<&str> = found.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["commit", "transform", "other"]);
        assert!((found.iter().map(|step| step.ms).sum::<f64>() - 1e6).abs() < 1e-6, "{found:?}");
        // What passed inside counts once.
        assert!(found[1].ms >= 40.0 && found[0].ms + found[1].ms <= elapsed_ms, "{found:?} in {elapsed_ms}");
        if let [Some(outer), Some(inner)] = [0, 1].map(|step| found[step].peak_rss_bytes) {
            // Other tests of this process may take memory meanwhile.
            assert!(outer > 0 && inner > BYTES as u64, "{found:?}");
        }
        assert!(cfg!(not(target_os = "linux")) || found[1].peak_rss_bytes.is_some());
        steps.clear(false);
        assert_eq!(steps.of_proof(1.0).len(), 1);
    }
}
