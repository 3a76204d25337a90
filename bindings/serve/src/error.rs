//! Why a server does not start, or ends.

use std::net::SocketAddr;
use std::path::PathBuf;

use zkml_gpu::ErrorClass;

/// A failure of a server as a whole; what is wrong with a request is told to whoever sent it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The library's: the model, a file.
    #[error(transparent)]
    Library(#[from] zkml_gpu::Error),
    /// Another server has the folder.
    #[error(
        "{} is in use by another server\nhint: stop that one first, or give this one a folder of its own (--jobs)",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder's jobs are for other keys.
    #[error(
        "the jobs in {} are for the verifying key {found}, not {expected}\nhint: serve that key until they are done, or take another folder (--jobs)",
        folder.display()
    )]
    OtherKey {
        /// The folder.
        folder: PathBuf,
        /// Digest of the key that the jobs are for.
        found: String,
        /// Digest of the key that is served.
        expected: String,
    },
    /// A file in the folder is not what this program wrote.
    #[error("{}: {problem}\nhint: move the file out of the folder of jobs, and look at it: what is in it is not answered", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A committed tensor, whose opening would be lost.
    #[error(
        "'{name}' is committed: the opening of its commitment is secret, and a service has nobody to give it to\nhint: make these proofs with `zkml-gpu prove`, which writes openings; or compile with --input or --output NAME=private or hashed"
    )]
    Committed {
        /// Name of the input or output.
        name: String,
    },
    /// Others reach it, and nothing keeps them out.
    #[error(
        "others could reach {address} and have proofs made\nhint: give a token (--token-file FILE, or ZKML_GPU_TOKEN), listen on 127.0.0.1, or say --open"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// A token that is none.
    #[error("the token {problem}\nhint: `openssl rand -hex 32` makes a good one")]
    Token {
        /// What is wrong with it.
        problem: String,
    },
    /// An option that means nothing.
    #[error("{problem}\nhint: {hint}")]
    Option {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// The address is taken, or not this machine's.
    #[error(
        "cannot listen on {address}: {source}\nhint: choose an address of this machine and a free port (--listen); port 0 takes any"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The system gives no threads, or no signals.
    #[error("the system does not let a server run: {0}\nhint: raise its limits (ulimit -u, ulimit -n)")]
    System(#[source] std::io::Error),
}

impl ServeError {
    /// Whose move it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Library(error) => error.class(),
            Self::Committed { .. } => ErrorClass::Unsupported,
            Self::InUse { .. }
            | Self::OtherKey { .. }
            | Self::Damaged { .. }
            | Self::Open { .. }
            | Self::Token { .. }
            | Self::Option { .. }
            | Self::Listen { .. }
            | Self::System(_) => ErrorClass::BadInput,
        }
    }
}
