//! Quotients and remainders of whole numbers, and remainders of floats.
//!
//! A quotient of whole numbers loses its fraction, towards zero. It is that of floats, where half of one is added to the
//! dividend before: no quotient is then so near to a whole number that rounding takes it there. tract shifts bits instead
//! where the divisor is a power of two, which rounds negative quotients down.

use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::math::{Div, Rem, add, div, mul, sign, sub};
use tract_onnx::tract_hir::internal::*;

use super::wiring::{Wiring, rewired};

/// `Div` of whole numbers, and `Mod`.
pub(super) fn quotient(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &TypedBinOp,
) -> TractResult<Option<TypedModelPatch>> {
    let kind = node.outputs[0].fact.datum_type;
    let is_whole = matches!(kind, DatumType::I32 | DatumType::I64);
    let is_remainder = op.0.is::<Rem>() && (is_whole || kind == DatumType::F32);
    let is_constant = node.inputs.iter().all(|input| model.outlet_fact(*input).is_ok_and(|fact| fact.konst.is_some()));
    if is_constant || !(is_remainder || op.0.is::<Div>() && (is_whole || kind == DatumType::TDim)) {
        return Ok(None);
    }
    rewired(model, node, name, &|wiring, inputs| {
        let whole = whole_quotient(wiring, inputs, kind)?;
        if !is_remainder {
            return Ok(whole);
        }
        let part = wiring.binary(mul(), whole, inputs[1])?;
        wiring.binary(sub(), inputs[0], part)
    })
}

/// A quotient without its fraction.
fn whole_quotient(wiring: &mut Wiring<'_>, inputs: &[OutletId], kind: DatumType) -> TractResult<OutletId> {
    let [mut dividend, divisor] = [wiring.cast(inputs[0], DatumType::F32)?, wiring.cast(inputs[1], DatumType::F32)?];
    if kind != DatumType::F32 {
        let sign = wiring.apply(sign(), &[dividend])?;
        let half = wiring.with_number(mul(), sign, 0.5)?;
        dividend = wiring.binary(add(), dividend, half)?;
    }
    let quotient = wiring.binary(div(), dividend, divisor)?;
    let whole = wiring.cast(quotient, DatumType::I64)?;
    wiring.cast(whole, kind)
}
