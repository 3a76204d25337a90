//! Progress on stderr, one line for each protocol step, from the tracing spans of the engine and of the commands.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Spans of this project carry targets that start with this.
const TARGET: &str = "zkml_gpu";
/// Spans that only hold others together.
const GROUPS: [&str; 1] = ["prove"];

/// Shows each step as it runs; nothing where stderr is no terminal.
pub(crate) fn show() {
    if std::io::stderr().is_terminal() {
        // It fails where a subscriber is installed already: then that one decides what is shown.
        let _ = tracing_subscriber::registry().with(StepLayer { bars: MultiProgress::new() }).try_init();
    }
}

/// Shows how many of `total` steps are done; nothing where stderr is no terminal.
pub(crate) fn counted(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {msg:40} {elapsed_precise}") {
        bar.set_style(style);
    }
    bar
}

/// A span under way.
struct Step {
    start: Instant,
    bar: ProgressBar,
}

struct StepLayer {
    bars: MultiProgress,
}

impl StepLayer {
    fn bar(&self, metadata: &Metadata<'_>) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg:24} {elapsed_precise}") {
            bar.set_style(style);
        }
        bar.set_message(label(metadata.name()));
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StepLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let ours = metadata.target().starts_with(TARGET) && !GROUPS.contains(&metadata.name());
        if let Some(span) = context.span(id).filter(|_| ours) {
            span.extensions_mut().replace(Step { start: Instant::now(), bar: self.bar(metadata) });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Step { start, bar }) = span.extensions_mut().remove::<Step>() else { return };
        if let Ok(style) = ProgressStyle::with_template("  {msg}") {
            bar.set_style(style);
        }
        let ms = start.elapsed().as_secs_f64() * 1e3;
        bar.finish_with_message(format!("{:24} {ms:8.1} ms", label(span.name())));
    }
}

fn label(name: &str) -> String {
    name.replace('_', " ")
}
