//! Contracts that check proofs, for Ethereum's virtual machine and others like it.
//!
//! A contract is written for one verifying key: of any circuit of halo2-axiom that the engine proves ([`Circuit`]), or
//! of a model ([`Contract::of_model`]), where it checks the link to the model commitment as well. Its proofs are those
//! whose challenges are Keccak's (`zkml_gpu_engine::transcript`, `zkml-gpu prove --transcript keccak`).
//!
//! | | |
//! |---|---|
//! | `statement.rs`, `model.rs` | which numbers the contract is given, and where they stand in the circuit |
//! | `protocol.rs` | the order of a proof, from the key |
//! | `constraints.rs`, `expressions.rs` | the constraints, with what they share |
//! | `contract.rs`, `opening.rs`, `link.rs`, `source.rs` | the source, part by part |
//! | `calldata.rs` | a call |
//! | `solc.rs`, `machine.rs` | the compiler, and the machine (feature `machine`) |
//!
//! The generator is our own. snark-verifier (0.2.7) writes such contracts from the same key, for any of its protocols,
//! and its native verifier accepts the same transcript; ours knows one protocol, combines points by Horner's rule in
//! one place of memory and has constraints as expressions instead of a word for every step. `docs/guide/contracts.md`
//! has the figures.
//!
//! ```
//! use zkml_gpu_evm::{Error, Statement};
//! use zkml_gpu_evm::calldata::{SIGNATURE, selector};
//!
//! # fn main() -> Result<(), Error> {
//! assert_eq!(hex::encode(selector("transfer(address,uint256)")), "a9059cbb");
//! assert_eq!(selector(SIGNATURE).len(), 4);
//! // A circuit with two instance columns of 1 and 3 cells takes 4 numbers.
//! assert_eq!(Statement::elements(&[1, 3]).values.len(), 4);
//! # Ok(())
//! # }
//! ```

pub mod calldata;
mod constraints;
mod contract;
mod error;
mod expressions;
mod link;
mod model;
mod opening;
mod protocol;
mod solc;
mod source;
mod statement;
mod yul;

#[cfg(feature = "machine")]
pub mod machine;

pub use calldata::Number;
pub use contract::{Circuit, Contract, MAX_CODE_BYTES};
pub use error::Error;
pub use link::Link;
pub use model::numbers;
pub use solc::{Compiled, Solc};
pub use statement::{Range, Statement, Value};
