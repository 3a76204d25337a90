//! A model behind HTTP: `POST /v1/infer` answers with the output and the id of a proof, `GET /v1/proofs/{id}` gives the
//! proof once it is made.
//!
//! ```no_run
//! use zkml_gpu::{BackendChoice, ProverKey};
//! use zkml_gpu_serve::{ServeOptions, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = ProverKey::read("lenet.pk")?;
//! let budget = key.model().memory_budget(None)?;
//! let prover = key.prover(&BackendChoice::Auto, &budget)?;
//! let server = Server::new(prover, ServeOptions::default())?;
//! println!("{}", server.address());
//! server.run()?; // until SIGTERM or SIGINT
//! # Ok(())
//! # }
//! ```
//!
//! **The output** is that of the integers that the proof will show, computed when the request comes; a proof whose
//! outputs were others would be set aside as a bug.
//!
//! **A request is a job on the disk** before it is answered (`src/jobs/`): it survives the process, and the machine as far
//! as the disk does. A job has one proof: where the process ends between a proof and its record, the next one finds the
//! proof and makes no other.
//!
//! **What is bounded**: connections, the time that heads and bodies of requests may take, the size of bodies, jobs that
//! wait. Beyond, a request is refused with a status that says what to do (413, 429, 507).

mod error;
mod health;
mod http;
mod jobs;
mod metrics;
mod options;
mod problem;
mod server;
mod token;
mod worker;

pub use error::ServeError;
pub use options::ServeOptions;
pub use server::Server;
pub use token::Token;

/// The description of the interface, in OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");
