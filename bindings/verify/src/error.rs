//! What can go wrong with a file, sorted by what the user can do about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::report::bytes_texts;

/// A file that is not what it should be. [`Error::class`] says whose move it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}\nhint: {}", path.display(), remedy(source.kind(), action))]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("{}: {}\nhint: is this the right file?", path.display(), too_large(*len, *limit))]
    FileSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        len: u64,
        /// The bound.
        limit: u64,
    },
    /// A file is not an artifact of this tool, or damaged.
    #[error("{file}: {problem}\nhint: {hint}")]
    Artifact {
        /// The file, or a name for bytes in memory.
        file: String,
        /// What is wrong, and where.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A promise of this library was broken.
    #[error("internal error: {0}\nhint: this is a bug; please report it with the command that you ran")]
    Internal(String),
}

impl Error {
    /// The system does not let a file be written.
    pub fn unwritten(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.into(), action: "write", source }
    }
}

fn too_large(len: u64, limit: u64) -> String {
    let [len, limit] = bytes_texts([len, limit]);
    format!("{len}, at most {limit} are read")
}

/// What can be done about a file that the system refuses.
fn remedy(kind: ErrorKind, action: &str) -> &'static str {
    match kind {
        ErrorKind::NotFound if action == "read" => "there is no such file: check the path",
        ErrorKind::NotFound => "a folder of the path is missing: make it, or check the path",
        ErrorKind::PermissionDenied if action == "read" => "its permissions do not let you read it",
        ErrorKind::PermissionDenied => "the permissions of the file or of its folder do not let you write it",
        ErrorKind::ReadOnlyFilesystem => "nothing can be written there: choose another place",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "there is no space left: make some, or choose a place on another disk"
        }
        ErrorKind::FileTooLarge if action == "read" => "is this the right file?",
        ErrorKind::FileTooLarge => {
            "files may not grow that large there: raise the limit (ulimit -f), or choose another disk"
        }
        ErrorKind::IsADirectory => "that is a folder: give a file",
        ErrorKind::NotADirectory => "a part of the path that should be a folder is a file",
        ErrorKind::InvalidFilename => "the system takes no such name: choose another",
        _ => "check the path and its permissions",
    }
}

/// Whose move it is after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The caller's: an argument or a file is wrong.
    BadInput,
    /// Nobody's yet: the operator or device is not supported.
    Unsupported,
    /// The machine is too small, or the model too large.
    WouldNotFit,
    /// Ours.
    Bug,
}

impl ErrorClass {
    /// Its name for programs: part of their contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::Unsupported => "unsupported",
            Self::WouldNotFit => "would_not_fit",
            Self::Bug => "bug",
        }
    }

    /// The code that a program ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::BadInput => 2,
            Self::Unsupported => 3,
            Self::WouldNotFit => 4,
            // `EX_SOFTWARE` of sysexits.h.
            Self::Bug => 70,
        }
    }
}

impl Error {
    /// Whose move it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::File { .. } | Self::FileSize { .. } | Self::Artifact { .. } => ErrorClass::BadInput,
            Self::Internal(_) => ErrorClass::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_fits_what_the_system_says() {
        let message = |kind: ErrorKind, action| {
            Error::File { path: "place/file".into(), action, source: kind.into() }.to_string()
        };
        for (kind, action, said) in [
            (ErrorKind::StorageFull, "write", "space"),
            (ErrorKind::QuotaExceeded, "write", "space"),
            (ErrorKind::ReadOnlyFilesystem, "write", "another place"),
            (ErrorKind::PermissionDenied, "write", "permissions"),
            (ErrorKind::PermissionDenied, "read", "permissions"),
            (ErrorKind::NotFound, "read", "no such file"),
            (ErrorKind::NotFound, "write", "folder of the path is missing"),
            (ErrorKind::IsADirectory, "write", "is a folder"),
            (ErrorKind::TimedOut, "read", "check the path"),
        ] {
            let message = message(kind, action);
            let (problem, hint) = message.split_once("\nhint: ").expect("a hint");
            assert!(problem.starts_with("place/file: ") && hint.contains(said), "{kind:?}: {message}");
            assert_eq!(hint.contains("permissions"), said == "permissions" || kind == ErrorKind::TimedOut, "{message}");
        }
    }

    #[test]
    fn sizes_are_rounded_as_far_as_they_differ() {
        let message = |len| Error::FileSize { path: "a".into(), len, limit: 1 << 30 }.to_string();
        assert!(message(3 << 30).contains("3 GiB, at most 1 GiB are read"), "{}", message(3 << 30));
        assert!(message((1 << 30) + 1).contains("1073741825 bytes, at most 1073741824 bytes are read"));
    }
}
