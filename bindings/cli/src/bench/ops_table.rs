//! Operations, as a table.

use std::fmt::Write as _;

use super::compare::{self, Comparison};
use super::record::{OpsRecord, OpsRow, Table};
use crate::report::{grouped, line};

/// The table, and beneath it what it depends on.
pub(super) fn text(record: &OpsRecord, comparison: Option<&Comparison>) -> String {
    let mut text = String::new();
    for device in &record.backends {
        let _ = writeln!(text, "{}: {}", device.name, device.device);
        let _ = writeln!(
            text,
            "  {:18} {:>5} {:>12} {:>6} {:>12}  {:11} {:>12} {:>8}",
            "operation", "size", "ms", "±", "ns/element", "peer", "peer ms", "ratio"
        );
        record.rows.iter().filter(|row| row.backend == device.name).for_each(|row| text += &row_text(row));
    }
    for table in &record.tables {
        text += &line("table", &table_text(table, record.table_budget_bytes));
    }
    text += &line("threads", &record.setting.threads.to_string());
    text += &line("machine", &record.setting.machine);
    if let Some(comparison) = comparison {
        text += &compare::text(comparison);
    }
    text
}

fn row_text(row: &OpsRow) -> String {
    let size = format!("2^{}", row.log_n);
    let peer = row.peer.as_ref().zip(row.peer_ms).zip(row.ratio);
    let peer = peer.map_or_else(
        || format!("{:11} {:>12} {:>8}", "-", "-", "-"),
        |((name, ms), ratio)| format!("{name:11} {ms:>12.3} {ratio:>7.2}x"),
    );
    let (spread, ns) = (format!("{:.1}%", 100.0 * row.spread.relative()), row.ns_per_element());
    format!("  {:18} {size:>5} {:>12.3} {spread:>6} {ns:>12.1}  {peer}\n", row.op, row.ms)
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
    use super::super::statistics::Spread;
    use super::*;

    #[test]
    fn time_is_told_by_element_of_all_columns() {
        let row = OpsRow {
            op: "ntt".into(),
            log_n: 10,
            backend: "cpu".into(),
            elements: 8192,
            ms: 2.0,
            spread: Spread::of([2.0]),
            peer: Some("halo2-axiom".into()),
            peer_ms: Some(3.0),
            ratio: Some(1.5),
        };
        assert!((row.ns_per_element() - 2e6 / 8192.0).abs() < 1e-9);
        assert!(row_text(&row).contains("244.1  halo2-axiom") && row_text(&row).contains("1.50x"));
    }
}
