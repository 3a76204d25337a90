//! The arguments of `bench`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use zkml_gpu::BackendChoice;
use zkml_gpu::engine::backend::ChoiceError;

use super::{CostsSource, Weights, bytes, dimension, max_error, place_of_weights};

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Whole proofs on every back end, by step, beside inference in floating point
    Prove(BenchProveOptions),
    /// Every operation of the back ends, beside halo2-axiom's, halo2curves' and ark-bn254's own
    Ops(BenchOpsOptions),
    /// What a CUDA device does in a second: products, multiplications, additions of points, copies
    #[cfg(feature = "cuda")]
    #[command(name = "rates")]
    Throughput(BenchThroughputOptions),
    /// Measures one model on one back end for `bench prove`, which speaks to it
    #[command(hide = true)]
    Worker,
}

/// Where measurements go, and what they are compared with.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what --json prints to a file, besides what is printed
    #[arg(long, value_name = "FILE.json")]
    pub(crate) save: Option<PathBuf>,
    /// Write a page with plots, which needs no network
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Compare with what an earlier run printed with --json, or saved
    #[arg(long, value_name = "OLD.json")]
    pub(crate) compare: Option<PathBuf>,
}

/// Whose provers are measured, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// halo2-axiom's.
    Stock,
    /// Programs that a file names.
    File(PathBuf),
}

impl Peers {
    /// What stands for halo2-axiom's.
    const STOCK: &str = "halo2-axiom";
}

impl FromStr for Peers {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == Self::STOCK { Self::Stock } else { Self::File(text.into()) })
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchProveOptions {
    /// The models, ONNX files
    #[arg(value_name = "MODEL.onnx", required_unless_present = "suite")]
    pub(crate) models: Vec<PathBuf>,
    /// Four networks that others publish figures of, with random weights; before the models
    #[arg(long)]
    pub(crate) suite: bool,
    /// The input of the one model, as for prove; without it, a random one
    #[arg(long, value_name = "INPUT.json")]
    pub(crate) input: Option<PathBuf>,
    /// Back ends, separated by commas: cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B; without it, all that are present
    #[arg(long, value_name = "LIST", value_parser = backends)]
    pub(crate) backend: Option<Backends>,
    /// Also halo2-axiom's own prover on the same circuit, which takes embedded weights only; with =FILE, programs that a
    /// file names, on the same model and input; may be repeated
    #[arg(long, value_name = "FILE.toml", num_args = 0..=1, require_equals = true, default_missing_value = Peers::STOCK)]
    pub(crate) peers: Vec<Peers>,
    /// Where the weights stand
    #[arg(long, value_name = "committed|embedded", value_parser = place_of_weights, default_value = "committed")]
    pub(crate) weights: Weights,
    /// Search the fewest bits of each tensor that keep this error on the input, as a part of the output's range, or the
    /// least error; without it, one width for all tensors, of 8 to 10 bits
    #[arg(long, value_name = "E", value_parser = max_error)]
    pub(crate) max_error: Option<f32>,
    /// Proofs of each that are measured, in turns
    #[arg(long, value_name = "N", default_value = "9", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: u16,
    /// Proofs of each before those
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) warm_ups: u16,
    /// Seed of random inputs, of the reference string and of the proofs
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
    /// Threads of the processor; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Size of a symbolic dimension of the models, such as seq=16; may be repeated
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub(crate) dimensions: Vec<(String, usize)>,
    /// Prices that circuits are chosen by, one choice for all back ends: reference, measured (on the first back end),
    /// or a file
    #[arg(long, value_name = "SOURCE", default_value = "reference")]
    pub(crate) costs: CostsSource,
    /// Use this much memory at most for each proof, such as 512MiB or 2GiB. Without it, what is free
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_memory: Option<u64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOpsOptions {
    /// Sizes, as powers of two from 1 to 24
    #[arg(long, value_name = "K,K...", default_value = "14,16,18,20", value_parser = log_sizes)]
    pub(crate) log_n: LogSizes,
    /// Back ends, separated by commas: cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B; without it, all that are present
    #[arg(long, value_name = "LIST", value_parser = backends)]
    pub(crate) backend: Option<Backends>,
    /// Threads of the processor; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Most memory for a table of multiples of the points
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "128MiB")]
    pub(crate) table_budget: u64,
    /// Measure nobody else's code: on a device most of the time would be theirs. Results are compared with the portable
    /// processor's all the same, up to 2^18
    #[arg(long)]
    pub(crate) no_peers: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[cfg(feature = "cuda")]
#[derive(Debug, Args)]
pub(crate) struct BenchThroughputOptions {
    /// Devices, separated by commas: cuda[:N]; without it, all that are present
    #[arg(long, value_name = "LIST", value_parser = backends)]
    pub(crate) backend: Option<Backends>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what --json prints to a file, besides what is printed
    #[arg(long, value_name = "FILE.json")]
    pub(crate) save: Option<PathBuf>,
}

/// Back ends, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backends(Vec<BackendChoice>);

impl Backends {
    /// Those that were asked for, or all that are present; by device, each once.
    ///
    /// # Errors
    /// As [`BackendChoice::resolve`].
    pub(crate) fn or_present(asked: Option<&Self>) -> Result<Vec<BackendChoice>, zkml_gpu::Error> {
        let asked = asked.map_or_else(BackendChoice::present, |backends| backends.0.clone());
        let mut choices = Vec::new();
        for choice in asked {
            let choice = choice.resolve()?;
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
        Ok(choices)
    }
}

/// Names at commas; the first comma after `dual:` belongs to the name.
fn backends(text: &str) -> Result<Backends, String> {
    let mut choices = Vec::new();
    let mut parts = text.split(',');
    while let Some(part) = parts.next() {
        let name = match part.starts_with("dual:").then(|| parts.next()).flatten() {
            Some(second) => format!("{part},{second}"),
            None => part.to_owned(),
        };
        let choice: BackendChoice = name.parse().map_err(|error: ChoiceError| error.to_string())?;
        if choices.contains(&choice) {
            return Err(format!("'{name}' is given twice\nhint: each back end once, separated by commas"));
        }
        choices.push(choice);
    }
    Ok(Backends(choices))
}

/// Sizes of columns as powers of two, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSizes(pub(crate) Vec<u32>);

fn log_sizes(text: &str) -> Result<LogSizes, String> {
    const HINT: &str = "hint: powers of two from 1 to 24, separated by commas, such as 14,16";
    let mut sizes = Vec::new();
    for part in text.split(',') {
        match part.parse() {
            Ok(log_n) if !(1..=24).contains(&log_n) => return Err(format!("2^{log_n} is out of range\n{HINT}")),
            Ok(log_n) if sizes.contains(&log_n) => return Err(format!("2^{log_n} is given twice\n{HINT}")),
            Ok(log_n) => sizes.push(log_n),
            Err(_) => return Err(format!("'{part}' is no number\n{HINT}")),
        }
    }
    Ok(LogSizes(sizes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_range_and_given_once() {
        assert_eq!(log_sizes("14,1,24"), Ok(LogSizes(vec![14, 1, 24])));
        for text in ["", "0", "25", "4294967296", "-1", "14,", "14,14", "14 16", "x"] {
            assert!(log_sizes(text).is_err_and(|message| message.contains("hint:")), "{text}");
        }
    }

    #[test]
    fn back_ends_are_separated_by_commas_outside_of_dual() {
        let names = |text: &str| {
            let Backends(choices) = backends(text)?;
            Ok::<_, String>(choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names("cpu").as_deref(), Ok("cpu"));
        assert_eq!(names("cpu,wgpu:1,cuda").as_deref(), Ok("cpu wgpu:1 cuda"));
        assert_eq!(names("dual:cpu,wgpu,cpu,dual:cpu,cpu").as_deref(), Ok("dual:cpu,wgpu cpu dual:cpu,cpu"));
        for text in ["", "cpu,", "cpu,cpu", "gpu", "dual:cpu", "cpu cuda"] {
            assert!(names(text).is_err_and(|message| message.contains("hint:")), "{text}");
        }
    }
}
