//! The page of `evaluate`: errors and saturation by layer.

use zkml_gpu::{Evaluation, TensorError};

use super::charts::{self, Bar, Name, Scale};
use super::{Escaped, list, page, table};
use crate::evaluate::{shown, shown_layer};
use crate::report::plural;

/// Layers that charts show: the table has all.
const MOST_SHOWN: usize = 40;

pub(crate) fn evaluation(model: &str, evaluation: &Evaluation) -> String {
    let mut body = format!("<h1>How near the integers of {} are</h1>\n", Escaped(model));
    let mut about = vec![
        ("samples", plural(evaluation.samples, "sample")),
        ("activations", format!("{} bits", evaluation.activation_bits)),
    ];
    for (output, agreement) in evaluation.outputs.iter().zip(&evaluation.argmax_agreement) {
        about.push(("output", shown(output)));
        about.push(("its error", format!("{:.3} % of its range at most", 100.0 * output.max_error)));
        about.push(("greatest", format!("the float model's in {:.2} % of the positions", 100.0 * agreement)));
    }
    body += &list("about", about);
    body += "<p>Errors are parts of each tensor's range in floating point over the samples. The worst layers come first.</p>\n";
    let layers: Vec<&TensorError> = evaluation.layers.iter().take(MOST_SHOWN).collect();
    if layers.len() < evaluation.layers.len() {
        let all = evaluation.layers.len();
        body += &format!("<p>Charts show {MOST_SHOWN} of {all} layers; the table has all.</p>\n");
    }
    let bars = |all: &[&TensorError], of: fn(&TensorError) -> f32| -> Vec<Bar> {
        let bar = |own: &&TensorError| Bar {
            label: shown_layer(own),
            series: 0,
            value: 100.0 * f64::from(of(own)),
            range: None,
        };
        all.iter().map(bar).collect()
    };
    let name = |id, title| Name { id, title, unit: "%", colours: &[] };
    body += &charts::bars(
        &name("errors", "Largest error by layer"),
        &bars(&layers, |own| own.max_error),
        Scale::Logarithmic,
    );
    let mut saturated: Vec<&TensorError> = evaluation.layers.iter().filter(|own| own.saturated > 0.0).collect();
    saturated.sort_by(|one, two| two.saturated.total_cmp(&one.saturated));
    saturated.truncate(MOST_SHOWN);
    body += &if saturated.is_empty() {
        "<p id=\"saturation\">No value of these samples was clamped.</p>\n".to_owned()
    } else {
        let name = name("saturation", "Values that are clamped, by layer");
        charts::bars(&name, &bars(&saturated, |own| own.saturated), Scale::Linear)
    };
    body += &table("outputs", "Outputs", &TENSORS, evaluation.outputs.iter().map(|own| row(own, shown(own))));
    body += &table("layers", "Layers", &TENSORS, evaluation.layers.iter().map(|own| row(own, shown_layer(own))));
    page(&format!("zkml-gpu evaluate {model}"), &body)
}

const TENSORS: [&str; 7] = ["tensor", "bits", "fraction", "largest error %", "mean error %", "cosine", "clamped %"];

fn row(tensor: &TensorError, name: String) -> Vec<String> {
    vec![
        name,
        tensor.bits.to_string(),
        tensor.frac_bits.to_string(),
        format!("{:.3}", 100.0 * tensor.max_error),
        format!("{:.4}", 100.0 * tensor.mean_error),
        format!("{:.5}", tensor.cosine),
        format!("{:.2}", 100.0 * tensor.saturated),
    ]
}
