//! What the program says and ends with when a command fails.

use zkml_gpu::engine::backend::ChoiceError;
use zkml_gpu::verify::{program, report};
use zkml_gpu::{Error, ErrorClass, FileError};

use crate::args::{BenchCommand, Command};

impl Command {
    /// Whether its result is to be one JSON object.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Prove(options) => options.json,
            Self::Compile(options) => options.json,
            Self::Setup(options) => options.json,
            Self::Retrain(options) => options.json,
            Self::Audit(options) => options.json,
            Self::Inspect(options) => options.json,
            Self::Commit(options) => options.json,
            Self::Open(options) => options.json,
            Self::Plan(options) => options.json,
            Self::Evaluate(options) => options.json,
            Self::Calibrate(options) => options.json,
            Self::Verify(options) => options.json,
            #[cfg(feature = "evm")]
            Self::Evm(command) => command.json(),
            Self::Devices(options) => options.json,
            Self::Doctor(options) => options.json,
            Self::Srs(command) => command.json(),
            #[cfg(feature = "serve")]
            Self::Serve(options) => options.json,
            Self::Completions(_) => false,
            #[cfg(feature = "cuda")]
            Self::CompileKernels(_) => false,
            Self::Bench(BenchCommand::Prove(options)) => options.output.json,
            Self::Bench(BenchCommand::Ops(options)) => options.output.json,
            #[cfg(feature = "cuda")]
            Self::Bench(BenchCommand::Throughput(options)) => options.json,
            Self::Bench(BenchCommand::Worker) => false,
        }
    }
}

/// Tells a failure on stderr, and on stdout as one JSON object where the result was to be one; the code that the program
/// ends with.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> u8 {
    let message = message(error);
    program::tell(&format!("error: {}", report::terminal_safe(&message)));
    if json {
        // Where stdout takes nothing, the code and stderr are left.
        let _ = report::print(&report::error_json(&message, class(error)));
    }
    exit_code(error)
}

/// Prints what is wrong with the arguments, or the help that they ask for; the code that the program ends with.
pub(crate) fn usage(usage: &clap::Error) -> u8 {
    // Nothing can be done where even stderr is closed.
    let _ = usage.print();
    if !usage.use_stderr() {
        return 0;
    }
    let class = ErrorClass::BadInput;
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = usage.render().to_string();
        let _ = report::print(&report::error_json(usage_message(&text), class));
    }
    class.exit_code()
}

/// The problem without the summary of the command that clap appends.
fn usage_message(text: &str) -> &str {
    let text = text.split("\n\nUsage:").next().unwrap_or(text).trim();
    text.strip_prefix("error: ").unwrap_or(text)
}

/// How another process of this program failed, and the code that this one ends with.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) message: String,
    pub(crate) exit_code: u8,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}

/// An error with its causes; those that are part of its own words already are not repeated.
pub(crate) fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        text if text.contains(&cause) => text.into(),
        text => format!("{text}: {cause}"),
    })
}

/// The code that the program ends with.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    match error.chain().find_map(|cause| cause.downcast_ref::<Failed>()) {
        Some(failed) => failed.exit_code,
        None => class(error).exit_code(),
    }
}

/// Whose move it is.
fn class(error: &anyhow::Error) -> ErrorClass {
    const CLASSES: [ErrorClass; 3] = [ErrorClass::BadInput, ErrorClass::Unsupported, ErrorClass::WouldNotFit];
    if let Some(failed) = error.chain().find_map(|cause| cause.downcast_ref::<Failed>()) {
        let class = CLASSES.into_iter().find(|class| class.exit_code() == failed.exit_code);
        return class.unwrap_or(ErrorClass::Bug);
    }
    let class = error.chain().find_map(|cause| {
        let ours = cause.downcast_ref::<Error>().map(Error::class);
        let choice = || cause.downcast_ref::<ChoiceError>().map(|error| Error::from(error.clone()).class());
        ours.or_else(|| cause.downcast_ref::<FileError>().map(FileError::class)).or_else(choice)
    });
    // What has no class is the system's: a full disk, a closed pipe.
    let system = || error.chain().any(|cause| cause.is::<std::io::Error>()).then_some(ErrorClass::BadInput);
    class.or_else(system).unwrap_or(ErrorClass::Bug)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_code_and_the_class_say_the_same() {
        let failed = |exit_code| anyhow::Error::from(Failed { message: "m".into(), exit_code });
        let input = || Error::Input { path: "a".into(), problem: "p".into() };
        for (error, code, name) in [
            (failed(4), 4, "would_not_fit"),
            (failed(101), 101, "bug"),
            (input().into(), 2, "bad_input"),
            (Err::<(), _>(input()).context("more").expect_err("an error"), 2, "bad_input"),
            (std::io::Error::other("disk").into(), 2, "bad_input"),
            (anyhow::anyhow!("unforeseen"), 70, "bug"),
        ] {
            assert_eq!((exit_code(&error), class(&error).name()), (code, name), "{error}");
        }
    }

    #[test]
    fn the_summary_of_a_command_is_no_part_of_the_problem() {
        let text = "error: unexpected argument '--x' found\n\n  tip: y\n\nUsage: zkml-gpu plan\n\nFor more\n";
        assert_eq!(usage_message(text), "unexpected argument '--x' found\n\n  tip: y");
        assert_eq!(usage_message("nothing of the kind"), "nothing of the kind");
    }
}
