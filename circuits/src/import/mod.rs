//! ONNX models as float graphs.
