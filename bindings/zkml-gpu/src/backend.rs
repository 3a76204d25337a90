//! Names of back ends, and the one that a name stands for: the engine's, with this library's errors.

pub use zkml_gpu_engine::backend::BackendChoice;

use zkml_gpu_engine::backend::ChoiceError;
use zkml_gpu_engine::prover::ProverError;

use crate::Error;

impl From<ChoiceError> for Error {
    fn from(error: ChoiceError) -> Self {
        match error {
            ChoiceError::Unknown { name } => Self::UnknownBackend { name },
            ChoiceError::NoDevice { name, reason } => Self::NoDevice { name, reason },
            ChoiceError::Missing { name } => Self::MissingBackend { name },
            ChoiceError::Backend(error) => Self::Prover(ProverError::Backend(error)),
            ChoiceError::Environment { problem } => Self::Environment { problem },
            other => Self::Internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use zkml_gpu_verify::{ErrorClass, is_backend};

    use super::*;

    const NAMES: [&str; 9] =
        ["auto", "cpu", "wgpu", "wgpu:1", "cuda", "cuda:0", "icicle", "dual:cpu,cuda:1", "dual:auto,cpu"];
    const OTHERS: [&str; 12] = [
        "",
        "CPU",
        "cpu:0",
        "gpu",
        "wgpu:",
        "wgpu:+1",
        "wgpu:x",
        "cuda:-1",
        "dual:cpu",
        "dual:cpu,",
        "dual:cpu,dual:cpu,cpu",
        "icicle:0",
    ];

    #[test]
    fn proofs_carry_the_names_of_back_ends_and_no_others() {
        for name in NAMES {
            assert!(name.parse::<BackendChoice>().is_ok(), "{name}");
            assert_eq!(is_backend(name), name != "auto", "proofs carry what a choice stands for: {name}");
        }
        for name in OTHERS {
            let error = Error::from(name.parse::<BackendChoice>().expect_err(name));
            assert!(matches!(&error, Error::UnknownBackend { name: shown } if shown == name), "{error}");
            assert!(!is_backend(name), "{name}");
        }
    }

    #[test]
    fn a_back_end_that_cannot_be_used_is_unsupported_and_an_unknown_one_bad_input() {
        let class = |error| Error::from(error).class();
        let (name, reason) = ("cuda:7".to_owned(), "there is no such device".to_owned());
        assert_eq!(class(ChoiceError::Unknown { name: name.clone() }), ErrorClass::BadInput);
        assert_eq!(class(ChoiceError::Missing { name: name.clone() }), ErrorClass::Unsupported);
        assert_eq!(class(ChoiceError::NoDevice { name, reason }), ErrorClass::Unsupported);
    }
}
