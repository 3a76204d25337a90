//! The arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use zkml_gpu::{BackendChoice, WeightMode};

/// Prove that a quantised neural network produced an output
#[derive(Debug, Parser)]
#[command(name = "zkml-gpu", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prove one inference of an ONNX model
    Prove(ProveOptions),
    /// Verify a proof
    Verify(VerifyOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ProveOptions {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// The input, {"input_data": [[...], ...]}: one flat list for each input of the model
    #[arg(value_name = "INPUT.json")]
    pub(crate) input: PathBuf,
    /// Samples for calibration, in the input's format; without it, the input itself
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Structured reference string of a ceremony (.ptau, or Halo2 parameters); without it, an insecure one is made
    #[arg(long, value_name = "FILE")]
    pub(crate) srs: Option<PathBuf>,
    /// Where the weights stand
    #[arg(long, value_name = "MODE", value_enum, default_value = "committed")]
    pub(crate) weights: Weights,
    /// The weights are private: refuse what would publish them. A model says so itself by zkml-gpu.weights = private in its metadata
    #[arg(long)]
    pub(crate) private: bool,
    /// auto, cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B to compare two
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) backend: BackendChoice,
    /// Threads of the processor; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Folder for proof.json and model.vk [default: ./MODEL.proof]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Size of a symbolic dimension of the model, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Weights {
    /// Hidden behind a commitment; retraining keeps the circuit's keys
    Committed,
    /// Public, in the circuit's own key: the stock Halo2 verifier is enough, and every model has keys of its own
    Embedded,
}

impl From<Weights> for WeightMode {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Committed => Self::Committed,
            Weights::Embedded => Self::Embedded,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// The proof
    #[arg(value_name = "PROOF.json")]
    pub(crate) proof: PathBuf,
    /// The model's verifying key, from someone you trust
    #[arg(long, value_name = "model.vk")]
    pub(crate) vk: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("expected NAME=SIZE")?;
    match size.parse() {
        Ok(size) if size > 0 && !name.is_empty() => Ok((name.into(), size)),
        _ => Err("expected NAME=SIZE with a positive size".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn dimensions_are_names_with_positive_sizes() {
        assert_eq!(dimension("seq=16"), Ok(("seq".into(), 16)));
        for text in ["seq", "=1", "seq=", "seq=0", "seq=-1", "seq=x"] {
            assert!(dimension(text).is_err(), "{text}");
        }
    }
}
