//! Arguments of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::MachineOptions;
use super::values::{bytes, seconds};

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// The proving key, as setup writes it
    #[arg(value_name = "NAME.pk")]
    pub(crate) key: PathBuf,
    /// Address and port; port 0 takes a free one. What others reach needs a token, or --open
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder of requests and their proofs, which outlast the server [default: ./NAME.jobs]
    #[arg(long, value_name = "DIR")]
    pub(crate) jobs: Option<PathBuf>,
    /// File of the token that requests must show, as `Authorization: Bearer TOKEN`; without it, ZKML_GPU_TOKEN, if it is
    /// set
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Answer whoever reaches the address, without a token
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) open: bool,
    /// Most requests that wait for their proofs: others are refused with status 429
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) queue: u32,
    /// Proofs at a time, as far as memory allows
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,
    /// Most bytes of a request, such as 16MiB; without it, what the model's inputs need
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_body: Option<u64>,
    /// Share of an input's values that may lie beyond the calibrated range, where they are clamped
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub(crate) max_saturation: f64,
    /// Seconds that a stop waits for requests and proofs under way; a proof that does not end then is made after the next
    /// start
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = seconds)]
    pub(crate) stop_timeout: Duration,
    /// Seconds that finished jobs are kept; without it, until they are deleted
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) keep: Option<Duration>,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// Print one JSON object when it listens
    #[arg(long)]
    pub(crate) json: bool,
}
