//! Every operation of the back end traits on inputs of a given size, ready to be timed.
//!
//! An [`Operation`] has the name of its trait's method (multi-scalar multiplications one for each width of scalars),
//! and inputs on the host that are the same everywhere, so that others' code can be given them too. A [`Fixture`] holds
//! what operations on one back end share; its [`Case`] is the operation with its inputs resident. Who takes many
//! measurements and what becomes of them is not decided here: the command line's `bench ops` and the Criterion
//! benchmarks both build on this.
//!
//! ```
//! use zkml_gpu_engine::backend::Cpu;
//! use zkml_gpu_engine::bench::{Fixture, Operation};
//!
//! let (cpu, inputs) = (Cpu::new(), Operation::Ntt.inputs(4));
//! let fixture = Fixture::new(&cpu, None)?;
//! let case = fixture.case(&inputs)?;
//! assert_eq!(case.outcome()?.scalars.len(), Operation::Ntt.elements(4));
//! println!("{:?}", case.time()?);
//! # Ok::<(), zkml_gpu_engine::BackendError>(())
//! ```
//!
//! A new operation of a trait is a variant of [`Operation`] and an arm of [`Fixture::case`].

mod case;
pub mod data;
mod fixture;
mod operation;

pub(crate) use case::settle;
pub use case::{Case, Outcome};
pub use fixture::{Fixture, Points};
pub use operation::{COLUMNS, FOLD_WIDTH, Inputs, Operation, blinding_rows, factor, point, usable_rows};
use operation::{integer_column, integers};
