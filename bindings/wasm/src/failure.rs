//! Errors of the library as text that is thrown.

use serde::Serialize;
use wasm_bindgen::JsValue;
use zkml_gpu_verify::{Error as FileError, ErrorClass};

/// What is thrown.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// The cause.
    kind: &'static str,
    /// Whose move it is: `bad_input`, `unsupported`, `would_not_fit` or `bug`.
    class: &'static str,
    /// What is wrong.
    message: String,
    /// What to do about it.
    hint: String,
}

impl Failure {
    pub(crate) fn new(kind: &'static str, class: ErrorClass, text: &str) -> Self {
        let (message, hint) = text.split_once("\nhint: ").unwrap_or((text, ""));
        Self { kind, class: class.name(), message: message.into(), hint: hint.into() }
    }

    /// Arguments of another form than the interface has.
    pub(crate) fn arguments(problem: &str, hint: &str) -> Self {
        Self { kind: "arguments", class: ErrorClass::BadInput.name(), message: problem.into(), hint: hint.into() }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let kind = match &error {
            FileError::Artifact { .. } => "artifact",
            FileError::FileSize { .. } => "file_size",
            FileError::File { .. } => "file",
            _ => "internal",
        };
        Self::new(kind, error.class(), &error.to_string())
    }
}

#[cfg(feature = "prove")]
impl From<zkml_gpu::Error> for Failure {
    fn from(error: zkml_gpu::Error) -> Self {
        use zkml_gpu::Error;
        let (class, text) = (error.class(), error.to_string());
        let kind = match error {
            Error::File(error) => return error.into(),
            Error::Arguments { .. } | Error::Inferences { .. } => "arguments",
            Error::Input { .. } | Error::Hash { .. } => "input",
            Error::UnknownBackend { .. } | Error::MissingBackend { .. } | Error::NoDevice { .. } => "device",
            Error::WouldNotFit { .. } => "would_not_fit",
            Error::Prover(_) if class == ErrorClass::Unsupported => "device",
            Error::Prove(_) if class == ErrorClass::Unsupported => "device",
            Error::Key(_) => "key",
            Error::Prove(_) => "prove",
            _ => "internal",
        };
        Self::new(kind, class, &text)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        // A structure of texts has JSON.
        serde_json::to_string(&failure)
            .map_or_else(|error| Self::from_str(&error.to_string()), |text| Self::from_str(&text))
    }
}
