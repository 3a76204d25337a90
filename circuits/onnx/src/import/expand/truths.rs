//! Comparisons of truth values, which tract does not run.

use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_hir::internal::*;

use super::wiring::rewired;

/// Compares truth values as the integers 0 and 1.
pub(super) fn comparison(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &TypedBinOp,
) -> TractResult<Option<TypedModelPatch>> {
    let is_comparison = matches!(op.0.name(), "Eq" | "NE");
    if !is_comparison || model.outlet_fact(node.inputs[0])?.datum_type != DatumType::Bool {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let [a, b] = [wiring.cast(inputs[0], DatumType::I32)?, wiring.cast(inputs[1], DatumType::I32)?];
        wiring.binary(op.clone(), a, b)
    })
}
