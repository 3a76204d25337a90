//! Python's module `zkml_gpu._native`: the library's models, keys and proofs as Python's classes.
//!
//! It is thin. What a class does is the library's work, and the verbs (`zkml_gpu.compile`, `zkml_gpu.prove`) are
//! written in Python on top of it, in `python/zkml_gpu/verbs.py`. What is here is what a boundary needs:
//!
//! | file | what |
//! |---|---|
//! | `boundary.rs` | work runs without Python's lock, on the pool's threads; panics become exceptions |
//! | `error.rs` | the library's errors as exceptions of `zkml_gpu.errors`, one for each cause |
//! | `progress.rs` | the library's steps, told to a callback |
//! | `arrays.rs` | arrays as samples, whatever their order in memory, and numbers as arrays |
//! | `source.rs`, `json.rs` | paths or bytes; dictionaries |
//! | `model.rs`, `keys.rs`, `prover.rs`, `proof.rs`, `opening.rs`, `machine.rs` | the classes and functions |

mod arrays;
mod boundary;
mod error;
mod json;
mod keys;
mod machine;
mod model;
mod opening;
mod progress;
mod proof;
mod prover;
mod source;

use pyo3::prelude::*;

/// The classes and functions that `zkml_gpu` is made of.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::keys::{ProvingKey, Srs, VerifyingKey};
    #[pymodule_export]
    use crate::machine::{devices, inspect, panic_for_tests, start_threads};
    #[pymodule_export]
    use crate::model::{CompiledModel, Model};
    #[pymodule_export]
    use crate::opening::{Commitment, Opening, hash_numbers, new_salt};
    #[pymodule_export]
    use crate::proof::{Proof, PublicTensor, Verdict};
    #[pymodule_export]
    use crate::prover::{Job, Prover};

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
