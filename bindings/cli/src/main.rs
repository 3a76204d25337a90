//! The command line. In one step: `zkml-gpu prove MODEL.onnx INPUT.json`, `zkml-gpu verify PROOF.json --vk model.vk`.
//! In several: `compile MODEL.onnx`, `setup NAME.zkml`, `prove NAME.pk INPUT.json`, `audit NAME.vk`. Besides: `plan`, `calibrate`,
//! `evaluate`, `inspect`, `evm`, `devices`, `serve`, `bench`.
//!
//! stdout carries the result only, as text or as one JSON object; progress and errors go to stderr.
//! [`zkml_gpu::verify::program`] lists the exit codes.

mod args;
mod audit;
mod batch;
mod bench;
mod calibrate;
mod commit;
mod compile;
mod completions;
mod devices;
mod doctor;
mod evaluate;
#[cfg(feature = "evm")]
mod evm;
mod failure;
mod inspect;
mod keys;
mod output;
mod page;
mod plan;
mod progress;
mod prove;
mod report;
mod resources;
mod segments;
#[cfg(feature = "serve")]
mod serve;
mod setup;
mod srs;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use zkml_gpu::verify::program;

use args::{Arguments, Command};

fn main() -> ExitCode {
    program::run("zkml-gpu", env!("CARGO_PKG_VERSION"), || match Arguments::try_parse() {
        Ok(arguments) => logged(&arguments).unwrap_or_else(|error| failure::report(&error, arguments.command.json())),
        Err(usage) => failure::usage(&usage),
    })
}

/// Runs the command; what it traces is on the disk when it ends.
fn logged(arguments: &Arguments) -> anyhow::Result<u8> {
    let _guard = progress::start(&arguments.log, purpose(&arguments.command))?;
    run(&arguments.command)
}

fn purpose(command: &Command) -> progress::Use {
    match command {
        Command::Bench(_) => progress::Use::Measures,
        #[cfg(feature = "serve")]
        Command::Serve(_) => progress::Use::Serves,
        _ => progress::Use::Steps,
    }
}

fn run(command: &Command) -> anyhow::Result<u8> {
    match command {
        Command::Prove(options) => prove::prove(options),
        Command::Compile(options) => compile::compile(options),
        Command::Setup(options) => setup::setup(options),
        Command::Retrain(options) => setup::retrain(options),
        Command::Audit(options) => audit::audit(options),
        Command::Inspect(options) => inspect::inspect(options),
        Command::Commit(options) => commit::commit(options),
        Command::Open(options) => commit::open(options),
        Command::Plan(options) => plan::plan(options),
        Command::Calibrate(options) => calibrate::calibrate(options),
        Command::Evaluate(options) => evaluate::evaluate(options),
        Command::Verify(options) => verify::verify(options),
        #[cfg(feature = "evm")]
        Command::Evm(command) => evm::evm(command),
        Command::Devices(options) => devices::devices(options),
        Command::Doctor(options) => doctor::doctor(options),
        Command::Srs(command) => srs::srs(command),
        #[cfg(feature = "serve")]
        Command::Serve(options) => serve::serve(options),
        Command::Completions(options) => completions::completions(options),
        #[cfg(feature = "cuda")]
        Command::CompileKernels(options) => devices::compile_kernels(options),
        Command::Bench(command) => bench::bench(command),
    }
}
