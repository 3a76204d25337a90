//! Row by row: sums, differences, products and linear combinations.

use std::mem::MaybeUninit;

use ff::Field;
use halo2curves::bn256::Fr;

use super::super::lanes::{Kernel, LANES, Lanes, MAX_PRODUCTS, store_new};
use super::super::shared::{reserve, written};
use super::for_chunks;

/// `acc_i *= other_i`, in parallel where it pays.
pub(super) fn mul_assign<L: Lanes>(lanes: L, acc: &mut [Fr], other: &[Fr]) {
    for_chunks(acc, |start, rows| {
        let other = &other[start..][..rows.len()];
        if L::PLAIN {
            rows.iter_mut().zip(other).for_each(|(a, b)| *a *= b);
        } else {
            lanes.run(Product { acc: rows, other });
        }
    });
}

struct Product<'a> {
    acc: &'a mut [Fr],
    other: &'a [Fr],
}

impl<L: Lanes> Kernel<L> for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let (acc, acc_rest) = self.acc.as_chunks_mut::<LANES>();
        let (other, other_rest) = self.other.as_chunks::<LANES>();
        for (acc, other) in acc.iter_mut().zip(other) {
            // Below (1 + 16/84)·p.
            lanes.store_once(lanes.mul(lanes.load(acc), lanes.load_factor(other)), acc);
        }
        for (acc, other) in acc_rest.iter_mut().zip(other_rest) {
            *acc *= other;
        }
    }
}

/// `acc_i *= factor`, in parallel where it pays.
pub(super) fn scale<L: Lanes>(lanes: L, acc: &mut [Fr], factor: Fr) {
    for_chunks(acc, |_, rows| {
        if L::PLAIN {
            rows.iter_mut().for_each(|row| *row *= factor);
        } else {
            lanes.run(Scale { rows, factor });
        }
    });
}

struct Scale<'a> {
    rows: &'a mut [Fr],
    factor: Fr,
}

impl<L: Lanes> Kernel<L> for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let single = L::single(self.factor);
        let (rows, rest) = self.rows.as_chunks_mut::<LANES>();
        for rows in rows {
            // Below (1 + 1/84)·p.
            lanes.store_once(lanes.mul(lanes.load(rows), lanes.broadcast(&single)), rows);
        }
        for row in rest {
            *row *= self.factor;
        }
    }
}

/// `Σ_j factors_j·vectors_j`, shorter vectors padded with zeros.
#[allow(unsafe_code)]
pub(super) fn combine<L: Lanes>(lanes: L, factors: &[Fr], vectors: &[&[Fr]]) -> Vec<Fr> {
    let len = vectors.iter().map(|vector| vector.len()).max().unwrap_or(0);
    let terms: Vec<(Fr, &[Fr])> =
        factors.iter().copied().zip(vectors.iter().copied()).filter(|(factor, _)| *factor != Fr::ZERO).collect();
    let singles: Vec<L::Single<Fr>> = terms.iter().map(|(factor, _)| L::single(*factor)).collect();
    if L::PLAIN {
        return combine_plainly(&terms, len);
    }
    let mut room = reserve(len);
    for_chunks(&mut room, |start, out| lanes.run(Combination { singles: &singles, terms: &terms, start, out }));
    // SAFETY: the chunks are the whole room, and each is written whole.
    unsafe { written(room) }
}

fn combine_plainly(terms: &[(Fr, &[Fr])], len: usize) -> Vec<Fr> {
    let mut out = vec![Fr::ZERO; len];
    for_chunks(&mut out, |start, rows| {
        for (factor, vector) in terms {
            let Some(values) = vector.get(start..) else { continue };
            if *factor == Fr::ONE {
                rows.iter_mut().zip(values).for_each(|(acc, value)| *acc += value);
            } else {
                rows.iter_mut().zip(values).for_each(|(acc, value)| *acc += factor * value);
            }
        }
    });
    out
}

struct Combination<'a, S> {
    /// The terms' factors.
    singles: &'a [S],
    terms: &'a [(Fr, &'a [Fr])],
    start: usize,
    out: &'a mut [MaybeUninit<Fr>],
}

impl<L: Lanes> Kernel<L> for Combination<'_, L::Single<Fr>> {
    type Output = ();

    #[inline(always)]
    fn run(self, lanes: L) {
        let Combination { singles, terms, start, out } = self;
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        let end = start + whole.len() * LANES;
        for (i, target) in whole.iter_mut().enumerate() {
            store_new(lanes, combine_rows(lanes, singles, terms, start + i * LANES), target);
        }
        if !rest.is_empty() {
            let mut last = [Fr::ZERO; LANES];
            lanes.store(combine_rows(lanes, singles, terms, end), &mut last);
            rest.write_copy_of_slice(&last[..rest.len()]);
        }
    }
}

/// Eight rows of a linear combination. Groups of [`MAX_PRODUCTS`] terms are below (1 + 128/84)·p; their sums are
/// lowered.
#[inline(always)]
fn combine_rows<L: Lanes>(lanes: L, singles: &[L::Single<Fr>], terms: &[(Fr, &[Fr])], row: usize) -> L::Vector<Fr> {
    let mut total = lanes.zero();
    for (singles, terms) in singles.chunks(MAX_PRODUCTS).zip(terms.chunks(MAX_PRODUCTS)) {
        let mut products = lanes.product(lanes.zero(), lanes.broadcast(&singles[0]));
        for (single, (_, vector)) in singles.iter().zip(terms) {
            let values = match vector.get(row..) {
                Some(values) => values,
                None => continue,
            };
            let rows = match values.first_chunk() {
                Some(rows) => lanes.load(rows),
                None => lanes.load(&padded(values, Fr::ZERO)),
            };
            products = lanes.accumulate(products, rows, lanes.broadcast(single));
        }
        total = lanes.lower(lanes.settle_sum(lanes.include(lanes.sum_products(products), total)));
    }
    total
}

/// Fewer than eight elements, and copies of another one.
#[inline(always)]
pub(super) fn padded(values: &[Fr], padding: Fr) -> [Fr; LANES] {
    let mut padded = [padding; LANES];
    padded[..values.len()].copy_from_slice(values);
    padded
}
