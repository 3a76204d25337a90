//! The devices of this machine: the engine's.

#[cfg(feature = "cuda")]
pub use zkml_gpu_engine::backend::compile_cuda_kernels;
pub use zkml_gpu_engine::backend::{Device, Limits, devices};
