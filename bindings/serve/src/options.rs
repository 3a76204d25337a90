//! What a server may be asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::Token;

/// How a model is served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder of the jobs, which no two servers have at a time.
    pub jobs: PathBuf,
    /// What whoever asks must show.
    pub token: Option<Token>,
    /// Whether anybody who reaches it may ask, where there is no token: beyond this machine not without a word.
    pub open: bool,
    /// Most jobs that wait.
    pub queue: usize,
    /// Proofs at a time.
    pub workers: usize,
    /// Most bytes of a request; without it, what the inputs need.
    pub max_body_bytes: Option<u64>,
    /// Share of an input's values that may lie beyond the calibrated range, where they are clamped: 0 to 1.
    pub max_saturation: f64,
    /// How long a stop waits for requests and proofs under way.
    pub stop_timeout: Duration,
    /// How long finished jobs are kept; without it, until they are deleted.
    pub keep: Option<Duration>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            jobs: "jobs".into(),
            token: None,
            open: false,
            queue: 1000,
            workers: 1,
            max_body_bytes: None,
            max_saturation: 0.01,
            stop_timeout: Duration::from_secs(25),
            keep: None,
        }
    }
}
