//! Comparisons of truth values, which tract does not run.

use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_hir::internal::*;

use super::wiring::Wiring;

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
    let wire = |patch: &mut TypedModelPatch, inputs: &[OutletId]| -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(&mut patch.model, name);
        let [a, b] = [wiring.cast(inputs[0], DatumType::I32)?, wiring.cast(inputs[1], DatumType::I32)?];
        Ok(tvec!(wiring.binary(op.clone(), a, b)?))
    };
    TypedModelPatch::rewire(model, &node.inputs, &[node.id.into()], &wire).map(Some)
}
