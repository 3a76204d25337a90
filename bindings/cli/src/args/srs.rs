//! The arguments of `srs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum SrsCommand {
    /// Make a string on this machine, for development: its owner can forge proofs
    New(SrsNewOptions),
    /// Check a string, cut it to a power and prepare it, so that proofs start at once
    Import(SrsImportOptions),
    /// Check every point of a file that proofs could use
    Check(SrsFileOptions),
    /// Tell what a file says of itself, without checking its points
    Info(SrsFileOptions),
}

impl SrsCommand {
    /// Whether its result is to be one JSON object.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::New(SrsNewOptions { output }) | Self::Import(SrsImportOptions { output, .. }) => output.json,
            Self::Check(options) | Self::Info(options) => options.json,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SrsNewOptions {
    #[command(flatten)]
    pub(crate) output: SrsOutput,
}

#[derive(Debug, Args)]
pub(crate) struct SrsImportOptions {
    /// The output of a ceremony (.ptau of snarkjs), Halo2's parameters, or a file of this program
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: SrsOutput,
}

#[derive(Debug, Args)]
pub(crate) struct SrsFileOptions {
    /// The output of a ceremony (.ptau of snarkjs), Halo2's parameters, or a file of this program
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is written.
#[derive(Debug, Args)]
pub(crate) struct SrsOutput {
    /// Its length as a power of two: the k of the largest circuit, as plan prints it
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=28))]
    pub(crate) power: u32,
    /// The file to write, for --srs
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What kind of file
    #[arg(long, value_name = "KIND", value_enum, default_value = "own")]
    pub(crate) format: SrsFormat,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SrsFormat {
    /// This program's: with digests, and with the mark of a string that one machine made
    Own,
    /// Halo2's raw parameters, which have no such mark
    Halo2,
}
