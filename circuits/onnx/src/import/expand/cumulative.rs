//! `CumSum` of whole numbers that tract takes for sizes, which it adds up in no run.

use tract_onnx::tract_core::ops::array::CumSum;
use tract_onnx::tract_hir::internal::*;

use super::wiring::rewired;

/// Sums of sizes as sums of integers.
pub(super) fn cumulative_sum(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &CumSum,
) -> TractResult<Option<TypedModelPatch>> {
    if model.outlet_fact(node.inputs[0])?.datum_type != DatumType::TDim {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let integers = wiring.cast(inputs[0], DatumType::I64)?;
        let sums = wiring.apply(op.clone(), &[integers])?;
        wiring.cast(sums, DatumType::TDim)
    })
}
