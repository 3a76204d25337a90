//! What the caller says of a model.

/// What a model does not say itself. Outside the crate it is built from its default.
///
/// ```
/// use zkml_gpu_onnx::import::ImportOptions;
///
/// let options = ImportOptions::default().with_symbols(vec![("rows".into(), 3)]);
/// assert_eq!(options.symbols.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Sizes of symbolic dimensions, by name, each once; the model's inputs must have them. A leading dimension without
    /// a size is a batch, of size 1.
    pub symbols: Vec<(String, usize)>,
}

impl ImportOptions {
    /// The options with these [`symbols`](Self::symbols).
    #[must_use]
    pub fn with_symbols(self, symbols: Vec<(String, usize)>) -> Self {
        Self { symbols, ..self }
    }
}
