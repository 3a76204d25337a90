//! `zkml-gpu calibrate`.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::Context;
use serde::Serialize;
use zkml_gpu::{
    CompileOptions, Costs, Evaluation, ImportOptions, LayerPlan, Model, Plan, Precision, QuantOptions, TensorError,
    read_samples, verify::try_place, write_whole,
};

use crate::args::{CalibrateOptions, most_bits};
use crate::evaluate::{shown, shown_layer};
use crate::report::{self, grouped, line, plural};

/// Most bits of a tensor where none are asked for.
const DEFAULT_MAX_BITS: u32 = 16;
/// Characters shown of a tensor's name.
const MAX_NAME_CHARS: usize = 40;

/// The JSON object.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    /// The bound on the error of outputs.
    error_target: f32,
    /// Whether the error on the samples is within it.
    reached: bool,
    precision: &'a Precision,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    /// By reference prices.
    plan: &'a Plan,
}

/// The cost of one tensor's rows.
#[derive(Clone, Copy, Default)]
struct Cost {
    lookups: usize,
    share: f64,
}

pub(crate) fn calibrate(options: &CalibrateOptions) -> anyhow::Result<u8> {
    let max_bits = most_bits(("--min-bits", options.min_bits), options.max_bits, DEFAULT_MAX_BITS)?;
    let model = Model::load(&options.model, &ImportOptions::default().with_symbols(options.dimensions.clone()))?;
    let samples = read_samples(&options.data, &model.inputs())?;
    let bounds = QuantOptions::default()
        .with_activation_bits(options.min_bits)
        .with_max_activation_bits(max_bits)
        .with_error_target(options.max_error);
    if let Some(path) = &options.out {
        // Before a search that takes minutes.
        try_place(path)?;
    }
    let files = || format!("{} with {}", options.model.display(), options.data.display());
    let precision = model.search_precision(&samples, &bounds, options.target.into()).with_context(files)?;
    let quantisation = bounds.with_precision(&precision);
    let evaluation = model.evaluate(&samples, &samples, &quantisation)?;
    let mut choices =
        CompileOptions::default().with_quantisation(quantisation).with_search(false).with_allow_error(true);
    choices.layout.costs = Costs::reference();
    let compiled = model.compile(&samples, &choices).with_context(files)?;
    let plan = compiled.plan(&choices.layout.costs);
    let error = evaluation.outputs.iter().map(|output| output.max_error).fold(0.0, f32::max);
    let report = Report {
        model: model.name(),
        error_target: options.max_error,
        reached: error <= options.max_error,
        precision: &precision,
        evaluation: &evaluation,
        plan: &plan,
    };
    if options.json {
        report::print_json(&report)?
    } else {
        let graph = compiled.graph();
        let tensors = graph.nodes.iter().map(|node| graph.tensors[node.output].name.as_str());
        report::print(&text(&report, &costs(tensors.zip(&plan.layers))))?
    }
    if let Some(path) = &options.out {
        write_whole(path, report::json(&precision)?.as_bytes())?;
    }
    Ok(0)
}

/// Costs by the name of a layer's result.
fn costs<'p>(layers: impl Iterator<Item = (&'p str, &'p LayerPlan)>) -> HashMap<&'p str, Cost> {
    let mut costs: HashMap<&str, Cost> = HashMap::new();
    for (name, layer) in layers {
        let cost = costs.entry(name).or_default();
        cost.lookups += layer.lookups;
        cost.share += layer.share;
    }
    costs
}

fn text(report: &Report<'_>, costs: &HashMap<&str, Cost>) -> String {
    let Report { evaluation, plan, precision, .. } = report;
    let mut text = format!("{}: {}\n", report.model.escape_debug(), plural(evaluation.samples, "sample"));
    text += &table(&evaluation.layers, costs);
    let wide = match precision.tensor_bits.values().next() {
        Some(bits) => format!(", but {bits} for {}", plural(precision.tensor_bits.len(), "tensor")),
        None => String::new(),
    };
    let verdict = if report.reached { "within" } else { "ABOVE" };
    let error = |output: &TensorError| {
        let (most, bound) = (100.0 * output.max_error, 100.0 * report.error_target);
        let range = "of the range on the samples";
        format!("{}: {most:.3} % {range}, {verdict} the bound of {bound:.3} %", shown(output))
    };
    let outputs: Vec<String> = evaluation.outputs.iter().map(error).collect();
    let lines = [
        ("bits", format!("{} for activations{wide}", precision.activation_bits)),
        ("error", outputs.join("; ")),
        ("circuit", format!("k = {}, {} rows of tables", plan.k, grouped(plan.rows[3] as u64))),
        ("prove", format!("{:.0} ms of processor time by reference prices", plan.prove_cpu_ms)),
    ];
    text.extend(lines.iter().map(|(label, text)| line(label, text)));
    text
}

/// One line for each layer, the worst first.
fn table(layers: &[TensorError], costs: &HashMap<&str, Cost>) -> String {
    let title = "layer, the worst first";
    let longest = layers.iter().map(|tensor| shown_layer(tensor).chars().count()).max().unwrap_or(0);
    let width = longest.min(MAX_NAME_CHARS).max(title.len());
    let mut text = format!(
        "  {title:width$} {:>5} {:>10} {:>10} {:>10} {:>9} {:>7}\n",
        "bits", "max error", "mean error", "saturated", "lookups", "time"
    );
    for tensor in layers {
        let name: String = shown_layer(tensor).chars().take(width).collect();
        let cost = costs.get(tensor.name.as_str()).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "  {name:width$} {:>5} {:>8.3} % {:>8.4} % {:>8.2} % {:>9} {:>5.1} %",
            tensor.bits,
            100.0 * tensor.max_error,
            100.0 * tensor.mean_error,
            100.0 * tensor.saturated,
            grouped(cost.lookups as u64),
            100.0 * cost.share
        );
    }
    text
}
