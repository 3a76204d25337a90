//! The weighted sums of buckets, `Σ_b b·B_b` for each set of buckets of each column.
//!
//! A weight is two halves of its bits. The buckets are summed by either half of their weight, twice as many additions
//! as there are buckets; then those sums by each bit that their half has set: a few more. What is left of a column is
//! one point for each bit of a scalar's digit, joined by as many doublings, the only additions that are not batched.

use group::Group;
use halo2curves::bn256::G1;
use rayon::prelude::*;

use super::super::lanes::Lanes;
use super::buckets::{Sorted, Summation, Sums};
use super::decomposition::Decomposition;
use super::point::{Point, Signed};

/// The scalar multiplications' results, from the sums of the buckets of so many columns. Column i's keys start at
/// `i·decomposition.keys()`.
pub(super) fn weighted_sums<L: Lanes>(
    summation: &Summation<L>,
    decomposition: &Decomposition,
    columns: usize,
    buckets: &Sums,
) -> Vec<G1> {
    let weights = Halves {
        low_bits: decomposition.window_bits / 2,
        high_bits: decomposition.window_bits - decomposition.window_bits / 2,
    };
    let sets = columns * decomposition.sets;
    let keys = sets * weights.keys();
    let by_half = buckets.keys.iter().zip(0..).flat_map(|(key, index)| {
        let (set, weight) = decomposition.bucket(*key);
        weights.split(weight).map(move |place| (set, place, index))
    });
    let by_half = by_half.filter_map(|(set, (place, value), index)| {
        (value != 0).then_some(((set * weights.keys() + place + value) as u32, Signed::new(index, false)))
    });
    let halves = summation.sum(&buckets.points, &Sorted::new(keys, by_half));
    let by_bit = halves.keys.iter().zip(0..).flat_map(|(key, index)| {
        let (set, place) = (*key as usize / weights.keys(), *key as usize % weights.keys());
        weights.bits(place).map(move |bit| ((set * decomposition.window_bits + bit) as u32, Signed::new(index, false)))
    });
    let bits = summation.sum(&halves.points, &Sorted::new(sets * decomposition.window_bits, by_bit));
    horner::<L>(decomposition.sets * decomposition.window_bits, columns, &bits)
}

/// Both halves of weights, by places: those of the low half, then those of the high one.
#[derive(Debug, Clone, Copy)]
struct Halves {
    low_bits: usize,
    high_bits: usize,
}

impl Halves {
    const fn keys(self) -> usize {
        (1 << self.low_bits) + (1 << self.high_bits)
    }

    /// Where each half's places start, and the half's value.
    const fn split(self, weight: usize) -> [(usize, usize); 2] {
        [(0, weight & ((1 << self.low_bits) - 1)), (1 << self.low_bits, weight >> self.low_bits)]
    }

    /// The bits of weights that a place has set.
    fn bits(self, place: usize) -> impl Iterator<Item = usize> + Clone {
        let (value, first) = match place.checked_sub(1 << self.low_bits) {
            Some(value) => (value, self.low_bits),
            None => (place, 0),
        };
        (0..self.high_bits.max(self.low_bits)).filter(move |bit| value >> bit & 1 == 1).map(move |bit| first + bit)
    }
}

/// `Σ_i 2^i·P_i` for each column; column c's point i has the key `c·bits + i`.
fn horner<L: Lanes>(bits: usize, columns: usize, sums: &Sums) -> Vec<G1> {
    let unscale = Point::unscale::<L>();
    let column = |column: usize| {
        let range = |bound: usize| sums.keys.partition_point(|key| (*key as usize) < bound);
        let (start, end) = (range(column * bits), range((column + 1) * bits));
        let mut points = sums.keys[start..end].iter().zip(&sums.points[start..end]).rev().peekable();
        (column * bits..(column + 1) * bits).rev().fold(G1::identity(), |acc, key| {
            let doubled = if bool::from(acc.is_identity()) { acc } else { acc.double() };
            match points.next_if(|(next, _)| **next as usize == key) {
                Some((_, point)) => doubled + point.to_affine(unscale),
                None => doubled,
            }
        })
    };
    (0..columns).into_par_iter().map(column).collect()
}
