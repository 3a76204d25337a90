//! Reports of measurements: charts, and the figures behind them.

use std::fmt::Write as _;

use super::compare::Comparison;
use super::record::{OpsRecord, OpsRow, ProgramRow, ProveRecord, ProveRow, Setting};
use super::statistics::Spread;
use crate::page::charts::{self, Bar, Name, Parts, Scale, Series};
use crate::page::{Escaped, page, table};

const MEGABYTE: f64 = 1e6;

/// The report of whole proofs.
pub(super) fn prove(record: &ProveRecord, comparison: Option<&Comparison>) -> String {
    let mut body = setting(&record.setting, "Whole proofs");
    let runs = record.rows.first().map_or(0, |row| row.runs.len());
    let _ = write!(
        body,
        "<p>{runs} proofs of each, in turns, after {} to warm up; seed {}. Bars are medians, whiskers the middle half of the runs. \
         Equal circuits and seeds gave equal proofs on all back ends.</p>",
        record.warm_ups, record.seed
    );
    let (rows, names) = (&record.rows, backends(record));
    body += &charts::parts(
        &Name { id: "steps", title: "Time by step of the protocol", unit: "ms", colours: &[] },
        &rows.iter().filter(|row| !row.steps.is_empty()).map(step_parts).collect::<Vec<_>>(),
    );
    body += &charts::bars(
        &Name { id: "backends", title: "Time of a proof by back end", unit: "ms", colours: &names },
        &rows.iter().map(|row| bar(record, row, row.prove_ms)).collect::<Vec<_>>(),
        Scale::Logarithmic,
    );
    body += &charts::points(
        &Name {
            id: "sizes",
            title: "Time of a proof by size of its circuit, measured and estimated",
            unit: "ms",
            colours: &[],
        },
        "cells: rows times columns",
        &sizes(record),
    );
    body += &charts::bars(
        &Name { id: "memory", title: "Peak memory", unit: "MB", colours: &["process", "device"].map(String::from) },
        &rows.iter().flat_map(memory).collect::<Vec<_>>(),
        Scale::Linear,
    );
    body += &charts::bars(
        &Name {
            id: "overhead",
            title: "Overhead: a proof's time by that of inference in floating point on one thread",
            unit: "x",
            colours: &names,
        },
        &rows
            .iter()
            .map(|row| Bar { label: row.name(), series: series(record, row), value: row.overhead, range: None })
            .collect::<Vec<_>>(),
        Scale::Logarithmic,
    );
    body += &comparison_table(comparison);
    body += &table("figures", "Figures", &FIGURES, rows.iter().map(figures));
    body += &table("estimates", "Estimates of the cost model", &ESTIMATES, rows.iter().filter_map(estimates));
    body += &table("counts", "What a proof asks of its device", &COUNTS, rows.iter().filter_map(counts));
    body += &table("published", "Figures of others, on other machines", &PUBLISHED, rows.iter().flat_map(published));
    body += &table(
        "programs",
        "Programs of others on the same model and input, and ours with bits for their error",
        &PROGRAMS,
        record.programs.iter().flat_map(programs),
    );
    body += &table("runs", "Every run", &RUNS, rows.iter().flat_map(runs_of));
    page("zkml-gpu bench prove", &body)
}

/// The report of operations.
pub(super) fn ops(record: &OpsRecord, comparison: Option<&Comparison>) -> String {
    let mut body = setting(&record.setting, "Operations");
    let largest = record.rows.iter().map(|row| row.log_n).max().unwrap_or(0);
    let at_largest = record.rows.iter().filter(|row| row.log_n == largest);
    let names: Vec<String> = record.backends.iter().map(|device| device.name.clone()).collect();
    let backend = |row: &OpsRow| record.backends.iter().position(|device| device.name == row.backend).unwrap_or(0);
    body += &charts::bars(
        &Name { id: "elements", title: &format!("Time for an element, at 2^{largest}"), unit: "ns", colours: &names },
        &once(at_largest.clone())
            .into_iter()
            .map(|row| {
                let per_element = 1e6 / row.elements.max(1) as f64;
                let range = [row.spread.lower_quartile, row.spread.upper_quartile].map(|ms| ms * per_element);
                Bar {
                    label: format!("{} on {}", row.op, row.backend),
                    series: backend(row),
                    value: row.ns_per_element(),
                    range: Some(range),
                }
            })
            .collect::<Vec<_>>(),
        Scale::Logarithmic,
    );
    let ratios = at_largest.filter_map(|row| {
        let (peer, value) = row.peer.as_ref().zip(row.ratio)?;
        Some(Bar { label: format!("{} on {}, {peer}", row.op, row.backend), series: backend(row), value, range: None })
    });
    body += &charts::bars(
        &Name {
            id: "ratios",
            title: &format!("How many times faster than peers, at 2^{largest}"),
            unit: "x",
            colours: &names,
        },
        &ratios.collect::<Vec<_>>(),
        Scale::Logarithmic,
    );
    for family in [&["msm", "msm_i8", "msm_i32"][..], &["ntt", "intt", "coset_ntt"]] {
        body += &charts::points(
            &Name { id: family[0], title: &format!("{} by size", family.join(", ")), unit: "ms", colours: &[] },
            "rows",
            &op_sizes(record, family),
        );
    }
    body += &comparison_table(comparison);
    body += &table(
        "devices",
        "Devices",
        &["back end", "device"],
        record.backends.iter().map(|device| vec![device.name.clone(), device.device.clone()]),
    );
    body += &table("figures", "Figures", &OPERATIONS, record.rows.iter().map(operation));
    page("zkml-gpu bench ops", &body)
}

/// Where and when.
fn setting(setting: &Setting, title: &str) -> String {
    let mut text = format!("<h1>{title}</h1>\n<dl id=\"setting\">");
    let memory = setting.available_memory_bytes.map(|bytes| format!("{:.0} MB", bytes as f64 / MEGABYTE));
    for (name, value) in [
        ("machine", setting.machine.clone()),
        ("threads", setting.threads.to_string()),
        ("free memory", memory.unwrap_or_else(|| "not told".into())),
        ("program", format!("zkml-gpu {}", setting.version)),
    ] {
        let _ = write!(text, "<dt>{name}</dt><dd>{}</dd>", Escaped(&value));
    }
    // The script writes it as a date of the reader's time zone.
    let _ = writeln!(
        text,
        "<dt>started</dt><dd><time data-unix=\"{0}\">{0} s after 1970</time></dd></dl>",
        setting.started_unix_s
    );
    if setting.unoptimised {
        text += "<p class=\"warning\">Built without optimisation: the figures say nothing.</p>\n";
    }
    text
}

/// The back ends, in the order of their colours.
fn backends(record: &ProveRecord) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in &record.rows {
        if !names.contains(&row.backend) {
            names.push(row.backend.clone());
        }
    }
    names
}

/// The colour of a back end.
fn series(record: &ProveRecord, row: &ProveRow) -> usize {
    backends(record).iter().position(|name| *name == row.backend).unwrap_or(0)
}

fn bar(record: &ProveRecord, row: &ProveRow, spread: Spread) -> Bar {
    let range = Some([spread.lower_quartile, spread.upper_quartile]);
    Bar { label: row.name(), series: series(record, row), value: spread.median, range }
}

fn step_parts(row: &ProveRow) -> Parts {
    let parts = row.steps.iter().map(|step| (step.name.replace('_', " "), step.ms)).collect();
    Parts { label: row.name(), parts }
}

fn memory(row: &ProveRow) -> Vec<Bar> {
    let bar = |what: &str, series, bytes: u64| Bar {
        label: format!("{}{what}", row.name()),
        series,
        value: bytes as f64 / MEGABYTE,
        range: None,
    };
    let device = row.peak_device_bytes.map(|bytes| bar(", device", 1, bytes));
    std::iter::once(bar("", 0, row.peak_rss_bytes)).chain(device).collect()
}

/// Measured and estimated times of each back end.
fn sizes(record: &ProveRecord) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for row in &record.rows {
        let estimate = row.estimate.as_ref().map(|estimate| (true, estimate.prove_ms));
        for (estimated, ms) in std::iter::once((false, row.prove_ms.median)).chain(estimate) {
            let point = (row.circuit.cells(), ms, row.circuit.model.clone());
            add(&mut all, &row.backend, estimated, series(record, row), point);
        }
    }
    all
}

fn op_sizes(record: &OpsRecord, family: &[&str]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let rows = record.rows.iter().filter(|row| family.contains(&row.op.as_str()));
    for row in rows {
        let ours = (format!("{} on {}", row.op, row.backend), row.ms);
        let peer = row.peer.as_ref().zip(row.peer_ms).map(|(peer, ms)| (format!("{}, {peer}", row.op), ms));
        for (name, ms) in std::iter::once(ours).chain(peer) {
            let colour = names.iter().position(|other| *other == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            });
            let point = (f64::from(row.log_n).exp2(), ms, format!("2^{}", row.log_n));
            add(&mut all, &name, false, colour, point);
        }
    }
    all
}

/// Adds a point to its series, unless it is there: an operation has a row for each peer.
fn add(all: &mut Vec<Series>, name: &str, estimated: bool, colour: usize, point: (f64, f64, String)) {
    match all.iter_mut().find(|series| series.name == name && series.estimated == estimated) {
        Some(series) if series.points.contains(&point) => (),
        Some(series) => series.points.push(point),
        None => all.push(Series { name: name.into(), estimated, colour, points: vec![point] }),
    }
}

/// Rows of operations without those that differ in their peer only.
fn once<'a>(rows: impl Iterator<Item = &'a OpsRow>) -> Vec<&'a OpsRow> {
    let mut kept: Vec<&OpsRow> = Vec::new();
    for row in rows {
        if kept.last().is_none_or(|last| last.name() != row.name()) {
            kept.push(row);
        }
    }
    kept
}

const FIGURES: [&str; 21] = [
    "model",
    "input",
    "weights",
    "prover",
    "device",
    "parameters",
    "k",
    "columns",
    "lookups",
    "prove ms",
    "± %",
    "prove CPU ms",
    "verify ms",
    "host MB",
    "device MB",
    "float ms",
    "overhead",
    "keys ms",
    "proof B",
    "proof digest",
    "key digest",
];

fn figures(row: &ProveRow) -> Vec<String> {
    let circuit = &row.circuit;
    let none = || "-".to_owned();
    vec![
        circuit.model.clone(),
        circuit.input.clone(),
        circuit.weights.clone(),
        row.backend.clone(),
        row.device.clone(),
        circuit.parameters.to_string(),
        circuit.k.to_string(),
        format!("{} + {}", circuit.advice_columns, circuit.fixed_columns),
        circuit.lookups.to_string(),
        format!("{:.2}", row.prove_ms.median),
        format!("{:.1}", 100.0 * row.prove_ms.relative()),
        format!("{:.2}", row.prove_cpu_ms.median),
        format!("{:.2}", row.verify_ms.median),
        format!("{:.1}", row.peak_rss_bytes as f64 / MEGABYTE),
        row.peak_device_bytes.map_or_else(none, |bytes| format!("{:.1}", bytes as f64 / MEGABYTE)),
        format!("{:.4}", row.float_ms.median),
        format!("{:.0}", row.overhead),
        format!("{:.1}", row.keys_ms),
        row.proof_bytes.to_string(),
        row.proof_digest.clone().unwrap_or_else(none),
        circuit.key_digest.clone().unwrap_or_else(none),
    ]
}

const ESTIMATES: [&str; 8] = [
    "model",
    "prover",
    "prove ms",
    "estimate",
    "prove CPU ms",
    "estimate of CPU or device ms",
    "host MB",
    "estimate of MB",
];

fn estimates(row: &ProveRow) -> Option<Vec<String>> {
    let estimate = row.estimate.as_ref()?;
    Some(vec![
        row.circuit.model.clone(),
        row.backend.clone(),
        format!("{:.1}", row.prove_ms.median),
        format!("{:.1}", estimate.prove_ms),
        format!("{:.1}", row.prove_cpu_ms.median),
        format!("{:.1}", estimate.prove_cpu_ms),
        format!("{:.1}", row.peak_rss_bytes as f64 / MEGABYTE),
        format!("{:.1}", estimate.memory_bytes as f64 / MEGABYTE),
    ])
}

const COUNTS: [&str; 8] = ["model", "prover", "launches", "copies", "waits", "allocations", "bytes up", "bytes down"];

fn counts(row: &ProveRow) -> Option<Vec<String>> {
    let own = row.counts?;
    let counts = [own.launches, own.copies, own.waits, own.allocations, own.bytes_up, own.bytes_down];
    let names = [row.circuit.model.clone(), row.backend.clone()];
    Some(names.into_iter().chain(counts.map(|count| count.to_string())).collect())
}

const PUBLISHED: [&str; 5] = ["model", "whose", "what", "seconds", "seconds here"];

fn published(row: &ProveRow) -> Vec<Vec<String>> {
    let figure = |figure: &super::record::Published| {
        let ours = if figure.what == "CPU time" { row.prove_cpu_ms } else { row.prove_ms };
        let here = format!("{:.3} on {}", ours.median / 1e3, row.backend);
        vec![row.circuit.model.clone(), figure.source.clone(), figure.what.clone(), figure.seconds.to_string(), here]
    };
    row.published.iter().map(figure).collect()
}

const PROGRAMS: [&str; 10] = [
    "model",
    "prover",
    "prove ms",
    "± %",
    "prove CPU ms",
    "verify ms",
    "host MB",
    "proof B",
    "largest error",
    "once ms",
];

/// A program's figures, and ours at its error.
fn programs(row: &ProgramRow) -> Vec<Vec<String>> {
    let none = || "-".to_owned();
    let median = |spread: Option<Spread>| spread.map_or_else(none, |spread| format!("{:.2}", spread.median));
    let megabytes = |bytes: Option<u64>| bytes.map_or_else(none, |bytes| format!("{:.1}", bytes as f64 / MEGABYTE));
    let error = |error: Option<f64>| error.map_or_else(none, |error| format!("{error:.2e}"));
    let relative =
        |spread: Option<Spread>| spread.map_or_else(none, |spread| format!("{:.1}", 100.0 * spread.relative()));
    let failed = row.failed.as_ref().map_or_else(String::new, |failed| format!(" (failed: {failed})"));
    let theirs = vec![
        row.model.clone(),
        format!("{}{failed}", row.program),
        median(row.prove_ms),
        relative(row.prove_ms),
        median(row.prove_cpu_ms),
        median(row.verify_ms),
        megabytes(row.peak_rss_bytes),
        row.proof_bytes.map_or_else(none, |bytes| bytes.to_string()),
        error(row.max_abs_error),
        row.setup_ms.map_or_else(none, |ms| format!("{ms:.0}")),
    ];
    let ours = row.ours.iter().map(|ours| {
        vec![
            row.model.clone(),
            format!("{}, at the error of {}", ours.backend, row.program),
            median(Some(ours.prove_ms)),
            relative(Some(ours.prove_ms)),
            median(Some(ours.prove_cpu_ms)),
            median(Some(ours.verify_ms)),
            megabytes(Some(ours.peak_rss_bytes)),
            ours.proof_bytes.to_string(),
            error(ours.max_abs_error),
            format!("{:.0}", ours.compile_ms + ours.keys_ms),
        ]
    });
    std::iter::once(theirs).chain(ours).collect()
}

const RUNS: [&str; 6] = ["model", "prover", "run", "prove ms", "prove CPU ms", "verify ms"];

fn runs_of(row: &ProveRow) -> Vec<Vec<String>> {
    let run = |(place, run): (usize, &super::record::Run)| {
        let [prove, cpu, verify] = [run.prove_ms, run.prove_cpu_ms, run.verify_ms].map(|ms| format!("{ms:.2}"));
        vec![row.circuit.model.clone(), row.backend.clone(), (place + 1).to_string(), prove, cpu, verify]
    };
    row.runs.iter().enumerate().map(run).collect()
}

const OPERATIONS: [&str; 9] =
    ["operation", "log2 of rows", "back end", "ms", "± %", "ns for an element", "peer", "peer ms", "times faster"];

fn operation(row: &OpsRow) -> Vec<String> {
    let none = || "-".to_owned();
    vec![
        row.op.clone(),
        row.log_n.to_string(),
        row.backend.clone(),
        format!("{:.4}", row.ms),
        format!("{:.1}", 100.0 * row.spread.relative()),
        format!("{:.2}", row.ns_per_element()),
        row.peer.clone().unwrap_or_else(none),
        row.peer_ms.map_or_else(none, |ms| format!("{ms:.4}")),
        row.ratio.map_or_else(none, |ratio| format!("{ratio:.2}")),
    ]
}

fn comparison_table(comparison: Option<&Comparison>) -> String {
    let Some(comparison) = comparison else { return String::new() };
    let mut title = format!("Compared with {}", comparison.with);
    if let Some(machine) = &comparison.other_machine {
        let _ = write!(title, ", of another machine ({machine})");
    }
    let row = |change: &super::compare::Change| {
        let [old, new, ratio] = [change.old_ms, change.new_ms, change.ratio].map(|value| format!("{value:.3}"));
        vec![change.name.clone(), old, new, ratio, change.verdict.text().to_owned()]
    };
    table("comparison", &title, &["what", "then ms", "now ms", "now/then", ""], comparison.changes.iter().map(row))
}
