//! The command line: `zkml-gpu prove MODEL.onnx INPUT.json`, `zkml-gpu plan MODEL.onnx INPUT.json`,
//! `zkml-gpu verify PROOF.json --vk model.vk`, `zkml-gpu devices` and `zkml-gpu bench`.
//!
//! stdout carries the result only, as text or as one JSON object; progress and errors go to stderr.
//! [`zkml_gpu::verify::program`] lists the exit codes.

mod args;
mod bench;
mod calibrate;
mod compile;
mod completions;
mod devices;
mod doctor;
mod evaluate;
mod failure;
mod plan;
mod progress;
mod prove;
mod report;
mod resources;
mod srs;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use zkml_gpu::ErrorClass;
use zkml_gpu::verify::program;

use args::{Arguments, Command};
use failure::{exit_code, message};

fn main() -> ExitCode {
    program::run("zkml-gpu", env!("CARGO_PKG_VERSION"), || match Arguments::try_parse() {
        Ok(arguments) => run(&arguments.command).unwrap_or_else(|error| {
            eprintln!("error: {}", report::terminal_safe(&message(&error)));
            exit_code(&error)
        }),
        Err(usage) => {
            // Help and version are no errors; nothing can be done where even stderr is closed.
            let _ = usage.print();
            if usage.use_stderr() { ErrorClass::BadInput.exit_code() } else { 0 }
        }
    })
}

fn run(command: &Command) -> anyhow::Result<u8> {
    match command {
        Command::Prove(options) => prove::prove(options),
        Command::Plan(options) => plan::plan(options),
        Command::Calibrate(options) => calibrate::calibrate(options),
        Command::Evaluate(options) => evaluate::evaluate(options),
        Command::Verify(options) => verify::verify(options),
        Command::Devices(options) => devices::devices(options),
        Command::Doctor(options) => doctor::doctor(options),
        Command::Srs(command) => srs::srs(command),
        Command::Completions(options) => completions::completions(options),
        #[cfg(feature = "cuda")]
        Command::CompileKernels(options) => devices::compile_kernels(options),
        Command::Bench(command) => bench::bench(command),
    }
}
