//! `zkml-gpu-verify PROOF.json --vk model.vk`: what `zkml-gpu verify` does, in a program without a prover.
//!
//! stdout carries the verdict only, as text or as one JSON object; errors go to stderr, and with `--json` as one object
//! to stdout as well. [`zkml_gpu_verify::program`] lists the exit codes.

mod arguments;

use std::process::ExitCode;

use zkml_gpu_verify::report::{error_json, print, terminal_safe};
use zkml_gpu_verify::{AnyKey, AnyProof, Error, ErrorClass, Expected, Verdict, program};

use arguments::{HELP, Request, USAGE, Verification};

const NAME: &str = "zkml-gpu-verify";
const ABOUT: &str = env!("CARGO_PKG_DESCRIPTION");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    // Also where the arguments are wrong.
    let json = std::env::args_os().any(|argument| argument == "--json");
    program::run(NAME, VERSION, || match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => printed(&format!("{ABOUT}\n\nUsage: {USAGE}\n{HELP}"), 0),
        Ok(Request::Version) => printed(&format!("{NAME} {VERSION}\n"), 0),
        Ok(Request::Verify(verification)) => match verify(&verification) {
            Ok((text, code)) => printed(&text, code),
            Err(error) => failed(&error.to_string(), error.class(), json),
        },
        Err(problem) => failed(&format!("{problem}\nhint: {}", USAGE), ErrorClass::BadInput, json),
    })
}

/// What is printed, and the exit code.
fn verify(Verification { proof, vk, commitments, hashes, json }: &Verification) -> Result<(String, u8), Error> {
    let key = AnyKey::read(vk)?;
    let claimed = AnyProof::read(proof)?;
    let verdict = Verdict::of_any(&key, &claimed, &Expected::read(commitments, hashes)?, proof)?;
    let text = if *json { verdict.to_json()? } else { verdict.to_string() };
    Ok((text, verdict.exit_code()))
}

/// Prints a result; the code, if that succeeds.
fn printed(text: &str, code: u8) -> u8 {
    match print(text) {
        Ok(()) => code,
        Err(error) => failed(&format!("stdout: {error}"), ErrorClass::BadInput, false),
    }
}

/// Tells a failure, to programs too where they asked; the code.
fn failed(message: &str, class: ErrorClass, json: bool) -> u8 {
    program::tell(&format!("error: {}", terminal_safe(message)));
    if json {
        // Where stdout takes nothing, the code and stderr are left.
        let _ = print(&error_json(message, class));
    }
    class.exit_code()
}
