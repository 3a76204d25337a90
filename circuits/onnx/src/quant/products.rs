//! Operations whose scale no weight takes in: an integer multiplier and a shift by limbs.

use crate::import::{FloatMatMul, FloatNode, FloatNormalise, FloatSoftmax};
use zkml_gpu_graph::{
    Activation, Format, MAX_REMAINDER_BITS, MAX_REMAINDER_LIMBS, MatMul, Normalise, Rescale, Softmax,
};

use super::QuantError;

/// Least multiplier that is precise enough, where it is no power of two.
const LEAST_MULTIPLIER: f64 = 256.0;
/// Greatest multiplier.
const MOST_MULTIPLIER: f64 = (1u64 << 30) as f64;
/// Greatest accumulator with its multiplier.
const MOST_ACCUMULATOR: f64 = (1u64 << 60) as f64;
/// Bits of the reciprocal of a sum of exponentials with one member.
const RECIPROCAL_BITS: u32 = 16;
/// Bits of a dividend: enough for a precise quotient, few enough for the accumulators.
const DIVIDEND_BITS: (i32, i32) = (20, 38);
/// Greatest epsilon of a normalisation in the scale of squares.
const MOST_EPSILON: f64 = (1u64 << 50) as f64;

/// Multiplier and shift for accumulators that are at most `most` before the multiplier, `scale · 2^bits` times what they are
/// requantised to.
pub(super) fn rescale(node: &FloatNode, scale: f64, bits: i32, shift: u32, most: f64) -> Result<Rescale, QuantError> {
    let mut found = None;
    for limbs in (1..=MAX_REMAINDER_LIMBS).take_while(|limbs| shift * limbs <= MAX_REMAINDER_BITS) {
        let multiplier = scale * 2f64.powi((shift * limbs) as i32 - bits);
        if !(1.0..=MOST_MULTIPLIER).contains(&multiplier) || multiplier * most > MOST_ACCUMULATOR {
            continue;
        }
        found = Some(Rescale { multiplier: multiplier.round() as i64, limbs });
        if multiplier.log2().fract() == 0.0 || multiplier >= LEAST_MULTIPLIER {
            break;
        }
    }
    found.ok_or_else(|| QuantError::Scale { node: node.name.clone(), what: "factors" })
}

/// A product of activations with what follows it.
pub(super) fn matmul(product: &FloatMatMul, rescale: Rescale) -> MatMul {
    let FloatMatMul { heads, inner, rows, columns, head_minor, .. } = *product;
    MatMul { heads, inner, rows, columns, head_minor, rescale }
}

/// A softmax of elements of this format, for shares with `to` fractional bits.
pub(super) fn softmax(
    node: &FloatNode,
    softmax: &FloatSoftmax,
    x: Format,
    to: i32,
    shift: u32,
) -> Result<Softmax, QuantError> {
    let bits = (2 * shift as i32 + to).clamp(DIVIDEND_BITS.0, DIVIDEND_BITS.1) as u32;
    let most = 1i64 << (bits - RECIPROCAL_BITS).min(RECIPROCAL_BITS);
    let step = 2f64.powi(-x.frac_bits);
    let exponential = |d: i64| match d {
        0 => most,
        // Only the maximum itself has the greatest.
        d => ((most as f64 * (-(d as f64) * step).exp()).round() as i64).min(most - 1),
    };
    let values = (0..=x.max - x.min).map(exponential).collect();
    Ok(Softmax {
        groups: softmax.groups,
        len: softmax.len,
        masked: softmax.masked.clone(),
        exp: Activation { min: 0, values },
        bits,
        rescale: rescale(node, 1.0, bits as i32 - to, shift, 2f64.powi(bits as i32))?,
    })
}

/// A normalisation of elements of this format, to `to` fractional bits.
pub(super) fn normalise(
    node: &FloatNode,
    normalise: &FloatNormalise,
    x: Format,
    to: i32,
    shift: u32,
) -> Result<Normalise, QuantError> {
    let FloatNormalise { groups, len, centred, epsilon } = *normalise;
    let bits = (2 * shift as i32 + to).clamp(DIVIDEND_BITS.0, DIVIDEND_BITS.1) as u32;
    let n = len as f64;
    let epsilon = (n * n * f64::from(epsilon) * 2f64.powi(2 * x.frac_bits)).round().clamp(1.0, MOST_EPSILON) as i64;
    let rescale = rescale(node, 1.0, bits as i32 - to, shift, (n.sqrt() + 1.0) * 2f64.powi(bits as i32))?;
    Ok(Normalise { groups, len, centred, epsilon, bits, rescale })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::FloatOp;

    #[test]
    fn a_scale_takes_as_few_limbs_as_it_can() {
        let node = FloatNode { name: "n".into(), op: FloatOp::Reshape, inputs: vec![0], output: 1 };
        let of = |scale, bits, most| rescale(&node, scale, bits, 11, most);
        assert_eq!(of(1.0, 11, 1e6).unwrap(), Rescale { multiplier: 1, limbs: 1 });
        assert_eq!(of(1.0, 12, 1e6).unwrap(), Rescale { multiplier: 1 << 10, limbs: 2 });
        assert_eq!(of(0.25, 6, 1e6).unwrap(), Rescale { multiplier: 8, limbs: 1 });
        // Few bits would round a scale that is no power of two, unless the accumulators leave no room for more.
        let precise = Rescale { multiplier: (0.1 * f64::from(1 << 14)).round() as i64, limbs: 2 };
        assert_eq!(of(0.1, 8, 1e6).unwrap(), precise);
        assert_eq!(of(0.4, 8, 1e17).unwrap(), Rescale { multiplier: 3, limbs: 1 });
        assert!(of(1.0, 60, 1.0).is_err());
    }
}
