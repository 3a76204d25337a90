//! `zkml-gpu bench`: how fast this machine is, beside others' code on the same inputs in the same run.
//!
//! `bench ops` runs every operation of every back end. What it prints is measured as follows: a run of ours, then one
//! of each peer, and again, for about two seconds; medians of wall time. Before that each result is compared with the
//! peers', or where nobody else has the operation with the portable processor's: no wrong result is timed.
//!
//! `bench prove` makes whole proofs. Each model has a process for each back end, so that memory and processor time are
//! its own; once all have their keys they prove in turns. Circuit, seed and so the proof's bytes are the same on all
//! back ends, or nothing is printed; every proof is verified.
//!
//! | part | file |
//! |---|---|
//! | operations: what is measured, and when | `ops.rs` |
//! | the same operations in others' code | the crate `zkml-gpu-peers` |
//! | runs in turns, and what they took | `timing.rs`, `statistics.rs` |
//! | proofs: what is measured, and when | `prove.rs` |
//! | the process that proves, the other end of its pipes, and what goes through them | `worker.rs`, `process.rs`, `messages.rs` |
//! | time by protocol step | `steps.rs` |
//! | the stock prover, and inference in floating point | `stock.rs`, `float.rs` |
//! | programs of others, by a file that names them | `programs.rs` |
//! | networks that others publish figures of | `suite.rs`, `onnx.rs` |
//! | the JSON object, a comparison with an older one, and where both go | `record.rs`, `compare.rs`, `output.rs` |
//! | what a CUDA device does in a second | `throughput.rs` |
//! | tables | `ops_table.rs`, `prove_table.rs` |
//! | the page with plots, of the parts in `../page/` | `page.rs` |

mod compare;
mod float;
mod messages;
mod onnx;
mod ops;
mod ops_table;
mod output;
mod page;
mod process;
mod programs;
mod prove;
mod prove_table;
mod record;
mod statistics;
mod steps;
mod stock;
mod suite;
#[cfg(feature = "cuda")]
mod throughput;
mod timing;
mod worker;

use crate::args::BenchCommand;

pub(crate) fn bench(command: &BenchCommand) -> anyhow::Result<u8> {
    match command {
        BenchCommand::Prove(options) => prove::prove(options),
        BenchCommand::Ops(options) => ops::ops(options),
        #[cfg(feature = "cuda")]
        BenchCommand::Throughput(options) => throughput::throughput(options),
        BenchCommand::Worker => worker::worker(),
    }
}
