//! `zkml-gpu plan`.

use std::fmt::Write as _;

use serde::Serialize;
use zkml_gpu::verify::try_place;
use zkml_gpu::{
    Compiled, Costs, FunctionPlan, LayerPlan, MOST_OFF_BY_LINES, MemoryBudget, Plan, available_bytes, read_samples,
    write_whole,
};

use crate::args::PlanOptions;
use crate::compile::{costs, load, prepare, usual_costs};
use crate::page;
use crate::report::{self, grouped, line};
use crate::segments;

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report<'a> {
    model: &'a str,
    /// Inputs of each proof.
    inferences: usize,
    parameters: usize,
    macs: usize,
    #[serde(flatten)]
    plan: &'a Plan,
    /// What keys and proof need, and what else they may use.
    #[serde(flatten)]
    budget: &'a MemoryBudget,
    /// What the system offers; null where it does not tell.
    available_memory_bytes: Option<u64>,
    /// The prices, as `--costs FILE` takes them.
    costs: &'a Costs,
}

pub(crate) fn plan(options: &PlanOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    options.report.as_deref().map_or(Ok(()), try_place)?;
    let prepared = load(&options.model, &options.circuit, &options.machine)?;
    let mut prepared = prepared.together(options.joint as usize, &options.machine)?;
    // What it would cost is no promise of accuracy.
    prepared.choices.allow_error = true;
    let inputs = prepared.model.inputs();
    let samples = read_samples(&options.input, &inputs)?;
    let calibration = match &options.circuit.calibration {
        Some(path) => read_samples(path, &inputs)?,
        None => samples,
    };
    let costs = costs(&options.circuit, &options.machine.backend, &usual_costs(&options.machine.backend)?)?;
    let compiled = match prepared.compile_any(&calibration, costs.clone(), &options.machine)? {
        Compiled::Whole(compiled) => *compiled,
        Compiled::Segmented(compiled) => return segments::plan(&compiled, &costs, options),
    };
    let budget = compiled.memory_budget(options.machine.max_memory)?;
    let model = &prepared.model;
    let plan = compiled.plan(&costs);
    let report = Report {
        model: model.name(),
        inferences: compiled.inferences(),
        parameters: compiled.parameters(),
        macs: compiled.macs(),
        plan: &plan,
        budget: &budget,
        available_memory_bytes: available_bytes(),
        costs: &costs,
    };
    if options.json {
        report::print_json(&report)?
    } else {
        report::print(&text(&report))?
    }
    if let Some(path) = &options.report {
        let parameters = ("parameters", format!("{} learned values", grouped(report.parameters as u64)));
        let about: Vec<(&str, String)> = std::iter::once(parameters).chain(about(&report)).collect();
        write_whole(path, page::plan::whole(model.name(), &about, &plan).as_bytes())?;
    }
    Ok(0)
}

fn text(report: &Report<'_>) -> String {
    let plan = report.plan;
    let mut text = format!("{}: {} learned values", report.model, grouped(report.parameters as u64));
    text += &if report.inferences > 1 { format!(", {} inputs in a proof\n", report.inferences) } else { "\n".into() };
    text += &table_text(&plan.layers, plan.unused_share);
    text.extend(about(report).iter().map(|(label, text)| line(label, text)));
    text
}

/// What circuit and proof are, in words, each with its label.
fn about(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let plan = report.plan;
    let [first, second, third] = plan.advice_columns;
    let [operand, result, cross_terms, table, hashes] = plan.rows.map(|rows| grouped(rows as u64));
    let hashes = if plan.rows[4] > 0 { format!(", {hashes} hash") } else { String::new() };
    vec![
        (
            "circuit",
            format!(
                "k = {}, degree {}; {first} small and {} full-size advice, {} fixed, {} instance and {} weight columns",
                plan.k,
                plan.degree,
                second + third,
                plan.fixed_columns,
                plan.instance_columns,
                plan.weight_columns
            ),
        ),
        (
            "rows",
            format!(
                "{operand} operand, {result} result, {cross_terms} cross-term, {table} table{hashes} of {}",
                grouped(1 << plan.k)
            ),
        ),
        ("lookups", grouped(plan.lookups as u64)),
        ("functions", functions(&plan.functions)),
        ("soundness", format!("statistical error 2^-{:.1}", plan.soundness_bits)),
        ("widths", widths(plan)),
        ("prove", prove_text(plan, report.inferences)),
        ("verify", format!("{:.0} ms", plan.verify_ms)),
        ("memory", memory(report.budget, report.available_memory_bytes)),
        (
            "files",
            format!("proof {} bytes, key {} bytes", grouped(plan.proof_bytes as u64), grouped(plan.key_bytes as u64)),
        ),
        ("prices", format!("{}, {}", report.costs.backend, report.costs.device)),
    ]
}

/// Estimates of time, for several inputs also of each.
fn prove_text(plan: &Plan, inferences: usize) -> String {
    let text = format!("{:.0} ms ({:.0} ms of processor or device time)", plan.prove_ms, plan.prove_cpu_ms);
    let each = |ms: f64| ms / inferences as f64;
    match inferences {
        1 => text,
        _ => format!("{text}, {:.1} ms ({:.1} ms) for each input", each(plan.prove_ms), each(plan.prove_cpu_ms)),
    }
}

/// One line for each layer.
fn table_text(layers: &[LayerPlan], unused: f64) -> String {
    let name = layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0).clamp(5, 40);
    let mut text = format!(
        "  {:name$} {:14} {:>9} {:>9} {:>11} {:>11} {:>11} {:>9} {:>6}\n",
        "layer", "operator", "operand", "result", "cross terms", "small cells", "full cells", "lookups", "time"
    );
    for layer in layers {
        let shown: String = layer.name.escape_debug().to_string().chars().take(name).collect();
        let numbers = [layer.operand_rows, layer.result_rows, layer.cross_term_rows].map(|rows| grouped(rows as u64));
        let cells = [layer.small_cells, layer.full_cells].map(|cells| grouped(cells as u64));
        let _ = writeln!(
            text,
            "  {shown:name$} {:14} {:>9} {:>9} {:>11} {:>11} {:>11} {:>9} {:>5.1}%",
            layer.operator,
            numbers[0],
            numbers[1],
            numbers[2],
            cells[0],
            cells[1],
            grouped(layer.lookups as u64),
            100.0 * layer.share
        );
    }
    let _ = writeln!(text, "  {:name$} {:>88.1}%", "shared and unused", 100.0 * unused);
    text
}

fn functions(of: &FunctionPlan) -> String {
    let [entries, lines, arguments] = [of.entries, of.lines, of.arguments].map(|count| grouped(count as u64));
    let by_lines = match of.by_lines {
        0 => String::new(),
        count => format!(
            ", {count} by {lines} lines for {arguments} arguments, each result within {MOST_OFF_BY_LINES} of a unit of the \
             function where a table is within 0.5"
        ),
    };
    format!("{} by tables of {entries} entries{by_lines}", of.tables)
}

fn widths(plan: &Plan) -> String {
    let choice = &plan.choice;
    let list = |widths: &zkml_gpu::Widths| {
        format!(
            "{} operands, {} results, {} cross terms, {} table entries a row, {} weight columns, limbs of {} bits, \
             {} lookups a helper",
            widths.operand_lanes,
            widths.activation_lanes,
            widths.cross_term_lanes,
            widths.table_lanes,
            widths.weight_columns,
            widths.limb_bits,
            widths.lookup_group
        )
    };
    let mut text = format!("{} (best of {}, {} placed)", list(&choice.widths), choice.considered, choice.placed);
    if let Some(other) = &choice.runner_up {
        let more = 100.0 * (other.cost_ms / choice.cost_ms - 1.0);
        let _ = write!(text, "\n  {:<12} k = {}, {}: {more:.1} % more", "runner-up", other.k, list(&other.widths));
    }
    text
}

fn memory(budget: &MemoryBudget, available: Option<u64>) -> String {
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    let mut text = format!(
        "{}, of which {} for tables and {} for kept cosets; {} at least",
        megabytes(budget.memory_bytes),
        megabytes(budget.table_budget_bytes),
        megabytes(budget.coset_budget_bytes),
        megabytes(budget.least_memory_bytes)
    );
    if let Some(available) = available {
        let _ = write!(text, "; {} free", megabytes(available));
    }
    text
}
