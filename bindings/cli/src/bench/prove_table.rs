//! Whole proofs, as a table.

use std::fmt::Write as _;

use zkml_gpu::engine::backend::Counts;
use zkml_gpu::verify::report::bytes_text;

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
    text += &programs(record);
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
        "  {:width$} {:>17} {:>17} {:>15} {:>13} {:>10} {:>10} {:>10} {:>9}\n",
        "prover", "prove ms", "prove CPU ms", "verify ms", "of it, key", "host MB", "device MB", "float ms", "overhead"
    );
    for row in rows {
        let device = row.peak_device_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
        let _ = writeln!(
            text,
            "  {:width$} {:>17} {:>17} {:>15} {:>13.1} {:>10.0} {device:>10} {:>10.4} {:>8.0}x",
            row.backend,
            spread(&row.prove_ms),
            spread(&row.prove_cpu_ms),
            spread(&row.verify_ms),
            row.read_key_ms.median,
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
        if let Some(counts) = &row.counts {
            text += &line("", &counts_text(counts));
        }
    }
    text
}

/// What a proof asked of its device.
fn counts_text(counts: &Counts) -> String {
    let [launches, copies, waits] = [counts.launches, counts.copies, counts.waits].map(grouped);
    let [up, down] = [counts.bytes_up, counts.bytes_down].map(bytes_text);
    format!(
        "a proof: {launches} launches, {copies} copies ({up} up, {down} down), {waits} waits, {} allocations",
        grouped(counts.allocations)
    )
}

/// Programs of others beside ours on the same model and input: as it was, and with bits for their error.
fn programs(record: &ProveRecord) -> String {
    if record.programs.is_empty() {
        return String::new();
    }
    let none = || "-".to_owned();
    let line_of = |name: &str, figures: [Option<Spread>; 3], bytes: [Option<u64>; 2], error: Option<f64>| {
        let [prove, cpu, verify] = figures.map(|figure| figure.as_ref().map_or_else(none, spread));
        let memory = bytes[0].map_or_else(none, |bytes| format!("{:.0}", bytes as f64 / 1e6));
        let proof = bytes[1].map_or_else(none, grouped);
        let error = error.map_or_else(none, |error| format!("{error:.2e}"));
        format!("  {name:28} {prove:>17} {cpu:>17} {verify:>15} {memory:>8} {proof:>12} {error:>10}\n")
    };
    let ours = |row: &ProveRow, what: &str| {
        let figures = [row.prove_ms, row.prove_cpu_ms, row.verify_ms].map(Some);
        let bytes = [row.peak_rss_bytes, row.proof_bytes as u64].map(Some);
        line_of(&format!("{}{what}", row.backend), figures, bytes, row.max_abs_error)
    };
    let mut text = format!(
        "programs of others on the same model and input\n  {:28} {:>17} {:>17} {:>15} {:>8} {:>12} {:>10}\n",
        "prover", "prove ms", "prove CPU ms", "verify ms", "host MB", "proof bytes", "error"
    );
    record.rows.iter().for_each(|row| text += &ours(row, ""));
    for program in &record.programs {
        let figures = [program.prove_ms, program.prove_cpu_ms, program.verify_ms];
        let bytes = [program.peak_rss_bytes, program.proof_bytes];
        text += &line_of(&terminal_safe(&program.program), figures, bytes, program.max_abs_error);
        program.ours.iter().for_each(|row| text += &ours(row, ", at that error"));
        // Like with like: only at its error.
        for row in &program.ours {
            let Some(theirs) = program.prove_ms else { continue };
            let cpu = program.prove_cpu_ms.map_or_else(String::new, |cpu| {
                format!(", {:.1} times the CPU time", cpu.median / row.prove_cpu_ms.median)
            });
            let time = theirs.median / row.prove_ms.median;
            text += &line(
                "ratio",
                &format!("{} takes {time:.1} times the time{cpu} of {} at that error", program.program, row.backend),
            );
        }
        if let Some(setup_ms) = program.setup_ms {
            text += &line("once", &format!("{:.0} ms of {}", setup_ms, terminal_safe(&program.program)));
        }
        if let Some(failed) = &program.failed {
            text += &line("failed", &terminal_safe(&format!("{}: {failed}", program.program)));
        }
    }
    text += &line(
        "times",
        "of a program's processes from start to end, keys read, unless it tells its own; ours in a process with its keys",
    );
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
