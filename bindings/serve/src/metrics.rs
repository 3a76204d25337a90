//! Figures for Prometheus.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::jobs::Jobs;

/// A request's route, never its path, and the status of the answer.
type Answer = [(&'static str, String); 2];

/// What is counted as it happens.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answer, Counter>,
    pub(crate) accepted: Counter,
    pub(crate) proved: Counter,
    pub(crate) failed: Counter,
    pub(crate) refused_busy: Counter,
    pub(crate) storage_errors: Counter,
    pub(crate) infer_seconds: Histogram,
    pub(crate) proof_seconds: Histogram,
    /// From the request to its proof.
    pub(crate) job_seconds: Histogram,
    waiting: Gauge,
    proving: Gauge,
    kept: Gauge,
}

impl Metrics {
    /// Nothing counted yet, of a model on a back end.
    pub(crate) fn new(model: &str, backend: &str, queue_limit: usize) -> Self {
        let mut registry = Registry::with_prefix("zkml_gpu");
        let requests = Family::default();
        registry.register("requests", "Requests that were answered, by route and status", requests.clone());
        let build =
            [("model", model.to_owned()), ("backend", backend.into()), ("version", env!("CARGO_PKG_VERSION").into())];
        registry.register("server", "What is served", Info::new(build.to_vec()));
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let accepted = counter("jobs_accepted", "Jobs that were accepted since the start");
        let proved = counter("jobs_proved", "Jobs whose proofs were made since the start");
        let failed = counter("jobs_failed", "Jobs that were set aside with an error since the start");
        let refused_busy = counter("jobs_refused", "Requests that found the queue full");
        let storage_errors = counter("storage_errors", "Times that the disk did not take a file");
        let mut seconds = |name: &str, help: &str, least: f64| {
            let histogram = Histogram::new(exponential_buckets(least, 2.0, 18));
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
            histogram
        };
        let infer_seconds = seconds("infer", "Time from a request's input to its outputs", 1e-5);
        let proof_seconds = seconds("proof", "Time that a proof takes", 1e-2);
        let job_seconds = seconds("job", "Time from a request to its proof", 1e-2);
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let waiting = gauge("jobs_waiting", "Jobs that wait");
        let proving = gauge("jobs_proving", "Jobs whose proofs are under way");
        let kept = gauge("jobs_kept", "Jobs on the disk");
        gauge("queue_limit", "Most jobs that wait").set(int(queue_limit));
        Self {
            registry,
            requests,
            accepted,
            proved,
            failed,
            refused_busy,
            storage_errors,
            infer_seconds,
            proof_seconds,
            job_seconds,
            waiting,
            proving,
            kept,
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, route: &str, status: u16) {
        self.requests.get_or_create(&[("route", route.into()), ("status", status.to_string())]).inc();
    }

    /// All figures as text.
    pub(crate) fn text(&self, jobs: &Jobs) -> Result<String, std::fmt::Error> {
        let counts = jobs.counts();
        self.waiting.set(int(counts.waiting));
        self.proving.set(int(counts.proving));
        self.kept.set(int(counts.kept));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
