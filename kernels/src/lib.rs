//! What GPU kernels are made of: the constants of the two fields of BN254, computed in one place for every kernel
//! language, and the kernels themselves.
//!
//! Kernel sources (CUDA C++, WGSL) live in this crate and take their constants from [`field`], so that a constant is
//! written once.
//!
//! ```
//! use zkml_gpu_kernels::field::Montgomery;
//!
//! // -p^-1 modulo 2^32, the factor of a Montgomery reduction by 32-bit words.
//! let inverse = Montgomery::SCALAR.negated_inverse_32();
//! assert_eq!(inverse.wrapping_mul(Montgomery::SCALAR.modulus_32()[0]), u32::MAX);
//! ```

pub mod cuda;
pub mod field;
pub mod wgsl;
