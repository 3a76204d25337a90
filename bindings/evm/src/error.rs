//! Why a contract cannot be written, compiled or called.

use std::path::PathBuf;

/// Why a contract cannot be written, compiled or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A contract's name.
    #[error("{0:?} is no name of a contract\nhint: a capital letter, then letters, digits and underscores")]
    Name(String),
    /// A tensor that contracts do not take.
    #[error("'{name}' cannot be a statement of a contract: {reason}")]
    Statement {
        /// The tensor.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A circuit without a contract.
    #[error("the circuit has no contract: {0}")]
    Circuit(String),
    /// A call that the contract refuses.
    #[error("no calldata: {0}")]
    Calldata(String),
    /// A proof or a key that contracts do not take.
    #[error("{0}")]
    Artifact(String),
    /// The compiler does not start.
    #[error("{}: {error}\nhint: solc 0.8.19 or later compiles contracts; `--solc` names it, or scripts/solc.sh, which takes it from npm", program.display())]
    NoCompiler {
        /// The program.
        program: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The compiler refuses the source.
    #[error("the contract does not compile: {0}")]
    Compiler(String),
    /// The machine's own failure, which is none of the contract.
    #[error("the machine: {0}")]
    Machine(String),
}
