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
