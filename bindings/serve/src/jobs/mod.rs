//! Jobs: on the disk, and which of them come next.
//!
//! The folder holds
//!
//! | path | what |
//! |---|---|
//! | `lock` | locked by the server that has the folder |
//! | `service.json` | the verifying key that the jobs are for |
//! | `jobs/ID.json` | a job: its input until its proof is made, the outputs that were answered, what became of it |
//! | `jobs/ID.begun` | how often a proof of it was begun, while one is under way |
//! | `proofs/ID.proof.json` | its proof |
//!
//! A file appears whole under its name: it is written beside it, through to the disk, then renamed, and the folder is
//! written through to the disk, too. A proof comes before the record that says it is made, and never replaces another one.

mod id;
mod queue;
mod record;
mod store;

pub(crate) use id::Id;
pub(crate) use queue::{Answered, Claim, Jobs, Removal, Reservation, Standing, Status};
pub(crate) use record::{Idempotency, Record, State, unix_ms};
pub(crate) use store::Store;
