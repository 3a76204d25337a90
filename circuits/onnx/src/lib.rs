//! ONNX models to quantised graphs.
//!
//! ```text
//! model.onnx -> import -> float graph -> quant (calibrate) -> graph (integers, the reference)
//! ```

#![deny(clippy::wildcard_enum_match_arm)]

pub mod import;
pub mod quant;
