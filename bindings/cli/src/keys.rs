//! Where the keys of `prove` come from: a file, the user's cache, or made now.

use std::path::Path;

use rand_core::OsRng;
use serde::Serialize;
use tracing::info_span;
use zkml_gpu::circuit::system::Port;
use zkml_gpu::engine::srs::{self, FileKind, Identity};
use zkml_gpu::segmented::{SEGMENTED_MODEL, SEGMENTED_PROVING_KEY};
use zkml_gpu::{
    AnyProverKey, BackendChoice, COMPILED_MODEL, Compiled, Costs, DEFAULT_CACHE_BYTES, Error, KeyCache, Model,
    ModelInput, ModelKey, Origin, PROVING_KEY, SEGMENTED_KEY, Sample, SegmentedKey, Srs, VERIFYING_KEY, VerifiedBy,
    Visibility, magic, read_bounded, read_samples, samples_digest,
};
use zkml_gpu_files::container::ContainerError;
use zkml_gpu_files::{Access, Staged};

use crate::args::{CacheOptions, CircuitOptions, CostsSource, MachineOptions, ProveOptions, Weights};
use crate::batch::Task;
use crate::compile::{Prepared, TARGET, costs, load, timed, usual_costs};
use crate::{progress, segments};

/// Largest file of bits or prices.
const MAX_FILE_BYTES: u64 = 1 << 24;

/// What decides about a key besides the programs' versions: two runs with equal ones have one key.
#[derive(Debug, Serialize)]
struct Choices<'a> {
    program: &'a str,
    proving_key: u32,
    verifying_key: u32,
    model: &'a str,
    name: &'a str,
    /// Digest of the calibration's samples; none where the first input that is proved calibrates.
    calibration: Option<String>,
    precision: Option<String>,
    embedded: bool,
    public_weights: bool,
    /// Inputs of each proof.
    inferences: usize,
    unproven_weights: bool,
    private: bool,
    /// Who sees inputs and outputs, and the least size.
    visibility: [&'a [(String, Visibility)]; 2],
    min_k: u32,
    /// Where proofs are verified, by which the circuit is chosen.
    target: VerifiedBy,
    /// Segments that are asked for, and the memory by which a model is cut.
    segments: Option<usize>,
    max_memory: Option<u64>,
    max_error: f32,
    allow_error: bool,
    dimensions: &'a [(String, usize)],
    /// How prices are found, and those of a file; measured ones differ from run to run, on one back end by little.
    costs: &'a str,
    prices: Option<String>,
    backend: Option<String>,
    /// Identity of the reference string.
    srs: String,
}

/// Keys, and what is known besides.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) key: AnyProverKey,
    /// The model in floating point, where an ONNX file was given.
    pub(crate) float: Option<Model>,
    /// Where the keys come from, for people.
    pub(crate) origin: String,
    /// Milliseconds that the reference string and the keys took, or that loading took.
    pub(crate) srs_ms: f64,
    pub(crate) setup_ms: f64,
}

/// What proofs are to be made of: a proving key, or a model whose key is found or made.
#[derive(Debug)]
pub(crate) enum Source {
    Key(Box<Keys>),
    Model(Box<Prepared>),
}

impl Source {
    /// Reads the file that the arguments name.
    pub(crate) fn read(options: &ProveOptions) -> anyhow::Result<Self> {
        let other = |what: &str, hint| -> anyhow::Error {
            let problem = format!("{} is {what}, not a model or a proving key", options.source.display());
            Error::Arguments { problem, hint }.into()
        };
        match magic(&options.source)? {
            Some(magic) if [PROVING_KEY.magic, SEGMENTED_PROVING_KEY.magic].contains(&magic) => {
                from_file(options).map(|keys| Self::Key(Box::new(keys)))
            }
            Some(magic) if [COMPILED_MODEL.magic, SEGMENTED_MODEL.magic].contains(&magic) => {
                Err(other("a compiled model", "zkml-gpu setup NAME.zkml --out DIR makes its proving key"))
            }
            Some(magic) if [VERIFYING_KEY.magic, SEGMENTED_KEY.magic].contains(&magic) => {
                Err(other("a verifying key", "the proving key, NAME.pk, was written beside it and is private"))
            }
            Some(_) | None => {
                let prepared = load(&options.source, &options.circuit, &options.machine)?;
                Ok(Self::Model(Box::new(prepared)))
            }
        }
    }

    /// What each input takes.
    pub(crate) fn inputs(&self) -> Vec<ModelInput<'_>> {
        match self {
            Self::Key(keys) => match &keys.key {
                AnyProverKey::Whole(key) => key.model().inputs(),
                AnyProverKey::Segmented(key) => key.model().inputs(),
            },
            Self::Model(prepared) => prepared.model.inputs(),
        }
    }

    /// For so many inputs in one proof; a key that is of another number is refused.
    pub(crate) fn together(self, inputs: usize, options: &ProveOptions) -> Result<Self, Error> {
        match self {
            Self::Key(keys) => {
                let about = keys.key.about();
                let (model, expected) = (&about.name, about.inferences);
                match expected == inputs {
                    true => Ok(Self::Key(keys)),
                    false => Err(Error::Inferences { model: model.clone(), given: inputs, expected }),
                }
            }
            Self::Model(prepared) => Ok(Self::Model(Box::new(prepared.together(inputs, &options.machine)?))),
        }
    }

    /// The keys. Without samples for calibration those of the first input calibrate.
    pub(crate) fn keys(self, options: &ProveOptions, tasks: &[Task]) -> anyhow::Result<Keys> {
        match self {
            Self::Key(keys) => Ok(*keys),
            Self::Model(prepared) => of_model(options, *prepared, tasks),
        }
    }
}

fn from_file(options: &ProveOptions) -> anyhow::Result<Keys> {
    refuse_choices(options)?;
    let _span = info_span!(target: TARGET, "load_keys").entered();
    let start = std::time::Instant::now();
    let key = AnyProverKey::read(&options.source)?;
    let setup_ms = crate::report::elapsed_ms(start);
    Ok(Keys { key, float: None, origin: options.source.display().to_string(), srs_ms: 0.0, setup_ms })
}

/// A key is made: what would have chosen it is not passed over in silence.
fn refuse_choices(options: &ProveOptions) -> Result<(), Error> {
    let circuit = &options.circuit;
    let given = [
        ("--calibration", circuit.calibration.is_some()),
        ("--precision", circuit.precision.is_some()),
        ("--max-error", circuit.max_error.is_some()),
        ("--allow-error", circuit.allow_error),
        ("--weights", circuit.weights.is_some()),
        ("--private", circuit.private),
        ("--input", !circuit.input_visibility.is_empty()),
        ("--output", !circuit.output_visibility.is_empty()),
        ("--min-k", circuit.min_k.is_some()),
        ("--dim", !circuit.dimensions.is_empty()),
        ("--costs", circuit.costs.is_some()),
        ("--target", circuit.target.is_some()),
        ("--segments", circuit.segments.is_some()),
        ("--srs", options.srs.is_some()),
        ("--unproven-weights", options.unproven_weights),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Error::Arguments {
            problem: format!("{option} has no meaning for a proving key, which holds what was chosen"),
            hint: "compile and setup take it, or prove with the ONNX file",
        }),
    }
}

fn of_model(options: &ProveOptions, prepared: Prepared, tasks: &[Task]) -> anyhow::Result<Keys> {
    if prepared.choices.hides() && options.circuit.calibration.is_none() {
        // Scales, which the key shows, would tell of the input, and the kept key would hold its extremes.
        return Err(Error::Arguments {
            problem: "the input would calibrate the model, and what is hidden must not show in the key".into(),
            hint: "--calibration FILE, typical inputs that are no secret",
        }
        .into());
    }
    let given = options.circuit.calibration.as_ref();
    let given = given.map(|path| read_samples(path, &prepared.model.inputs())).transpose()?;
    let identity = identity(options, &prepared, given.as_deref())?;
    let mut times = [0.0; 2];
    let mut make = || match &given {
        Some(samples) => make(options, &prepared, samples, &mut times),
        None => make(options, &prepared, &of_first_input(tasks), &mut times),
    };
    let cache = if options.cache.no_cache { None } else { cache(&options.cache) };
    let (key, origin) = match cache {
        None => (make()?, "made for this run".to_owned()),
        Some(cache) => {
            let suits = |key: &AnyProverKey| suits(key, options, &prepared, given.as_deref());
            let (key, origin) = cache.get_or_make(&identity, suits, make)?;
            let origin = match origin {
                Origin::Kept => format!("kept in {}", cache.folder().display()),
                Origin::Remade { problem } => {
                    progress::note(&format!(
                        "a kept key was damaged and is made anew, so model.vk is another: {problem}"
                    ));
                    format!("made now, kept in {}", cache.folder().display())
                }
                Origin::NotKept { problem } => {
                    progress::note(&format!("keys could not be kept, so the next run makes others: {problem}"));
                    "made for this run".to_owned()
                }
                _ => format!("made now, kept in {}", cache.folder().display()),
            };
            (key, origin)
        }
    };
    let [srs_ms, setup_ms] = times;
    Ok(Keys { key, float: Some(prepared.model), origin, srs_ms, setup_ms })
}

/// The samples of the first input's file.
fn of_first_input(tasks: &[Task]) -> Vec<Sample> {
    let Some(first) = tasks.first() else { return Vec::new() };
    tasks.iter().filter(|task| task.input == first.input).flat_map(|task| task.samples.clone()).collect()
}

/// Whether a key was made with the reference string in a file.
fn is_of(key: &ModelKey, path: &Path) -> bool {
    Srs::identify(path).is_ok_and(|identity| identity == Identity::of(key.keys().s_g2()))
}

/// Whether a kept key is of this model and these choices, whatever its name.
fn suits(key: &AnyProverKey, options: &ProveOptions, prepared: &Prepared, calibration: Option<&[Sample]>) -> bool {
    let Prepared { model, choices, segments } = prepared;
    let about = key.about();
    // Segments are alike in what is asked here.
    let (verifying, own_segments) = match key {
        AnyProverKey::Whole(key) => (key.key(), 1),
        AnyProverKey::Segmented(key) => (&key.key().segments()[0], key.key().segments().len()),
    };
    let is_visible = match key {
        AnyProverKey::Whole(key) => is_visible(key.key(), &options.circuit),
        AnyProverKey::Segmented(key) => is_visible_in_segments(key.key(), &options.circuit),
    };
    let weights = options.circuit.weights.unwrap_or(Weights::Committed);
    let source = &about.source;
    source.file_digest == model.digest()
        && about.name == model.name()
        && about.inferences == choices.inferences
        && source.dimensions == options.circuit.dimensions
        && verifying.weight_mode() == weights.into()
        && verifying.has_public_weights() == (weights == Weights::Public)
        && is_visible
        && segments.is_none_or(|segments| segments == own_segments)
        && verifying.keys().k() >= options.circuit.min_k.unwrap_or(0)
        && calibration.is_none_or(|samples| source.samples_digest == samples_digest(samples))
        && options.srs.as_deref().is_none_or(|path| is_of(verifying, path))
}

/// Whether a key hides what these choices hide, and nothing else.
fn is_visible(key: &ModelKey, circuit: &CircuitOptions) -> bool {
    let statement = key.keys().statement();
    let is = |port: &Port, named: &[(String, Visibility)]| port.visibility() == chosen(named, &port.name);
    statement.inputs.iter().all(|port| is(port, &circuit.input_visibility))
        && statement.outputs.iter().all(|port| is(port, &circuit.output_visibility))
}

/// As [`is_visible`]; a private input that several segments read is committed there.
fn is_visible_in_segments(key: &SegmentedKey, circuit: &CircuitOptions) -> bool {
    let is_input =
        |(input, port): (usize, &Port)| match (chosen(&circuit.input_visibility, &port.name), port.visibility()) {
            (Visibility::Private, Visibility::Committed) => key.wiring().is_shared(input),
            (chosen, own) => chosen == own,
        };
    key.inputs().into_iter().enumerate().all(is_input)
        && key.outputs().iter().all(|port| port.visibility() == chosen(&circuit.output_visibility, &port.name))
}

/// Of one tensor named twice the last word counts.
fn chosen(named: &[(String, Visibility)], name: &str) -> Visibility {
    named.iter().rev().find(|(of, _)| of == name).map_or(Visibility::Public, |(_, visibility)| *visibility)
}

fn cache(options: &CacheOptions) -> Option<KeyCache> {
    let limit = options.cache_size.unwrap_or(DEFAULT_CACHE_BYTES);
    match &options.cache {
        Some(folder) => Some(KeyCache::new(folder, limit)),
        None => {
            let cache = KeyCache::of_user().map(|cache| cache.with_limit(limit));
            if cache.is_none() {
                progress::note("the system tells no folder for caches, so keys are not kept (--cache DIR)");
            }
            cache
        }
    }
}

/// Calibrates, lays out, and makes keys.
fn make(
    options: &ProveOptions,
    prepared: &Prepared,
    calibration: &[Sample],
    [srs_ms, setup_ms]: &mut [f64; 2],
) -> Result<AnyProverKey, Error> {
    let costs: Costs = costs(&options.circuit, &options.machine.backend, &usual_costs(&options.machine.backend)?)?;
    let compile = || prepared.compile_any(calibration, costs, &options.machine);
    let (compiled, _) = timed(info_span!(target: TARGET, "compile"), compile)?;
    let of = (options.srs.as_deref(), &options.cache);
    if let Compiled::Segmented(compiled) = &compiled {
        progress::note(&segments::cut_text(compiled));
    }
    let made = set_up(compiled, of, &options.machine, options.unproven_weights)?;
    [*srs_ms, *setup_ms] = [made.srs_ms, made.setup_ms];
    Ok(made.key)
}

/// Keys that were made, with their reference string and the milliseconds that both took.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) key: AnyProverKey,
    pub(crate) srs: Srs,
    pub(crate) srs_ms: f64,
    pub(crate) setup_ms: f64,
}

/// Makes a compiled model's keys, with a proof of its weights or without, where memory is enough for them.
pub(crate) fn set_up(
    compiled: Compiled,
    (file, cache): (Option<&Path>, &CacheOptions),
    machine: &MachineOptions,
    unproven_weights: bool,
) -> Result<Made, Error> {
    let model = compiled.model();
    model.check_memory(machine.max_memory, unproven_weights)?;
    let string = || srs(file, model.k(), cache);
    let (srs, srs_ms) = timed(info_span!(target: TARGET, "reference_string"), string)?;
    let keys = || compiled.setup(&srs, &machine.backend, unproven_weights, OsRng);
    let (key, setup_ms) = timed(info_span!(target: TARGET, "keys"), keys)?;
    Ok(Made { key, srs, srs_ms, setup_ms })
}

/// A reference string of this size: a ceremony's, or one for development. What takes long to prepare, a file without
/// Lagrange points of this size, is kept prepared.
pub(crate) fn srs(path: Option<&Path>, k: u32, options: &CacheOptions) -> Result<Srs, Error> {
    let Some(path) = path else { return Ok(Srs::development(k, OsRng)?) };
    let info = srs::inspect(path)?;
    let is_prepared = info.prepared && (info.kind == FileKind::Ptau || info.k == k);
    let folder = if is_prepared || options.no_cache { None } else { cache(options) };
    let Some(folder) = folder.map(|cache| cache.folder().join("srs")) else { return Ok(Srs::read(path, k)?) };
    let kept = folder.join(format!("{}.{k}.srs", info.identity));
    if kept.exists() {
        match Srs::read(&kept, k) {
            // What it claims is compared with the file's own: nobody else's string is taken for it.
            Ok(srs) if srs.identity() == info.identity && srs.is_insecure() == info.insecure => return Ok(srs),
            Ok(_) => progress::note("a kept reference string is another one, and is prepared anew"),
            Err(error) => progress::note(&format!("a kept reference string is prepared anew: {error}")),
        }
    }
    let srs = Srs::read(path, k)?;
    if let Err(error) = write_srs(&srs, &kept, Access::Private) {
        progress::note(&format!("the prepared reference string could not be kept: {}: {error}", kept.display()));
    }
    Ok(srs)
}

/// Writes a reference string, whole or not at all, into a folder that is made where it is missing.
pub(crate) fn write_srs(srs: &Srs, path: &Path, access: Access) -> Result<(), ContainerError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut staged = Staged::empty(path, access)?;
    srs.write(staged.file())?;
    staged.sync()?;
    Ok(staged.publish()?)
}

fn identity(options: &ProveOptions, prepared: &Prepared, calibration: Option<&[Sample]>) -> Result<String, Error> {
    let (circuit, Prepared { model, choices, segments }) = (&options.circuit, prepared);
    let digest_of = |path: &Path| -> Result<String, Error> {
        let bytes = read_bounded(path, MAX_FILE_BYTES)?;
        Ok(blake2b_simd::Params::new().hash_length(32).hash(&bytes).to_hex().to_string())
    };
    let usual = usual_costs(&options.machine.backend)?;
    let source = circuit.costs.as_ref().unwrap_or(&usual);
    let (costs, prices) = match source {
        CostsSource::Measured => ("measured", None),
        CostsSource::Reference => ("reference", None),
        CostsSource::File(path) => ("file", Some(digest_of(path)?)),
    };
    let measured_on = |choice: &BackendChoice| Ok::<_, Error>(choice.resolve()?.to_string());
    let identity = Choices {
        program: env!("CARGO_PKG_VERSION"),
        proving_key: PROVING_KEY.version,
        verifying_key: VERIFYING_KEY.version,
        model: model.digest(),
        name: model.name(),
        calibration: calibration.map(samples_digest),
        precision: circuit.precision.as_deref().map(digest_of).transpose()?,
        embedded: choices.layout.weights == zkml_gpu::WeightMode::Embedded,
        public_weights: choices.public_weights,
        inferences: choices.inferences,
        unproven_weights: options.unproven_weights,
        private: circuit.private,
        visibility: [&circuit.input_visibility, &circuit.output_visibility],
        min_k: choices.layout.min_k,
        target: choices.layout.target,
        segments: *segments,
        // Cuts follow from it where it is given; without it from what is free, which is another each time.
        max_memory: options.machine.max_memory,
        max_error: choices.quantisation.error_target,
        allow_error: circuit.allow_error,
        dimensions: &circuit.dimensions,
        costs,
        prices,
        backend: (*source == CostsSource::Measured).then(|| measured_on(&options.machine.backend)).transpose()?,
        srs: match &options.srs {
            Some(path) => Srs::identify(path)?.to_string(),
            None => "development".into(),
        },
    };
    let text = serde_json::to_vec(&identity).map_err(|error| Error::Internal(format!("a key's identity: {error}")))?;
    let hash = blake2b_simd::Params::new().hash_length(32).personal(b"zkml-gpu key").hash(&text);
    Ok(hash.to_hex().to_string())
}
