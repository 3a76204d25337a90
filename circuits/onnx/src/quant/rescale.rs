//! Requantisation of operations whose scale no weight takes in: an integer multiplier and a shift by limbs.

use zkml_gpu_graph::{BIAS_LIMIT, Format, MAX_REMAINDER_BITS, MAX_REMAINDER_LIMBS, Rescale};

use super::error::QuantError;
use crate::import::FloatNode;

/// Least multiplier that is precise enough, where it is no power of two.
const LEAST_MULTIPLIER: f64 = 256.0;
/// Greatest multiplier.
const MOST_MULTIPLIER: f64 = (1u64 << 30) as f64;
/// Greatest accumulator with its multiplier.
const MOST_ACCUMULATOR: f64 = (1u64 << 60) as f64;
/// Bits of a dividend: enough for a precise quotient, few enough for the accumulators.
const DIVIDEND_BITS: (i32, i32) = (20, 38);

/// Multiplier and shift for accumulators that are at most `most` before the multiplier, `scale · 2^bits` times what
/// they are requantised to.
pub(super) fn rescale(node: &FloatNode, scale: f64, bits: i32, shift: u32, most: f64) -> Result<Rescale, QuantError> {
    rescale_within(node, scale, bits, shift, most, MAX_REMAINDER_LIMBS)
}

/// The same, with a shift of so many limbs at most.
fn rescale_within(
    node: &FloatNode,
    scale: f64,
    bits: i32,
    shift: u32,
    most: f64,
    most_limbs: u32,
) -> Result<Rescale, QuantError> {
    let mut found = None;
    for limbs in (1..=most_limbs).take_while(|limbs| shift * limbs <= MAX_REMAINDER_BITS) {
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

/// What follows the products of two activations, of which `inner` are summed and multiplied by `scale`, for results
/// with `to` fractional bits, where summands of the results are at most so great.
pub(super) fn of_products(
    node: &FloatNode,
    scale: f32,
    inner: usize,
    [x, y]: [Format; 2],
    to: i32,
    shift: u32,
    summand: f64,
) -> Result<Rescale, QuantError> {
    let most = inner as f64 * x.magnitude() as f64 * y.magnitude() as f64;
    // A summand is in units of the accumulators: with more limbs it may be too great.
    let fits = |limbs: &u32| summand * 2f64.powi((shift * limbs) as i32 + to) <= BIAS_LIMIT as f64;
    let limbs = (1..=MAX_REMAINDER_LIMBS).take_while(fits).last().unwrap_or(1);
    rescale_within(node, f64::from(scale), x.frac_bits + y.frac_bits - to, shift, most, limbs)
}

/// Bits of the dividend whose quotients are results with `to` fractional bits.
pub(super) fn dividend_bits(to: i32, shift: u32) -> u32 {
    (2 * shift as i32 + to).clamp(DIVIDEND_BITS.0, DIVIDEND_BITS.1) as u32
}

#[cfg(test)]
mod tests {
    use crate::import::FloatOp;

    use super::*;

    #[test]
    fn summands_leave_room_for_fewer_limbs() {
        let node = FloatNode { name: String::new(), op: FloatOp::Reshape, inputs: vec![0], output: 0 };
        let operand = Format::new(7, -128, 127);
        let of = |summand: f64| of_products(&node, 0.1768, 32, [operand; 2], 1, 11, summand).unwrap();
        assert_eq!((of(0.0).limbs, of(1.0).limbs), (3, 3));
        let far = of(128.0);
        // Less precise, and within what a summand may be.
        assert_eq!(far, Rescale { multiplier: 91, limbs: 2 });
        assert!(128.0 * 2f64.powi(3 * 11 + 1) > BIAS_LIMIT as f64);
    }

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
