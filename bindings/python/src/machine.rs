//! The machine: its devices, its threads, and what its files are.

use std::path::PathBuf;

use pyo3::prelude::*;
use serde::Serialize;
use zkml_gpu::{Artifact, Device};

use crate::boundary::{check_process, run};
use crate::error::Failure;
use crate::json::to_python;

/// The devices of this machine, as `zkml-gpu devices --json` prints them, those that cannot be used among them, and
/// whether each is a program that runs on the processor (`software`).
///
/// They are looked for now: what is installed, and not how this module was built, decides.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    #[derive(Serialize)]
    struct Told {
        #[serde(flatten)]
        device: Device,
        software: bool,
    }
    let told = |device: Device| Told { software: device.software, device };
    let found = run(py, None, || Ok(zkml_gpu::devices().into_iter().map(told).collect::<Vec<_>>()))?;
    to_python(py, &found)
}

/// What a file is, as `zkml-gpu inspect --json` prints it: its `kind` names it.
///
/// Raises `ArgumentsError` for a file of another program, and what the reader of its kind raises.
#[pyfunction]
pub(crate) fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let found = run(py, None, || Ok(Artifact::read(path)?.to_json()?))?;
    to_python(py, &found)
}

/// Starts so many threads of the processor, before anything else is called; without it, as many as it has.
#[pyfunction]
pub(crate) fn start_threads(threads: u16) -> PyResult<()> {
    if threads == 0 {
        return Err(Failure::arguments("0 threads do no work", "1 or more").into());
    }
    // They are this process's: one that is forked later is refused.
    check_process()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global().map_err(|error| {
        let hint = "call it once, before anything else";
        Failure::arguments(format!("{threads} threads cannot be started: {error}"), hint).into()
    })
}

/// Panics in the place of work: what tests of the boundary call.
#[pyfunction]
#[pyo3(name = "_panic_for_tests")]
#[expect(clippy::panic, reason = "it is what the function is for")]
pub(crate) fn panic_for_tests(py: Python<'_>, words: &str) -> PyResult<()> {
    run(py, None, || panic!("{words}"))
}
