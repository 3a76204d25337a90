//! What was measured, as a table and as a JSON object.

use std::fmt::Write as _;

use serde::Serialize;
use zkml_gpu::engine::bench::Operation;

use crate::report::{grouped, line};
use crate::resources::machine;

/// All measurements of a run.
pub(super) struct Report {
    /// The back ends.
    pub(super) backends: Vec<Device>,
    /// Operation by operation.
    pub(super) measurements: Vec<Measurement>,
    /// The points' tables, for each size.
    pub(super) tables: Vec<Table>,
    table_budget_bytes: u64,
}

/// One operation at one size on one back end.
pub(super) struct Measurement {
    pub(super) operation: Operation,
    pub(super) log_n: u32,
    pub(super) backend: String,
    /// Median wall time.
    pub(super) ms: f64,
    /// Whose code took how many milliseconds for the same.
    pub(super) peers: Vec<(&'static str, f64)>,
}

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    rows: Vec<Row>,
    backends: &'a [Device],
    tables: &'a [Table],
    /// What the table of each basis may take.
    table_budget_bytes: u64,
    /// Threads of the processor, ours and the peers'.
    threads: usize,
    machine: String,
    version: &'static str,
}

/// One operation beside one peer; nulls where it has none.
#[derive(Debug, Serialize)]
struct Row {
    op: &'static str,
    log_n: u32,
    backend: String,
    ms: f64,
    peer: Option<&'static str>,
    peer_ms: Option<f64>,
    /// `peer_ms / ms`: how many times faster ours is.
    ratio: Option<f64>,
}

/// A back end.
#[derive(Debug, Serialize)]
pub(super) struct Device {
    pub(super) name: String,
    /// In words, with the instructions or the device in use.
    pub(super) device: String,
}

/// Multiples of the points that multi-scalar multiplications were given.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) log_n: u32,
    pub(super) backend: String,
    /// Null where the back end does not tell.
    pub(super) table_bytes: Option<usize>,
    /// Time to make points and table resident.
    pub(super) build_ms: f64,
}

impl Report {
    pub(super) fn new(table_budget_bytes: u64) -> Self {
        Self { backends: Vec::new(), measurements: Vec::new(), tables: Vec::new(), table_budget_bytes }
    }

    pub(super) fn json(&self) -> Json<'_> {
        Json {
            rows: self.measurements.iter().flat_map(Measurement::rows).collect(),
            backends: &self.backends,
            tables: &self.tables,
            table_budget_bytes: self.table_budget_bytes,
            threads: rayon::current_num_threads(),
            machine: machine(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Measurement {
    /// One row for each peer, or one without.
    fn rows(&self) -> Vec<Row> {
        let Self { operation, log_n, ms, .. } = *self;
        let row = |peer: Option<(&'static str, f64)>| Row {
            op: operation.name(),
            log_n,
            backend: self.backend.clone(),
            ms,
            peer: peer.map(|(name, _)| name),
            peer_ms: peer.map(|(_, peer_ms)| peer_ms),
            ratio: peer.map(|(_, peer_ms)| peer_ms / ms),
        };
        match &self.peers[..] {
            [] => vec![row(None)],
            peers => peers.iter().map(|peer| row(Some(*peer))).collect(),
        }
    }

    fn ns_per_element(&self) -> f64 {
        self.ms * 1e6 / self.operation.elements(self.log_n) as f64
    }
}

/// The table, and beneath it what it depends on.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for device in &report.backends {
        let _ = writeln!(text, "{}: {}", device.name, device.device);
        let _ = writeln!(
            text,
            "  {:18} {:>5} {:>12} {:>12}  {:11} {:>12} {:>8}",
            "operation", "size", "ms", "ns/element", "peer", "peer ms", "ratio"
        );
        for measurement in report.measurements.iter().filter(|measurement| measurement.backend == device.name) {
            text += &measurement_text(measurement);
        }
    }
    for table in &report.tables {
        text += &line("table", &table_text(table, report.table_budget_bytes));
    }
    text += &line("threads", &rayon::current_num_threads().to_string());
    text += &line("machine", &machine());
    text
}

fn measurement_text(measurement: &Measurement) -> String {
    let mut text = String::new();
    let size = format!("2^{}", measurement.log_n);
    for row in measurement.rows() {
        let peer = row.peer.zip(row.peer_ms).zip(row.ratio);
        let peer = peer.map_or_else(
            || format!("{:11} {:>12} {:>8}", "-", "-", "-"),
            |((name, ms), ratio)| format!("{name:11} {ms:>12.3} {ratio:>7.2}x"),
        );
        let ns = measurement.ns_per_element();
        let _ = writeln!(text, "  {:18} {size:>5} {:>12.3} {ns:>12.1}  {peer}", row.op, row.ms);
    }
    text
}

fn table_text(table: &Table, budget: u64) -> String {
    let bytes = match table.table_bytes {
        Some(bytes) => format!("{} bytes", grouped(bytes as u64)),
        None => "not told how many bytes".into(),
    };
    let (budget, log_n, backend) = (grouped(budget), table.log_n, &table.backend);
    format!("2^{log_n} points on {backend}: {bytes} of at most {budget}, built in {:.1} ms", table.build_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(peers: &[(&'static str, f64)]) -> Measurement {
        Measurement { operation: Operation::Ntt, log_n: 10, backend: "cpu".into(), ms: 2.0, peers: peers.to_vec() }
    }

    #[test]
    fn there_is_a_row_for_each_peer_or_one_without() {
        let rows = measurement(&[("a", 3.0), ("b", 1.0)]).rows();
        assert_eq!(rows.iter().map(|row| row.ratio).collect::<Vec<_>>(), [Some(1.5), Some(0.5)]);
        let rows = measurement(&[]).rows();
        assert!(rows.len() == 1 && rows[0].peer.is_none() && rows[0].peer_ms.is_none() && rows[0].ratio.is_none());
    }

    #[test]
    fn time_is_told_by_element_of_all_columns() {
        assert!((measurement(&[]).ns_per_element() - 2e6 / 8192.0).abs() < 1e-9);
        assert!(measurement_text(&measurement(&[("halo2-axiom", 3.0)])).contains("1.50x"));
    }
}
