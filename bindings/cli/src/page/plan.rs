//! The page of `plan`: what a proof will cost, by layer and by segment.

use zkml_gpu::segmented::SegmentSummary;
use zkml_gpu::{LayerPlan, Plan};

use super::charts::{self, Bar, Name, Parts, Scale};
use super::{Escaped, list, page, table};

/// Layers that charts show: the table has all.
const MOST_SHOWN: usize = 40;
const MEGABYTE: f64 = 1e6;

/// Of a model in one piece: what it is in words, its layers, and what it costs.
pub(crate) fn whole(model: &str, about: &[(&str, String)], plan: &Plan) -> String {
    let mut body = heading(model, about);
    let layers: Vec<&LayerPlan> = plan.layers.iter().collect();
    body += &layers_of(&layers, plan.prove_cpu_ms);
    let rows = plan.layers.iter().map(|layer| layer_row(layer, plan.prove_cpu_ms));
    body += &table("layers", "Layers, in the order of evaluation", &LAYERS, rows);
    page(&format!("zkml-gpu plan {model}"), &body)
}

/// Of a model in segments.
pub(crate) fn segmented(model: &str, about: &[(&str, String)], segments: &[SegmentSummary]) -> String {
    let mut body = heading(model, about);
    let name = |number: usize| format!("segment {}, circuit {}", number + 1, segments[number].circuit + 1);
    let bars = |of: fn(&SegmentSummary) -> f64| -> Vec<Bar> {
        let bar = |(number, segment): (usize, &SegmentSummary)| Bar {
            label: name(number),
            series: 0,
            value: of(segment),
            range: None,
        };
        segments.iter().enumerate().map(bar).collect()
    };
    let chart = |id, title, unit, of| charts::bars(&Name { id, title, unit, colours: &[] }, &bars(of), Scale::Linear);
    body += &chart("time", "Processor or device time of a proof by segment", "ms", |own| own.plan.prove_cpu_ms);
    body += &chart("memory", "Memory by segment, which are proved one after the other", "MB", |own| {
        own.memory_bytes as f64 / MEGABYTE
    });
    body += &chart("between", "Elements between a segment and others", "elements", |own| own.between as f64);
    let rows = segments.iter().enumerate().map(|(number, own)| segment_row(number, own));
    body += &table("segments", "Segments", &SEGMENTS, rows);
    let rows = segments.iter().enumerate().flat_map(|(number, own)| {
        let layers = own.plan.layers.iter();
        layers.map(move |layer| {
            let of = std::iter::once((number + 1).to_string());
            of.chain(layer_row(layer, own.plan.prove_cpu_ms)).collect()
        })
    });
    let columns: Vec<&str> = std::iter::once("segment").chain(LAYERS).collect();
    body += &table("layers", "Layers, in the order of evaluation", &columns, rows);
    page(&format!("zkml-gpu plan {model}"), &body)
}

fn heading(model: &str, about: &[(&str, String)]) -> String {
    let title = format!("<h1>What a proof of {} costs</h1>\n", Escaped(model));
    // What is on several lines of a terminal is one text here.
    let one = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    title + &list("about", about.iter().map(|(name, value)| (*name, one(value))))
}

/// Charts of the dearest layers.
fn layers_of(layers: &[&LayerPlan], prove_cpu_ms: f64) -> String {
    let mut dearest: Vec<usize> = (0..layers.len()).collect();
    dearest.sort_by(|one, two| layers[*two].share.total_cmp(&layers[*one].share));
    dearest.truncate(MOST_SHOWN);
    dearest.sort_unstable();
    let shown: Vec<&LayerPlan> = dearest.iter().map(|layer| layers[*layer]).collect();
    let mut text = String::new();
    if shown.len() < layers.len() {
        let all = layers.len();
        text += &format!(
            "<p>Charts show the {MOST_SHOWN} of {all} layers that take the most time; the table has all.</p>\n"
        );
    }
    let bars = |of: &dyn Fn(&LayerPlan) -> f64| -> Vec<Bar> {
        let bar = |layer: &&LayerPlan| Bar { label: layer.name.clone(), series: 0, value: of(layer), range: None };
        shown.iter().map(bar).collect()
    };
    let name = |id, title, unit| Name { id, title, unit, colours: &[] };
    text += &charts::bars(
        &name("time", "Processor or device time by layer", "ms"),
        &bars(&|layer| layer.share * prove_cpu_ms),
        Scale::Linear,
    );
    let rows: Vec<Parts> = shown
        .iter()
        .map(|layer| {
            let parts = [
                ("operand", layer.operand_rows),
                ("result", layer.result_rows),
                ("cross terms", layer.cross_term_rows),
            ];
            let parts = parts.into_iter().map(|(name, rows)| (name.to_owned(), rows as f64)).collect();
            Parts { label: layer.name.clone(), parts }
        })
        .collect();
    text += &charts::parts(&name("rows", "Rows by layer, of banks that lie side by side", "rows"), &rows);
    text + &charts::bars(
        &name("lookups", "Lookups by layer", "lookups"),
        &bars(&|layer| layer.lookups as f64),
        Scale::Linear,
    )
}

const LAYERS: [&str; 10] = [
    "layer",
    "operator",
    "operand rows",
    "result rows",
    "cross-term rows",
    "small cells",
    "full cells",
    "lookups",
    "time ms",
    "share %",
];

fn layer_row(layer: &LayerPlan, prove_cpu_ms: f64) -> Vec<String> {
    let counts = [
        layer.operand_rows,
        layer.result_rows,
        layer.cross_term_rows,
        layer.small_cells,
        layer.full_cells,
        layer.lookups,
    ];
    let mut row = vec![layer.name.clone(), layer.operator.to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.extend([format!("{:.1}", layer.share * prove_cpu_ms), format!("{:.2}", 100.0 * layer.share)]);
    row
}

const SEGMENTS: [&str; 12] = [
    "segment",
    "circuit",
    "first layer",
    "last layer",
    "parameters",
    "multiplications",
    "elements between",
    "lookups",
    "CPU or device ms",
    "memory MB",
    "verify ms",
    "proof B",
];

fn segment_row(number: usize, own: &SegmentSummary) -> Vec<String> {
    let [first, last] = own.layers.clone();
    vec![
        (number + 1).to_string(),
        (own.circuit + 1).to_string(),
        first,
        last,
        own.parameters.to_string(),
        own.macs.to_string(),
        own.between.to_string(),
        own.plan.lookups.to_string(),
        format!("{:.0}", own.plan.prove_cpu_ms),
        format!("{:.0}", own.memory_bytes as f64 / MEGABYTE),
        format!("{:.1}", own.plan.verify_ms),
        own.plan.proof_bytes.to_string(),
    ]
}
