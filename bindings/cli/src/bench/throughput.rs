//! `zkml-gpu bench rates`: the throughput of a device.

use std::fmt::Write as _;

use serde::Serialize;
use zkml_gpu::engine::backend::cuda::Throughput;
use zkml_gpu::{BackendChoice, Error};

use super::output::{print, try_places};
use super::record::Setting;
use crate::args::{Backends, BenchThroughputOptions};

/// The kind of its records.
const BENCH: &str = "rates";

/// What every device does in a second.
#[derive(Debug, Serialize)]
struct Record {
    #[serde(flatten)]
    setting: Setting,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    backend: String,
    #[serde(flatten)]
    rates: Throughput,
}

pub(super) fn throughput(options: &BenchThroughputOptions) -> anyhow::Result<u8> {
    let choices = Backends::or_present(options.backend.as_ref())?;
    try_places([options.save.as_deref(), None])?;
    let rows = choices.iter().filter_map(|choice| row(choice).transpose());
    let record = Record { setting: Setting::here(BENCH), rows: rows.collect::<Result<_, Error>>()? };
    print(&record, options.json, options.save.as_deref(), || record.rows.iter().map(text).collect())?;
    Ok(0)
}

/// The back end's rates; none where it has none.
fn row(choice: &BackendChoice) -> Result<Option<Row>, Error> {
    Ok(choice.rates()?.map(|rates| Row { backend: choice.to_string(), rates }))
}

fn text(row: &Row) -> String {
    let Throughput { wide_products, multiplications, additions, copied_bytes, uploaded_bytes, downloaded_bytes } =
        row.rates;
    let mut text = format!("{}\n", row.backend);
    let billion = 1e9;
    for (what, figure, unit) in [
        ("products of 32-bit words (IMAD.WIDE)", wide_products / billion, "G/s"),
        ("multiplications in the scalar field", multiplications / billion, "G/s"),
        ("additions of affine points", additions / billion, "G/s"),
        ("copies on the device, bytes read", copied_bytes / billion, "GB/s"),
        ("copies to the device", uploaded_bytes / billion, "GB/s"),
        ("copies from the device", downloaded_bytes / billion, "GB/s"),
    ] {
        // Nothing fails in writing to a string.
        let _ = writeln!(text, "  {what:<38} {figure:>10.3} {unit}");
    }
    text
}
