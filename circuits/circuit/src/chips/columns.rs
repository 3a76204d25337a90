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

/// The accumulator of activation lane `lane`: `(q + c·u)·2^(S·n) + rem - 2^(S·n-1)`, with the `n = remainder` limbs of `rem`
/// from range cell `first` on and the limbs of `u` behind those of the longest remainder. `0 <= rem < 2^(S·n)` exactly, so
/// `q + c·u` is the unique rounded quotient.
pub(crate) fn requantised<T: Cell>(
    a: &Architecture,
    lane: usize,
    remainder: usize,
    advice: &mut impl FnMut(usize) -> T,
) -> T {
    let first = lane * a.requantise_columns();
    let mut rounded = advice(a.rounded(lane));
    if a.excess_limbs > 0 {
        let excess = limbs(a, first + a.remainder_limbs, a.excess_limbs, advice);
        rounded = rounded + advice(a.saturation(lane)) * excess;
    }
    let shift = a.shift as usize * remainder;
    rounded * T::integer(1 << shift) + limbs(a, first, remainder, advice) - T::integer(1 << (shift - 1))
}

/// Limbs of the quotient and of the two differences that pin it, on a row with the quotient of a power of two.
pub(crate) fn quotient<T: Cell>(
    a: &Architecture,
    [quotient, difference]: [usize; 2],
    advice: &mut impl FnMut(usize) -> T,
) -> [T; 3] {
    [(0, quotient), (quotient, difference), (quotient + difference, difference)]
        .map(|(first, count)| limbs(a, first, count, advice))
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
        RowKind::Requantise { lanes, spacing, .. } => {
            let x = ring.power(spacing);
            (0..lanes)
                .map(|lane| requantised(a, lane, kind.remainder_limbs(), advice))
                .reduce(|sum, value| sum * x.clone() + value)
        }
        RowKind::MaximumOfWindow { height, width, vertical, horizontal } => {
            let maximum = requantised(a, 0, kind.remainder_limbs(), advice);
            let (y, x) = (ring.pow(&ring.r, vertical), ring.pow(&ring.r, horizontal));
            (0..height)
                .filter_map(|i| {
                    let member = |j| maximum.clone() - spread(a, kind, i * width + j, advice);
                    (0..width).map(member).reduce(|sum, value| sum * x.clone() + value)
                })
                .reduce(|sum, row| sum * y.clone() + row)
        }
        RowKind::Raw => Some(raw()),
        // Sums over groups: s^0 and s^1 tell two of them apart.
        RowKind::Exponential { lanes } => {
            let exponentials = horner(ring, lanes, |lane| advice(a.activated(lane)));
            Some(exponentials + ring.s.clone() * horner(ring, lanes, |lane| advice(a.saturation(lane))))
        }
        // One member attains the maximum.
        RowKind::Share { .. } => Some(advice(a.factor(0, 0)) + ring.s.clone()),
        RowKind::Normalise { lanes, len, centred, .. } => {
            let squares = horner(ring, lanes, |lane| {
                let x = advice(a.factor(0, lane));
                x.clone() * x
            });
            let squares = ring.s.clone() * T::integer(len as i64) * squares;
            Some(if centred { squares + horner(ring, lanes, |lane| advice(a.factor(0, lane))) } else { squares })
        }
        // V + S² = n·Q + epsilon, the last of which is taken off by the gate.
        RowKind::Root { .. } => {
            let [v, sum] = [0, 1].map(|group| advice(a.factor(group, 0)));
            Some(sum.clone() + ring.s.clone() * (v + sum.clone() * sum))
        }
        _ => None,
    }
}

/// What a row of this kind adds to the digest of copies: each sort has its own power of `s`. Quotients of a group carry those of
/// the copies that are made of them.
pub(crate) fn factor_input<T: Cell>(
    a: &Architecture,
    kind: RowKind,
    ring: &Ring<T>,
    advice: &mut impl FnMut(usize) -> T,
) -> Option<T> {
    let mut sort = |group: usize, lanes: usize| horner(ring, lanes, |lane| advice(a.factor(group, lane)));
    let s = |power: usize| ring.pow(&ring.s, power);
    match kind {
        RowKind::Multiply { lanes, .. } | RowKind::Exponential { lanes } => {
            Some(sort(0, lanes) + s(1) * sort(1, lanes))
        }
        RowKind::Normalise { lanes, .. } => Some(sort(0, lanes) + s(1) * sort(1, lanes) + s(2) * sort(2, lanes)),
        RowKind::Share { .. } => Some(s(1) * sort(1, 1) + s(3) * sort(2, 1)),
        RowKind::Root { .. } => Some(s(1) * sort(1, 1) + s(2) * sort(2, 1)),
        _ => None,
    }
}

/// Results of a row of this kind that enter the output's digest, as a number of activation lanes.
pub(crate) const fn digest_lanes(kind: RowKind) -> usize {
    match kind {
        RowKind::Requantise { lanes, .. }
        | RowKind::Copies { lanes }
        | RowKind::Multiply { lanes, .. }
        | RowKind::Exponential { lanes }
        | RowKind::Normalise { lanes, .. } => lanes,
        RowKind::Raw | RowKind::Candidate { .. } | RowKind::Share { .. } | RowKind::Root { .. } => 0,
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
