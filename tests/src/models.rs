//! What the models of the tests do not say themselves.

use zkml_gpu_onnx::import::ImportOptions;

/// Sizes for the symbolic dimensions of a model in `tests/models`, by the model's name.
pub fn symbols(model: &str) -> ImportOptions {
    match model {
        "unnamed_rows" => ImportOptions::default().with_symbols(vec![("input.1".into(), 3)]),
        "symbolic_rows" => ImportOptions::default().with_symbols(vec![("rows".into(), 3)]),
        _ => ImportOptions::default(),
    }
}
