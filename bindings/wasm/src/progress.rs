//! Steps of a proof, told to a function of JavaScript's: `progress(step, milliseconds)`, where `milliseconds` is
//! `undefined` as a step begins and its wall time as it ends. Steps of the thread that proves are told; those of
//! helpers have no function.

use std::cell::RefCell;
use std::sync::Once;

use js_sys::Function;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use wasm_bindgen::JsValue;

/// Spans of this project carry targets that start with this.
const TARGET: &str = "zkml_gpu";
/// A span that only holds others together.
const GROUP: &str = "prove";

thread_local! {
    static CURRENT: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Runs work whose steps are told to a function.
pub(crate) fn with<T>(function: Option<Function>, work: impl FnOnce() -> T) -> T {
    static LAYER: Once = Once::new();
    LAYER.call_once(|| {
        // It fails where a subscriber is installed, which nothing but this module can do here.
        let _ = tracing_subscriber::registry().with(Steps).try_init();
    });
    CURRENT.set(function);
    let value = work();
    CURRENT.set(None);
    value
}

/// Tells the function; what it throws is its own loss, for the proof does not depend on it.
fn tell(step: &str, milliseconds: Option<f64>) {
    if let Some(function) = CURRENT.with_borrow(Clone::clone) {
        let step = JsValue::from_str(&step.replace('_', " "));
        let _ = function.call2(&JsValue::NULL, &step, &milliseconds.map_or(JsValue::UNDEFINED, JsValue::from_f64));
    }
}

/// When a span began, in the page's milliseconds.
struct Begun(f64);

struct Steps;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Steps {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let is_told = metadata.target().starts_with(TARGET) && metadata.name() != GROUP;
        let Some(span) = context.span(id).filter(|_| is_told && CURRENT.with_borrow(Option::is_some)) else { return };
        tell(metadata.name(), None);
        span.extensions_mut().replace(Begun(js_sys::Date::now()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Begun(start)) = span.extensions_mut().remove::<Begun>() else { return };
        tell(span.name(), Some(js_sys::Date::now() - start));
    }
}
