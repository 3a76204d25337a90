//! Formulas over one row that both the gates and the witness evaluate.
//!
//! A cell is anything that adds and multiplies: an expression for the gates, a field element for the witness. Each
//! formula is written once, here.

use std::ops::{Add, Mul, Sub};

use crate::layout::{Architecture, Ring, RowKind};

/// A ring with integer constants.
pub(crate) trait Cell: Clone + Add<Output = Self> + Mul<Output = Self> + Sub<Output = Self> {
    /// An integer.
    fn integer(v: i64) -> Self;
}

impl Cell for halo2curves::bn256::Fr {
    fn integer(v: i64) -> Self {
        crate::scalar::from_i64(v)
    }
}

impl Cell for halo2_proofs::plonk::Expression<halo2curves::bn256::Fr> {
    fn integer(v: i64) -> Self {
        super::constant(v)
    }
}

/// `Σ_i limb_i · 2^(S·i)`; each limb is in `[0, 2^S)`.
fn limbs<T: Cell>(a: &Architecture, first: usize, count: usize, advice: &mut impl FnMut(usize) -> T) -> T {
    (0..count)
        .rev()
        .map(|i| advice(a.range(first + i)))
        .reduce(|sum, limb| sum * T::integer(1 << a.shift) + limb)
        .unwrap_or_else(|| T::integer(0))
}

/// The accumulator of activation lane `lane`: `(q + c·u)·2^S + rem - 2^(S-1)`, with `rem` in range cell `first` and the
/// limbs of `u` behind it. `0 <= rem < 2^S` exactly, so `q + c·u` is the unique rounded quotient.
pub(crate) fn requantised<T: Cell>(a: &Architecture, lane: usize, advice: &mut impl FnMut(usize) -> T) -> T {
    let first = lane * a.requantise_columns();
    let mut rounded = advice(a.rounded(lane));
    if a.excess_limbs > 0 {
        rounded = rounded + advice(a.saturation(lane)) * limbs(a, first + 1, a.excess_limbs, advice);
    }
    rounded * T::integer(1 << a.shift) + advice(a.range(first)) - T::integer(1 << (a.shift - 1))
}

/// By how much member `slot` of a row's window is below the maximum: a sum of limbs, which stand behind the requantised
/// value's cells where the maximum is of accumulators.
pub(crate) fn spread<T: Cell>(a: &Architecture, kind: RowKind, slot: usize, advice: &mut impl FnMut(usize) -> T) -> T {
    limbs(a, spread_cell(a, kind, slot), a.spread_limbs, advice)
}

/// First range cell of the difference of member `slot`.
pub(crate) const fn spread_cell(a: &Architecture, kind: RowKind, slot: usize) -> usize {
    let first = if matches!(kind, RowKind::MaximumOfWindow { .. }) { a.requantise_columns() } else { 0 };
    first + slot * a.spread_limbs
}

/// What a row of this kind adds to the Result accumulator; `raw` is the raw-output instance. `None` for kinds that do
/// not enter it.
pub(crate) fn result_input<T: Cell>(
    a: &Architecture,
    kind: RowKind,
    ring: &Ring<T>,
    advice: &mut impl FnMut(usize) -> T,
    raw: impl FnOnce() -> T,
) -> Option<T> {
    match kind {
        RowKind::Requantise { lanes, spacing } => {
            let x = ring.power(spacing);
            (0..lanes).map(|lane| requantised(a, lane, advice)).reduce(|sum, value| sum * x.clone() + value)
        }
        RowKind::MaximumOfWindow { height, width, vertical, horizontal } => {
            let maximum = requantised(a, 0, advice);
            let (y, x) = (ring.pow(&ring.r, vertical), ring.pow(&ring.r, horizontal));
            (0..height)
                .filter_map(|i| {
                    let member = |j| maximum.clone() - spread(a, kind, i * width + j, advice);
                    (0..width).map(member).reduce(|sum, value| sum * x.clone() + value)
                })
                .reduce(|sum, row| sum * y.clone() + row)
        }
        RowKind::Raw => Some(raw()),
        _ => None,
    }
}

/// Results of a row of this kind that enter the output's digest, as a number of activation lanes.
pub(crate) const fn digest_lanes(kind: RowKind) -> usize {
    match kind {
        RowKind::Requantise { lanes, .. } => lanes,
        RowKind::Copies { lanes } => lanes,
        RowKind::Raw | RowKind::Candidate { .. } => 0,
        _ => 1,
    }
}

/// `Σ_l r^(count-1-l) · cell_l`.
pub(crate) fn horner<T: Cell>(ring: &Ring<T>, count: usize, cell: impl FnMut(usize) -> T) -> T {
    (0..count).map(cell).reduce(|sum, value| sum * ring.r.clone() + value).unwrap_or_else(|| T::integer(0))
}

/// A lookup key: what is compressed, besides the constant tag of all keys but the activations'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A range cell.
    Range(usize),
    /// A gathered copy and its fixed index.
    Copy(usize),
    /// An activation triple and the row's tag.
    Activation(usize),
}

/// All lookup keys of a row, in the order in which they are grouped.
pub(crate) fn keys(a: &Architecture) -> Vec<Key> {
    let range = (0..a.range_columns).map(Key::Range);
    range.chain((0..a.gather_columns).map(Key::Copy)).chain((0..a.activation_lanes).map(Key::Activation)).collect()
}

/// `v0 + θ·v1 + θ²·v2 + θ³·tag + α`.
pub(crate) fn compress<T: Cell>(values: [T; 3], tag: T, theta: &T, alpha: &T) -> T {
    let [v0, v1, v2] = values;
    ((tag * theta.clone() + v2) * theta.clone() + v1) * theta.clone() + v0 + alpha.clone()
}
