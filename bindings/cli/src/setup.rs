//! `zkml-gpu setup` and `zkml-gpu retrain`.

use std::path::{Path, PathBuf};

use rand_core::OsRng;
use serde::Serialize;
use tracing::info_span;
use zkml_gpu::circuit::keys::KeyError;
use zkml_gpu::key::pair;
use zkml_gpu::{
    AnyProverKey, CompileOptions, Compiled, Error, FileError, ImportOptions, Model, ProverKey, Srs, read_samples,
};
use zkml_gpu_files::Access;
use zkml_gpu_files::container::ContainerError;

use crate::args::{RetrainOptions, SetupOptions};
use crate::compile::{TARGET, prepare, timed};
use crate::keys::{Made, set_up, write_srs};
use crate::output;
use crate::progress;
use crate::prove::accuracy_text;
use crate::report::{self, line, short};
use crate::segments;

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    k: u32,
    weights: &'static str,
    note: &'static str,
    insecure_srs: bool,
    max_error: f64,
    /// Digests of model.vk, of its circuit key, and of its model commitment.
    verifying_key: String,
    circuit_key: String,
    model_commitment: String,
    srs_ms: f64,
    setup_ms: f64,
    /// The private key, and the one to publish.
    proving_key_file: PathBuf,
    verifying_key_file: PathBuf,
    /// The model without its weights, by which others check the key, and the digest of its architecture.
    public_model_file: PathBuf,
    architecture: String,
}

pub(crate) fn setup(options: &SetupOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let name = name(&options.out, &options.model, options.replace)?;
    let of = (options.srs.as_deref(), &options.cache);
    let made = set_up(Compiled::read(&options.model)?, of, &options.machine, options.unproven_weights);
    let Made { key, srs, srs_ms, setup_ms } = made.map_err(|error| refusal(error, &options.model))?;
    if options.srs.is_none() {
        publish_srs(&srs, &options.out, &name)?;
    }
    let (times, files) = ([srs_ms, setup_ms], (options.out.as_path(), name.as_str()));
    match &key {
        AnyProverKey::Whole(key) => write_keys(key, times, files, options.json),
        AnyProverKey::Segmented(key) => segments::write_keys(key, times, files, options.json),
    }
}

/// Writes a reference string that was made for a key: nobody else has it, and without it nobody can check the key.
pub(crate) fn publish_srs(srs: &Srs, folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(format!("{name}.srs"));
    write_srs(srs, &path, Access::Public).map_err(|error| match error {
        ContainerError::Io(source) => Error::from(FileError::unwritten(&path, source)),
        error => Error::Internal(format!("{}: {error}", path.display())),
    })
}

/// A layout that does not say what its graph says is not our fault here: the file may be anybody's.
pub(crate) fn refusal(error: Error, model: &Path) -> Error {
    match error {
        Error::Key(error @ KeyError::Layout(_)) => Error::File(FileError::Artifact {
            file: model.display().to_string(),
            problem: error.to_string(),
            hint: "compile the model again, or have it from someone else",
        }),
        error => error,
    }
}

pub(crate) fn retrain(options: &RetrainOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let name = name(&options.out, &options.model, options.replace)?;
    let old = AnyProverKey::read(&options.key)?;
    let dimensions = old.about().source.dimensions.clone();
    let model = Model::load(&options.model, &ImportOptions::default().with_symbols(dimensions))?;
    let samples = read_samples(&options.calibration, &model.inputs())?;
    let choices = CompileOptions::default().with_max_error(options.max_error).with_allow_error(options.allow_error);
    let old = match old {
        AnyProverKey::Whole(old) => old,
        AnyProverKey::Segmented(old) => {
            let like = || model.compile_segments_like(old.model(), &samples, &choices);
            let (compiled, _) = timed(info_span!(target: TARGET, "compile"), like)?;
            return segments::retrain(options, &old, compiled, &name);
        }
    };
    let like = || model.compile_like(old.model(), &samples, &choices);
    let (compiled, _) = timed(info_span!(target: TARGET, "compile"), like)?;
    let keys = || old.retrain(compiled, &options.machine.backend, OsRng);
    let (key, setup_ms) = timed(info_span!(target: TARGET, "keys"), keys)?;
    if key.key().circuit_digest() != old.key().circuit_digest() {
        return Err(Error::Internal("the retrained model has another circuit key".into()).into());
    }
    write_keys(&key, [0.0, setup_ms], (&options.out, &name), options.json)
}

/// The name of both keys, in a folder that can be written to and has none of that name.
fn name(folder: &Path, model: &Path, replace: bool) -> Result<String, Error> {
    output::try_folder(folder)?;
    let name = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match pair(folder, &name).into_iter().find(|path| path.exists()) {
        Some(path) if !replace => Err(Error::Arguments {
            problem: format!(
                "{} is there already: without it no proofs are made under a published key",
                path.display()
            ),
            hint: "--out DIR writes elsewhere, --replace replaces both keys",
        }),
        _ => Ok(name),
    }
}

/// Writes a model's keys and its public model, by which others check the key, and tells of them.
fn write_keys(
    key: &ProverKey,
    [srs_ms, setup_ms]: [f64; 2],
    (out, name): (&Path, &str),
    json: bool,
) -> anyhow::Result<u8> {
    let [pk, vk] = key.write_pair(out, name)?;
    let public = out.join(format!("{name}.public.zkml"));
    key.model().public().write(&public)?;
    let verifying = key.key();
    let report = Report {
        model: verifying.model().into(),
        k: key.model().k(),
        weights: verifying.weights(),
        note: verifying.note(),
        insecure_srs: verifying.is_insecure(),
        max_error: verifying.accuracy().max_error,
        verifying_key: verifying.digest().into(),
        circuit_key: verifying.circuit_digest().into(),
        model_commitment: verifying.model_digest().into(),
        srs_ms,
        setup_ms,
        proving_key_file: pk,
        verifying_key_file: vk,
        public_model_file: public,
        architecture: verifying.architecture_digest().into(),
    };
    if json {
        report::print_json(&report)?;
        return Ok(0);
    }
    let mut text = format!("{}: keys made\n", report.model);
    text += &line("calibration", &accuracy_text(verifying.accuracy()));
    text += &line("circuit key", short(&report.circuit_key));
    text += &line("model", &format!("{}, its commitment", short(&report.model_commitment)));
    text += &report::guarantee_lines(verifying);
    text += &line("keep", &format!("{}: private, it holds the weights", report.proving_key_file.display()));
    text += &line("publish", &report.verifying_key_file.display().to_string());
    let holds = public_text(key.model().has_public_weights());
    text += &line("publish", &format!("{}: {holds}", report.public_model_file.display()));
    report::print(&text)?;
    Ok(0)
}

/// What `NAME.public.zkml` is for.
pub(crate) const fn public_text(has_public_weights: bool) -> &'static str {
    if has_public_weights {
        "for audits and verify --model; it tells the ranges of tensors over the calibration's samples, rounded"
    } else {
        "for audits, without weights"
    }
}
