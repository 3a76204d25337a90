//! The command line: `zkml-gpu prove MODEL.onnx INPUT.json`, `zkml-gpu plan MODEL.onnx INPUT.json`,
//! `zkml-gpu verify PROOF.json --vk model.vk`, `zkml-gpu devices` and `zkml-gpu bench`.
//!
//! stdout carries the result only, as text or as one JSON object; progress and errors go to stderr. Exit codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | proof made or accepted, or plan, devices or measurements printed |
//! | 1 | proof rejected |
//! | 2 | bad arguments or input |
//! | 3 | unsupported operator or device |
//! | 4 | would not fit |
//! | 70 | a bug of ours |

mod args;
mod bench;
mod calibrate;
mod compile;
mod devices;
mod evaluate;
mod plan;
mod progress;
mod prove;
mod report;
mod resources;
mod verify;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use zkml_gpu::{Error, ErrorClass};

use args::{Arguments, Command};

const REJECTED: u8 = 1;
const BAD_INPUT: u8 = 2;
const UNSUPPORTED: u8 = 3;
const WOULD_NOT_FIT: u8 = 4;
/// `EX_SOFTWARE` of sysexits.h.
const BUG: u8 = 70;

fn main() -> ExitCode {
    // Kept until it is known to be a bug: the model reader panics on some bad files, and the import makes errors of that.
    let last_panic = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&last_panic);
    std::panic::set_hook(Box::new(move |panic| {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and version are no errors; nothing can be done where even stderr is closed.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    match std::panic::catch_unwind(|| run(&arguments.command)) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            eprintln!("error: {}", report::terminal_safe(&message(&error)));
            ExitCode::from(exit_code(&error))
        }
        Err(_) => {
            let panic = last_panic.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("zkml-gpu {} failed: {panic}", env!("CARGO_PKG_VERSION"));
            eprintln!("sorry: this is a bug of ours; please report it with these lines and the command that you ran");
            ExitCode::from(BUG)
        }
    }
}

/// An error with its causes; those that are part of its own words already are not repeated.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        text if text.contains(&cause) => text.into(),
        text => format!("{text}: {cause}"),
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
        #[cfg(feature = "cuda")]
        Command::CompileKernels(options) => devices::compile_kernels(options),
        Command::Bench(command) => bench::bench(command),
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(failed) = error.chain().find_map(|cause| cause.downcast_ref::<bench::Failed>()) {
        return failed.exit_code;
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map(Error::class) {
        Some(ErrorClass::BadInput) => BAD_INPUT,
        Some(ErrorClass::Unsupported) => UNSUPPORTED,
        Some(ErrorClass::WouldNotFit) => WOULD_NOT_FIT,
        Some(ErrorClass::Bug) => BUG,
        // What is left is the system's: a full disk, a closed pipe.
        None if error.chain().any(|cause| cause.is::<std::io::Error>()) => BAD_INPUT,
        None => BUG,
    }
}
