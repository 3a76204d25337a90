//! ONNX models to quantised graphs.
//!
//! ```text
//! model.onnx -> import -> float graph -> quant (calibrate) -> graph (integers, the reference)
//! ```

#![deny(clippy::wildcard_enum_match_arm)]

#[cfg_attr(not(feature = "tract"), allow(dead_code, reason = "what reads models uses it"))]
pub mod import;
pub mod quant;
