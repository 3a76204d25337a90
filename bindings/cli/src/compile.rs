//! `zkml-gpu compile`; and from the arguments to a circuit, which `prove` and `plan` do, too.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use tracing::{Span, info_span};
use zkml_gpu::verify::try_place;
use zkml_gpu::{
    BackendChoice, CompileOptions, Compiled, Costs, Error, ErrorClass, ImportOptions, Model, ModelAbout, ModelSource,
    Sample, SegmentChoice, read_costs, read_precision, read_samples,
};

use crate::args::{self, CircuitOptions, CostsSource, MachineOptions, Weights};
use crate::failure::Failed;
use crate::inspect::model_lines;
use crate::progress;
use crate::report::{self, elapsed_ms, line};
use crate::segments;

/// Target of the spans of this program.
pub(crate) const TARGET: &str = "zkml_gpu::cli";
/// Error on the samples, as a part of the output's range, unless another bound is asked for: what `calibrate` has.
pub(crate) const MAX_ERROR: f32 = 0.016;

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    about: &'a ModelAbout,
    k: u32,
    parameters: usize,
    macs: usize,
    compile_ms: f64,
    /// The file written.
    file: PathBuf,
}

/// A model in floating point, and the choices that make a circuit of it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) model: Model,
    pub(crate) choices: CompileOptions,
    /// Circuits that are asked for; `None` for one, or as many as the memory demands.
    pub(crate) segments: Option<usize>,
}

pub(crate) fn compile(options: &args::CompileOptions) -> anyhow::Result<u8> {
    prepare(&options.machine)?;
    progress::show_unless(options.json);
    let prepared = load(&options.model, &options.circuit, &options.machine)?;
    let prepared = prepared.together(options.joint as usize, &options.machine)?;
    let file = options.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.zkml", prepared.model.name())));
    try_place(&file)?;
    let samples = match &options.circuit.calibration {
        Some(calibration) => read_samples(calibration, &prepared.model.inputs())?,
        // A model that is quantised already tells its scales itself.
        None if !prepared.model.needs_samples(&prepared.choices) => Vec::new(),
        None => {
            return Err(Error::Arguments {
                problem: "compile chooses scales by samples, and none are given".into(),
                hint: "--calibration FILE, typical inputs, ten or more if possible",
            }
            .into());
        }
    };
    let costs = costs(&options.circuit, &options.machine.backend, &CostsSource::Reference)?;
    let compile = || prepared.compile_any(&samples, costs, &options.machine);
    let (compiled, compile_ms) = timed(info_span!(target: TARGET, "compile"), compile)?;
    let compiled = match compiled {
        Compiled::Whole(compiled) => *compiled,
        Compiled::Segmented(compiled) => return segments::compiled(&compiled, compile_ms, file, options.json),
    };
    // A layout that does not say what the graph says is found here, where it is a bug of ours.
    compiled.check()?;
    compiled.write(&file)?;
    let report = Report {
        about: compiled.about(),
        k: compiled.k(),
        parameters: compiled.parameters(),
        macs: compiled.macs(),
        compile_ms,
        file,
    };
    if options.json {
        report::print_json(&report)?
    } else {
        let mut text = format!("{}: compiled\n", compiled.name());
        text += &model_lines(&compiled);
        text += &line("written", &format!("{}, which holds the weights", report.file.display()));
        report::print(&text)?
    }
    Ok(0)
}

/// Starts the threads and checks the back end.
pub(crate) fn prepare(options: &MachineOptions) -> anyhow::Result<()> {
    start_threads(options.threads)?;
    Ok(options.backend.check()?)
}

/// Starts so many threads of the processor; without a number, as many as it has, once they are needed. First of all: a
/// back end that is opened may start them.
pub(crate) fn start_threads(threads: Option<u16>) -> anyhow::Result<()> {
    if let Some(threads) = threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().map_err(|error| Failed {
            message: format!("{threads} threads cannot be started: {error}\nhint: ask for fewer (--threads)"),
            exit_code: ErrorClass::WouldNotFit.exit_code(),
        })?;
    }
    Ok(())
}

/// Runs a step under its span and takes the time.
pub(crate) fn timed<T>(span: Span, step: impl FnOnce() -> Result<T, Error>) -> Result<(T, f64), Error> {
    let _span = span.entered();
    let start = Instant::now();
    Ok((step()?, elapsed_ms(start)))
}

/// Reads a model; what cannot fit is refused at once.
pub(crate) fn load(path: &Path, circuit: &CircuitOptions, machine: &MachineOptions) -> anyhow::Result<Prepared> {
    let choices = choices(circuit)?;
    let model = Model::load(path, &ImportOptions::default().with_symbols(circuit.dimensions.clone()))?;
    let prepared = Prepared { model, choices, segments: circuit.segments.map(|segments| segments as usize) };
    prepared.check_fits(machine)?;
    Ok(prepared)
}

/// What the arguments choose, but for prices.
fn choices(circuit: &CircuitOptions) -> Result<CompileOptions, Error> {
    let mut choices = CompileOptions::default()
        .with_private(circuit.private)
        .with_max_error(circuit.max_error.unwrap_or(MAX_ERROR))
        .with_allow_error(circuit.allow_error)
        .with_visibility(circuit.input_visibility.clone(), circuit.output_visibility.clone());
    choices.layout.min_k = circuit.min_k.unwrap_or(0);
    choices.layout.target = circuit.target.map(Into::into).unwrap_or_default();
    choices.layout.max_k = choices.layout.max_k.max(choices.layout.min_k);
    let weights = circuit.weights.unwrap_or(Weights::Committed);
    choices.layout.weights = weights.into();
    let choices = choices.with_public_weights(weights == Weights::Public);
    Ok(match &circuit.precision {
        Some(path) => choices.with_precision(&read_precision(path)?),
        None => choices,
    })
}

impl Prepared {
    /// For so many inputs in each proof; what cannot fit is refused at once.
    pub(crate) fn together(mut self, inputs: usize, machine: &MachineOptions) -> Result<Self, Error> {
        self.choices = self.choices.with_inferences(inputs);
        if inputs != 1 {
            self.check_fits(machine)?;
        }
        Ok(self)
    }

    /// Refuses what does not fit in one piece, where that was asked for, or however it is cut.
    fn check_fits(&self, machine: &MachineOptions) -> Result<(), Error> {
        match self.segments {
            Some(1) => self.model.check_fits(&self.choices, machine.max_memory),
            _ => self.model.check_fits_cut(&self.choices, machine.max_memory),
        }
    }

    /// Calibrates and lays out, in one circuit or in several.
    pub(crate) fn compile_any(
        &self,
        samples: &[Sample],
        costs: Costs,
        machine: &MachineOptions,
    ) -> Result<Compiled, Error> {
        let mut choices = self.choices.clone();
        choices.layout.costs = costs;
        let mut choice = SegmentChoice::default();
        (choice.segments, choice.max_memory_bytes) = (self.segments, machine.max_memory);
        self.model.compile_within(samples, &choices, choice)
    }
}

/// Where prices come from that nobody chose, for a circuit that is proved at once. A device's own differ from run to run,
/// and with them the circuit and its key: there they are the reference's.
pub(crate) fn usual_costs(backend: &BackendChoice) -> Result<CostsSource, Error> {
    Ok(match backend.resolve()? {
        BackendChoice::Cpu => CostsSource::Measured,
        _ => CostsSource::Reference,
    })
}

/// The prices that the circuit is chosen by.
pub(crate) fn costs(
    circuit: &CircuitOptions,
    backend: &BackendChoice,
    otherwise: &CostsSource,
) -> Result<Costs, Error> {
    match circuit.costs.as_ref().unwrap_or(otherwise) {
        CostsSource::Measured => Ok(backend.measure()?),
        CostsSource::Reference => Ok(Costs::reference()),
        CostsSource::File(path) => read_costs(path),
    }
}

/// What a model was made from, on a line.
pub(crate) fn source_text(source: &ModelSource) -> String {
    let samples = report::plural(source.samples, "sample");
    format!(
        "{} ({}), {samples} ({})",
        source.file,
        report::short(&source.file_digest),
        report::short(&source.samples_digest)
    )
}
