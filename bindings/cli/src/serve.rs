//! `zkml-gpu serve`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tracing::info_span;
use zkml_gpu::segmented::SEGMENTED_PROVING_KEY;
use zkml_gpu::verify::report::segmented_guarantee_lines;
use zkml_gpu::{AnyKey, AnyProver, AnyProverKey, Error, PROVING_KEY, magic};
use zkml_gpu_serve::{ServeError, Server, Token};

use crate::args::ServeOptions;
use crate::compile::{TARGET, prepare, timed};
use crate::failure::Failed;
use crate::progress;
use crate::report::{self, guarantee_lines, line, plural};

/// What a token may be given by.
const TOKEN_VARIABLE: &str = "ZKML_GPU_TOKEN";

/// What `--json` prints once it listens. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Where it listens.
    url: String,
    model: &'a str,
    backend: &'a str,
    device: String,
    verifying_key: &'a str,
    jobs: PathBuf,
    /// Jobs that an earlier server has left to be proved.
    waiting: usize,
    queue: u32,
    workers: usize,
    /// Whether requests must show a token.
    token: bool,
    max_body_bytes: u64,
    insecure_srs: bool,
}

pub(crate) fn serve(options: &ServeOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let mut own = zkml_gpu_serve::ServeOptions::default();
    own.listen = options.listen;
    own.jobs = options.jobs.clone().unwrap_or_else(|| default_folder(&options.key));
    own.token = token(options)?;
    own.open = options.open;
    own.queue = usize::try_from(options.queue)?;
    own.max_body_bytes = options.max_body;
    own.max_saturation = options.max_saturation;
    own.stop_timeout = options.stop_timeout;
    own.keep = options.keep;
    let (prover, workers) = load(options)?;
    own.workers = workers;
    let mut report = Report {
        url: String::new(),
        model: "",
        backend: "",
        device: prover.device(),
        verifying_key: "",
        jobs: own.jobs.clone(),
        waiting: 0,
        queue: options.queue,
        workers,
        token: own.token.is_some(),
        max_body_bytes: 0,
        insecure_srs: prover.key().is_insecure(),
    };
    let (key, backend) = (prover.key(), prover.backend());
    let server = Server::new(prover, own).map_err(failed)?;
    report.url = format!("http://{}", server.address());
    (report.model, report.backend, report.verifying_key) = (key.model(), &backend, key.digest());
    (report.waiting, report.max_body_bytes) = (server.waiting(), server.max_body_bytes());
    report::print(&if options.json { report::json(&report)? } else { text(&report, &guarantees(&key)) })?;
    let is_done = server.run().map_err(failed)?;
    progress::note(if is_done {
        "stopped: what waits is proved after the next start"
    } else {
        "stopped before the proof under way was made: it is made after the next start, as is what waits"
    });
    Ok(0)
}

/// What its proofs guarantee.
fn guarantees(key: &AnyKey) -> String {
    match key {
        AnyKey::Whole(key) => guarantee_lines(key),
        AnyKey::Segmented(key) => segmented_guarantee_lines(key),
    }
}

/// The prover, and how many proofs at a time there is memory for.
fn load(options: &ServeOptions) -> anyhow::Result<(AnyProver, usize)> {
    if magic(&options.key)?.is_none_or(|magic| ![PROVING_KEY.magic, SEGMENTED_PROVING_KEY.magic].contains(&magic)) {
        let problem = format!("{} is not a proving key", options.key.display());
        let hint = "zkml-gpu compile MODEL.onnx and zkml-gpu setup NAME.zkml --out DIR make one, NAME.pk";
        return Err(Error::Arguments { problem, hint }.into());
    }
    let (key, _) = timed(info_span!(target: TARGET, "load_keys"), || AnyProverKey::read(&options.key))?;
    let limit = options.machine.max_memory;
    let (backend, asked) = (&options.machine.backend, u64::from(options.workers));
    let span = info_span!(target: TARGET, "load");
    match key {
        AnyProverKey::Whole(key) => {
            let budget = key.model().memory_budget(limit)?;
            let fit = budget.proofs_at_a_time(limit);
            if asked > fit {
                progress::note(&format!("memory is for {} at a time, not {asked}", plural(fit as usize, "proof")));
            }
            let (prover, _) = timed(span, || key.prover(backend, &budget))?;
            Ok((prover.into(), usize::try_from(asked.min(fit))?))
        }
        AnyProverKey::Segmented(key) => {
            if asked > 1 {
                progress::note("the proofs of a model in segments are made one after the other");
            }
            let (prover, _) = timed(span, || key.prover(backend, limit))?;
            Ok((prover.into(), 1))
        }
    }
}

/// `NAME.jobs` for `NAME.pk`, in the folder where the program runs.
fn default_folder(key: &Path) -> PathBuf {
    PathBuf::from(format!("{}.jobs", key.file_stem().unwrap_or_default().to_string_lossy()))
}

/// The token that the arguments or the environment give.
fn token(options: &ServeOptions) -> anyhow::Result<Option<Token>> {
    if let Some(file) = &options.token_file {
        return Ok(Some(Token::read(file).map_err(failed)?));
    }
    match std::env::var(TOKEN_VARIABLE) {
        Ok(_) if options.open => {
            let problem = format!("--open is for a service without a token, and {TOKEN_VARIABLE} is set");
            Err(Error::Arguments { problem, hint: "unset the variable, or leave --open out" }.into())
        }
        Ok(text) => Ok(Some(Token::new(&text).map_err(failed)?)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            let problem = format!("{TOKEN_VARIABLE} is no text");
            Err(Error::Arguments { problem, hint: "printable characters without blanks" }.into())
        }
    }
}

fn failed(error: ServeError) -> anyhow::Error {
    Failed { message: error.to_string(), exit_code: error.class().exit_code() }.into()
}

fn text(report: &Report<'_>, guarantees: &str) -> String {
    let mut text = format!("serving {} on {}\n", report.model, report.url);
    text += &line("device", &format!("{} ({})", report.backend, report.device));
    text += &line("jobs", &format!("{}, {} to prove", report.jobs.display(), plural(report.waiting, "job")));
    text += &line("queue", &format!("{} at most, {} at a time", report.queue, plural(report.workers, "proof")));
    text += &line("token", if report.token { "requests must show it" } else { "none: whoever reaches it may ask" });
    text + guarantees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_kept_in_a_folder_of_the_models_name() {
        assert_eq!(default_folder(Path::new("keys/lenet.pk")), Path::new("lenet.jobs"));
    }
}
