//! `zkml-gpu srs`: reference strings are made, imported, checked and told apart.

use std::path::Path;

use rand_core::OsRng;
use serde::Serialize;
use zkml_gpu::engine::srs::{FileInfo, FileKind, Progress, check, inspect};
use zkml_gpu::{Error, ErrorClass, FileError, Srs, available_bytes};
use zkml_gpu_files::container::ContainerError;
use zkml_gpu_files::{Access, Staged};

use crate::args::{SrsCommand, SrsFileOptions, SrsFormat, SrsImportOptions, SrsNewOptions, SrsOutput};
use crate::failure::Failed;
use crate::progress::{self, Counted};
use crate::report::{self, grouped};

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    file: String,
    /// `ptau`, `halo2`, or `own`.
    kind: &'static str,
    bytes: u64,
    /// log2 of the number of powers.
    power: u32,
    /// Whether Lagrange points for all powers are there.
    prepared: bool,
    /// What names the string, whatever its length.
    identity: String,
    /// How many contributed to the secret; null where the file does not tell.
    contributions: Option<u32>,
    /// Whether it is marked as one machine's.
    insecure_srs: bool,
    /// Whether every point was checked.
    checked: bool,
}

pub(crate) fn srs(command: &SrsCommand) -> anyhow::Result<u8> {
    match command {
        SrsCommand::New(options) => new(options),
        SrsCommand::Import(options) => import(options),
        SrsCommand::Check(options) => file(options, true),
        SrsCommand::Info(options) => file(options, false),
    }
}

fn new(SrsNewOptions { output }: &SrsNewOptions) -> anyhow::Result<u8> {
    expect_memory(output.power)?;
    write(output, || Ok(Srs::development(output.power, OsRng)?))
}

fn import(SrsImportOptions { file, output }: &SrsImportOptions) -> anyhow::Result<u8> {
    expect_memory(output.power)?;
    write(output, || {
        let mut bar = Bar::default();
        let read = Srs::read_with(file, output.power, |progress| bar.show(progress, output.json));
        bar.clear();
        Ok(read?)
    })
}

/// Bytes of memory for each power while a string is made or imported: both bases twice, as points and in the parameters
/// of Halo2, and half as much again while the Lagrange points are computed or put in order.
const BYTES_PER_POWER: u64 = 2 * 2 * 64 + 2 * 64;

/// Refuses what would not fit before it is begun.
fn expect_memory(power: u32) -> anyhow::Result<()> {
    let needed = BYTES_PER_POWER << power;
    match available_bytes() {
        Some(available) if needed > available => Err(Failed {
            message: format!(
                "a reference string of 2^{power} powers needs about {needed} bytes of memory, {available} may be used\n\
                 hint: a smaller --power: plan prints the k of a circuit, which is enough"
            ),
            exit_code: ErrorClass::WouldNotFit.exit_code(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// Makes a string and writes it, whole or not at all.
fn write(output: &SrsOutput, make: impl FnOnce() -> Result<Srs, Error>) -> anyhow::Result<u8> {
    progress::show_unless(output.json);
    let io = |source| FileError::File { path: output.out.clone(), action: "write", source };
    // Before the work: a folder that is missing or read-only says so at once.
    let mut staged = Staged::empty(&output.out, Access::Public).map_err(io)?;
    let srs = make()?;
    match output.format {
        SrsFormat::Own => srs.write(staged.file()).map(|_| ()).map_err(|error| match error {
            ContainerError::Io(error) => Error::from(io(error)),
            other => Error::Internal(other.to_string()),
        })?,
        SrsFormat::Halo2 => srs.write_halo2(staged.file()).map_err(io)?,
    }
    staged.sync().map_err(io)?;
    staged.publish().map_err(io)?;
    let info = inspect(&output.out).map_err(Error::from)?;
    let mut report = report(&output.out, &info, true).map_err(io)?;
    // Halo2's parameters say nothing of it.
    report.insecure_srs = srs.is_insecure();
    if output.json {
        report::print_json(&report)?;
        return Ok(0);
    }
    let mut text = format!("{}: written, every point is right\n{}", shown(&output.out), lines(&report));
    if srs.is_insecure() {
        text +=
            &report::line("insecure", "it was made on one machine, whose owner could forge proofs: for development");
        if output.format == SrsFormat::Halo2 {
            text += &report::line("mark", "Halo2's parameters have no place for this mark: it is lost in this file");
        }
    }
    report::print(&text)?;
    Ok(0)
}

fn file(options: &SrsFileOptions, whole: bool) -> anyhow::Result<u8> {
    let Told { text, report } = told(&options.file, whole, options.json)?;
    if options.json {
        report::print_json(&report)?
    } else {
        report::print(&text)?
    }
    Ok(0)
}

/// What a file is, for people and for programs.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) report: Report,
}

/// What a reference string is; with every point checked, or by what it says of itself.
pub(crate) fn told(path: &Path, whole: bool, json: bool) -> anyhow::Result<Told> {
    let mut bar = Bar::default();
    let info = if whole { check(path, |progress| bar.show(progress, json)) } else { inspect(path) };
    bar.clear();
    let io = |source| FileError::File { path: path.into(), action: "read", source };
    let report = report(path, &info.map_err(Error::from)?, whole).map_err(io)?;
    let verdict = if whole { "every point is right" } else { "its points are not checked" };
    let mut text = format!("{}: {verdict}\n{}", shown(path), lines(&report));
    text += &report::line("secret", secret(&report));
    Ok(Told { text, report })
}

/// Who may know the secret.
fn secret(report: &Report) -> &'static str {
    match report.contributions {
        _ if report.insecure_srs => "drawn on one machine, whose owner could forge proofs: for development",
        Some(0) => "nobody has contributed",
        Some(1) => "one contribution: whoever made it could forge proofs",
        Some(_) => {
            "unknown as long as one of those who contributed forgot theirs; compare the identity with the ceremony's"
        }
        None => "the file does not tell whose: compare the identity with its ceremony's",
    }
}

fn report(path: &Path, info: &FileInfo, checked: bool) -> std::io::Result<Report> {
    let kind = match info.kind {
        FileKind::Ptau => "ptau",
        FileKind::Halo2 => "halo2",
        _ => "own",
    };
    Ok(Report {
        file: path.display().to_string(),
        kind,
        bytes: std::fs::metadata(path)?.len(),
        power: info.k,
        prepared: info.prepared,
        identity: info.identity.to_string(),
        contributions: info.contributions,
        insecure_srs: info.insecure,
        checked,
    })
}

fn lines(report: &Report) -> String {
    let kind = match report.kind {
        "ptau" => ".ptau of snarkjs",
        "halo2" => "parameters of Halo2",
        _ => "reference string of zkml-gpu",
    };
    let lagrange = match report.prepared {
        true => "prepared: Lagrange points are there",
        false => "not prepared: every proof computes the Lagrange points; srs import does it once",
    };
    let mut lines = vec![
        ("kind", format!("{kind}, {} bytes", grouped(report.bytes))),
        ("power", format!("{}: circuits of up to 2^{} rows", report.power, report.power)),
        ("phase 2", lagrange.to_owned()),
        ("identity", report.identity.clone()),
    ];
    if let Some(contributions) = report.contributions {
        lines.push(("contributors", grouped(contributions.into())));
    }
    lines.iter().map(|(label, line)| report::line(label, line)).collect()
}

fn shown(path: &Path) -> String {
    report::terminal_safe(&path.display().to_string())
}

/// How much of a file is read, on a terminal.
#[derive(Default)]
struct Bar(Option<Counted>);

impl Bar {
    fn show(&mut self, progress: Progress, quiet: bool) {
        if !quiet {
            let bar = self.0.get_or_insert_with(|| {
                let bar = progress::counted(progress.total);
                bar.message("points checked".into());
                bar
            });
            bar.set_position(progress.done);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish();
        }
    }
}
