//! The seam between the prover and the hardware.
//!
//! A back end is a device with memory of its own and the few operations on vectors of BN254 scalars that a
//! Halo2 KZG prover consists of. Data stays on the device between operations: only commitments, evaluations and
//! small windows come back. Operations take many columns at once wherever the protocol has many, so that a GPU
//! answers with one launch.
//!
//! Every operation has one name: in its family's trait (`ops/`), in each back end's file, kernel, launcher, test and
//! bench.
//!
//! | family | operations |
//! |---|---|
//! | [`MemoryOps`] | transfers, copies, small windows |
//! | [`NttOps`] | transforms between coefficients, values on H and values on cosets of H |
//! | [`MsmOps`] | commitments: inner products with resident points |
//! | [`VectorOps`] | scans, inversions, evaluations, divisions, lookup grouping |
//! | [`QuotientOps`] | compiled expression programs over whole columns |
//! | [`FoldOps`] | sums of products with resident small integers |
//!
//! Conventions, for every back end: vectors are in natural order (row i is the value at `omega^i`, coefficient i
//! belongs to `X^i`); elements are in Montgomery form with R = 2^256 in device memory and travel as
//! [`Fr`]; results are exact field elements and affine points, so two back ends agree bit for bit. The
//! root of unity of the domain of size 2^k is `Fr::ROOT_OF_UNITY^(2^(28-k))`, as in Halo2.
//!
//! Operations are fallible and never panic on bad lengths.
//!
//! A new operation is a method of its family's trait, a line of the list in `ops/list.rs`, a method of each back end
//! that computes it, a comparison in [`Dual`], and a test of the conformance suite. [`Any`] and the processor's share
//! of ICICLE follow from the list. A missing line does not compile, unless the trait has a default: [`Any`] would use
//! that.

mod any;
mod choice;
mod counts;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod devices;
pub mod dual;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
#[cfg(feature = "icicle")]
pub mod icicle;
mod operands;
mod ops;
pub mod program;
#[cfg(feature = "wgpu")]
pub mod wgpu;

#[cfg(feature = "icicle")]
pub use self::icicle::Icicle;
#[cfg(feature = "wgpu")]
pub use self::wgpu::Wgpu;
pub use any::{Any, Object};
pub use choice::{BackendChoice, ChoiceError};
pub use counts::Counts;
pub use cpu::Cpu;
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
#[cfg(feature = "cuda")]
pub use devices::compile_cuda_kernels;
pub use devices::{Device, Limits, devices};
pub use dual::Dual;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub use gpu::ScalarWords;
pub use ops::{FoldOps, IntegerColumn, IntegerRow, MemoryOps, MsmOps, NttOps, QuotientOps, VectorOps, root_of_unity};

use crate::error::BackendError;

/// The result of a back end's operation.
pub type Result<T> = std::result::Result<T, BackendError>;

/// Everything the prover needs of a device. Implemented for every type that implements the six families.
pub trait Backend: MemoryOps + NttOps + MsmOps + VectorOps + QuotientOps + FoldOps {}

impl<B: MemoryOps + NttOps + MsmOps + VectorOps + QuotientOps + FoldOps> Backend for B {}

#[cfg(doc)]
use halo2curves::bn256::Fr;
