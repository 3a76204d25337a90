//! Progress on stderr, one line for each protocol step, from the tracing spans of the engine and of the commands; with
//! `-v` lines with their times and memory wherever stderr goes, with `--trace` a file of all spans for a viewer.

use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use zkml_gpu::verify::program::tell;
use zkml_gpu::verify::report::terminal_safe;
use zkml_gpu::{Error, FileError};

use crate::args::LogOptions;
use crate::resources::take_peak_rss_bytes;

/// Spans of this project carry targets that start with this.
const TARGET: &str = "zkml_gpu";
/// Spans that only hold others together.
const GROUPS: [&str; 1] = ["prove"];
/// How often a batch tells how far it is where stderr is no terminal.
const BATCH_LINES: Duration = Duration::from_secs(10);

/// Whether steps are shown: not before a command says so, and never with `--quiet`.
static SHOWN: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);

/// Writes the rest of a trace when it goes.
#[must_use]
pub(crate) struct Guard {
    _trace: Option<FlushGuard>,
}

/// What a command does with what is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Its steps are shown.
    Steps,
    /// It reads the spans itself, unless the options ask for them.
    Measures,
    /// It runs on: what happens is told line by line, steps only where the options ask for them.
    Serves,
}

/// Installs what the options ask for, before any command runs.
pub(crate) fn start(options: &LogOptions, purpose: Use) -> Result<Guard, Error> {
    QUIET.store(options.quiet, Ordering::Relaxed);
    let terminal = std::io::stderr().is_terminal() && purpose == Use::Steps;
    let steps = terminal.then(|| StepLayer { bars: MultiProgress::new() });
    let lines = (options.verbose > 0).then_some(LineLayer);
    let (trace, guard) = options.trace.as_deref().map(trace_layer).transpose()?.unzip();
    let events = (purpose == Use::Serves).then_some(EventLayer);
    if steps.is_none() && lines.is_none() && trace.is_none() && events.is_none() {
        return Ok(Guard { _trace: None });
    }
    // It fails where a subscriber is installed already: then that one decides what is shown.
    let _ = tracing_subscriber::registry().with(steps).with(lines).with(trace).with(events).try_init();
    Ok(Guard { _trace: guard })
}

/// A layer that writes spans and their fields as Chrome's trace viewer and Perfetto read them.
fn trace_layer<S>(path: &Path) -> Result<(impl Layer<S>, FlushGuard), Error>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let fail = |source| FileError::File { path: path.into(), action: "write", source };
    let file = BufWriter::new(File::create(path).map_err(fail)?);
    let (layer, guard) = ChromeLayerBuilder::new().writer(file).include_args(true).build();
    // Libraries tell of themselves, too, with names from models in their words.
    Ok((layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(TARGET))), guard))
}

/// Shows each step as it runs; nothing where stderr is no terminal.
fn show() {
    SHOWN.store(!QUIET.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Shows steps unless the result is for a program.
pub(crate) fn show_unless(json: bool) {
    if !json {
        show();
    }
}

/// Says something that is no result: what was not asked for, or not done.
pub(crate) fn note(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        tell(&format!("note: {text}"));
    }
}

/// How many of `total` steps are done.
#[derive(Debug)]
pub(crate) struct Counted {
    bar: ProgressBar,
    lines: bool,
    start: Instant,
    total: u64,
    done: AtomicU64,
    /// Milliseconds after the start at which the last line was written.
    told_ms: AtomicU64,
}

/// Shows how many of `total` steps are done and how long the rest may take: a bar on a terminal, a line now and then
/// elsewhere.
pub(crate) fn counted(total: u64) -> Counted {
    let quiet = QUIET.load(Ordering::Relaxed);
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {percent} %, {eta} left {msg:40}") {
        bar.set_style(style);
    }
    let lines = !quiet && !std::io::stderr().is_terminal();
    Counted { bar, lines, start: Instant::now(), total, done: AtomicU64::new(0), told_ms: AtomicU64::new(0) }
}

impl Counted {
    /// Another one is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let elapsed = self.start.elapsed();
        let (now, told) = (elapsed.as_millis() as u64, self.told_ms.load(Ordering::Relaxed));
        if self.lines && now.saturating_sub(told) >= BATCH_LINES.as_millis() as u64 {
            self.told_ms.store(now, Ordering::Relaxed);
            let left = elapsed.mul_f64((self.total.saturating_sub(done)) as f64 / done as f64);
            tell(&format!("{done} of {} done, about {} s left", self.total, left.as_secs()));
        }
    }

    /// So many are done.
    pub(crate) fn set_position(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// What is being worked on.
    pub(crate) fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// All is done.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// A span under way.
struct Step {
    start: Instant,
    bar: ProgressBar,
}

/// A span under way, of which a line is written at its end.
struct Timed {
    start: Instant,
    /// Greatest resident memory so far; 0 where the system does not tell.
    peak_bytes: u64,
}

/// A line for each span at its end, indented by how deep it is.
struct LineLayer;

impl LineLayer {
    /// Peaks count for the spans that hold the present one, too. Those of other threads are not told apart.
    fn raise<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, context: &Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let peak = take_peak_rss_bytes().unwrap_or(0);
        for outer in span.scope() {
            if let Some(timed) = outer.extensions_mut().get_mut::<Timed>() {
                timed.peak_bytes = timed.peak_bytes.max(peak);
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LineLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id).filter(|_| attributes.metadata().target().starts_with(TARGET)) {
            Self::raise(id, &context);
            span.extensions_mut().replace(Timed { start: Instant::now(), peak_bytes: 0 });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        if span.extensions().get::<Timed>().is_none() {
            return;
        }
        Self::raise(&id, &context);
        let Some(Timed { start, peak_bytes }) = span.extensions_mut().remove::<Timed>() else { return };
        let depth = span.scope().skip(1).count();
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let peak = match peak_bytes {
            0 => String::new(),
            bytes => format!(" {:8.0} MB", bytes as f64 / 1e6),
        };
        tell(&format!("{:indent$}{:24} {ms:10.1} ms{peak}", "", label(span.name()), indent = 2 * depth));
    }
}

/// A line for each event of ours; with `--quiet` for errors only.
struct EventLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for EventLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let most = if QUIET.load(Ordering::Relaxed) { Level::ERROR } else { Level::INFO };
        if target.starts_with(TARGET) && level <= most {
            let mut text = EventText::default();
            event.record(&mut text);
            let line = format!("{}: {}{}", level.as_str().to_ascii_lowercase(), text.message, text.fields);
            tell(&terminal_safe(&line));
        }
    }
}

/// An event's words and fields.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields += &format!(", {name}: {value:?}"),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
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
        let ours = ours && SHOWN.load(Ordering::Relaxed);
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
