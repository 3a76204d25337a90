//! ONNX models to quantised graphs.
//!
//! ```text
//! model.onnx -> import -> float graph -> quant (calibrate) -> graph (integers, the reference)
//! ```

pub mod import;
pub mod quant;
