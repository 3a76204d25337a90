//! Errors of the library as exceptions of `zkml_gpu.errors`: one for each cause, sorted by whose move it is.

use pyo3::prelude::*;
use pyo3::types::PyType;
use zkml_gpu::{Error, ErrorClass, FileError, Rejection};

/// Python's module that defines the exceptions.
const MODULE: &str = "zkml_gpu.errors";

/// What will be an exception: nothing of Python, so that it can be made without its lock.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Name of the exception's class.
    exception: &'static str,
    /// The cause: the variant of the library's error.
    kind: &'static str,
    /// The problem, and after a line that begins with `hint:` what to do.
    message: String,
}

impl Failure {
    /// An exception that the library knows nothing of.
    pub(crate) fn new(exception: &'static str, kind: &'static str, message: String) -> Self {
        Self { exception, kind, message }
    }

    /// Arguments that do not go together.
    pub(crate) fn arguments(problem: impl Into<String>, hint: &'static str) -> Self {
        Error::Arguments { problem: problem.into(), hint }.into()
    }

    /// A panic that was caught.
    pub(crate) fn panic(words: &str) -> Self {
        let hint = "this is a bug; please report it with what you called";
        Self::new("PanicError", "panic", format!("panicked: {words}\nhint: {hint}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exception, kind) = names(&error);
        Self { exception, kind, message: error.to_string() }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Error::from(error).into()
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let hint = "the proof shows nothing: do not rely on it";
        Self::new("RejectedError", "rejected", format!("{rejection}\nhint: {hint}"))
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| {
            let exception = || -> PyResult<PyErr> {
                let class = py.import(MODULE)?.getattr(failure.exception)?.cast_into::<PyType>()?;
                Ok(Self::from_value(class.call1((failure.message, failure.kind))?))
            };
            // Whatever keeps the exception from being made is one itself.
            exception().unwrap_or_else(|error| error)
        })
    }
}

/// Class and cause of an error.
fn names(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::File(FileError::File { .. }) => ("FileError", "file"),
        Error::File(FileError::FileSize { .. }) => ("FileSizeError", "file_size"),
        Error::File(FileError::Artifact { .. }) => ("ArtifactError", "artifact"),
        Error::File(_) => (of_class(error), "file"),
        Error::Arguments { .. } => ("ArgumentsError", "arguments"),
        Error::Input { .. } => ("InputError", "input"),
        Error::UnknownBackend { .. } => ("UnknownBackendError", "unknown_backend"),
        Error::Environment { .. } => ("EnvironmentVariableError", "environment"),
        Error::NoDevice { .. } => ("NoDeviceError", "no_device"),
        Error::MissingBackend { .. } => ("MissingBackendError", "missing_backend"),
        Error::WouldNotFit { .. } => (of_class(error), "would_not_fit"),
        Error::OperationsWouldNotFit { .. } => (of_class(error), "operations_would_not_fit"),
        Error::PrivateWeights { .. } => ("PrivateWeightsError", "private_weights"),
        Error::Inaccurate { .. } => ("InaccurateError", "inaccurate"),
        Error::OtherArchitecture { .. } => ("OtherArchitectureError", "other_architecture"),
        Error::Saturates { .. } => ("SaturatesError", "saturates"),
        Error::EmbeddedWeights { .. } => ("EmbeddedWeightsError", "embedded_weights"),
        Error::Model { .. } | Error::Import(_) => match error.class() {
            ErrorClass::BadInput => ("InvalidModelError", "model"),
            ErrorClass::Unsupported => ("UnsupportedModelError", "model"),
            ErrorClass::WouldNotFit | ErrorClass::Bug => (of_class(error), "model"),
        },
        Error::Quantise(_) => match error.class() {
            ErrorClass::BadInput => ("QuantiseError", "quantise"),
            ErrorClass::Unsupported | ErrorClass::WouldNotFit | ErrorClass::Bug => (of_class(error), "quantise"),
        },
        Error::Joint(_) => (of_class(error), "joint"),
        Error::Inferences { .. } => ("InferencesError", "inferences"),
        Error::Layout(_) => (of_class(error), "layout"),
        Error::Srs(_) => ("SrsError", "srs"),
        Error::Key(_) => (of_class(error), "key"),
        Error::Weights(_) => (of_class(error), "weights"),
        Error::Audit(_) => ("AuditError", "audit"),
        Error::Prover(_) => (of_device(error), "prover"),
        Error::Hash { .. } => ("HashError", "hash"),
        Error::Prove(_) => (of_device(error), "prove"),
        Error::Internal(_) => (of_class(error), "internal"),
        _ => (of_class(error), "other"),
    }
}

/// The class of all errors after which it is the same one's move.
fn of_class(error: &Error) -> &'static str {
    match error.class() {
        ErrorClass::BadInput => "BadInputError",
        ErrorClass::Unsupported => "UnsupportedError",
        ErrorClass::WouldNotFit => "WouldNotFitError",
        ErrorClass::Bug => "BugError",
    }
}

/// What fails in a proof and is no bug is the device.
fn of_device(error: &Error) -> &'static str {
    match error.class() {
        ErrorClass::Unsupported => "DeviceError",
        ErrorClass::BadInput | ErrorClass::WouldNotFit | ErrorClass::Bug => of_class(error),
    }
}
