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
pub(crate) use pages::give_back;

/// The host's processor. Vectors live in host memory; twiddle factors are kept between calls.
#[derive(Debug)]
pub struct Cpu {
    processor: Processor,
    domains: ntt::DomainCache,
}

/// The environment variable that chooses among the processor's instructions.
const INSTRUCTIONS: &str = "ZKML_CPU";

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
        chosen(std::env::var_os(INSTRUCTIONS).as_deref()).map(|_| ())
    }

    /// A back end with empty caches, for the fastest instructions that the processor has, or those that the environment
    /// variable `ZKML_CPU` names: `ifma`, `avx2`, or `portable`, which every processor has. Other values, which
    /// [`check_environment`](Self::check_environment) refuses, are as good as none here.
    pub fn new() -> Self {
        let value = std::env::var_os(INSTRUCTIONS);
        Self::with(chosen(value.as_deref()).ok().flatten().unwrap_or_else(Processor::detect))
    }

    /// A back end that uses no instructions but those that every processor has.
    pub fn portable() -> Self {
        Self::with(Processor::Portable(Portable))
    }

    /// A back end for each kind of instructions that the processor has: the fastest first, portable ones last.
    pub fn each() -> Vec<Self> {
        Processor::all().into_iter().map(Self::with).collect()
    }

    /// The instructions in words: `AVX-512 IFMA`, `AVX2` or `portable`.
    pub const fn instructions(&self) -> &'static str {
        self.processor.name()
    }

    fn with(processor: Processor) -> Self {
        Self { processor, domains: ntt::DomainCache::default() }
    }
}

/// What a value of [`INSTRUCTIONS`] chooses, if anything: an empty value is as good as none, as shells have it.
fn chosen(value: Option<&OsStr>) -> Result<Option<Processor>, String> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let all = Processor::all();
    if let Some(processor) = all.iter().find(|processor| value == processor.word()) {
        return Ok(Some(*processor));
    }
    let words: Vec<String> = all.iter().map(|processor| format!("`{}`", processor.word())).collect();
    let value = value.to_string_lossy();
    Err(format!("{INSTRUCTIONS} is '{value}', which this processor does not have: {} it has", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_choose_instructions() {
        let choose = |value: &str| chosen(Some(OsStr::new(value)));
        assert!(matches!((chosen(None), choose("")), (Ok(None), Ok(None))));
        for processor in Processor::all() {
            assert!(matches!(choose(processor.word()), Ok(Some(found)) if found.name() == processor.name()));
        }
        for value in ["banana", "Portable", "portable ", "avx512"] {
            assert!(choose(value).is_err_and(|problem| problem.contains(value) && problem.contains("`portable`")));
        }
    }

    #[test]
    fn instructions_that_the_processor_lacks_are_refused() {
        let words: Vec<&str> = Processor::all().into_iter().map(Processor::word).collect();
        for word in ["ifma", "avx2", "portable"] {
            assert_eq!(chosen(Some(OsStr::new(word))).is_ok(), words.contains(&word), "{word}");
        }
    }
}
