//! `zkml-gpu bench`: how fast this machine is, beside others' code on the same inputs in the same run.
//!
//! `bench ops` runs every operation of every back end. What it prints is measured as follows: a run of ours, then one of each peer, and
//! again, for about two seconds; medians of wall time. Before that each result is compared with the peers', or where nobody else has the
//! operation with the portable processor's: no wrong result is timed.
//!
//! | part | file |
//! |---|---|
//! | what is measured, and when | `ops.rs` |
//! | the same operations in halo2-axiom | `halo2.rs` |
//! | multi-scalar multiplication in ark-bn254 | `ark.rs` |
//! | runs, and their median | `timing.rs` |
//! | the table and the JSON object | `report.rs` |

mod ark;
mod halo2;
mod ops;
mod report;
mod timing;

use crate::args::BenchCommand;

pub(crate) fn bench(command: &BenchCommand) -> anyhow::Result<u8> {
    match command {
        BenchCommand::Ops(options) => ops::ops(options),
    }
}
