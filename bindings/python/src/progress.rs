//! Steps of the library, told to a callback of Python's: `progress(step, seconds)`, where `seconds` is `None` as a step
//! begins and its wall time as it ends.
//!
//! The library tells of its steps by spans. Those that open on a thread are told to the callback of the call that runs
//! on it; other threads' callbacks hear nothing of them.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use pyo3::prelude::*;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Spans of this project carry targets that start with this.
const TARGET: &str = "zkml_gpu";
/// A span that only holds others together.
const GROUP: &str = "prove";

/// A callback, and what it raised.
pub(crate) struct Sink {
    callback: Py<PyAny>,
    raised: Mutex<Option<PyErr>>,
}

thread_local! {
    /// The callback of the call that this thread works for.
    static CURRENT: RefCell<Option<Arc<Sink>>> = const { RefCell::new(None) };
}

impl Sink {
    /// A callback that will be told of steps.
    pub(crate) fn new(callback: Py<PyAny>) -> Arc<Self> {
        static LAYER: OnceLock<()> = OnceLock::new();
        // Without a callback nothing listens, and spans cost nothing. It fails where a subscriber is installed already,
        // which nothing but this module can do in its own library.
        LAYER.get_or_init(|| {
            let _ = tracing_subscriber::registry().with(Steps).try_init();
        });
        Arc::new(Self { callback, raised: Mutex::new(None) })
    }

    /// Tells a step; after an exception nothing more, for the call ends with it.
    pub(crate) fn tell(&self, step: &str, seconds: Option<f64>) {
        // None where the interpreter is about to end.
        let _ = Python::try_attach(|py| {
            let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
            if raised.is_none() {
                *raised = self.callback.call1(py, (step, seconds)).err();
            }
        });
    }

    /// What the callback raised.
    pub(crate) fn raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs work whose steps are told to a callback. A thread that waits within it may take up another call's work, which
/// has its own callback until it ends.
pub(crate) fn with<T>(sink: Option<&Arc<Sink>>, work: impl FnOnce() -> T) -> T {
    /// Puts the callback back that was there, also after a panic.
    struct Restored(Option<Arc<Sink>>);
    impl Drop for Restored {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restored = Restored(CURRENT.replace(sink.cloned()));
    work()
}

/// A step that is this binding's own.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let sink = CURRENT.with_borrow(Clone::clone);
    let start = Instant::now();
    if let Some(sink) = &sink {
        sink.tell(name, None);
    }
    let value = work();
    if let Some(sink) = &sink {
        sink.tell(name, Some(start.elapsed().as_secs_f64()));
    }
    value
}

/// A step under way.
struct Step {
    start: Instant,
    sink: Arc<Sink>,
}

/// Tells of spans as they open and close.
struct Steps;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Steps {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if !metadata.target().starts_with(TARGET) || metadata.name() == GROUP {
            return;
        }
        let Some(sink) = CURRENT.with_borrow(Clone::clone) else { return };
        let Some(span) = context.span(id) else { return };
        sink.tell(&label(metadata.name()), None);
        span.extensions_mut().replace(Step { start: Instant::now(), sink });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Step { start, sink }) = span.extensions_mut().remove::<Step>() else { return };
        sink.tell(&label(span.name()), Some(start.elapsed().as_secs_f64()));
    }
}

fn label(name: &str) -> String {
    name.replace('_', " ")
}
