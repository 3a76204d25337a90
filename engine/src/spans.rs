//! What the engine tells of its progress: `tracing` spans, one per step of a protocol.

/// The target of the engine's tracing spans. One span per protocol step, with numbers of rows and bytes; no values.
pub const TRACING_TARGET: &str = "zkml_gpu::prover";
