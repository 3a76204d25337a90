//! The processor itself: vectors of eight elements (`lanes`), parallel over columns and row chunks by rayon's global
//! pool.

mod fold;
mod integers;
mod inversion;
mod lanes;
mod lookup;
mod memory;
mod msm;
mod ntt;
mod pages;
mod pool;
mod quotient;
mod shared;
mod vector;

use std::ffi::OsStr;

pub use fold::CpuIntegers;
pub use memory::CpuScalars;
pub use msm::CpuBases;
pub use quotient::CpuProgram;

#[cfg(feature = "icicle")]
pub(super) use integers::Integers;
#[cfg(feature = "cuda")]
pub(super) use lanes::as_words;
use lanes::{Portable, Processor};
#[cfg(feature = "icicle")]
pub(super) use memory::{point_words, words, words_mut};

/// The host's processor. Vectors live in host memory; twiddle factors are kept between calls.
#[derive(Debug)]
pub struct Cpu {
    processor: Processor,
    domains: ntt::DomainCache,
}

/// The environment variable that takes the processor's special instructions away, with the value [`PORTABLE`].
const INSTRUCTIONS: &str = "ZKML_CPU";
/// See [`INSTRUCTIONS`].
const PORTABLE: &str = "portable";

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// Whether the environment variable `ZKML_CPU` has a value that stands for something.
    ///
    /// # Errors
    /// What is wrong, in words: a value that is not known would be no more than ignored.
    pub fn check_environment() -> Result<(), String> {
        check_instructions(std::env::var_os(INSTRUCTIONS).as_deref())
    }

    /// A back end with empty caches, for the fastest instructions that the processor has; with the environment variable
    /// `ZKML_CPU=portable`, for those that every processor has.
    pub fn new() -> Self {
        match std::env::var_os(INSTRUCTIONS) {
            Some(value) if value == PORTABLE => Self::portable(),
            _ => Self { processor: Processor::detect(), domains: ntt::DomainCache::default() },
        }
    }

    /// A back end that uses no instructions but those that every processor has.
    pub fn portable() -> Self {
        Self { processor: Processor::Portable(Portable), domains: ntt::DomainCache::default() }
    }
}

/// An empty value is as good as none, as shells have it.
fn check_instructions(value: Option<&OsStr>) -> Result<(), String> {
    match value {
        Some(value) if !value.is_empty() && value != PORTABLE => {
            let value = value.to_string_lossy();
            Err(format!("{INSTRUCTIONS} is '{value}', which is not known: `{PORTABLE}` is, or leave it unset"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_choose_instructions() {
        let check = |value: &str| check_instructions(Some(OsStr::new(value)));
        assert_eq!((check_instructions(None), check(""), check("portable")), (Ok(()), Ok(()), Ok(())));
        for value in ["banana", "Portable", "portable ", "avx512"] {
            assert!(check(value).is_err_and(|problem| problem.contains(value) && problem.contains("`portable`")));
        }
    }
}
