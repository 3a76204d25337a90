//! Formulas over one row that both the gates and the witness evaluate.
//!
//! A cell is anything that adds and multiplies: an expression for the gates, a field element for the witness. Each
//! formula is written once, here.
//!
//! Requantisation ([`requantised`]) is that of `docs/protocol.md`, section 6; keys are those of section 3.

use std::ops::{Add, Mul, Sub};

use super::architecture::{Architecture, exact_cells};
use super::challenge::Ring;
use super::role::Lines;

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
        super::expressions::constant(v)
    }
}

/// `Σ_i limb_i · 2^(t·i)`; each limb is in `[0, 2^t)`.
pub(crate) fn limbs<T: Cell>(a: &Architecture, first: usize, count: usize, advice: &mut impl FnMut(usize) -> T) -> T {
    limbs_at(a, first..first + count, advice)
}

/// As [`limbs`], of these range cells.
pub(crate) fn limbs_at<T: Cell>(
    a: &Architecture,
    cells: impl DoubleEndedIterator<Item = usize>,
    advice: &mut impl FnMut(usize) -> T,
) -> T {
    cells
        .rev()
        .map(|cell| advice(a.range(cell)))
        .reduce(|sum, limb| sum * T::integer(1 << a.limb_bits) + limb)
        .unwrap_or_else(|| T::integer(0))
}

/// Range cells of a lane's requantisation, by number among the row's range cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequantiseCells {
    /// First limb of the excess, or of the distance from the least value.
    pub(crate) excess: usize,
    /// The short limb of that distance, scaled.
    pub(crate) short: usize,
}

impl RequantiseCells {
    pub(crate) const fn of(a: &Architecture, lane: usize) -> Self {
        let excess = lane * a.requantise_columns() + a.remainder_cells;
        Self { excess, short: excess + a.excess_limbs }
    }

    /// Limb `i` of a lane's remainder of so many shifts, or the cell behind the last one: in the cells of the lane's own,
    /// then in those of the lanes that it takes besides.
    pub(crate) const fn remainder(a: &Architecture, lane: usize, shifts: usize, i: usize) -> usize {
        let own = if a.remainder_cells > 0 { a.remainder_cells } else { 1 };
        (lane * a.remainder_lanes(shifts) + i / own) * a.requantise_columns() + i % own
    }
}

/// Cells of a value whose function is by straight lines, beside those of its requantisation.
///
/// A row has up to `places` such values. The line of value `l` is in the cells of activation lane `places + l`. Its other
/// cells are range cells that requantisation leaves: for each value `exact` ones of the argument in its segment, then
/// those of the rest of the division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineCells<'a> {
    a: &'a Architecture,
    of: &'a Lines,
    lane: usize,
    /// The activation lane that holds number, intercept and slope.
    pub(crate) line: usize,
}

impl<'a> LineCells<'a> {
    pub(crate) const fn new(a: &'a Architecture, of: &'a Lines, lane: usize) -> Self {
        Self { a, of, lane, line: of.places + lane }
    }

    /// Limb `i` of the argument in its segment, or the cell behind the last one.
    pub(crate) const fn inside(&self, i: usize) -> usize {
        let cells = line_cells(self.of.low, self.of.scale, self.a.limb_bits);
        spare(self.a.remainder_cells, self.excess(), self.blocks(), self.lane * cells + i)
    }

    /// Limb `i` of the rest of the division, or the cell behind the last one.
    pub(crate) const fn rest(&self, i: usize) -> usize {
        self.inside(exact_cells(self.of.low, self.a.limb_bits) + i)
    }

    /// The range cells behind the last one of rows with this function; none where the numbers overflow.
    pub(crate) fn end(a: &Architecture, of: &Lines) -> Option<usize> {
        let blocks = of.places.checked_mul(a.remainder_lanes(of.shifts))?;
        let taken = blocks.checked_mul(a.requantise_columns())?;
        let cells = of.lanes.checked_mul(line_cells(of.low, of.scale, a.limb_bits))?;
        // Cells beyond the blocks that remainders take.
        taken.checked_add(cells)?;
        let last = spare(a.remainder_cells, a.excess_limbs + a.short_excess as usize, [of.places, blocks], cells - 1);
        Some((last + 1).max(of.lanes.checked_mul(a.requantise_columns())?))
    }

    const fn excess(&self) -> usize {
        self.a.excess_limbs + self.a.short_excess as usize
    }

    const fn blocks(&self) -> [usize; 2] {
        [self.of.places, self.of.places * self.a.remainder_lanes(self.of.shifts)]
    }
}

/// Range cells that a value takes for its argument in a segment of `2^low`, and for a rest of `scale` bits.
pub(crate) const fn line_cells(low: u32, scale: u32, limb_bits: u32) -> usize {
    exact_cells(low, limb_bits) + exact_cells(scale, limb_bits)
}

/// Range cell `i` of those that requantisation leaves: blocks have cells of a remainder, then of an excess; the excesses
/// take those of the first blocks, the remainders those of as many or more.
pub(crate) const fn spare(remainder: usize, excess: usize, [excesses, remainders]: [usize; 2], i: usize) -> usize {
    let block = remainder + excess;
    let between = (remainders - excesses) * excess;
    if i < between {
        (excesses + i / excess) * block + remainder + i % excess
    } else {
        remainders * block + i - between
    }
}

/// The accumulator of activation lane `lane`: `(q + c·u)·2^(S·n) + rem - 2^(S·n-1)`, for `n = shifts`. `rem` is exactly
/// `0 <= rem < 2^(S·n)`: its limbs are in their cells, and a short highest one is in another cell as well, scaled to a
/// whole one ([`short_remainder`]). So `q + c·u` is the unique rounded quotient.
pub(crate) fn requantised<T: Cell>(
    a: &Architecture,
    lane: usize,
    shifts: usize,
    advice: &mut impl FnMut(usize) -> T,
) -> T {
    let cells = RequantiseCells::of(a, lane);
    let mut rounded = advice(a.rounded(lane));
    if a.excess_limbs > 0 {
        let excess = limbs(a, cells.excess, a.excess_limbs, advice);
        rounded = rounded + advice(a.saturation(lane)) * excess;
    }
    let bits = a.remainder_bits(shifts);
    let remainder = (0..a.limbs(bits)).map(|i| RequantiseCells::remainder(a, lane, shifts, i));
    rounded * T::integer(1 << bits) + limbs_at(a, remainder, advice) - T::integer(1 << (bits - 1))
}

/// What must be zero for the remainder of a lane to be less than `2^(S·shifts)`: its short highest limb, scaled, is what
/// the cell behind its limbs holds. None where all its limbs are whole.
pub(crate) fn short_remainder<T: Cell>(
    a: &Architecture,
    lane: usize,
    shifts: usize,
    advice: &mut impl FnMut(usize) -> T,
) -> Option<T> {
    let bits = a.remainder_bits(shifts);
    let (limbs, missing) = (a.limbs(bits), a.missing_bits(bits));
    let cell = |i: usize| a.range(RequantiseCells::remainder(a, lane, shifts, i));
    let scaled = |limb: T| limb * T::integer(1 << missing);
    (missing > 0).then(|| scaled(advice(cell(limbs - 1))) - advice(cell(limbs)))
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
    range.chain((0..a.gather_columns).map(Key::Copy)).chain((0..a.looked_up_lanes).map(Key::Activation)).collect()
}

/// `v0 + θ·v1 + θ²·v2 + θ³·tag + α`.
pub(crate) fn compress<T: Cell>(values: [T; 3], tag: T, theta: &T, alpha: &T) -> T {
    let [v0, v1, v2] = values;
    ((tag * theta.clone() + v2) * theta.clone() + v1) * theta.clone() + v0 + alpha.clone()
}
