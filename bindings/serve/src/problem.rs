//! What is wrong with a request, or with a job, for whoever sent it.

use serde::{Deserialize, Serialize};
use zkml_gpu::{Error, ErrorClass, FileError};

/// Whose move it is: the classes of the command line, and those that a service alone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// The request is wrong.
    BadInput,
    /// A device failed.
    Unsupported,
    /// The machine is too small.
    WouldNotFit,
    /// Ours.
    Bug,
    /// The token is missing, or another one.
    Unauthorised,
    /// There is no such path, or no such job.
    NotFound,
    /// The path has no such method.
    NoMethod,
    /// The request is too large.
    TooLarge,
    /// The request takes too long to arrive.
    TooSlow,
    /// The body is of another type.
    OtherType,
    /// The same key came with another request, or with this one a moment ago.
    Conflict,
    /// The queue is full.
    Busy,
    /// The disk takes nothing.
    Storage,
}

/// A problem, as `{"error": {"class": ..., "message": ..., "hint": ...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// A problem with what to do about it.
    pub(crate) fn new(class: Class, message: impl Into<String>, hint: &str) -> Self {
        Self { class, message: message.into(), hint: Some(hint.into()) }
    }

    /// A problem of an error's class; its text ends with a line `hint: ...` where it has one.
    fn of(class: ErrorClass, text: &str) -> Self {
        let class = match class {
            ErrorClass::BadInput => Class::BadInput,
            ErrorClass::Unsupported => Class::Unsupported,
            ErrorClass::WouldNotFit => Class::WouldNotFit,
            ErrorClass::Bug => Class::Bug,
        };
        match text.split_once("\nhint: ") {
            Some((message, hint)) => Self::new(class, message, hint),
            None => Self { class, message: text.into(), hint: None },
        }
    }

    /// A promise of ours was broken.
    pub(crate) fn bug(text: &str) -> Self {
        Self::new(Class::Bug, format!("internal error: {text}"), "this is a bug of ours; please report it")
    }

    /// The disk does not take a job. Not where: that is the operator's.
    pub(crate) fn storage(error: &FileError) -> Self {
        let reason = match error {
            FileError::File { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        let hint = "nothing was accepted: send the request again later; the server's operator has to make room";
        Self::new(Class::Storage, format!("the job cannot be kept: {reason}"), hint)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self::of(error.class(), &error.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
