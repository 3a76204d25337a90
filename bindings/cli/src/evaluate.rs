//! `zkml-gpu evaluate`.

use std::fmt::Write as _;

use serde::Serialize;
use zkml_gpu::verify::try_place;
use zkml_gpu::{
    Evaluation, ImportOptions, Model, QuantOptions, TensorError, read_precision, read_samples, write_whole,
};

use crate::args::{EvaluateOptions, most_bits};
use crate::page;
use crate::report::{self, plural};

/// Most bits of activations where none are asked for.
const DEFAULT_MAX_BITS: u32 = 10;
/// Characters shown of a tensor's name.
const MAX_NAME_CHARS: usize = 40;

/// The JSON object.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

pub(crate) fn evaluate(options: &EvaluateOptions) -> anyhow::Result<u8> {
    let max_bits = most_bits(("--bits", options.bits), options.max_bits, DEFAULT_MAX_BITS)?;
    options.report.as_deref().map_or(Ok(()), try_place)?;
    let model = Model::load(&options.model, &ImportOptions::default().with_symbols(options.dimensions.clone()))?;
    let samples = read_samples(&options.data, &model.inputs())?;
    let calibration = match &options.calibration {
        Some(path) => read_samples(path, &model.inputs())?,
        None => samples.clone(),
    };
    let quantisation = QuantOptions::default()
        .with_activation_bits(options.bits)
        .with_max_activation_bits(max_bits)
        .with_error_target(options.max_error);
    let quantisation = match &options.precision {
        Some(path) => quantisation.with_precision(&read_precision(path)?),
        None => quantisation,
    };
    let evaluation = model.evaluate(&calibration, &samples, &quantisation)?;
    if options.json {
        report::print_json(&Report { model: model.name(), evaluation: &evaluation })?
    } else {
        report::print(&text(model.name(), &evaluation))?
    }
    if let Some(path) = &options.report {
        write_whole(path, page::evaluate::evaluation(model.name(), &evaluation).as_bytes())?;
    }
    Ok(0)
}

fn text(name: &str, evaluation: &Evaluation) -> String {
    let (samples, bits) = (plural(evaluation.samples, "sample"), evaluation.activation_bits);
    let mut text = format!("{}: {samples}, activations of {bits} bits\n", name.escape_debug());
    text += "  errors as a part of each tensor's range in float; cosine similarity of the worst sample\n\n";
    text += &table("output", &evaluation.outputs, shown);
    for (output, agreement) in evaluation.outputs.iter().zip(&evaluation.argmax_agreement) {
        let _ = writeln!(text, "  greatest element of {} as in float: {:.2} %", shown(output), 100.0 * agreement);
    }
    text + "\n" + &table("layer, the worst first", &evaluation.layers, shown_layer)
}

pub(crate) fn shown(tensor: &TensorError) -> String {
    tensor.name.escape_debug().to_string()
}

/// A layer, by the node that computes it as in a plan, or the input that it is.
pub(crate) fn shown_layer(tensor: &TensorError) -> String {
    tensor.node.as_ref().unwrap_or(&tensor.name).escape_debug().to_string()
}

fn table(title: &str, tensors: &[TensorError], shown: fn(&TensorError) -> String) -> String {
    let longest = tensors.iter().map(|tensor| shown(tensor).chars().count()).max().unwrap_or(0);
    let width = longest.min(MAX_NAME_CHARS).max(title.len());
    let mut text = format!(
        "  {title:width$} {:>5} {:>9} {:>10} {:>10} {:>9} {:>10}\n",
        "bits", "fraction", "max error", "mean error", "cosine", "saturated"
    );
    for tensor in tensors {
        let name: String = shown(tensor).chars().take(width).collect();
        let _ = writeln!(
            text,
            "  {name:width$} {:>5} {:>9} {:>8.3} % {:>8.4} % {:>9.5} {:>8.2} %",
            tensor.bits,
            tensor.frac_bits,
            100.0 * tensor.max_error,
            100.0 * tensor.mean_error,
            tensor.cosine,
            100.0 * tensor.saturated
        );
    }
    text
}
