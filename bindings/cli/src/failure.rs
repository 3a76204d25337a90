//! What the program says and ends with when a command fails.

use zkml_gpu::engine::backend::ChoiceError;
use zkml_gpu::{Error, ErrorClass, FileError};

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
    if let Some(failed) = error.chain().find_map(|cause| cause.downcast_ref::<Failed>()) {
        return failed.exit_code;
    }
    let class = error.chain().find_map(|cause| {
        let ours = cause.downcast_ref::<Error>().map(Error::class);
        let choice = || cause.downcast_ref::<ChoiceError>().map(|error| Error::from(error.clone()).class());
        ours.or_else(|| cause.downcast_ref::<FileError>().map(FileError::class)).or_else(choice)
    });
    // What has no class is the system's: a full disk, a closed pipe.
    let system = || error.chain().any(|cause| cause.is::<std::io::Error>()).then_some(ErrorClass::BadInput);
    class.or_else(system).unwrap_or(ErrorClass::Bug).exit_code()
}
