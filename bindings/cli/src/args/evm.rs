//! Arguments of `evm`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum EvmCommand {
    /// Write the contract that verifies proofs of a model
    Verifier(VerifierOptions),
    /// Print the call of that contract for a proof, as hexadecimal
    Calldata(CalldataOptions),
    /// Deploy the contract in a virtual machine of this program, call it, and tell its size and gas
    Gas(GasOptions),
}

impl EvmCommand {
    /// Whether its result is to be one JSON object.
    pub(crate) const fn json(&self) -> bool {
        match self {
            Self::Verifier(options) => options.json,
            Self::Calldata(options) => options.json,
            Self::Gas(options) => options.json,
        }
    }
}

/// Which contract.
#[derive(Debug, Args)]
pub(crate) struct ContractOptions {
    /// The model's verifying key, from someone you trust
    #[arg(long, value_name = "model.vk")]
    pub(crate) vk: PathBuf,
    /// Name of the contract
    #[arg(long, value_name = "NAME", default_value = "Verifier")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct VerifierOptions {
    #[command(flatten)]
    pub(crate) contract: ContractOptions,
    /// The contract's source; its interface is beside it, with an I before its name [default: ./NAME.sol]
    #[arg(long, value_name = "NAME.sol")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CalldataOptions {
    /// The proof, made with --transcript keccak
    #[arg(value_name = "PROOF.json")]
    pub(crate) proof: PathBuf,
    #[command(flatten)]
    pub(crate) contract: ContractOptions,
    /// Print one JSON object, with the arguments by themselves
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GasOptions {
    /// The proof, made with --transcript keccak
    #[arg(value_name = "PROOF.json")]
    pub(crate) proof: PathBuf,
    #[command(flatten)]
    pub(crate) contract: ContractOptions,
    /// Solidity's compiler
    #[arg(long, value_name = "PROGRAM", default_value = "solc")]
    pub(crate) solc: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
