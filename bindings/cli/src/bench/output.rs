//! What every measurement ends with: a comparison with an older record, a table or a JSON object, and a page.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zkml_gpu::verify::try_place;
use zkml_gpu::{FileError, write_whole};

use super::compare::{Comparison, Measured, check, read};
use super::record::{OpsRecord, OpsRow, ProveRecord, ProveRow, Setting};
use super::{ops_table, page, prove_table};
use crate::args::Output;
use crate::report;

/// A kind of measurement.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// Its name, as in the record.
    const BENCH: &'static str;

    fn setting(&self) -> &Setting;

    /// What can be compared with another record.
    fn measured(&self) -> Vec<Measured>;

    /// The table.
    fn text(&self, comparison: Option<&Comparison>) -> String;

    /// The page.
    fn page(&self, comparison: Option<&Comparison>) -> String;
}

impl Record for ProveRecord {
    const BENCH: &'static str = "prove";

    fn setting(&self) -> &Setting {
        &self.setting
    }

    fn measured(&self) -> Vec<Measured> {
        let same = |row: &ProveRow| {
            let circuit = &row.circuit;
            let columns = [circuit.advice_columns, circuit.fixed_columns, circuit.lookups, circuit.macs];
            format!("{} {} {columns:?}", circuit.weights, circuit.k)
        };
        self.rows.iter().map(|row| Measured { name: row.name(), same: same(row), ms: row.prove_ms }).collect()
    }

    fn text(&self, comparison: Option<&Comparison>) -> String {
        prove_table::text(self, comparison)
    }

    fn page(&self, comparison: Option<&Comparison>) -> String {
        page::prove(self, comparison)
    }
}

impl Record for OpsRecord {
    const BENCH: &'static str = "ops";

    fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Ours, once for each operation however many peers it has.
    fn measured(&self) -> Vec<Measured> {
        let measured = |row: &OpsRow| Measured { name: row.name(), same: row.elements.to_string(), ms: row.spread };
        let mut all: Vec<Measured> = self.rows.iter().map(measured).collect();
        all.dedup_by(|one, two| one.name == two.name);
        all
    }

    fn text(&self, comparison: Option<&Comparison>) -> String {
        ops_table::text(self, comparison)
    }

    fn page(&self, comparison: Option<&Comparison>) -> String {
        page::ops(self, comparison)
    }
}

/// A record, with a comparison where one was asked for: what `--json` prints.
#[derive(Debug, Serialize)]
struct Compared<'a, R> {
    #[serde(flatten)]
    record: &'a R,
    /// Null where none was asked for.
    comparison: Option<&'a Comparison>,
}

/// The record to compare with, if one was asked for: read before anything is measured, when the files that will be
/// written are tried as well.
///
/// # Errors
/// [`FileError::File`], [`FileError::FileSize`] and [`FileError::Artifact`] for anything but a record of this kind.
pub(super) fn old<R: Record>(output: &Output) -> Result<Option<R>, FileError> {
    try_places([output.save.as_deref(), output.report.as_deref()])?;
    let read = |path: &Path| {
        let record: R = read(path, R::BENCH)?;
        check(path, &record.measured())?;
        Ok(record)
    };
    output.compare.as_deref().map(read).transpose()
}

/// Tries the files that a measurement will be written to: before it, which may take an hour.
///
/// # Errors
/// [`FileError::File`] where one cannot be written.
pub(super) fn try_places(paths: [Option<&Path>; 2]) -> Result<(), FileError> {
    paths.into_iter().flatten().try_for_each(try_place)
}

/// Prints an object or, if that is not wanted, a text; then writes the object to a file, if there is to be one.
///
/// # Errors
/// [`FileError::File`] for the file, and standard output's own.
pub(super) fn print(
    object: &impl Serialize,
    json: bool,
    save: Option<&Path>,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if json {
        report::print_json(object)?
    } else {
        report::print(&text())?
    }
    if let Some(path) = save {
        write_whole(path, report::json(object)?.as_bytes())?;
    }
    Ok(())
}

/// Saves what there is so far, so that a measurement that is stopped costs no figures.
///
/// # Errors
/// [`FileError::File`] where the file cannot be written.
pub(super) fn save<R: Record>(output: &Output, record: &R) -> anyhow::Result<()> {
    let object = Compared { record, comparison: None };
    let path = output.save.as_deref();
    path.map_or(Ok(()), |path| Ok(write_whole(path, report::json(&object)?.as_bytes())?))
}

/// Prints the record and writes files: in this order, so that a file that cannot be written costs no figures.
///
/// # Errors
/// [`FileError::File`] for files, and standard output's own.
pub(super) fn publish<R: Record>(output: &Output, record: &R, old: Option<&R>) -> anyhow::Result<()> {
    let comparison = old.zip(output.compare.as_deref()).map(|(old, path)| {
        Comparison::new(path, (old.setting(), old.measured()), (record.setting(), record.measured()))
    });
    let comparison = comparison.as_ref();
    let object = Compared { record, comparison };
    print(&object, output.json, output.save.as_deref(), || record.text(comparison))?;
    if let Some(path) = &output.report {
        write_whole(path, record.page(comparison).as_bytes())?;
    }
    Ok(())
}
