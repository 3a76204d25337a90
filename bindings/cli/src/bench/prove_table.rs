//! Whole proofs, as a table.

use std::fmt::Write as _;

use super::compare::{self, Comparison};
use super::record::{ProveRecord, ProveRow};
use super::statistics::Spread;
use crate::report::{grouped, line, terminal_safe};

/// A table for each model, and beneath all what they depend on.
pub(super) fn text(record: &ProveRecord, comparison: Option<&Comparison>) -> String {
    let mut text = String::new();
    for rows in record.rows.chunk_by(|one, two| one.circuit.circuit_digest == two.circuit.circuit_digest) {
        text += &model(rows);
    }
    let runs = record.rows.first().map_or(0, |row| row.runs.len());
    text += &line(
        "runs",
        &format!(
            "{runs} of each in turns after {} to warm up; medians ± half of what lies between the quartiles",
            record.warm_ups
        ),
    );
    text += &line("seed", &format!("{}: equal seeds give equal proofs; none of them is kept", record.seed));
    text += &line("threads", &record.setting.threads.to_string());
    text += &line("machine", &record.setting.machine);
    if record.setting.unoptimised {
        text += &line("warning", "this program was built without optimisation: the figures say nothing");
    }
    if let Some(comparison) = comparison {
        text += &compare::text(comparison);
    }
    text
}

/// One model on all back ends.
fn model(rows: &[ProveRow]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let circuit = &first.circuit;
    let mut text =
        format!("{}: {} parameters, {} weights\n", circuit.model, grouped(circuit.parameters as u64), circuit.weights);
    text += &line("input", &terminal_safe(&circuit.input));
    let shape =
        format!("k = {}, {} advice and {} fixed columns", circuit.k, circuit.advice_columns, circuit.fixed_columns);
    text += &line("circuit", &format!("{shape}, {} lookups", grouped(circuit.lookups as u64)));
    text += &columns(rows);
    text += &steps(rows);
    if let Some(digest) = &first.proof_digest {
        let backends = rows.iter().filter(|row| row.proof_digest.is_some()).count();
        let of = if backends == 1 { String::new() } else { format!(" on all {backends} back ends") };
        text += &line(
            "proof",
            &format!("{} bytes, BLAKE2b {}...{of}", grouped(first.proof_bytes as u64), &digest[..16.min(digest.len())]),
        );
    }
    for figure in &first.published {
        let ours = if figure.what == "CPU time" { first.prove_cpu_ms } else { first.prove_ms };
        let times = figure.seconds * 1e3 / ours.median;
        let what = format!("{} s of {}: {times:.1} times that of {}", figure.seconds, figure.what, first.backend);
        text += &line("elsewhere", &format!("{}, {what}; another machine", figure.source));
    }
    text
}

/// One line for each prover.
fn columns(rows: &[ProveRow]) -> String {
    let width = rows.iter().map(|row| row.backend.chars().count()).max().unwrap_or(0).max(11);
    let mut text = format!(
        "  {:width$} {:>17} {:>17} {:>15} {:>10} {:>10} {:>10} {:>9}\n",
        "prover", "prove ms", "prove CPU ms", "verify ms", "host MB", "device MB", "float ms", "overhead"
    );
    for row in rows {
        let device = row.peak_device_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
        let _ = writeln!(
            text,
            "  {:width$} {:>17} {:>17} {:>15} {:>10.0} {device:>10} {:>10.4} {:>8.0}x",
            row.backend,
            spread(&row.prove_ms),
            spread(&row.prove_cpu_ms),
            spread(&row.verify_ms),
            row.peak_rss_bytes as f64 / 1e6,
            row.float_ms.median,
            row.overhead,
        );
    }
    for row in rows {
        let estimate = row.estimate.as_ref().map_or_else(String::new, |estimate| {
            format!("; estimated {:.0} ms, {:.0} ms of CPU or device time", estimate.prove_ms, estimate.prove_cpu_ms)
        });
        let once = format!(
            "{:.0} ms compile, {:.0} ms reference string, {:.0} ms keys",
            row.compile_ms, row.srs_ms, row.keys_ms
        );
        text += &line(&row.backend, &format!("{}; once {once}{estimate}", terminal_safe(&row.device)));
    }
    text
}

/// One line for each step, two columns for each back end that tells: time, and the most memory in the first proof.
fn steps(rows: &[ProveRow]) -> String {
    let rows: Vec<&ProveRow> = rows.iter().filter(|row| !row.steps.is_empty()).collect();
    let Some(first) = rows.first() else { return String::new() };
    let mut text = format!("  {:18}", "step, ms");
    rows.iter().for_each(|row| text += &format!(" {:>16} {:>8}", row.backend, "host MB"));
    text.push('\n');
    for step in &first.steps {
        let _ = write!(text, "  {:18}", step.name.replace('_', " "));
        for row in &rows {
            let found = row.steps.iter().find(|other| other.name == step.name);
            let none = || "-".to_owned();
            let shown = found
                .map_or_else(none, |step| format!("{:.2} ({:>2.0}%)", step.ms, 100.0 * step.ms / row.prove_ms.median));
            let peak = found.and_then(|step| step.peak_rss_bytes);
            let peak = peak.map_or_else(none, |bytes| format!("{:.0}", bytes as f64 / 1e6));
            let _ = write!(text, " {shown:>16} {peak:>8}");
        }
        text.push('\n');
    }
    text
}

fn spread(spread: &Spread) -> String {
    format!("{:.1} ± {:.1}%", spread.median, 100.0 * spread.relative())
}
