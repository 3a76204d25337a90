//! From the arguments to a circuit: what `prove` and `plan` share.

use std::time::Instant;

use anyhow::Context;
use tracing::{Span, info_span};
use zkml_gpu::{
    CompileOptions, CompiledModel, Costs, Error, ImportOptions, MemoryBudget, Model, Sample, read_costs,
    read_precision, read_samples,
};

use crate::args::{CostsSource, ModelOptions};
use crate::report::elapsed_ms;

/// Target of the spans of this program.
pub(crate) const TARGET: &str = "zkml_gpu::cli";

/// A model with its circuit.
pub(crate) struct Compiled {
    /// The model in floating point.
    pub(crate) model: Model,
    /// The sample to prove.
    pub(crate) sample: Sample,
    /// The circuit.
    pub(crate) compiled: CompiledModel,
    /// The prices that it was chosen by.
    pub(crate) costs: Costs,
    /// The memory that keys and proof may use.
    pub(crate) budget: MemoryBudget,
}

/// Starts the threads and checks the back end.
pub(crate) fn prepare(options: &ModelOptions) -> anyhow::Result<()> {
    start_threads(options.threads)?;
    Ok(options.backend.check()?)
}

/// Starts so many threads of the processor; without a number, as many as it has, once they are needed. First of all: a
/// back end that is opened may start them.
pub(crate) fn start_threads(threads: Option<u16>) -> anyhow::Result<()> {
    if let Some(threads) = threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().with_context(|| format!("{threads} threads"))?;
    }
    Ok(())
}

/// Runs a step under its span and takes the time.
pub(crate) fn timed<T>(span: Span, step: impl FnOnce() -> Result<T, Error>) -> Result<(T, f64), Error> {
    let _span = span.entered();
    let start = Instant::now();
    Ok((step()?, elapsed_ms(start)))
}

/// Reads, calibrates and lays out. What cannot fit is refused as soon as the model is read.
pub(crate) fn compile(options: &ModelOptions) -> anyhow::Result<Compiled> {
    let (compiled, _) = timed(info_span!(target: TARGET, "compile"), || Ok(compile_timed(options)))?;
    compiled
}

fn compile_timed(options: &ModelOptions) -> anyhow::Result<Compiled> {
    let model = Model::load(&options.model, &ImportOptions::default().with_symbols(options.dimensions.clone()))?;
    let mut choices = CompileOptions::default().with_private(options.private);
    choices.layout.weights = options.weights.into();
    if let Some(path) = &options.precision {
        choices.quantisation = choices.quantisation.with_precision(&read_precision(path)?);
    }
    model.check_fits(&choices, options.max_memory)?;
    let samples = read_samples(&options.input, &model)?;
    let calibration = match &options.calibration {
        Some(path) => read_samples(path, &model)?,
        None => samples.clone(),
    };
    let costs = costs(options)?;
    choices.layout.costs = costs.clone();
    let calibrated = options.calibration.as_ref().unwrap_or(&options.input);
    let files = || format!("{} with {}", options.model.display(), calibrated.display());
    let compiled = model.compile(&calibration, &choices).with_context(files)?;
    let budget = compiled.memory_budget(options.max_memory).with_context(files)?;
    // `read_samples` gives one sample or more.
    let sample = samples.into_iter().next().unwrap_or_default();
    Ok(Compiled { model, sample, compiled, costs, budget })
}

fn costs(options: &ModelOptions) -> Result<Costs, Error> {
    match &options.costs {
        CostsSource::Measured => Ok(options.backend.measure()?),
        CostsSource::Reference => Ok(Costs::reference()),
        CostsSource::File(path) => read_costs(path),
    }
}
