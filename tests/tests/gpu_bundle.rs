//! The tests that `scripts/gpu-check.sh` takes to a machine with a GPU, in one program: four would hold the same
//! libraries four times.

#[path = "conformance.rs"]
mod conformance;
#[path = "cuda.rs"]
mod cuda;
#[path = "gpu_models.rs"]
mod gpu_models;
#[path = "zoo.rs"]
mod zoo;
