//! The processor itself: portable Rust, parallel over columns and row chunks by rayon's global pool.

mod inversion;
mod lookup;
mod memory;
mod msm;
mod ntt;
mod quotient;
mod vector;

pub use memory::CpuScalars;
pub use msm::CpuBases;
pub use quotient::CpuProgram;

/// The host's processor. Vectors live in host memory; twiddle factors are kept between calls.
#[derive(Debug, Default)]
pub struct Cpu {
    domains: ntt::DomainCache,
}

impl Cpu {
    /// A back end with empty caches.
    pub fn new() -> Self {
        Self::default()
    }
}
