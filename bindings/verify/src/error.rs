//! What can go wrong with a file, sorted by what the user can do about it.

use std::path::PathBuf;

/// A file that is not what it should be. [`Error::class`] says whose move it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}\nhint: check the path and its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("{}: {len} bytes, at most {limit} are read\nhint: is this the right file?", path.display())]
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
